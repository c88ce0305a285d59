/* What may not be lost with a flocksd, however often one is killed: what services have said, and
 * what checks add up to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "server/supervise/supervisor_leases.h"
#include "server/supervise/supervisor_private.h"
#include "world.h"

enum { WATCHDOG_MS = 60 * 1000 };

static struct service *base_of(struct world *world)
{
    struct service *service = supervisor_find(world->supervisor, "base");

    assert_non_null(service);
    return service;
}

/* Written by the end of the turn. */
static void begin_watchdog(struct service *service, int64_t watchdog_ms, int64_t now)
{
    service->notified.watchdog_ms = watchdog_ms;
    service->notified.watchdog_at = CLOCK_NEVER;
    notified_watch(&service->notified, now);
    supervisor_mark_dirty(service->owner);
}

static void say(struct service *service, const char *text, int64_t now)
{
    struct notify_message message;

    assert_int_equal(notify_parse(text, strlen(text), &message), 0);
    (void)service_watch_notified(service, &message, now);
}

/* flocksd is killed as it is, and the next one has loaded its state. */
static void take_over(struct world *world)
{
    world_drop(world);
    world_open(world, false, false);
}

static void test_takeover_knows_a_watchdog_that_was_kept_and_not_written(void **state)
{
    struct world *world = *state;
    int64_t now = clock_monotonic_ms();

    world_start_base(world);
    begin_watchdog(base_of(world), WATCHDOG_MS, now);
    world_turn(world);
    say(base_of(world), "WATCHDOG=1", now + 700);
    assert_false(world->supervisor->is_dirty);
    take_over(world);
    assert_int_equal(base_of(world)->notified.watchdog_at, now + 700 + WATCHDOG_MS);
}

static void test_takeover_does_not_take_an_earlier_runs_watchdog(void **state)
{
    struct world *world = *state;
    int64_t now;

    world_start_base(world);
    now = base_of(world)->facts.spawned_at;
    state_store_set_pulse(world->supervisor->store, base_of(world)->slot, now - 1);
    begin_watchdog(base_of(world), WATCHDOG_MS, now - 500);
    world_turn(world);
    take_over(world);
    assert_int_equal(base_of(world)->notified.watchdog_at, now - 500 + WATCHDOG_MS);
}

/* Else one that hangs would be left alone as long as flocksd is killed often enough. */
static void test_takeover_does_not_put_off_a_missed_watchdog(void **state)
{
    struct world *world = *state;
    int64_t due_at = clock_monotonic_ms() - SERVICE_HEAR_OUT_MS;

    world_start_base(world);
    begin_watchdog(base_of(world), WATCHDOG_MS, due_at - WATCHDOG_MS);
    for (int i = 0; i < 3; i++) {
        take_over(world);
        assert_int_equal(base_of(world)->notified.watchdog_at, due_at);
        assert_true(service_promises_due_at(base_of(world)) <= due_at + SERVICE_HEAR_OUT_MS);
    }
}

/* What it has said in time may wait outside the socket. */
static void test_takeover_hears_before_it_judges_a_watchdog(void **state)
{
    struct world *world = *state;
    int64_t due_at = clock_monotonic_ms() - 1;

    world_start_base(world);
    begin_watchdog(base_of(world), WATCHDOG_MS, due_at - WATCHDOG_MS);
    take_over(world);
    assert_true(service_promises_due_at(base_of(world)) > due_at);
    fake_link_answer_list(&world->link);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_HEALTHY);
}

static void test_takeover_knows_how_long_it_may_still_be_stopping(void **state)
{
    struct world *world = *state;
    int64_t now = clock_monotonic_ms();
    int64_t stopping_by;

    world_start_base(world);
    world_turn(world);
    say(base_of(world), "STOPPING=1", now);
    say(base_of(world), "EXTEND_TIMEOUT_USEC=30000000", now);
    world_turn(world);
    stopping_by = base_of(world)->notified.stopping_by;
    assert_int_equal(stopping_by, now + 30000);
    take_over(world);
    assert_int_equal(base_of(world)->notified.stopping_by, stopping_by);
}

/* ---- checks ---- */

