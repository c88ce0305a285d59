#include "client/upgrade/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium/crypto_hash_sha256.h>

#include "flocks/v1/upgrade.names.h"

#include "client/updater/cancel.h"
#include "client/updater/checksums.h"
#include "client/updater/download.h"
#include "client/upgrade/fetching.h"
#include "client/upgrade/settings.h"
#include "common/base/fd.h"
#include "common/release/tree.h"

enum {
    DOWNLOADS_MODE = 0700,
    READ_BYTES = 256 * 1024,
    /* Of a message to people. */
    MESSAGE_SIZE = 256
};

static void tell(const struct fetching *fetching, int step, const char *message,
    uint64_t bytes_done, uint64_t bytes_total)
{
    const struct fetch_request *request = fetching->request;
    struct update_progress progress = {
        .step = step, .message = message, .bytes_done = bytes_done, .bytes_total = bytes_total};
    if (request->on_progress != NULL)
        request->on_progress(request->data, &progress);
}

/* ---- the archive ---- */

static int refuse_digest(struct fetching *fetching, const char *place, const char *found)
{
    int result = error_set(fetching->error, STATUS_DATA_LOSS,
        "%s is another file than the one that was promised: its SHA-256 is %s, not %s", place,
        found, fetching->sha256);
    error_set_hint(
        fetching->error, "copy it again, and tell whoever published it if that does not help");
    return result;
}

