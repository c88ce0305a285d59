/* Lists of releases in JSON: those of GitHub, Gitee and GitLab, and our own index. Pure: text in,
 * values out.
 *
 * The index (docs/releases.md has it for publishers):
 *
 *   {"format": 1, "releases": [
 *     {"version": "1.2.0", "notes": "...", "page": "https://...", "prerelease": false, "withdrawn":
 * false, "assets": [
 *        {"name": "flocks-1.2.0-linux-x86_64.tar.xz", "platform": "linux-x86_64", "url": "...",
 * "size": 123, "sha256": "<64 digits>", "signature": "...", "mirrors": [{"region": "cn", "url":
 * "https://..."}]}]}]}
 *
 * Needed: format, releases, version, name. `url` and `signature` are relative to the index; without
 * `url` it is the name beside the index. `platform`: "any", or as in names; without it the name
 * tells. A member that is not listed here is ignored, so that a later format can add some; one of a
 * wrong type is a mistake with its path. */
#ifndef FLOCKS_UPDATER_RELEASE_JSON_H
#define FLOCKS_UPDATER_RELEASE_JSON_H

#include <stddef.h>

#include "client/updater/release.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

#define RELEASE_FORMATS(X)                                                                         \
    /* /repos/OWNER/REPO/releases of GitHub (API v3), and of Gitee (v5). */                        \
    X(GITHUB)                                                                                      \
    X(GITEE)                                                                                       \
    /* /projects/ID/releases (v4). */                                                              \
    X(GITLAB)                                                                                      \
    X(INDEX)

enum release_format {
#define RELEASE_FORMAT_ENTRY(name) RELEASE_FORMAT_##name,
    RELEASE_FORMATS(RELEASE_FORMAT_ENTRY)
#undef RELEASE_FORMAT_ENTRY
};

enum {
    /* Longer texts are refused. */
    RELEASE_JSON_BYTES_MAX = 16 * 1024 * 1024,
    RELEASE_INDEX_FORMAT = 1
};

/* Sorted, everything in the arena. `base`: URL of the list, or absolute path of the index. From
 * hosts: what is no version, or a draft, and files with strange names are left out. An index is
 * checked strictly. -STATUS_INVALID_ARGUMENT: no such list; the text says where.
 * -STATUS_UNIMPLEMENTED: an index of a later format. -STATUS_RESOURCE_EXHAUSTED: text or arena. */
NODISCARD int release_json_read(enum release_format format, const char *text, size_t text_len,
    const char *base, struct arena *arena, struct releases *out, struct error *error);

/* `reference` beside `base`, which is a URL or an absolute path; a path is never left ("..", "/"),
 * nor followed from a URL. NULL: it cannot be. */
const char *release_place(const char *base, const char *reference, struct arena *arena);

#endif
