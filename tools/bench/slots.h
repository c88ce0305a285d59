/* The file that benchmarked services and the benchmark share: one slot a service, written by the
 * service as its first act, read by whoever killed its predecessor. */
#ifndef FLOCKS_BENCH_SLOTS_H
#define FLOCKS_BENCH_SLOTS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SLOTS_MAX = 2048,
    /* A cache line, so that services do not disturb each other. */
    SLOT_SIZE = 64
};

struct slot {
    /* Grows with every start of the service; a futex. */
    uint32_t starts;
    int32_t pid;
    /* CLOCK_MONOTONIC at the first instruction of main. */
    int64_t started_ns;
    char padding[SLOT_SIZE - 16];
};

int64_t slots_now_ns(void);

/* Maps the file, which is made if need be; NULL after a message. */
struct slot *slots_open(const char *path);

/* What the service does: says when it started, wakes who waits. */
void slot_announce(struct slot *slot, int64_t started_ns);

/* Waits until `starts` is no longer `seen`; 0 when `until_ns` has passed. */
int slot_wait(const struct slot *slot, uint32_t seen, int64_t until_ns);

#endif
