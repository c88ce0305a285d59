/* When the next check of one probe is due, and what its results add up to. Pure: time is an
 * argument. The same for HTTP, TCP and exec checks. */
#ifndef FLOCKS_SUPERVISE_PROBE_SCHEDULE_H
#define FLOCKS_SUPERVISE_PROBE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Uninterrupted failure before a probe with the default threshold speaks: a busy service is
     * slow, not dead (the Python supervisor killed such services after 2 x 5 s). */
    PROBE_PATIENCE_MS = 60 * 1000
};

/* Plain value, from configuration. */
struct probe_policy {
    int64_t initial_delay_ms;
    /* From start to start of two checks; > 0. */
    int64_t period_ms;
    int64_t timeout_ms;
    /* Results in a row that change the verdict; >= 1. */
    uint32_t failure_threshold;
    uint32_t success_threshold;
    /* And the checks must have failed for this long, from the start of the first one that did; 0:
     * no such rule. */
    int64_t patience_ms;
    /* Per cent of the period by which a check may come early; at most 100. The first one after
     * begin comes as it is due. */
    uint32_t jitter_percent;
};

enum probe_verdict {
    /* Neither threshold has been reached yet. */
    PROBE_VERDICT_PENDING,
    PROBE_VERDICT_PASSING,
    PROBE_VERDICT_FAILING
};

/* Plain value; read freely, changed only by the functions below. */
struct probe_schedule {
    struct probe_policy policy;
    enum probe_verdict verdict;
    bool is_running;
    /* Next check; CLOCK_NEVER while one runs. */
    int64_t due_at;
    int64_t started_at;
    /* Start of the first failed check since the last success; CLOCK_NEVER: none failed. */
    int64_t bad_since;
    uint32_t failures;
    uint32_t successes;
};

/* A fresh generation: verdict PENDING, first check at now + initial delay. */
void probe_schedule_begin(
    struct probe_schedule *schedule, const struct probe_policy *policy, int64_t now);
/* The check due is being started. */
void probe_schedule_started(struct probe_schedule *schedule, int64_t now);
/* The running check ended. True: the verdict changed (also PENDING to PASSING or FAILING). The next
 * one is due one period after the start of this one, less the jitter that `random` (any number)
 * makes; at once if that is past. A result when none runs is ignored. */
bool probe_schedule_result(
    struct probe_schedule *schedule, bool passed, int64_t now, uint32_t random);
/* Enough checks in a row have failed, for long enough, whatever the verdict was before. */
bool probe_schedule_has_failed(const struct probe_schedule *schedule, int64_t now);
/* The running check says nothing about the service (it could not be made, or nobody was there to
 * see how it ended): nothing is counted, the next one is due as after a result. */
void probe_schedule_void(struct probe_schedule *schedule, int64_t now, uint32_t random);

#endif
