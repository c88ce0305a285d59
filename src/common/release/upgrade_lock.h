/* One upgrade at a time, and no start in the middle of one: a lock on a file that stays.
 *
 * An open file description's lock (fcntl(2), F_OFD_SETLK): it ends with the last descriptor, so
 * with the process however that ends, and no other descriptor of the same file that is closed takes
 * it away. */
#ifndef FLOCKS_RELEASE_UPGRADE_LOCK_H
#define FLOCKS_RELEASE_UPGRADE_LOCK_H

#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* A longer text about the holder is cut. */
    UPGRADE_LOCK_WHO_MAX = 127
};

/* upgrade_lock_take: somebody else has it. */
#define UPGRADE_LOCK_HELD 1

struct upgrade_lock_holder {
    /* 0: it did not say yet. For people: the number may be another's by the time it is read. */
    pid_t pid;
    /* What it is doing: "flocks update to 1.2.0"; "" as above. Plain text. */
    char who[UPGRADE_LOCK_WHO_MAX + 1];
};

/* Takes the lock of the file `path`, which is made if need be (mode 0600), without waiting, and
 * writes into it who has it. The descriptor *out is the caller's, closed on exec: fd_close gives
 * the lock back, the file stays. `who`: one line, for people. UPGRADE_LOCK_HELD: *out_holder, if
 * not NULL, says by whom; *out is not written. */
NODISCARD int upgrade_lock_take(const char *path, const char *who, int *out,
    struct upgrade_lock_holder *out_holder, struct error *error);

/* Who has it, without taking it. 0: nobody, also where there is no such file; UPGRADE_LOCK_HELD:
 * *out_holder, if not NULL, says by whom. */
NODISCARD int upgrade_lock_look(
    const char *path, struct upgrade_lock_holder *out_holder, struct error *error);

#endif