static int check_digest(struct fetching *fetching, const char *place, int fd)
{
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    char text[CHECKSUM_SIZE];
    uint64_t done = 0;
    uint8_t *bytes = malloc(READ_BYTES);
    if (bytes == NULL)
        return error_set_errno(fetching->error, ENOMEM, "reading %s", place);
    (void)crypto_hash_sha256_init(&state);
    ssize_t got = 0;
    while ((got = pread(fd, bytes, READ_BYTES, (off_t)done)) > 0 &&
           !cancel_is_asked(fetching->request->cancel_fd)) {
        (void)crypto_hash_sha256_update(&state, bytes, (unsigned long long)got);
        done += (uint64_t)got;
    }
    int saved = errno;
    free(bytes);
    if (got < 0)
        return error_set_errno(fetching->error, saved, "reading %s", place);
    if (got > 0)
        return error_set(fetching->error, STATUS_CANCELLED, "it was interrupted");
    (void)crypto_hash_sha256_final(&state, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(text + 2 * i, sizeof text - 2 * i, "%02x", digest[i]);
    return strcasecmp(text, fetching->sha256) == 0 ? 0 : refuse_digest(fetching, place, text);
}

/* Of a file on this machine: what a server says of its own was compared by the download. */
static int check_size(struct fetching *fetching, const char *place, int fd)
{
    struct stat status;
    uint64_t wanted = fetching->choice->asset->size;
    if (fstat(fd, &status) < 0)
        return error_set_errno(fetching->error, errno, "reading %s", place);
    if (wanted == 0 || (uint64_t)status.st_size == wanted)
        return 0;
    int result = error_set(fetching->error, STATUS_DATA_LOSS,
        "%s has %lld bytes, and %" PRIu64 " were promised", place, (long long)status.st_size,
        wanted);
    error_set_hint(fetching->error, "copy it again");
    return result;
}

static int open_archive(const char *path, struct error *error)
{
    struct stat status;
    /* Not waiting for whoever might write into a FIFO of that name. */
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(error, errno, "opening %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s is no file", path);
    return fd_take(&fd);
}

static void tell_download(void *data, const struct download_progress *progress)
{
    const struct fetching *fetching = data;
    char message[MESSAGE_SIZE];
    const char *what = progress->is_waiting ? "Waiting to download" : "Downloading";
    if (progress->attempt > 1)
        (void)snprintf(message, sizeof message, "%s %.150s (attempt %u)", what, fetching->name,
            progress->attempt);
    else
        (void)snprintf(message, sizeof message, "%s %.150s", what, fetching->name);
    tell(fetching, FLOCKS_UPGRADE_STEP_DOWNLOADING, message, progress->bytes_done,
        progress->bytes_total);
}

static int make_downloads(const struct update_settings *settings, struct error *error)
{
    if (mkdir(settings->places.downloads, DOWNLOADS_MODE) < 0 && errno != EEXIST)
        return error_set_errno(error, errno, "making %s", settings->places.downloads);
    return 0;
}

/* *out_is_final: another place cannot do better. */
static int fetch_remote(struct fetching *fetching, const char *place, bool *out_is_final)
{
    char path[PATH_MAX];
    const struct update_settings *settings = fetching->settings;
    struct download_outcome outcome = {.failure = DOWNLOAD_FAILURE_LOCAL};
    int written = snprintf(path, sizeof path, "%s/%s", settings->places.downloads, fetching->name);
    struct download_request request = {.url = place,
        .path = path,
        .sha256 = fetching->sha256,
        .size = fetching->choice->asset->size,
        .allow_http = settings->update->allow_http,
        .ca_file = settings->ca_file,
        .cancel_fd = fetching->request->cancel_fd,
        .on_progress = tell_download,
        .data = fetching};
    *out_is_final = true;
    int result = make_downloads(settings, fetching->error);
    if (result < 0)
        return result;
    if (written < 0 || (size_t)written >= sizeof path)
        return error_set_errno(fetching->error, ENAMETOOLONG, "downloading %s", fetching->name);
    result = download_file(&request, &outcome, fetching->error);
    *out_is_final =
        outcome.failure == DOWNLOAD_FAILURE_LOCAL || outcome.failure == DOWNLOAD_FAILURE_CANCELLED;
    return result < 0 ? result : open_archive(path, fetching->error);
}

static int verify(struct fetching *fetching, const char *place, int fd)
{
    char message[MESSAGE_SIZE];
    const struct fetch_request *request = fetching->request;
    int result = 0;
    (void)snprintf(message, sizeof message, "Verifying %.200s", fetching->name);
    tell(fetching, FLOCKS_UPGRADE_STEP_VERIFYING, message, 0, 0);
    /* What was downloaded was hashed on the way. */
    if (fetching_is_local(place))
        result = check_size(fetching, place, fd);
    if (result == 0 && fetching_is_local(place) && fetching->sha256 != NULL)
        result = check_digest(fetching, place, fd);
    if (result == 0 && fetching->signature != NULL)
        result = trust_check_file(&fetching->keys, fetching->signature, fd, fetching->name,
            request->cancel_fd, fetching->error);
    if (result == 0)
        result = trust_check_version(fetching->name, fetching->signature, request->found->version,
            &fetching->out->is_version_told, fetching->error);
    return error_add_context(fetching->error, result, "verifying the release");
}

static int fetch_from(struct fetching *fetching, const char *place, bool *out_is_final)
{
    *out_is_final = false;
    CLEANUP(fd_close)
    int fd = fetching_is_local(place) ? open_archive(place, fetching->error)
                                      : fetch_remote(fetching, place, out_is_final);
    if (fd < 0)
        return error_add_context(fetching->error, fd, "downloading the release");
    int result = verify(fetching, place, fd);
    *out_is_final = result == -STATUS_CANCELLED;
    return result < 0 ? result : fd_take(&fd);
}

/* The first place that failed says most: it is the one that was meant. */
static int say_all_failed(struct fetching *fetching, const struct error *first, size_t n_failed)
{
    struct error last = *fetching->error;
    *fetching->error = *first;
    if (n_failed == 1)
        return -(int)first->code;
    int result = error_set(fetching->error, first->code, "%s; %s%s", first->text,
        n_failed > 2 ? "other places as well, the last: " : "the other place: ", last.text);
    error_set_hint(fetching->error, "%s", first->hint);
    return result;
}

static int fetch_archive(struct fetching *fetching)
{
    const struct release_choice *choice = fetching->choice;
    struct error first = ERROR_INIT;
    bool is_final = false;
    int result = 0;
    for (size_t i = 0; i < choice->n_places && !is_final; i++) {
        *fetching->error = ERROR_INIT;
        result = fetch_from(fetching, choice->places[i], &is_final);
        if (result >= 0)
            return result;
        if (i == 0)
            first = *fetching->error;
        if (i + 1 == choice->n_places && !is_final)
            return say_all_failed(fetching, &first, i + 1);
    }
    return result;
}

/* ---- all of it ---- */

int fetch(const struct fetch_request *request, struct fetched *out, struct error *error)
{
    struct error unwanted = ERROR_INIT;
    struct fetching fetching = {.request = request,
        .settings = request->settings,
        .choice = &request->found->choice,
        .name = request->found->choice.asset->name,
        .out = out,
        .error = error != NULL ? error : &unwanted};
    *out = (struct fetched){.fd = -1};
    fetching.signature = calloc(1, sizeof *fetching.signature);
    if (fetching.signature == NULL)
        return error_set_errno(error, ENOMEM, "verifying the release");
    struct signature *signature = fetching.signature;
    int result = fetching_vouch(&fetching);
    /* Of the file of checksums, or none. */
    if (fetching.is_checksum_signed || !out->is_signed)
        fetching.signature = NULL;
    if (result == 0)
        result = fetch_archive(&fetching);
    free(signature);
    if (result < 0)
        return result;
    out->fd = result;
    return 0;
}

/* ---- the directory of downloads ---- */

/* `name` is `keep`'s unfinished download, or its record. */
static bool is_kept(const char *name, const char *keep)
{
    size_t len = keep == NULL ? 0 : strlen(keep);
    return len > 0 && strncmp(name, keep, len) == 0 &&
           (strcmp(name + len, ".part") == 0 || strcmp(name + len, ".part.record") == 0);
}

int fetch_clear(const struct update_settings *settings, const char *keep, struct error *error)
{
    const char *path = settings->places.downloads;
    DIR *directory = opendir(path);
    int failed = 0;
    if (directory == NULL)
        return errno == ENOENT ? 0 : error_set_errno(error, errno, "opening %s", path);
    const struct dirent *found = NULL;
    while ((errno = 0, found = readdir(directory)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        const char *name = found->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_kept(name, keep))
            continue;
        if (tree_remove(dirfd(directory), name) < 0)
            failed = error_set_errno(error, errno, "removing %s/%s", path, name);
    }
    (void)closedir(directory);
    if (failed == 0 && rmdir(path) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        failed = error_set_errno(error, errno, "removing %s", path);
    return failed;
}
