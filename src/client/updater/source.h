/* Where releases come from: one line of the configuration, and the releases that are found there.
 */
#ifndef FLOCKS_UPDATER_SOURCE_H
#define FLOCKS_UPDATER_SOURCE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/updater/download.h"
#include "client/updater/release.h"
#include "client/updater/url.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* For a list of releases: nobody waits for an hour to hear that there is nothing new. */
    SOURCE_TIMEOUT_MS = 60 * 1000,
    SOURCE_TRIES_MAX = 3,
    /* Files of a directory that are looked at; with more it is refused. */
    SOURCE_FILES_MAX = 4096,
    /* Memory of one list (the arena that the caller makes). */
    SOURCE_ARENA_BYTES = 64 * 1024 * 1024
};

enum source_kind {
    SOURCE_GITHUB,
    SOURCE_GITEE,
    SOURCE_GITLAB,
    /* A list of our own (release_json.h) on any server. */
    SOURCE_INDEX,
    /* One archive on any server; its name tells the version. */
    SOURCE_ARCHIVE,
    /* A file (archive or index) or a directory (with an index.json, or archives whose names tell
     * versions) of this machine. */
    SOURCE_PATH
};

/* A plain value. */
struct source {
    enum source_kind kind;
    /* For whom it is the nearest: "cn"; "": for nobody in particular. */
    char region[RELEASE_REGION_MAX + 1];
    /* Where the list is: a URL; of SOURCE_PATH the path. */
    char place[URL_MAX + 1];
};

/* "[REGION=]SOURCE", where SOURCE is one of
 *
 *   github:OWNER/REPO   gitee:OWNER/REPO   gitlab:GROUP/PROJECT     on github.com, gitee.com,
 * gitlab.com github:https://HOST/OWNER/REPO ...                              on another host
 *   https://github.com/OWNER/REPO ...                               the same as the first line
 *   https://HOST/PATH/index.json, https://HOST/PATH/                an index
 *   https://HOST/PATH/flocks-1.2.0.tar.xz                           one archive
 *   PATH                                                            a file or directory of this
 * machine
 *
 * A relative PATH is taken from the working directory. gitee.com is for region "cn" unless another
 * is said. Nothing is asked and nothing on the disk is touched. -STATUS_INVALID_ARGUMENT: none of
 * these. */
NODISCARD int source_parse(const char *text, struct source *out, struct error *error);

/* Whether what it has crosses a network, so that it has to be signed. */
bool source_is_remote(const struct source *source);

/* "cn" for what people and locales call it (cn, china, zh, zh_CN.UTF-8, zh-cn); "" for none, auto,
 * default, global; else the text in lower case, cut. */
void source_region(const char *text, char out[RELEASE_REGION_MAX + 1]);

/* In the order in which they should be tried from `region`: its own, then those of no region, then
 * the others; otherwise as they are. */
void source_order(struct source *sources, size_t n, const char *region);

struct source_options {
    /* For the host's API, see download.h; NULL. */
    const char *token;
    const char *ca_file;
    bool allow_http;
    /* 0: SOURCE_TIMEOUT_MS, and download.h's. */
    int64_t timeout_ms;
    int64_t delay_ms;
    /* -1: none. */
    int cancel_fd;
};

/* The releases that are there now (of a host, its 100 newest): sorted, in the arena. An empty list
 * is a result. Blocks within the timeout. Errors as of download_text and release_json_read, with
 * the place before them. `out_failure` (may be NULL): why a download failed. */
NODISCARD int source_list(const struct source *source, const struct source_options *options,
    struct arena *arena, struct releases *out, enum download_failure *out_failure,
    struct error *error);

#endif
