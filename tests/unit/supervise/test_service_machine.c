/* Scenarios of one service's life, driven as the daemon drives it but with a clock that is a
 * number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "flocks/v1/types.names.h"

#include "server/supervise/notify.h"
#include "server/supervise/service_machine.h"

/* A machine, its clock and the last step. */
struct life {
    struct service_policy policy;
    struct service_facts facts;
    struct service_step step;
    int64_t now;
    uint32_t random;
    bool blocked;  /* CHECK is answered BLOCKED */
    bool occupied; /* LOOK finds somebody */
    unsigned spawns;
    unsigned prepares;
    unsigned signals;
    unsigned kills;
};

static struct life begin_life(void)
{
    return (struct life){.policy = {.restart = SERVICE_RESTART_ALWAYS,
                             .give_up_after = 10,
                             .delay_ms = 100,
                             .max_delay_ms = 30000,
                             .stable_after_ms = 60000,
                             .stop_grace_ms = 10000,
                             .prepare_timeout_ms = 300000,
                             .start_timeout_ms = SERVICE_START_TIMEOUT_MS},
        .facts = service_machine_initial(1000),
        .now = 1000};
}

static void feed(struct life *life, const struct service_input *input);

static void happen(struct life *life, enum service_event event)
{
    const struct service_input input = {.event = event};

    feed(life, &input);
}

static void perform(struct life *life, enum service_action action)
{
    switch (action) {
    case SERVICE_ACTION_CHECK:
        happen(life, life->blocked ? SERVICE_EVENT_BLOCKED : SERVICE_EVENT_CLEARED);
        return;
    case SERVICE_ACTION_LOOK:
        if (!life->occupied)
            happen(life, SERVICE_EVENT_EMPTIED);
        return;
    case SERVICE_ACTION_PREPARE:
        life->prepares++;
        return;
    case SERVICE_ACTION_SPAWN:
        life->spawns++;
        return;
    case SERVICE_ACTION_SIGNAL:
        life->signals++;
        return;
    case SERVICE_ACTION_KILL:
        life->kills++;
        return;
    case SERVICE_ACTION_WATCH:
    case SERVICE_ACTION_UNWATCH:
        return;
    }
}

static void feed(struct life *life, const struct service_input *input)
{
    struct service_input timed = *input;
    struct service_step step;

    timed.now = life->now;
    timed.random = life->random;
    step = service_machine_apply(&life->policy, &life->facts, &timed);
    life->step = step;
    life->facts = step.facts;
    for (size_t i = 0; i < step.n_actions; i++)
        perform(life, step.actions[i]);
}

static void spawned(struct life *life)
{
    const struct service_input input = {.event = SERVICE_EVENT_SPAWNED, .pid = 42};

    feed(life, &input);
}

static void become_healthy(struct life *life)
{
    spawned(life);
    happen(life, SERVICE_EVENT_READY);
    assert_int_equal(life->facts.state, SERVICE_HEALTHY);
}

static void crash(struct life *life)
{
    const struct service_input input = {
        .event = SERVICE_EVENT_EXITED, .reason = FLOCKS_STATE_REASON_SIGNALLED};

    feed(life, &input);
}

static void exit_well(struct life *life)
{
    const struct service_input input = {.event = SERVICE_EVENT_EXITED, .success = true};

    feed(life, &input);
}

static void wait_until_due(struct life *life)
{
    assert_int_not_equal(life->facts.due_at, CLOCK_NEVER);
    life->now = life->facts.due_at;
    happen(life, SERVICE_EVENT_DUE);
}

static void test_machine_start_reaches_healthy(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.generation, 1);
    become_healthy(&life);
    assert_true(life.facts.wanted);
    /* An idle daemon sleeps. */
    assert_int_equal(life.facts.due_at, CLOCK_NEVER);
}

