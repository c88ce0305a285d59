/* Where what belongs to upgrades lies below one root. */
#ifndef FLOCKS_RELEASE_UPGRADE_PATHS_H
#define FLOCKS_RELEASE_UPGRADE_PATHS_H

#include <limits.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* Plain value; every path is absolute. */
struct upgrade_paths {
    char root[PATH_MAX];
    char journal[PATH_MAX];  /* <root>/run/upgrade.journal (upgrade_journal.h) */
    char lock[PATH_MAX];     /* <root>/run/upgrade.lock (upgrade_lock.h) */
    char result[PATH_MAX];   /* <root>/run/upgrade-result.json (upgrade_result.h) */
    char way_back[PATH_MAX]; /* <root>/run/upgrade-back (way_back.h) */
    /* <root>/run/downloads: of the present upgrade; removed at its end, with all that is in it, so
     * it lies where nothing is but ours. Kept for the next try where an updater could not prepare a
     * release, and ended by itself. */
    char downloads[PATH_MAX];
    /* <root>/logs/update.log: what the updater and install steps say. */
    char log[PATH_MAX];
    /* <root>/current: the link (release_dir.h). */
    char current[PATH_MAX];
};

/* `root` is absolute. Touches nothing. -STATUS_INVALID_ARGUMENT: too long, or relative. */
NODISCARD int upgrade_paths_resolve(
    const char *root, struct upgrade_paths *out, struct error *error);

#endif
