/* Memory that keeper, capture and flocksd share: what happened to output, and how many strays there
 * were. */
#ifndef FLOCKS_KEEPER_SHARED_H
#define FLOCKS_KEEPER_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/output/capture.h"

struct keeper_shared {
    /* Written by capture, which maps only these. */
    struct capture_counters outputs[CAPTURE_SLOTS];
    /* Written by the keeper. In memory, not in an event, because whoever scans /proc compares it
     * before and after. */
    _Atomic uint64_t strays;
};

#endif
