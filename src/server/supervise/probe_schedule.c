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
        .good_at = now,
    };
}

void probe_schedule_started(struct probe_schedule *schedule, int64_t now)
{
    schedule->is_running = true;
    schedule->started_at = now;
    schedule->due_at = CLOCK_NEVER;
}

/* The verdict after the counts of `schedule`. */
static enum probe_verdict judge(const struct probe_schedule *schedule, int64_t now)
{
    const struct probe_policy *policy = &schedule->policy;
    if (schedule->successes >= policy->success_threshold)
        return PROBE_VERDICT_PASSING;
    if (schedule->failures >= policy->failure_threshold &&
        now - schedule->good_at >= policy->patience_ms)
        return PROBE_VERDICT_FAILING;
    return schedule->verdict;
}

bool probe_schedule_result(struct probe_schedule *schedule, bool passed, int64_t now)
{
    if (!schedule->is_running)
        return false;
    schedule->is_running = false;
    int64_t next_at = clock_add_ms(schedule->started_at, schedule->policy.period_ms);
    schedule->due_at = next_at > now ? next_at : now;
    if (passed) {
        schedule->failures = 0;
        schedule->good_at = now;
        if (schedule->successes < UINT32_MAX)
            schedule->successes++;
    } else {
        schedule->successes = 0;
        if (schedule->failures < UINT32_MAX)
            schedule->failures++;
    }
    enum probe_verdict verdict = judge(schedule, now);
    bool changed = verdict != schedule->verdict;
    schedule->verdict = verdict;
    return changed;
}

void probe_schedule_cancelled(struct probe_schedule *schedule, int64_t now)
{
    if (!schedule->is_running)
        return;
    schedule->is_running = false;
    schedule->due_at = now;
}
