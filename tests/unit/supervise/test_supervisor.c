/* The supervisor on a real loop with a keeper made of memory: operations, their waiters,
 * take-overs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/supervise/supervisor_private.h"
#include "world.h"

/* ---- scenarios ---- */

static void test_supervisor_fresh_start_runs_in_order(void **state)
{
    struct world *world = *state;

    world_open(world, true, true);
    assert_int_equal(world_spawns_of(world), 0);
    fake_link_answer_list(&world->link);
    assert_int_equal(world_spawns_of(world), 1);
    assert_int_equal(world_state_of(world, 0), FLOCKS_SERVICE_STATE_WAITING);
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(world_spawns_of(world), 2);
    world_answer_spawns(world);
    world_run_until_state(world, 0, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(world_state_of(world, 2), FLOCKS_SERVICE_STATE_STOPPED);
}

/* Two thousand services with much to tell would be packed twice in every turn of the loop. */
static void test_supervisor_state_without_room_packs_only_what_has_changed(void **state)
{
    struct world *world = *state;
    char message[PROBE_MESSAGE_MAX];
    struct packed *packed;

    assert_int_equal(ftruncate(world->state_fd, (off_t)12 * 1024), 0);
    world_start_base(world);
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    for (size_t i = 0; i < (size_t)3 * PROBE_HISTORY_MAX; i++)
        probe_history_add(&world->supervisor->services[i % 3]->history, PROBE_ROLE_ALIVE,
            (int64_t)i, 0, true, message);
    for (size_t i = 0; i < (size_t)3 * PROBE_HISTORY_MAX; i++)
        probe_history_add(&world->supervisor->services[i % 3]->history, PROBE_ROLE_READY,
            (int64_t)i, 0, true, message);
    supervisor_mark_dirty(world->supervisor);
    world_turn(world);
    assert_false(world->supervisor->is_store_full);
    /* Whoever packs it anew writes over this. */
    packed = &world->supervisor->services[2]->packed;
    packed->bytes[0] ^= UINT8_MAX;
    supervisor_mark_dirty(world->supervisor);
    world_turn(world);
    packed->bytes[0] ^= UINT8_MAX;
    assert_int_equal(packed->bytes[0], 1 << 3 | 2);
}

static void test_supervisor_unknown_name_does_nothing(void **state)
{
    struct world *world = *state;
    const char *names[] = {"base", "nobody"};
    const struct supervisor_request request = {
        .kind = FLOCKS_OPERATION_KIND_START, .services = names, .n_services = 2};
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(supervisor_begin(world->supervisor, &request, id, &error), -STATUS_NOT_FOUND);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    assert_string_equal(error.subject, "nobody");
    assert_int_equal(world_spawns_of(world), 0);
}

static void test_supervisor_exit_is_replaced_in_the_same_turn(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(world_generation_of(world, 1), 2);
    assert_int_equal(world_spawns_of(world), 2);
    assert_int_equal(world->keeper.acknowledged, 0);
    world_answer_spawns(world);
    world_turn(world);
    assert_int_equal(world->keeper.acknowledged, 1);
}

/* flocksd dies while the keeper starts the replacement: that one is taken over, not lost. */
static void test_supervisor_takeover_knows_a_run_from_its_request_on(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    world->keeper.copies_state_from = world->state_fd;
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(world_spawns_of(world), 2);
    world_drop(world);
    world_use_state_copy(world);
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(world_spawns_of(world), 2);
    assert_int_equal(world_generation_of(world, 1), 2);
}

/* Asked to start and killed before anything was written: it begins once more from the
 * configuration. */
static void test_supervisor_fresh_start_keeps_nothing_before_it_begins(void **state)
{
    struct world *world = *state;

    world_open(world, true, true);
    world_turn(world);
    assert_false(supervisor_has_state(world->state_fd));
    fake_link_answer_list(&world->link);
    world_turn(world);
    assert_true(supervisor_has_state(world->state_fd));
}

static void test_supervisor_stop_overtakes_a_spawn_that_was_not_asked_for(void **state)
{
    struct world *world = *state;
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_STARTING);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    assert_int_equal(world_spawns_of(world), 1);
    assert_int_equal(world_operation_state(world, stop), FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPED);
}

/* No process was seen, but orphans end all the time: perhaps it forks faster than we look. */
static void test_supervisor_stop_does_not_end_while_orphans_do(void **state)
{
    struct world *world = *state;
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    world->keeper.strays_per_look = 1;
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPING);
    world->keeper.strays_per_look = 0;
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
}

/* Its id may be told before the loop's turn ends. */
static void test_supervisor_operation_is_known_after_a_kill(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, NULL, id);
    fake_keeper_copy_state(&world->keeper, world->state_fd);
    world_drop(world);
    world_use_state_copy(world);
    world_open(world, false, false);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

static void test_supervisor_takeover_starts_nothing_twice(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    world_drop(world);
    assert_true(supervisor_has_state(world->state_fd));
    world_open(world, false, true);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_HEALTHY);
    fake_link_answer_list(&world->link);
    world_turn(world);
    assert_int_equal(world_spawns_of(world), 1);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_HEALTHY);
}

static void test_supervisor_takeover_before_the_spawn_was_answered(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    world_turn(world);
    world_drop(world);
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(world_spawns_of(world), 1);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* The state knows of the start, the keeper does not: the request was never sent. */
static void test_supervisor_takeover_of_a_spawn_that_was_never_asked_for(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    world_turn(world);
    world_drop(world);
    world->keeper.children[1] = (struct fake_child){.alive = false};
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(world_spawns_of(world), 2);
    assert_int_equal(world_generation_of(world, 1), 1);
}

/* The keeper knows of a run that the state does not: the state was too full to be written. */
static void test_supervisor_takeover_ends_a_run_it_knows_nothing_of(void **state)
{
    struct world *world = *state;

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    world_drop(world);
    world->keeper.children[1] =
        (struct fake_child){.alive = true, .generation = 1, .pid = 77777777};
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPING);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
    assert_int_equal(world_spawns_of(world), 0);
}

