/* Which release an upgrade is to: the sources in their order, with fall-back, and what is on the
 * disk. Changes nothing. */
#ifndef FLOCKS_UPGRADE_FIND_H
#define FLOCKS_UPGRADE_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include "client/updater/release.h"
#include "client/updater/source.h"
#include "client/upgrade/progress.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/release_dir.h"

struct update_settings;

enum {
    /* As update.sources in config.proto. */
    UPDATE_SOURCES_MAX = 16
};

struct update_find_request {
    const struct update_settings *settings;
    /* Exactly this version; NULL or "": the newest. */
    const char *version;
    /* This one source (source_parse) in place of the configured ones; NULL or "": those. */
    const char *from;
    /* Also what is current, or on the disk: it is fetched again under another name. */
    bool force;
    /* Only what is on the disk counts, no source is asked. Needs `version`. */
    bool is_local;
    /* All releases are wanted: a source is asked also where the disk has the version, and that none
     * answers is UPDATE_FIND_NOTHING, with `failures`. */
    bool want_list;
    /* Ends the work when it becomes readable; -1: none. */
    int cancel_fd;
    /* May be NULL. */
    update_progress_fn on_progress;
    void *data;
};

/* Nothing newer than what is current (or nothing else than it was asked for): found->version is "".
 */
#define UPDATE_FIND_NOTHING 1

/* Texts and lists are in its own arenas, until update_found_deinit. */
struct update_found {
    struct arena arena;
    struct arena lists;
    /* "": no release is current. */
    char current[VERSION_TEXT_MAX + 1];
    /* The release's version as its source has it; "": none was chosen. */
    char version[VERSION_TEXT_MAX + 1];
    /* Name below `releases`: the version, or "<version>+reinstall.<n>" where that one is on the
     * disk and has to stay there (`force`). */
    char name[VERSION_TEXT_MAX + 1];
    /* Newer than the current one, by precedence of versions; true where none is current. */
    bool is_newer;
    /* releases/<name> is there: nothing is to be fetched. */
    bool is_installed;
    /* It is to be signed by one of update.keys; else a signature is checked where there is one and
     * there are keys. */
    bool needs_signature;
    /* A word that somebody should read, plain text: that nobody signed it; "": none. */
    const char *warning;

    /* As its source has it; NULL: no source was asked, or none answered. */
    const struct release *release;
    /* Set when something is to be fetched. */
    struct release_choice choice;
    /* The source that answered, without user and query, or a path; "": none. */
    const char *source_shown;

    /* All of the source that answered (the newest first), and of the disk. */
    struct releases available;
    struct release_list installed;

    /* Sources before the one that answered, and why not: "github:o/r: ...", plain text. */
    const char *failures[UPDATE_SOURCES_MAX];
    size_t n_failures;
};

/* Asks the sources one after the other, those of the region first, until one has a release that
 * fits: the version that is asked for, else its newest (no pre-release unless update.prereleases,
 * nothing withdrawn), with an archive for this platform. What is on the disk already is taken from
 * there. `out` is written whatever the result, and update_found_deinit is due.
 *
 * UPDATE_FIND_NOTHING. -STATUS_NOT_FOUND: no source has it, the text says what each said;
 * -STATUS_UNAVAILABLE: none could be asked; -STATUS_FAILED_PRECONDITION: there is no source, or
 * `current` is not what it should be; -STATUS_INVALID_ARGUMENT: `version` or `from` is none;
 * -STATUS_CANCELLED; others as the disk refuses. Blocks for SOURCE_TIMEOUT_MS a source at most. */
NODISCARD int update_find(
    const struct update_find_request *request, struct update_found *out, struct error *error);
void update_found_deinit(struct update_found *found);

#endif