static void test_machine_crash_of_a_healthy_service_restarts_at_once(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.generation, 2);
    assert_int_equal(life.facts.restart_count, 1);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_SIGNALLED);
    assert_int_equal(life.kills, 0);
}

static void test_machine_crash_with_strays_kills_them_first(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    life.occupied = true;
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    assert_int_equal(life.spawns, 1);
    wait_until_due(&life);
    assert_int_equal(life.kills, 1);
    assert_int_equal(life.now, 1000);
    life.occupied = false;
    wait_until_due(&life);
    assert_int_equal(life.spawns, 2);
}

static void test_machine_burst_follows_the_schedule(void **state)
{
    static const int64_t expected[] = {0, 0, 0, 100, 200, 400, 800, 1600, 3200};
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        spawned(&life);
        crash(&life);
        if (expected[i] == 0) {
            assert_int_equal(life.facts.state, SERVICE_STARTING);
            continue;
        }
        assert_int_equal(life.facts.state, SERVICE_BACKOFF);
        assert_int_equal(life.facts.due_at - life.now, expected[i]);
        wait_until_due(&life);
        assert_int_equal(life.facts.state, SERVICE_STARTING);
    }
    assert_int_equal(life.facts.restart_count, 9);
}

static void test_machine_delay_has_jitter_a_cap_and_a_floor(void **state)
{
    struct service_policy policy = {.delay_ms = 100, .max_delay_ms = 1000};

    (void)state;
    assert_int_equal(service_machine_delay_ms(&policy, 3, 7), 0);
    assert_int_equal(service_machine_delay_ms(&policy, 4, 0), 100);
    assert_int_equal(service_machine_delay_ms(&policy, 4, 25), 75);
    assert_int_equal(service_machine_delay_ms(&policy, 4, 26), 100);
    assert_int_equal(service_machine_delay_ms(&policy, 1000000, 0), 1000);
    policy.delay_ms = 0;
    assert_int_equal(service_machine_delay_ms(&policy, 4, 0), SERVICE_DELAY_MIN_MS);
}

/* Crashes until the breaker opens; the clock is at the last crash. */
static void open_breaker(struct life *life)
{
    happen(life, SERVICE_EVENT_START);
    for (int i = 0; i < 10; i++) {
        if (life->facts.state == SERVICE_BACKOFF)
            wait_until_due(life);
        spawned(life);
        crash(life);
    }
    assert_int_equal(life->facts.state, SERVICE_FAILED);
}

static void test_machine_breaker_opens_and_tries_half_open(void **state)
{
    struct life life = begin_life();

    (void)state;
    open_breaker(&life);
    assert_int_equal(life.facts.due_at - life.now, 10 * 30000);
    wait_until_due(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_true(life.facts.trial);
    spawned(&life);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_FAILED);
}

static void test_machine_trial_that_fails_otherwise_opens_it_again(void **state)
{
    struct life life = begin_life();

    (void)state;
    open_breaker(&life);
    wait_until_due(&life);
    happen(&life, SERVICE_EVENT_SPAWN_FAILED);
    assert_int_equal(life.facts.failures[SERVICE_CAUSE_EXEC], 1);
    assert_int_equal(life.facts.state, SERVICE_FAILED);
}

static void test_machine_trial_that_stays_healthy_closes_the_breaker(void **state)
{
    struct life life = begin_life();

    (void)state;
    open_breaker(&life);
    wait_until_due(&life);
    become_healthy(&life);
    assert_int_equal(life.facts.due_at - life.now, 60000);
    wait_until_due(&life);
    assert_false(life.facts.trial);
    assert_int_equal(life.facts.burst, 0);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
}

static void test_machine_start_by_a_person_resets_the_breaker(void **state)
{
    struct life life = begin_life();

    (void)state;
    open_breaker(&life);
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.failures[SERVICE_CAUSE_EARLY_EXIT], 0);
}

