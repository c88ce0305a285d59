/* The last results of a service's probes, by role. A plain memory: it decides nothing, knows no
 * clock, and outlives generations, so that a restart can still be explained. */
#ifndef FLOCKS_SUPERVISE_PROBE_HISTORY_H
#define FLOCKS_SUPERVISE_PROBE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Results remembered of each role; older ones are forgotten. */
    PROBE_HISTORY_MAX = 16,
    /* Bytes of a result's sentence with its NUL; a longer one is cut. */
    PROBE_HISTORY_MESSAGE_SIZE = 115
};

/* flocks.v1.ProbeRole less one. */
enum probe_role { PROBE_ROLE_STARTUP, PROBE_ROLE_READY, PROBE_ROLE_ALIVE, PROBE_ROLE_COUNT };

/* One result. */
struct probe_record {
    int64_t at_wall_ns; /* when it was known; for people */
    uint32_t took_ms;
    bool passed;
    char message[PROBE_HISTORY_MESSAGE_SIZE]; /* UTF-8 */
};

/* Zero is empty. A role's memory is made at its first result and grows with them. */
struct probe_history {
    uint32_t n_added; /* ever: tells whether it has changed */
    struct {
        struct probe_record *records; /* newest first */
        uint8_t n;
        uint8_t capacity;
    } roles[PROBE_ROLE_COUNT];
};

/* `message` is borrowed. Without memory the result is not remembered, which nothing else depends
 * on. */
void probe_history_add(struct probe_history *history, enum probe_role role, int64_t at_wall_ns,
    int64_t took_ms, bool passed, const char *message);
/* Results of one role, newest first: 0 to *out_n - 1. Valid until the next add. `history` may be
 * NULL: none. */
const struct probe_record *probe_history_of(
    const struct probe_history *history, enum probe_role role, size_t *out_n);
/* Frees what it holds; empty afterwards. NULL is accepted. */
void probe_history_clear(struct probe_history *history);

#endif