static void test_supervisor_exit_told_again_is_believed_once(void **state)
{
    struct world *world = *state;
    struct keeper_exit exit;

    world_start_base(world);
    exit = fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_answer_spawns(world);
    world_turn(world);
    world_drop(world);
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world->link.events->exited(world->link.events_data, &exit);
    assert_int_equal(world_spawns_of(world), 2);
}

static void test_supervisor_exit_while_nobody_watched_is_a_restart(void **state)
{
    struct world *world = *state;
    struct keeper_exit exit;

    world_start_base(world);
    world_drop(world);
    exit = fake_link_end_child(&world->keeper, NULL, 1, KILLED);
    world->keeper.children[1].alive = true; /* ended, not acknowledged: still in the list */
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world->keeper.children[1].alive = false;
    world->link.events->exited(world->link.events_data, &exit);
    assert_int_equal(world_spawns_of(world), 2);
    assert_int_equal(world_generation_of(world, 1), 2);
}

static void test_supervisor_stop_ends_a_start(void **state)
{
    struct world *world = *state;
    char start[SUPERVISOR_OPERATION_ID_SIZE];
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", start);
    world_turn(world);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    assert_int_equal(world_operation_state(world, start), FLOCKS_OPERATION_STATE_CANCELLED);
    world_answer_spawns(world);
    assert_int_equal(world->keeper.signals, 1);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    /* At once, unless the machine is so slow that looking costs too much. */
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
    assert_int_equal(world_operation_state(world, stop), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

static void test_supervisor_exec_failure_ends_the_start(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world->link.refuses = 2; /* ENOENT */
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    for (world_turn(world); world->link.n_spawning > 0; world_turn(world))
        fake_link_answer_spawns(&world->link);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_FAILED);
    assert_int_equal(world_state_of(world, 1), FLOCKS_SERVICE_STATE_BACKOFF);
    assert_int_equal(world_spawns_of(world), 4);
}

static void count(void *data)
{
    ++*(unsigned *)data;
}

static void test_supervisor_waiters_are_told_when_it_is_written(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct supervisor_wait *wait = NULL;
    unsigned told = 0;
    unsigned never = 0;

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    assert_int_equal(
        supervisor_wait(world->supervisor, id, SUPERVISOR_WAIT_END, 0, count, &told, &wait, NULL),
        0);
    assert_int_equal(
        supervisor_wait(world->supervisor, id, SUPERVISOR_WAIT_END, 0, count, &never, &wait, NULL),
        0);
    supervisor_wait_cancel(wait);
    world_answer_spawns(world);
    world_turn(world);
    assert_int_equal(told, 0);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(told, 1);
    assert_int_equal(never, 0);
    assert_int_equal(
        supervisor_wait(world->supervisor, id, SUPERVISOR_WAIT_END, 0, count, &never, &wait, NULL),
        SUPERVISOR_ALREADY);
}

static void test_supervisor_shutdown_stops_in_reverse_order_and_ends_once(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    const struct supervisor_request start = {.kind = FLOCKS_OPERATION_KIND_START};

    world_start_base(world);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "app", id);
    world_answer_spawns(world);
    world_run_until_state(world, 0, FLOCKS_SERVICE_STATE_HEALTHY);
    world_begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    assert_int_equal(world->keeper.signals, 1);
    assert_int_equal(world->keeper.signalled[0], 0);
    assert_int_equal(
        supervisor_begin(world->supervisor, &start, id, NULL), -STATUS_FAILED_PRECONDITION);
    (void)fake_link_end_child(&world->keeper, &world->link, 0, KILLED);
    world_run_until_state(world, 0, FLOCKS_SERVICE_STATE_STOPPED);
    assert_int_equal(world->keeper.signals, 2);
    assert_int_equal(world->ended, 0);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
    world_turn(world);
    world_turn(world);
    assert_int_equal(world->ended, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_supervisor_fresh_start_runs_in_order),
        TEST(test_supervisor_state_without_room_packs_only_what_has_changed),
        TEST(test_supervisor_unknown_name_does_nothing),
        TEST(test_supervisor_exit_is_replaced_in_the_same_turn),
        TEST(test_supervisor_takeover_knows_a_run_from_its_request_on),
        TEST(test_supervisor_fresh_start_keeps_nothing_before_it_begins),
        TEST(test_supervisor_stop_overtakes_a_spawn_that_was_not_asked_for),
        TEST(test_supervisor_stop_does_not_end_while_orphans_do),
        TEST(test_supervisor_operation_is_known_after_a_kill),
        TEST(test_supervisor_takeover_starts_nothing_twice),
        TEST(test_supervisor_takeover_before_the_spawn_was_answered),
        TEST(test_supervisor_takeover_of_a_spawn_that_was_never_asked_for),
        TEST(test_supervisor_takeover_ends_a_run_it_knows_nothing_of),
        TEST(test_supervisor_exit_told_again_is_believed_once),
        TEST(test_supervisor_exit_while_nobody_watched_is_a_restart),
        TEST(test_supervisor_stop_ends_a_start),
        TEST(test_supervisor_exec_failure_ends_the_start),
        TEST(test_supervisor_waiters_are_told_when_it_is_written),
        TEST(test_supervisor_shutdown_stops_in_reverse_order_and_ends_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