static void test_machine_policy_decides_about_exits(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.policy.restart = SERVICE_RESTART_ON_FAILURE;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    exit_well(&life);
    assert_int_equal(life.facts.state, SERVICE_COMPLETED);
    life.policy.restart = SERVICE_RESTART_NEVER;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_FAILED);
    assert_int_equal(life.facts.due_at, CLOCK_NEVER);
}

static void test_machine_stop_is_polite_then_kills(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    life.occupied = true;
    happen(&life, SERVICE_EVENT_STOP);
    assert_int_equal(life.signals, 1);
    assert_int_equal(life.facts.due_at - life.now, 10000);
    wait_until_due(&life);
    assert_int_equal(life.kills, 1);
    life.occupied = false;
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    assert_int_equal(life.spawns, 1);
}

static void test_machine_stop_while_being_spawned_waits_for_the_answer(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    happen(&life, SERVICE_EVENT_STOP);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    assert_int_equal(life.signals, 0);
    happen(&life, SERVICE_EVENT_EMPTIED);
    assert_int_equal(life.step.rule, SERVICE_RULE_ILLEGAL);
    spawned(&life);
    assert_int_equal(life.signals, 1);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
}

static void test_machine_stop_of_what_could_not_be_spawned_is_stopped(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    happen(&life, SERVICE_EVENT_STOP);
    happen(&life, SERVICE_EVENT_SPAWN_FAILED);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    assert_int_equal(life.facts.restart_count, 0);
}

static void test_machine_stop_in_backoff_and_waiting_is_at_once(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.blocked = true;
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.state, SERVICE_WAITING);
    happen(&life, SERVICE_EVENT_STOP);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    life.blocked = false;
    happen(&life, SERVICE_EVENT_START);
    for (int i = 0; i < 4; i++) {
        spawned(&life);
        crash(&life);
    }
    assert_int_equal(life.facts.state, SERVICE_BACKOFF);
    happen(&life, SERVICE_EVENT_STOP);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    assert_int_equal(life.facts.due_at, CLOCK_NEVER);
}

static void test_machine_blocked_service_asks_again(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.blocked = true;
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.due_at - life.now, SERVICE_RECHECK_MS);
    life.blocked = false;
    wait_until_due(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.restart_count, 0);
}

static void prepared(struct life *life)
{
    spawned(life);
    happen(life, SERVICE_EVENT_PREPARED);
}

static void test_machine_prepare_runs_for_requests_not_for_crashes(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.policy.has_prepare = true;
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.state, SERVICE_PREPARING);
    prepared(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.generation, 1);
    assert_int_equal(life.facts.run, 2);
    become_healthy(&life);
    crash(&life);
    assert_int_equal(life.prepares, 1);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    become_healthy(&life);
    happen(&life, SERVICE_EVENT_RESTART);
    crash(&life);
    assert_int_equal(life.prepares, 2);
    assert_int_equal(life.facts.state, SERVICE_PREPARING);
}

static void test_machine_prepare_that_fails_is_tried_again(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.policy.has_prepare = true;
    happen(&life, SERVICE_EVENT_START);
    spawned(&life);
    happen(&life, SERVICE_EVENT_PREPARE_FAILED);
    assert_int_equal(life.facts.state, SERVICE_PREPARING);
    assert_int_equal(life.prepares, 2);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_PREPARE_FAILED);
    assert_int_equal(life.facts.generation, 0);
}

static void test_machine_prepare_can_be_skipped_and_stopped(void **state)
{
    struct life life = begin_life();
    const struct service_input skip = {.event = SERVICE_EVENT_START, .skip_prepare = true};

    (void)state;
    life.policy.has_prepare = true;
    happen(&life, SERVICE_EVENT_START);
    spawned(&life);
    happen(&life, SERVICE_EVENT_STOP);
    assert_int_equal(life.signals, 1);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    feed(&life, &skip);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
}

