/* What has become of the server's calls, and who waits to hear of it. */
#ifndef INTEROP_SERVER_TALLY_H
#define INTEROP_SERVER_TALLY_H

#include <stdint.h>

#include "common/base/list.h"
#include "crpc/code.h"

struct tally {
    uint64_t begun;
    uint64_t ended;
    /* Of those that have ended: the caller gave up or went away; the deadline passed. */
    uint64_t cancelled;
    uint64_t expired;
    struct list waiting; /* tally_waiter.link */
};

/* In the caller's storage. */
struct tally_waiter {
    struct list link; /* tally.waiting */
    uint64_t until_ended;
    /* So many calls have ended; it waits no more. */
    void (*heard)(struct tally_waiter *waiter);
};

void tally_init(struct tally *tally);
void tally_begin(struct tally *tally);
void tally_end(struct tally *tally, enum rpc_code code);
void tally_wait(struct tally *tally, struct tally_waiter *waiter);
/* Idempotent. */
void tally_stop_waiting(struct tally_waiter *waiter);

#endif
