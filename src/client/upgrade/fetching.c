#include "client/upgrade/fetching.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/updater/download.h"
#include "client/upgrade/settings.h"
#include "common/base/fd.h"

/* fetch_signature: nobody signed it, and nobody has to. */
#define NOT_SIGNED 1

bool fetching_is_local(const char *place)
{
    return place[0] == '/';
}

/* ---- small texts ---- */

/* As download_text: NUL-terminated, the caller's. */
static int read_text(const struct fetching *fetching, const char *place, size_t max, char **out,
    size_t *out_len, struct error *error)
{
    if (fetching_is_local(place))
        return fd_read_file(place, max, out, out_len, error);
    struct download_outcome outcome;
    struct download_request request = {.url = place,
        .bytes_max = max,
        .timeout_ms = SOURCE_TIMEOUT_MS,
        .tries_max = SOURCE_TRIES_MAX,
        .allow_http = fetching->settings->update->allow_http,
        .ca_file = fetching->settings->ca_file,
        .cancel_fd = fetching->request->cancel_fd};
    return download_text(&request, &outcome, out, out_len, error);
}

static int read_signature_at(struct fetching *fetching, const char *place, const char *name,
    struct signature *out, struct error *error)
{
    char *text = NULL;
    size_t len = 0;
    int result = read_text(fetching, place, SIGNATURE_TEXT_MAX, &text, &len, error);
    if (result == 0)
        result = signature_parse(text, len, name, out, error);
    free(text);
    return result;
}

/* ---- what the archive must be ---- */

static int refuse_unsigned(struct fetching *fetching, const struct error *why)
{
    int result = error_set(fetching->error, STATUS_FAILED_PRECONDITION,
        "verifying the release: %s is not signed%s%s", fetching->name, why == NULL ? "" : ": ",
        why == NULL ? "" : why->text);
    error_set_hint(fetching->error,
        "ask the publisher for %s.minisig; "
        "update.require_signature: false in flocks.yaml takes it unsigned",
        fetching->name);
    return result;
}

static int refuse_without_key(struct fetching *fetching)
{
    int result = error_set(fetching->error, STATUS_FAILED_PRECONDITION,
        "verifying the release: update.keys is empty, so no signature can be checked");
    error_set_hint(fetching->error,
        "put the publisher's minisign key (RW...) into update.keys of flocks.yaml");
    return result;
}

/* A signature beside each place of the archive, where the one that the list names is out of reach:
 * whoever made it, it holds or not. */
static int read_signature_elsewhere(struct fetching *fetching)
{
    const struct release_choice *choice = fetching->choice;
    char beside[URL_MAX + 1];
    for (size_t i = 0; i < choice->n_places; i++) {
        const char *place = choice->places[i];
        size_t len = fetching_is_local(place) ? strlen(place) : strcspn(place, "?#");
        int written =
            snprintf(beside, sizeof beside, "%.*s.minisig%s", (int)len, place, place + len);
        bool fits = written > 0 && (size_t)written < sizeof beside;
        if (!fits || strcmp(beside, choice->asset->signature) == 0)
            continue;
        struct error ignored = ERROR_INIT;
        if (read_signature_at(fetching, beside, fetching->name, fetching->signature, &ignored) == 0)
            return 0;
    }
    return -STATUS_NOT_FOUND;
}

/* 0: fetching->signature is there, not yet verified; NOT_SIGNED. */
static int fetch_signature(struct fetching *fetching)
{
    const char *place = fetching->choice->asset->signature;
    bool is_needed = fetching->request->found->needs_signature;
    struct error why = ERROR_INIT;
    if (place == NULL || fetching->keys.n == 0)
        return is_needed && !fetching->is_checksum_signed ? refuse_unsigned(fetching, NULL)
                                                          : NOT_SIGNED;
    int result = read_signature_at(fetching, place, fetching->name, fetching->signature, &why);
    if (result < 0 && result != -STATUS_CANCELLED && read_signature_elsewhere(fetching) == 0)
        return 0;
    if (result == -STATUS_NOT_FOUND)
        return is_needed ? refuse_unsigned(fetching, &why) : NOT_SIGNED;
    if (result < 0)
        *fetching->error = why;
    return error_add_context(fetching->error, result, "verifying the release");
}

