/* What a keeper left behind: a file of fixed layout in which it notes every child, and keeps the
 * note of one that has ended for a while, because its descendants may live.
 *
 * Only the keeper writes, through shared memory, so nothing is lost by its death. Readers are the
 * next flocksd, which ends what is left, and the CLI, which names it. A record is never proof by
 * itself: pid and start time are compared with the running process, and the file's boot with the
 * present one. */
#ifndef FLOCKS_INVENTORY_INVENTORY_H
#define FLOCKS_INVENTORY_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Children of one keeper at once. */
    INVENTORY_RECORDS = 4096,
    INVENTORY_NAME_SIZE = 64,
    INVENTORY_INVOCATION_BYTES = 16,
    /* Files of dead keepers that are read; one is left by each keeper that was killed. */
    INVENTORY_FILES_MAX = 64
};

/* One process that a keeper spawned: leader of its session and process group. */
struct inventory_record {
    int32_t pid; /* as read: 0 when it has ended */
    uint32_t slot;
    uint32_t generation;
    /* Field 22 of /proc/<pid>/stat. */
    uint64_t start_ticks;
    /* RLIMIT_RTTIME that the process and its descendants have; 0: none. */
    uint64_t rttime_mark;
    uint8_t invocation[INVENTORY_INVOCATION_BYTES];
    char name[INVENTORY_NAME_SIZE];
};

/* How far the keeper has come with a process that it noted. */
enum inventory_progress {
    INVENTORY_RUNS,
    /* Reaped; flocksd has not yet said that it knows. */
    INVENTORY_EXITED,
    INVENTORY_ACKNOWLEDGED
};

/* Who serves the instance. */
enum inventory_owner { INVENTORY_KEEPER, INVENTORY_SERVER, INVENTORY_OWNERS };

/* ---- the keeper: no heap ---- */

struct inventory;

/* Begins <run>/inventory. An older one is moved to <run>/inventory.<number>
 * first, for inventory_read. *out_fd is the file, close-on-exec. */
NODISCARD int inventory_create(
    const char *run, struct inventory **out, int *out_fd, struct error *error);
/* Goes on with that of a keeper that has died. -STATUS_DATA_LOSS: not one of this version and boot.
 */
NODISCARD int inventory_open(int fd, struct inventory **out, struct error *error);
/* Where <run>/inventory is not this file any more: makes it again, with everything noted. *fd and
 * *inventory become the new one's. */
NODISCARD int inventory_restore(
    const char *run, struct inventory **inventory, int *fd, struct error *error);
/* `index` below INVENTORY_RECORDS. */
void inventory_put(
    struct inventory *inventory, size_t index, const struct inventory_record *record);
void inventory_clear(struct inventory *inventory, size_t index);
/* All of a slot that is given up: its numbers may begin again. */
void inventory_clear_slot(struct inventory *inventory, uint32_t slot);
/* After a walk over all records: the pages of those that nobody uses cost nothing again. */
void inventory_walked(struct inventory *inventory);
void inventory_note_exit(struct inventory *inventory, size_t index, int wait_status);
void inventory_note_acknowledged(struct inventory *inventory, size_t index);
/* False: nothing is noted there. */
bool inventory_get(const struct inventory *inventory, size_t index, struct inventory_record *out,
    enum inventory_progress *out_progress, int *out_wait_status);
/* `pid` 0: nobody. */
void inventory_set_owner(struct inventory *inventory, enum inventory_owner owner, int32_t pid);
/* Removes the file: nothing is left. */
void inventory_remove(const char *run);

/* ---- readers ---- */

enum inventory_scope {
    /* Files of earlier keepers only: while a keeper lives. All records of this boot. */
    INVENTORY_EARLIER,
    /* The last keeper's too: while the instance lock is free. Only records whose process runs. */
    INVENTORY_ALL
};

/* Records of this boot; a process runs if pid and start time are the same and it is no zombie.
 * Where it does not, only mark and invocation can tell what it started. At most `capacity` are
 * stored; *out_count counts all. No file: none. A file that cannot be understood is an error, told
 * after the others are read. */
NODISCARD int inventory_read(const char *run, enum inventory_scope scope,
    struct inventory_record *out, size_t capacity, size_t *out_count, struct error *error);
/* Keeper and flocksd of the last keeper's file: each pid as far as exactly that process still runs,
 * else 0. The second witness beside the lock, which may have been deleted. No heap. */
void inventory_read_owners(
    const char *run, int32_t out_pids[INVENTORY_OWNERS], uint64_t out_ticks[INVENTORY_OWNERS]);
/* The last keeper's file becomes that of an earlier one. Only for whoever holds the lock. */
NODISCARD int inventory_set_aside(const char *run, struct error *error);
/* Some keeper was killed: its file is there. Meaningless while an instance lives. */
NODISCARD bool inventory_is_left(const char *run);
/* Deletes the files of earlier keepers: what they name has been dealt with. */
void inventory_forget_earlier(const char *run);

/* Field 22 of /proc/<pid>/stat. False: no such process, or a zombie. No heap. */
NODISCARD bool inventory_start_ticks(int32_t pid, uint64_t *out);
/* How exactly this process ended, as waitpid tells it, while nobody has reaped it. No heap. */
NODISCARD bool inventory_exit_status(int32_t pid, uint64_t start_ticks, int *out);

#endif
