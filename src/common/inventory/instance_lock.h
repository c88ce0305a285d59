/* Whether an instance lives in a root, as its lock says.
 *
 * The lock file (held by keeper and flocksd with flock(2), the keeper's pid inside) is the truth: a
 * reply that does not come means nothing. Where somebody has deleted it, the inventory's head tells
 * who they are (pid, start time, boot). Looking takes a shared lock for a moment, which a keeper
 * that starts at this instant sees as busy; whoever starts one tries again while the lock is free.
 */
#ifndef FLOCKS_INVENTORY_INSTANCE_LOCK_H
#define FLOCKS_INVENTORY_INSTANCE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"

/* What to do about a lock or socket that this user may not use. */
#define INSTANCE_OWNER_HINT "run as the owner of the root, or choose another root with --root"

struct instance {
    bool lives;
    pid_t keeper_pid; /* 0: not known (yet) */
};

/* -STATUS_PERMISSION_DENIED when the lock cannot even be looked at. */
NODISCARD int instance_look(const struct paths *paths, struct instance *out, struct error *error);

/* The lock is held. */
#define INSTANCE_LIVES 1

/* Takes the lock for *out_fd, so that nobody starts meanwhile. INSTANCE_LIVES: somebody has it. */
NODISCARD int instance_hold(const struct paths *paths, int *out_fd, struct error *error);

/* instance_lock_open: there is no lock file, so nothing ever ran here. */
#define INSTANCE_LOCK_NONE 1
/* For reading; the caller closes it. */
NODISCARD int instance_lock_open(const struct paths *paths, int *out_fd, struct error *error);
/* The keeper's pid, as it stands there; 0: none. */
pid_t instance_lock_pid(int fd);

#endif
