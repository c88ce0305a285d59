/* An installation that lies in place becomes a release, while it runs.
 *
 *     backend/                               backend -> current/backend
 *     flocks.yaml                            current -> releases/0.0.0
 *                                            flocks.yaml
 *                                            releases/0.0.0/backend/
 *
 * At no instant does a name not lead to its content: names are exchanged (renameat2(2),
 * RENAME_EXCHANGE). With `backend.adopt` beside it each name goes through these states, which are
 * recognised by looking, so that whoever finds one goes on:
 *
 *     <root>/backend      <root>/backend.adopt   releases/0.0.0/backend
 *     the directory       none                   -> ../../backend.adopt
 *     the directory       -> current/backend     -> ../../backend.adopt
 *     -> current/backend  the directory          -> ../../backend.adopt
 *     -> current/backend  -> ../../backend.adopt the directory
 *     -> current/backend  none                   the directory
 *
 * Inodes stay: what has a file open, or stands in a directory, notices nothing. The caller holds
 * the upgrade lock. Everything here may wait for a disk. */
#ifndef FLOCKS_RELEASE_ADOPTION_H
#define FLOCKS_RELEASE_ADOPTION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/release_dir.h"

#define ADOPTION_ENDING ".adopt"

enum {
    /* As update.adopt in config.proto: further names are refused. */
    ADOPTION_NAMES_MAX = 64,
    /* Names of the root, or of a release, that are looked at for one that was begun; with more
       in the root, adoption is refused. */
    ADOPTION_ENTRIES_MAX = 4096,
    ADOPTION_NAME_MAX = NAME_MAX - (sizeof ADOPTION_ENDING - 1)
};

/* There is nothing to adopt, or to go on with. */
#define ADOPTION_NOTHING 1

/* Whether `name` lies in the root as something else than a link. */
bool adoption_is_due(const struct release_dir *dir, const char *name);

/* Adopts those of `names` that are due: whole when it answers 0, and on the disk. `version`: a good
 * name; one that is taken gets "+adopted" behind it. There must be no `current`, and nothing that
 * was begun: adoption_continue comes first. ADOPTION_NOTHING: none is due.
 *
 * -STATUS_INVALID_ARGUMENT: a name cannot be adopted by its text; -STATUS_FAILED_PRECONDITION:
 * there is a `current`; a name is a mount point, lies on another file system, or the name with
 * ".adopt" is there; -STATUS_UNIMPLEMENTED: names cannot be exchanged here. Nothing has changed
 * then. Others as the system refuses: then adoption_continue goes on, or undoes nothing because
 * nothing was seen. */
NODISCARD int adoption_run(const struct release_dir *dir, const char *version,
    const char *const *names, size_t n_names, struct error *error);

/* Goes on with one that was cut off, to its end. -STATUS_FAILED_PRECONDITION: a name is in none of
 * the states above; it is left as it is. */
NODISCARD int adoption_continue(const struct release_dir *dir, struct error *error);

#endif
