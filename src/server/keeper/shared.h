/* Memory that keeper, capture and flocksd share: what happened to output, and how many strays there
 * were. */
#ifndef FLOCKS_KEEPER_SHARED_H
#define FLOCKS_KEEPER_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/output/capture.h"

enum {
    /* Strays are counted by their marks, modulo this: two generations that share a place only look
       once more than they had to. */
    KEEPER_STRAY_PLACES = 1024
};

struct keeper_shared {
    /* Written by capture, which maps only these. */
    struct capture_counters outputs[CAPTURE_SLOTS];
    /* Written by the keeper, each before the process vanishes from /proc. In memory, not in an
     * event, because whoever scans /proc compares them before and after. */
    _Atomic uint64_t strays;
    /* ... of those: by the mark (RLIMIT_RTTIME) that they were born with, and without one. */
    _Atomic uint64_t strays_marked[KEEPER_STRAY_PLACES];
    _Atomic uint64_t strays_unmarked;
};

static inline uint64_t keeper_stray_place(uint64_t mark)
{
    return mark % KEEPER_STRAY_PLACES;
}

#endif
