/* Memory that keeper, capture and flocksd share: what happened to output, and how many strays there
 * were. */
#ifndef FLOCKS_KEEPER_SHARED_H
#define FLOCKS_KEEPER_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/keeper/instance.h"
#include "server/keeper/link.h"
#include "server/output/capture.h"

enum {
    /* Strays are counted by their marks, modulo this: two generations that share a place only look
       once more than they had to. */
    KEEPER_STRAY_PLACES = 1024,
    /* Of the memory, which a later keeper's struct must fit, too. Untouched pages cost nothing. */
    KEEPER_SHARED_BYTES = 256 * 1024
};

/* What the next keeper goes on with (legacy.h). Written by the keeper. */
struct keeper_memory {
    /* Of exits told; numbers never begin again in the life of an instance. */
    _Atomic uint64_t last_sequence;
    /* Descriptor limit that the first keeper was started with: what children get. */
    _Atomic uint64_t descriptors_soft;
    _Atomic uint64_t descriptors_hard;
    _Atomic uint32_t server_starts;
    /* Keepers before this one. */
    _Atomic uint32_t earlier_keepers;
    _Atomic uint64_t captor_start_ticks;
    _Atomic int32_t captor_pid;
    struct instance_name listener_name;
    struct instance_name notify_name;
};

/* Of an output; 0: it has none. */
struct keeper_pipes {
    uint64_t pipe_inode;
    uint64_t private_inode;
};

/* Grows at its end only: keeper, capture and flocksd may be of different versions. */
struct keeper_shared {
    /* Written by capture, which maps only these. */
    struct capture_counters outputs[CAPTURE_SLOTS];
    struct keeper_memory memory;
    struct keeper_pipes pipes[KEEPER_SLOTS];
    /* Written by the keeper, each before the process vanishes from /proc. In memory, not in an
     * event, because whoever scans /proc compares them before and after. */
    _Atomic uint64_t strays;
    /* ... of those: by the mark (RLIMIT_RTTIME) that they were born with, and without one. */
    _Atomic uint64_t strays_marked[KEEPER_STRAY_PLACES];
    _Atomic uint64_t strays_unmarked;
    /* No flocksd of this instance was ever ready; written by the keeper, for the next one. */
    _Atomic uint32_t is_untried;
};

_Static_assert(sizeof(struct keeper_shared) <= KEEPER_SHARED_BYTES, "room to grow");

static inline uint64_t keeper_stray_place(uint64_t mark)
{
    return mark % KEEPER_STRAY_PLACES;
}

#endif
