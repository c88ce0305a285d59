/* Counting of results; see the header. Pure. */
#include "server/supervise/probe_schedule.h"

#include "common/base/clock.h"

void probe_schedule_begin(
    struct probe_schedule *schedule, const struct probe_policy *policy, int64_t now)
{
    *schedule = (struct probe_schedule){
        .policy = *policy,
        .verdict = PROBE_VERDICT_PENDING,
        .due_at = clock_add_ms(now, policy->initial_delay_ms),
        .bad_since = CLOCK_NEVER,
    };
}

void probe_schedule_started(struct probe_schedule *schedule, int64_t now)
{
    schedule->is_running = true;
    schedule->started_at = now;
    schedule->due_at = CLOCK_NEVER;
}

bool probe_schedule_has_failed(const struct probe_schedule *schedule, int64_t now)
{
    const struct probe_policy *policy = &schedule->policy;
    return schedule->bad_since != CLOCK_NEVER && schedule->failures >= policy->failure_threshold &&
           now - schedule->bad_since >= policy->patience_ms;
}

/* The verdict after the counts of `schedule`. */
static enum probe_verdict judge(const struct probe_schedule *schedule, int64_t now)
{
    if (schedule->successes >= schedule->policy.success_threshold)
        return PROBE_VERDICT_PASSING;
    return probe_schedule_has_failed(schedule, now) ? PROBE_VERDICT_FAILING : schedule->verdict;
}

static void plan_next(struct probe_schedule *schedule, int64_t now, uint32_t random)
{
    int64_t period_ms = schedule->policy.period_ms;
    int64_t early_max_ms = period_ms * schedule->policy.jitter_percent / 100;
    int64_t early_ms = (int64_t)((uint64_t)random % ((uint64_t)early_max_ms + 1));
    int64_t next_at = clock_add_ms(schedule->started_at, period_ms - early_ms);

    schedule->is_running = false;
    schedule->due_at = next_at > now ? next_at : now;
}

bool probe_schedule_result(
    struct probe_schedule *schedule, bool passed, int64_t now, uint32_t random)
{
    if (!schedule->is_running)
        return false;
    plan_next(schedule, now, random);
    if (passed) {
        schedule->failures = 0;
        schedule->bad_since = CLOCK_NEVER;
        if (schedule->successes < UINT32_MAX)
            schedule->successes++;
    } else {
        if (schedule->bad_since == CLOCK_NEVER)
            schedule->bad_since = schedule->started_at;
        schedule->successes = 0;
        if (schedule->failures < UINT32_MAX)
            schedule->failures++;
    }
    enum probe_verdict verdict = judge(schedule, now);
    bool changed = verdict != schedule->verdict;
    schedule->verdict = verdict;
    return changed;
}

void probe_schedule_void(struct probe_schedule *schedule, int64_t now, uint32_t random)
{
    if (schedule->is_running)
        plan_next(schedule, now, random);
}
