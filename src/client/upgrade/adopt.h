/* An installation that lies in its root becomes release zero, while it runs: the names of
 * `update.adopt`. How: common/release/adoption.h. */
#ifndef FLOCKS_UPGRADE_ADOPT_H
#define FLOCKS_UPGRADE_ADOPT_H

#include <stdbool.h>

#include "client/upgrade/progress.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct update_settings;

/* There is nothing to adopt. */
#define UPDATE_ADOPT_NOTHING 1

struct update_adopt_request {
    const struct update_settings *settings;
    /* What the installation is called as a release: what its services tell; NULL, "" or what is no
     * good name of a release: "0.0.0". */
    const char *version;
    /* May be NULL. Step ADOPTING. */
    update_progress_fn on_progress;
    void *data;
};

/* Whether update_adopt would do something: no `current`, and a name of `update.adopt` is in the
 * root. Touches nothing. */
bool update_adopt_is_due(const struct update_settings *settings);

/* When it answers 0, `current` leads to releases/<version>, in which lie the names of
 * `update.adopt` that were in the root, and links to them are there instead; all of that is on the
 * disk. At no instant does a name not lead to its content. Inodes stay, so that what runs notices
 * nothing. One that was begun before is continued first, whatever `version` says.
 *
 * The caller holds the upgrade lock. UPDATE_ADOPT_NOTHING. -STATUS_FAILED_PRECONDITION: a name lies
 * on another file system, is a mount point, or something stands where a link has to be; nothing was
 * changed then. -STATUS_UNIMPLEMENTED: this file system cannot exchange names
 * (renameat2(2), RENAME_EXCHANGE). Others as the system refuses: what was begun then is continued
 * by the next call. */
NODISCARD int update_adopt(const struct update_adopt_request *request, struct error *error);

/* Completes an adoption that was cut off. UPDATE_ADOPT_NOTHING: there is none. For `recover`. */
NODISCARD int update_adopt_continue(const struct update_settings *settings, struct error *error);

#endif
