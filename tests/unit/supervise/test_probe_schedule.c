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
    .patience_ms = PROBE_ALIVE_PATIENCE_MS,
};

/* One check that starts when due and takes `takes_ms`. */
static bool check(struct probe_schedule *schedule, bool passed, int64_t takes_ms)
{
    int64_t now = schedule->due_at;
    probe_schedule_started(schedule, now);
    return probe_schedule_result(schedule, passed, now + takes_ms);
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
    int64_t good_at = schedule.good_at;
    while (!check(&schedule, false, 1))
        assert_true(schedule.due_at < good_at + INT64_C(10) * PROBE_ALIVE_PATIENCE_MS);
    int64_t failed_at = schedule.started_at + 1;
    assert_true(failed_at - good_at >= PROBE_ALIVE_PATIENCE_MS);
    assert_true(failed_at - good_at < PROBE_ALIVE_PATIENCE_MS + alive_policy.period_ms);
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

static void test_schedule_cancelled_is_no_result(void **state)
{
    (void)state;
    struct probe_schedule schedule;
    probe_schedule_begin(&schedule, &ready_policy, 0);
    probe_schedule_started(&schedule, 300);
    probe_schedule_cancelled(&schedule, 500);
    assert_int_equal(schedule.due_at, 500);
    assert_int_equal(schedule.failures, 0);
    assert_false(probe_schedule_result(&schedule, false, 600));
    assert_int_equal(schedule.failures, 0);
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
        cmocka_unit_test(test_schedule_cancelled_is_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
