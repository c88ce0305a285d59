/* The table of children and of exits that flocksd has not acknowledged. Pure: no system call, no
 * heap.
 *
 * No exit of a spawned child is ever dropped: a child's place is free again only when its exit has
 * been acknowledged, so the queue has room for all exits there can be. Strays share the queue with
 * a bound. */
#ifndef FLOCKS_KEEPER_CHILDREN_H
#define FLOCKS_KEEPER_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "server/keeper/keeper.h"
#include "server/keeper/link.h"

/* Its numbers are told to other images of the keeper (renewal.h). */
enum child_state {
    CHILD_FREE,
    /* Forked; its exec has neither succeeded nor failed. */
    CHILD_STARTING,
    CHILD_RUNNING,
    /* Could not be set up: nobody will be told of its exit. */
    CHILD_FAILED,
    /* Its exit waits to be acknowledged. */
    CHILD_EXITED,
    /* Acknowledged; kept while it is its slot's newest, because its group may outlive it. */
    CHILD_ENDED
};

struct child {
    enum child_state state;
    uint32_t slot;
    uint32_t generation;
    int32_t pid;
    uint64_t start_ticks;
    uint64_t rttime_mark;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    int wait_status;
    /* Of a child that a dead keeper spawned, while it runs: its pidfd. 0: our own child. */
    int adopted_fd;
    /* An adopted one that has ended: when its status is given up; 0: it runs. */
    int64_t status_by;
};

enum { CHILDREN_EXITS = KEEPER_CHILDREN + KEEPER_STRAYS };

/* Zero-filled storage becomes usable by children_init. The fields are the table's own, but for
 * reading. */
struct children {
    struct child table[KEEPER_CHILDREN];
    /* Of each place in the table: the pid while a process is behind it, else 0. */
    int32_t pids[KEEPER_CHILDREN];
    uint16_t free_places[KEEPER_CHILDREN];
    size_t n_free;
    /* Of each slot: its newest child's place + 1, or 0. */
    uint16_t newest[KEEPER_SLOTS];
    uint32_t last_generation[KEEPER_SLOTS];
    struct keeper_exit exits[CHILDREN_EXITS];
    /* Of each of them: the place in the table; of a stray nothing. */
    uint16_t exit_places[CHILDREN_EXITS];
    size_t first_exit;
    size_t n_exits;
    size_t n_queued_strays;
    uint64_t last_sequence;
    size_t n_processes;
};

enum children_result {
    /* The slot's child lives, or had this generation or a higher one. */
    CHILDREN_TAKEN = 1,
    CHILDREN_FULL = 2
};

void children_init(struct children *children);

/* A place for a new child, STARTING and without a pid. Positive: enum children_result. */
NODISCARD int children_reserve(
    struct children *children, uint32_t slot, uint32_t generation, size_t *out_place);
void children_set_pid(struct children *children, size_t place, int32_t pid, uint64_t start_ticks);
/* Of a reserved place whose fork failed. */
void children_release(struct children *children, size_t place);

/* The place of a process, or KEEPER_CHILDREN. */
size_t children_find_pid(const struct children *children, int32_t pid);
/* The newest child of the slot if it is this generation and not FAILED, or NULL. */
const struct child *children_find(
    const struct children *children, uint32_t slot, uint32_t generation);
/* A FAILED child, which is about to exit, does not count. */
bool children_slot_lives(const struct children *children, uint32_t slot);

/* The process of this place has been reaped. A FAILED one's place is free at once. */
void children_exited(struct children *children, size_t place, int wait_status, int64_t at_ns);
void children_stray_exited(struct children *children, int32_t pid, int wait_status, int64_t at_ns);
/* Forgets exits with these sequences; `acknowledged` is called with the place of each one that was
 * a child's. */
void children_acknowledge(struct children *children, uint64_t up_to,
    void (*acknowledged)(void *data, size_t place), void *data);
/* The oldest exits after `after`, at most `max`. */
size_t children_exits_after(
    const struct children *children, uint64_t after, struct keeper_exit *out, size_t max);
/* Puts what a dead keeper had at this place (RUNNING or ENDED) into a table that nobody has used
 * yet; children_adopted when all are in. Of one slot only the newest ENDED one is kept. */
void children_adopt(struct children *children, size_t place, const struct child *child);
void children_adopted(struct children *children, uint64_t last_sequence);
/* As another image of this keeper had it, in any order; exits in theirs; children_adopted when all
 * are in. False: it cannot be so. */
NODISCARD bool children_restore(
    struct children *children, size_t place, const struct child *child, bool is_newest);
NODISCARD bool children_restore_exit(
    struct children *children, size_t place, const struct keeper_exit *exit);
/* The slot, in which no child lives, may begin with any generation again. */
void children_forget_slot(struct children *children, uint32_t slot);

#endif