static void test_machine_start_timeout_ends_the_run(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    spawned(&life);
    wait_until_due(&life);
    assert_int_equal(life.now, 1000 + SERVICE_START_TIMEOUT_MS);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_START_TIMEOUT);
    assert_int_equal(life.signals, 1);
    crash(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.failures[SERVICE_CAUSE_START_TIMEOUT], 1);
}

static void extend(struct life *life, int64_t extend_ms)
{
    const struct service_input input = {.event = SERVICE_EVENT_EXTENDED, .extend_ms = extend_ms};

    feed(life, &input);
}

static void test_machine_start_is_extended_but_never_for_ever(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    spawned(&life);
    extend(&life, 1000);
    assert_int_equal(life.facts.due_at, 1000 + SERVICE_START_TIMEOUT_MS);
    life.now = SERVICE_START_TIMEOUT_MS;
    extend(&life, 60000);
    assert_int_equal(life.facts.due_at, SERVICE_START_TIMEOUT_MS + 60000);
    for (int i = 0; i < 100; i++) {
        life.now = life.facts.due_at - 1;
        extend(&life, NOTIFY_TIME_MAX_MS);
    }
    assert_int_equal(life.facts.due_at, 1000 + NOTIFY_EXTENDED_MAX_MS);
    wait_until_due(&life);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_START_TIMEOUT);
}

static void test_machine_stop_is_extended_but_always_ends(void **state)
{
    struct life life = begin_life();
    int64_t stopped_at;

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    stopped_at = life.now;
    life.occupied = true;
    happen(&life, SERVICE_EVENT_STOP);
    extend(&life, 20000);
    assert_int_equal(life.facts.due_at, stopped_at + 20000);
    for (int i = 0; i < 100; i++) {
        life.now = life.facts.due_at - 1;
        extend(&life, NOTIFY_TIME_MAX_MS);
    }
    assert_int_equal(life.facts.due_at, stopped_at + NOTIFY_EXTENDED_MAX_MS);
    wait_until_due(&life);
    assert_int_equal(life.kills, 1);
    /* Too late. */
    extend(&life, 20000);
    assert_true(life.facts.killing);
    wait_until_due(&life);
    assert_int_equal(life.kills, 2);
}

static void test_machine_extension_is_not_for_who_is_left(void **state)
{
    struct life life = begin_life();
    int64_t stopped_at;

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    stopped_at = life.now;
    life.occupied = true;
    happen(&life, SERVICE_EVENT_STOP);
    extend(&life, NOTIFY_TIME_MAX_MS);
    life.now += 1000;
    crash(&life);
    assert_int_equal(life.facts.kill_at, stopped_at + life.policy.stop_grace_ms);
    while (life.kills == 0)
        wait_until_due(&life);
    assert_in_range(life.now, stopped_at + life.policy.stop_grace_ms,
        stopped_at + life.policy.stop_grace_ms + SERVICE_END_CHECK_MS);
}

static void test_machine_healthy_service_has_nothing_to_extend(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    extend(&life, 1000);
    assert_int_equal(life.step.rule, SERVICE_RULE_ILLEGAL);
}

static void test_machine_exec_failure_opens_its_own_breaker(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.policy.give_up_after = 2;
    happen(&life, SERVICE_EVENT_START);
    happen(&life, SERVICE_EVENT_SPAWN_FAILED);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    happen(&life, SERVICE_EVENT_SPAWN_FAILED);
    assert_int_equal(life.facts.state, SERVICE_FAILED);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_EXEC_FAILED);
    assert_int_equal(life.facts.pid, 0);
}

static void test_machine_restart_replaces_the_generation(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    happen(&life, SERVICE_EVENT_RESTART);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    assert_int_equal(life.spawns, 1);
    exit_well(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.generation, 2);
    assert_int_equal(life.facts.restart_count, 0);
}

static void test_machine_start_during_stop_follows_it(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    happen(&life, SERVICE_EVENT_STOP);
    happen(&life, SERVICE_EVENT_START);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    exit_well(&life);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
}