/* As if the configuration had it; freed with it. */
static void give_alive_probe(struct service *service, uint32_t threshold)
{
    flocks_probes *probes = malloc(sizeof *probes);
    flocks_probe *probe = malloc(sizeof *probe);
    flocks_tcp_check *check = malloc(sizeof *check);

    assert_non_null(probes);
    assert_non_null(probe);
    assert_non_null(check);
    *check = (flocks_tcp_check)FLOCKS_TCP_CHECK_INIT;
    *probe = (flocks_probe)FLOCKS_PROBE_INIT;
    probe->check_case = FLOCKS__V1__PROBE__CHECK_TCP;
    probe->tcp = check;
    probe->failure_threshold = threshold;
    probe->success_threshold = 1;
    *probes = (flocks_probes)FLOCKS_PROBES_INIT;
    probes->alive = probe;
    service->config->probes = probes;
    service->watch.has_probe = true;
    service->watch.role = PROBE_ROLE_ALIVE;
    service->watch.schedule = (struct probe_schedule){
        .policy = {.period_ms = 1000, .failure_threshold = threshold, .success_threshold = 1},
        .verdict = PROBE_VERDICT_PASSING,
        .due_at = CLOCK_NEVER,
        .bad_since = CLOCK_NEVER};
}

static void check(struct service *service, bool passed)
{
    const struct probe_result result = {.passed = passed, .message = "as the test says"};
    int64_t now = clock_monotonic_ms();

    probe_schedule_started(&service->watch.schedule, now);
    service_watch_result(service, &result, now);
}

static void test_takeover_counts_on_where_checks_failed(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    give_alive_probe(base_of(world), 5);
    world_turn(world);
    check(base_of(world), false);
    world_turn(world);
    check(base_of(world), false);
    world_turn(world);
    take_over(world);
    assert_int_equal(base_of(world)->watch.schedule.failures, 2);
}

static void test_takeover_does_not_count_failures_that_a_success_has_ended(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    give_alive_probe(base_of(world), 5);
    check(base_of(world), false);
    world_turn(world);
    check(base_of(world), true);
    world_turn(world);
    take_over(world);
    assert_int_equal(base_of(world)->watch.schedule.failures, 0);
}

/* A thousand services that are well are no reason to write a state each time. */
static void test_takeover_costs_nothing_where_all_is_well(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    give_alive_probe(base_of(world), 5);
    world_turn(world);
    check(base_of(world), true);
    assert_false(world->supervisor->is_dirty);
}

/* ---- leases ---- */

static void note_answer(void *data, const struct error *error)
{
    *(int *)data = error != NULL ? (int)error->code : 0;
}

/* Clients are served before the keeper has told what it has. There is no disk in this world. */
static void test_takeover_does_not_drop_a_lease_that_it_was_asked_for_itself(void **state)
{
    struct world *world = *state;
    const char *const services[] = {"base"};
    const struct supervisor_lease_request request = {.request_id = "r1",
        .owner = "test",
        .reason = "test",
        .services = services,
        .n_services = 1,
        .ttl_ms = 30000};
    char id[SUPERVISOR_LEASE_ID_SIZE];
    struct supervisor_lease_wait *wait = NULL;
    int code = -1;

    world_start_base(world);
    take_over(world);
    assert_int_equal(
        supervisor_begin_lease(world->supervisor, &request, id, note_answer, &code, &wait, NULL),
        0);
    fake_link_answer_list(&world->link);
    RUN_UNTIL(&world->loop, code != -1);
    assert_int_not_equal(code, 0);
    assert_int_not_equal(code, STATUS_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_takeover_knows_a_watchdog_that_was_kept_and_not_written),
        TEST(test_takeover_does_not_take_an_earlier_runs_watchdog),
        TEST(test_takeover_does_not_put_off_a_missed_watchdog),
        TEST(test_takeover_hears_before_it_judges_a_watchdog),
        TEST(test_takeover_knows_how_long_it_may_still_be_stopping),
        TEST(test_takeover_counts_on_where_checks_failed),
        TEST(test_takeover_does_not_count_failures_that_a_success_has_ended),
        TEST(test_takeover_costs_nothing_where_all_is_well),
        TEST(test_takeover_does_not_drop_a_lease_that_it_was_asked_for_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
