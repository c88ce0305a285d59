/* What a loop has to do later: each delay ends once. */
#ifndef INTEROP_SERVER_DELAY_H
#define INTEROP_SERVER_DELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"

/* In the caller's storage. */
struct delay {
    struct list link; /* delays.pending, or the ones that are ending */
    int64_t ends_at_ns;
    /* May set and cancel any delay, this one too. */
    void (*ended)(struct delay *delay);
};

struct delays {
    struct list pending;
};

void delays_init(struct delays *delays);
/* CLOCK_MONOTONIC nanoseconds; INT64_MAX: there is none. */
int64_t delays_next_at(const struct delays *delays);
void delays_run(struct delays *delays, int64_t now_ns);

void delay_init(struct delay *delay, void (*ended)(struct delay *delay));
/* It is not pending. */
void delay_begin(struct delay *delay, struct delays *delays, int64_t ends_at_ns);
bool delay_is_pending(const struct delay *delay);
/* Idempotent. */
void delay_cancel(struct delay *delay);

#endif