static void test_machine_degraded_recovers(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    happen(&life, SERVICE_EVENT_UNHEALTHY);
    assert_int_equal(life.facts.state, SERVICE_DEGRADED);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_HEALTH_FAILED);
    happen(&life, SERVICE_EVENT_RECOVERED);
    assert_int_equal(life.facts.state, SERVICE_HEALTHY);
    assert_int_equal(life.spawns, 1);
}

static void test_machine_due_before_its_time_is_ignored(void **state)
{
    struct life life = begin_life();

    (void)state;
    life.blocked = true;
    happen(&life, SERVICE_EVENT_START);
    life.now = life.facts.due_at - 1;
    happen(&life, SERVICE_EVENT_DUE);
    assert_int_equal(life.step.rule, SERVICE_RULE_ILLEGAL);
}

static void test_machine_resume_spawns_only_what_was_never_born(void **state)
{
    struct life life = begin_life();
    struct service_step step;

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    step = service_machine_resume(&life.policy, &life.facts, false, life.now);
    assert_int_equal(step.n_actions, 1);
    assert_int_equal(step.actions[0], SERVICE_ACTION_SPAWN);
    step = service_machine_resume(&life.policy, &life.facts, true, life.now);
    assert_int_not_equal(step.actions[0], SERVICE_ACTION_SPAWN);
    assert_int_equal(step.facts.run, life.facts.run);
}

/* The keeper refuses a number that it has tried before: that was told as the reason of the failure.
 */
static void test_machine_resume_spawns_under_a_number_that_was_never_tried(void **state)
{
    struct life life = begin_life();
    struct service_step step;

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    step = service_machine_resume(&life.policy, &life.facts, false, life.now);
    assert_int_equal(step.facts.run, life.facts.run + 1);
    assert_int_equal(step.facts.last_run, step.facts.run);
    assert_int_equal(step.facts.generation, life.facts.generation);
}

static void test_machine_resume_goes_on_with_a_stop(void **state)
{
    struct life life = begin_life();
    struct service_step step;

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    happen(&life, SERVICE_EVENT_STOP);
    step = service_machine_resume(&life.policy, &life.facts, true, life.now + 5);
    assert_int_equal(step.facts.due_at, life.now + 5);
    assert_false(step.facts.leader_gone);
}

static void pause_it(struct life *life)
{
    const struct service_input input = {.event = SERVICE_EVENT_PAUSE, .message = "held by a lease"};

    feed(life, &input);
}

