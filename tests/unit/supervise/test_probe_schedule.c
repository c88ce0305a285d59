/* Due times and verdicts of probes, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "server/supervise/probe_schedule.h"

static const struct probe_policy ready_policy = {
    .initial_delay_ms = 300,
    .period_ms = 1000,
    .timeout_ms = 2000,
    .failure_threshold = 3,
    .success_threshold = 2,
};

static const struct probe_policy alive_policy = {
    .period_ms = 5000,
    .timeout_ms = 5000,
    .failure_threshold = 12,
    .success_threshold = 1,
    .patience_ms = PROBE_PATIENCE_MS,
};

/* One check that starts when due and takes `takes_ms`. */
static bool check(struct probe_schedule *schedule, bool passed, int64_t takes_ms)
{
    int64_t now = schedule->due_at;
    probe_schedule_started(schedule, now);
    return probe_schedule_result(schedule, passed, now + takes_ms, 0);
}

static void test_schedule_first_check_after_initial_delay(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 10000);
    assert_int_equal(schedule.due_at, 10300);
    assert_int_equal(schedule.verdict, PROBE_VERDICT_PENDING);
    probe_schedule_started(&schedule, 10300);
    assert_true(schedule.due_at == CLOCK_NEVER);
}

static void test_schedule_period_from_start_to_start(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 0);
    (void)check(&schedule, true, 400);
    assert_int_equal(schedule.due_at, 1300);
    (void)check(&schedule, false, 1700);
    assert_int_equal(schedule.due_at, 3000);
}

static void test_schedule_passes_at_success_threshold(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 0);
    assert_false(check(&schedule, true, 1));
    assert_false(check(&schedule, false, 1));
    assert_false(check(&schedule, true, 1));
    assert_true(check(&schedule, true, 1));
    assert_int_equal(schedule.verdict, PROBE_VERDICT_PASSING);
    assert_false(check(&schedule, true, 1));
}

static void test_schedule_fails_at_failures_in_a_row(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 0);
    assert_false(check(&schedule, false, 1));
    assert_false(check(&schedule, false, 1));
    assert_false(check(&schedule, true, 1));
    assert_false(check(&schedule, false, 1));
    assert_false(check(&schedule, false, 1));
    assert_true(check(&schedule, false, 1));
    assert_int_equal(schedule.verdict, PROBE_VERDICT_FAILING);
}

static void test_schedule_default_alive_needs_a_minute_of_failure(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &alive_policy, 0);
    assert_true(check(&schedule, true, 10));
    int64_t bad_since = schedule.due_at;
    while (!check(&schedule, false, 1))
        assert_true(schedule.due_at < bad_since + INT64_C(10) * PROBE_PATIENCE_MS);
    int64_t failed_at = schedule.started_at + 1;
    assert_true(failed_at - bad_since >= PROBE_PATIENCE_MS);
    assert_true(failed_at - bad_since < PROBE_PATIENCE_MS + alive_policy.period_ms);
}

/* The Python supervisor killed services that were busy for longer than 2 x 5 s. */
static void test_schedule_default_alive_bears_a_service_busy_for_30_s_python_2_x_5_s(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &alive_policy, 0);
    assert_true(check(&schedule, true, 10));
    int64_t busy_until = schedule.due_at + INT64_C(30) * 1000;
    while (schedule.due_at < busy_until)
        assert_false(check(&schedule, false, alive_policy.timeout_ms));
    assert_false(check(&schedule, true, 10));
    assert_int_equal(schedule.verdict, PROBE_VERDICT_PASSING);
}

static void test_schedule_slow_answers_never_add_up_to_failure(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &alive_policy, 0);
    (void)check(&schedule, true, 10);
    for (int round = 0; round < 50; round++) {
        for (int slow = 0; slow < 11; slow++)
            assert_false(check(&schedule, false, 5000));
        assert_false(check(&schedule, true, 4900));
    }
    assert_int_equal(schedule.verdict, PROBE_VERDICT_PASSING);
}

static void test_schedule_void_check_counts_as_nothing(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 0);
    assert_false(check(&schedule, false, 1));
    assert_false(check(&schedule, false, 1));
    int64_t started_at = schedule.due_at;
    probe_schedule_started(&schedule, started_at);
    probe_schedule_void(&schedule, started_at + 10, 0);
    assert_int_equal(schedule.due_at, started_at + ready_policy.period_ms);
    assert_int_equal(schedule.failures, 2);
    assert_false(probe_schedule_result(&schedule, false, started_at + 20, 0));
    /* Neither does it end a row of failures. */
    assert_true(check(&schedule, false, 1));
}

static void test_schedule_jitter_is_early_only_and_within_its_share(void **state)
{
    (void)state;
    enum { JITTER = 20 };
    struct probe_policy policy = ready_policy;
    policy.jitter_percent = JITTER;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &policy, 0);
    int64_t earliest = policy.period_ms - policy.period_ms * JITTER / 100;
    bool seen_early = false;
    bool seen_late = false;
    assert_int_equal(schedule.due_at, policy.initial_delay_ms);
    for (uint32_t random = 0; random < 1000; random++) {
        int64_t started_at = schedule.due_at;
        probe_schedule_started(&schedule, started_at);
        (void)probe_schedule_result(&schedule, true, started_at + 1, random);
        assert_in_range(schedule.due_at - started_at, earliest, policy.period_ms);
        seen_early = seen_early || schedule.due_at - started_at == earliest;
        seen_late = seen_late || schedule.due_at - started_at == policy.period_ms;
    }
    assert_true(seen_early);
    assert_true(seen_late);
}

static void test_schedule_jitter_spreads_what_began_together(void **state)
{
    (void)state;
    enum { ALL = 100, ROUNDS = 20, JITTER = 10, HALVES = 2 };
    struct probe_policy policy = alive_policy;
    policy.jitter_percent = JITTER;
    unsigned n_first_half = 0;
    uint32_t random = 1;
    for (int i = 0; i < ALL; i++) {
        struct probe_schedule schedule;
        probe_schedule_begin(&schedule, &policy, 0);
        for (int round = 0; round < ROUNDS; round++) {
            int64_t started_at = schedule.due_at;
            probe_schedule_started(&schedule, started_at);
            random = random * 1664525U + 1013904223U;
            (void)probe_schedule_result(&schedule, true, started_at + 1, random >> 8);
        }
        n_first_half += schedule.due_at % policy.period_ms < policy.period_ms / HALVES ? 1 : 0;
    }
    assert_in_range(n_first_half, ALL / 5, ALL - ALL / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_first_check_after_initial_delay),
        cmocka_unit_test(test_schedule_period_from_start_to_start),
        cmocka_unit_test(test_schedule_passes_at_success_threshold),
        cmocka_unit_test(test_schedule_fails_at_failures_in_a_row),
        cmocka_unit_test(test_schedule_default_alive_needs_a_minute_of_failure),
        cmocka_unit_test(test_schedule_slow_answers_never_add_up_to_failure),
        cmocka_unit_test(test_schedule_default_alive_bears_a_service_busy_for_30_s_python_2_x_5_s),
        cmocka_unit_test(test_schedule_void_check_counts_as_nothing),
        cmocka_unit_test(test_schedule_jitter_is_early_only_and_within_its_share),
        cmocka_unit_test(test_schedule_jitter_spreads_what_began_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
