/* Any text as what the updater reads beside lists: the first byte says as what. What is accepted
 * keeps its promise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/updater/answer.h"
#include "client/updater/archive_path.h"
#include "client/updater/asset_name.h"
#include "client/updater/checksums.h"
#include "client/updater/signature.h"
#include "common/base/utf8.h"

enum { KINDS = 6, TEXT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_plain(const char *text)
{
    size_t len = strlen(text);
    demand(utf8_is_valid((const uint8_t *)text, len));
    for (size_t i = 0; i < len; i++)
        demand((uint8_t)text[i] >= ' ' || text[i] == '\t');
}

static void try_signature(const char *text, size_t len)
{
    static struct signature signature;
    struct error error = ERROR_INIT;
    char name[64];
    if (signature_parse(text, len, "x", &signature, &error) < 0) {
        demand(error.text[0] != '\0');
        return;
    }
    check_plain(signature.comment);
    if (signature_comment_field(&signature, "file", name, sizeof name))
        demand(strlen(name) < sizeof name);
    /* Nobody has signed this with a key of zeros. */
    struct signature_key key = {.bytes = {1}};
    memcpy(key.id, signature.key_id, sizeof key.id);
    demand(signature_verify(&signature, &key, 1, -1, "x", -1, &error) < 0);
}

static void try_key(const char *text, size_t len)
{
    struct signature_key key;
    char id[SIGNATURE_KEY_ID_SIZE];
    if (signature_key_parse(text, len, &key, NULL) < 0)
        return;
    signature_key_id_text(key.id, id);
    demand(strlen(id) > 0);
}

static void try_checksums(const char *text, size_t len)
{
    char out[CHECKSUM_SIZE];
    struct error error = ERROR_INIT;
    if (checksums_find(text, len, "a", out, &error) == 0)
        demand(strlen(out) == CHECKSUM_SIZE - 1);
    else
        demand(error.text[0] != '\0');
}

/* A version, or the name of a file. */
static void try_name(const char *text)
{
    static const struct platform platform = {.system = "linux", .machine = "x86_64"};
    struct version version;
    struct version again;
    if (version_parse(text, &version) || asset_name_version(text, &version)) {
        demand(
            version.text[0] >= '0' && version.text[0] <= '9' && strchr(version.text, '/') == NULL);
        demand(version_parse(version.text, &again) && version_compare(&version, &again) == 0);
    }
    int fit = asset_name_fits(text, &platform);
    demand(fit >= 0 && fit <= 3);
    if (asset_name_is_good(text))
        check_plain(text);
}

/* Where a link's target leads, taken as if every name in it were a directory: never above the top.
 */
static void check_link(const char *link, const char *target)
{
    long depth = (long)archive_path_depth(link) - 1;
    demand(target[0] != '/');
    while (*target != '\0') {
        size_t len = strcspn(target, "/");
        if (len == 2 && memcmp(target, "..", 2) == 0)
            depth--;
        else if (len > 0 && !(len == 1 && *target == '.'))
            depth++;
        demand(depth >= 0);
        target += len;
        target += *target == '/';
    }
}

static void try_path(const char *text)
{
    char clean[ARCHIVE_PATH_MAX + 1];
    char again[ARCHIVE_PATH_MAX + 1];
    char shown[ARCHIVE_PATH_SHOWN_SIZE];
    archive_path_show(text, shown);
    check_plain(shown);
    if (archive_path_check_link("a/b/c", text) == NULL)
        check_link("a/b/c", text);
    if (archive_path_clean(text, clean) != NULL)
        return;
    check_plain(clean);
    demand(clean[0] != '/' && archive_path_depth(clean) <= ARCHIVE_PATH_DEPTH_MAX);
    demand(clean[0] == '\0' ||
           (archive_path_clean(clean, again) == NULL && strcmp(clean, again) == 0));
}

static void try_answer(const char *text, size_t len)
{
    struct answer answer = {.retry_after_ms = -1};
    while (len > 0) {
        const char *feed = memchr(text, '\n', len);
        size_t line = feed == NULL ? len : (size_t)(feed - text) + 1;
        answer_take_line(&answer, text, line, 1700000000);
        text += line;
        len -= line;
    }
    demand(answer.retry_after_ms >= -1);
    demand(!answer.has_range || answer.range_total == 0 || answer.range_start < answer.range_total);
    for (const char *at = answer_validator(&answer); *at != '\0'; at++)
        demand((uint8_t)*at >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX + 1];
    if (size == 0)
        return 0;
    size_t len = size - 1 < TEXT_MAX ? size - 1 : TEXT_MAX;
    memcpy(text, data + 1, len);
    text[len] = '\0';
    switch (data[0] % KINDS) {
    case 0:
        try_signature(text, len);
        break;
    case 1:
        try_key(text, len);
        break;
    case 2:
        try_checksums(text, len);
        break;
    case 3:
        try_name(text);
        break;
    case 4:
        try_path(text);
        break;
    default:
        try_answer(text, len);
        break;
    }
    return 0;
}