static void test_machine_pause_of_a_running_service_ends_it_and_keeps_it_wanted(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    life.occupied = true;
    pause_it(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    assert_int_equal(life.signals, 1);
    life.occupied = false;
    happen(&life, SERVICE_EVENT_EXITED);
    assert_int_equal(life.facts.state, SERVICE_PAUSED);
    assert_true(life.facts.wanted);
    assert_int_equal(life.facts.reason, FLOCKS_STATE_REASON_LEASE_HELD);
    assert_string_equal(life.facts.message, "held by a lease");
    assert_int_equal(life.facts.due_at, CLOCK_NEVER);
    happen(&life, SERVICE_EVENT_RESTART);
    assert_int_equal(life.facts.state, SERVICE_STARTING);
    assert_int_equal(life.facts.generation, 2);
}

/* s6, runit: a paused upgrade that dies leaves "down" behind; here a stop meanwhile is one. */
static void test_machine_stop_wins_over_a_pause(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    become_healthy(&life);
    life.occupied = true;
    pause_it(&life);
    happen(&life, SERVICE_EVENT_STOP);
    /* A pause that comes after the stop changes nothing. */
    pause_it(&life);
    life.occupied = false;
    happen(&life, SERVICE_EVENT_EXITED);
    assert_int_equal(life.facts.state, SERVICE_STOPPED);
    assert_false(life.facts.wanted);
}

static void test_machine_pause_while_being_spawned_waits_for_the_answer(void **state)
{
    struct life life = begin_life();

    (void)state;
    happen(&life, SERVICE_EVENT_START);
    pause_it(&life);
    assert_int_equal(life.facts.state, SERVICE_STOPPING);
    assert_int_equal(life.signals, 0);
    happen(&life, SERVICE_EVENT_SPAWN_FAILED);
    assert_int_equal(life.facts.state, SERVICE_PAUSED);
    assert_true(life.facts.wanted);
}

static void test_machine_crash_loop_under_a_lease_pauses(void **state)
{
    struct life life = begin_life();

    (void)state;
    open_breaker(&life);
    pause_it(&life);
    assert_int_equal(life.facts.state, SERVICE_PAUSED);
    life.now += 24LL * 60 * 60 * 1000;
    happen(&life, SERVICE_EVENT_DUE);
    assert_int_equal(life.facts.state, SERVICE_PAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_start_reaches_healthy),
        cmocka_unit_test(test_machine_crash_of_a_healthy_service_restarts_at_once),
        cmocka_unit_test(test_machine_crash_with_strays_kills_them_first),
        cmocka_unit_test(test_machine_burst_follows_the_schedule),
        cmocka_unit_test(test_machine_delay_has_jitter_a_cap_and_a_floor),
        cmocka_unit_test(test_machine_breaker_opens_and_tries_half_open),
        cmocka_unit_test(test_machine_trial_that_fails_otherwise_opens_it_again),
        cmocka_unit_test(test_machine_trial_that_stays_healthy_closes_the_breaker),
        cmocka_unit_test(test_machine_start_by_a_person_resets_the_breaker),
        cmocka_unit_test(test_machine_policy_decides_about_exits),
        cmocka_unit_test(test_machine_stop_is_polite_then_kills),
        cmocka_unit_test(test_machine_stop_while_being_spawned_waits_for_the_answer),
        cmocka_unit_test(test_machine_stop_of_what_could_not_be_spawned_is_stopped),
        cmocka_unit_test(test_machine_stop_in_backoff_and_waiting_is_at_once),
        cmocka_unit_test(test_machine_blocked_service_asks_again),
        cmocka_unit_test(test_machine_prepare_runs_for_requests_not_for_crashes),
        cmocka_unit_test(test_machine_prepare_that_fails_is_tried_again),
        cmocka_unit_test(test_machine_prepare_can_be_skipped_and_stopped),
        cmocka_unit_test(test_machine_start_timeout_ends_the_run),
        cmocka_unit_test(test_machine_start_is_extended_but_never_for_ever),
        cmocka_unit_test(test_machine_stop_is_extended_but_always_ends),
        cmocka_unit_test(test_machine_extension_is_not_for_who_is_left),
        cmocka_unit_test(test_machine_healthy_service_has_nothing_to_extend),
        cmocka_unit_test(test_machine_exec_failure_opens_its_own_breaker),
        cmocka_unit_test(test_machine_restart_replaces_the_generation),
        cmocka_unit_test(test_machine_start_during_stop_follows_it),
        cmocka_unit_test(test_machine_degraded_recovers),
        cmocka_unit_test(test_machine_due_before_its_time_is_ignored),
        cmocka_unit_test(test_machine_resume_spawns_only_what_was_never_born),
        cmocka_unit_test(test_machine_resume_spawns_under_a_number_that_was_never_tried),
        cmocka_unit_test(test_machine_resume_goes_on_with_a_stop),
        cmocka_unit_test(test_machine_pause_of_a_running_service_ends_it_and_keeps_it_wanted),
        cmocka_unit_test(test_machine_stop_wins_over_a_pause),
        cmocka_unit_test(test_machine_pause_while_being_spawned_waits_for_the_answer),
        cmocka_unit_test(test_machine_crash_loop_under_a_lease_pauses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