/* Whether the text of checksums is signed; it is no file yet. */
static int check_checksums(struct fetching *fetching, const char *text, size_t len)
{
    const struct release_choice *choice = fetching->choice;
    const char *slash = strrchr(choice->checksums, '/');
    const char *name = slash == NULL ? choice->checksums : slash + 1;
    char shown[ASSET_NAME_MAX + 1];
    (void)snprintf(shown, sizeof shown, "%.*s", (int)strcspn(name, "?#"), name);
    int result = read_signature_at(
        fetching, choice->checksums_signature, shown, fetching->signature, fetching->error);
    if (result < 0)
        return result;
    CLEANUP(fd_close) int fd = memfd_create("checksums", MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(fetching->error, errno, "checking the signature of %s", shown);
    result = fd_write_all(fd, text, len, fetching->error);
    if (result == 0)
        result = trust_check_file(&fetching->keys, fetching->signature, fd, shown,
            fetching->request->cancel_fd, fetching->error);
    fetching->is_checksum_signed = result == 0;
    return result;
}

/* The checksums are there, and do not have it: that says nothing, unless they are what signs it. */
static int refuse_unlisted(struct fetching *fetching, int result)
{
    bool is_needed = fetching->request->found->needs_signature && fetching->is_checksum_signed;
    fetching->is_checksum_signed = false;
    error_set_hint(fetching->error,
        "ask the publisher for checksums that have %s, or for %s.minisig", fetching->name,
        fetching->name);
    return is_needed ? result : 0;
}

static int take_checksums(struct fetching *fetching, const char *text, size_t len)
{
    const struct release_choice *choice = fetching->choice;
    int result = 0;
    if (choice->checksums_signature != NULL && choice->asset->signature == NULL &&
        fetching->keys.n > 0)
        result = check_checksums(fetching, text, len);
    if (result < 0)
        return result;
    result = checksums_find(text, len, fetching->name, fetching->sha256_text, fetching->error);
    if (result == 0)
        fetching->sha256 = fetching->sha256_text;
    else if (result == -STATUS_NOT_FOUND)
        return refuse_unlisted(fetching, result);
    return result;
}

static int fetch_checksum(struct fetching *fetching)
{
    const struct release_choice *choice = fetching->choice;
    char *text = NULL;
    size_t len = 0;
    if (choice->asset->sha256 != NULL || choice->checksums == NULL) {
        fetching->sha256 = choice->asset->sha256;
        return 0;
    }
    int result =
        read_text(fetching, choice->checksums, CHECKSUMS_BYTES_MAX, &text, &len, fetching->error);
    if (result == 0)
        result = take_checksums(fetching, text, len);
    free(text);
    /* A signature of the archive itself says more than a checksum would. */
    bool is_covered = choice->asset->signature != NULL && fetching->keys.n > 0;
    if (result < 0 && result != -STATUS_CANCELLED && is_covered)
        return 0;
    return error_add_context(fetching->error, result, "verifying the release");
}

/* ---- all of it ---- */

int fetching_vouch(struct fetching *fetching)
{
    int result = trust_load_keys(fetching->settings->update, &fetching->keys, fetching->error);
    if (result < 0)
        return result;
    if (fetching->request->found->needs_signature && fetching->keys.n == 0)
        return refuse_without_key(fetching);
    result = fetch_checksum(fetching);
    if (result < 0)
        return result;
    result = fetch_signature(fetching);
    fetching->out->is_signed = result == 0 || fetching->is_checksum_signed;
    return result < 0 ? result : 0;
}
