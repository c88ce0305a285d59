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
#include "fake_link.h"
#include "server/supervise/supervisor.h"

enum {
    STATE_BYTES = 1024 * 1024,
    /* Longest wait for anything; far beyond what is ever needed. */
    PATIENCE_MS = 10000,
    KILLED = 9 /* wait status of SIGKILL */
};

/* A daemon with the services "app" (after "base"), "base" and "spare" (start: false): slots 0,
 * 1, 2. */
struct world {
    uv_loop_t loop;
    int state_fd;
    struct fake_keeper keeper;
    struct keeper_link link;
    struct paths paths;
    struct supervisor *supervisor;
    unsigned ended;
    unsigned closed;
};

/* ---- its configuration ---- */

struct configuration {
    flocks_get_config_response response;
    flocks_config config;
    flocks_config_services_entry entries[3];
    flocks_config_services_entry *items[3];
    flocks_service_config services[3];
    flocks_stop_config stop;
    flocks_restart_config restart;
    Google__Protobuf__Duration grace;
    Google__Protobuf__Duration delay;
};

static const char *sleep_command[] = {"/bin/sleep", "1000"};
static const char *base_only[] = {"base"};

static void fill_service(struct configuration *c, size_t i, const char *name)
{
    c->services[i] = (flocks_service_config)FLOCKS_SERVICE_CONFIG_INIT;
    c->services[i].command = sleep_command;
    c->services[i].n_command = 2;
    c->services[i].directory = "/";
    c->services[i].host = "127.0.0.1";
    c->services[i].start = strcmp(name, "spare") != 0;
    c->services[i].stop = &c->stop;
    c->services[i].restart = &c->restart;
    c->entries[i] = (flocks_config_services_entry)FLOCKS_CONFIG_SERVICES_ENTRY_INIT;
    c->entries[i].key = name;
    c->entries[i].value = &c->services[i];
    c->items[i] = &c->entries[i];
}

static void fill_configuration(struct configuration *c)
{
    c->grace = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
    c->grace.seconds = 10;
    c->delay = c->grace;
    c->stop = (flocks_stop_config)FLOCKS_STOP_CONFIG_INIT;
    c->stop.grace = &c->grace;
    c->restart = (flocks_restart_config)FLOCKS_RESTART_CONFIG_INIT;
    c->restart.policy = FLOCKS_RESTART_POLICY_ALWAYS;
    c->restart.delay = &c->delay;
    c->restart.max_delay = &c->delay;
    c->restart.stable_after = &c->delay;
    c->restart.give_up_after = 5;
    fill_service(c, 0, "spare");
    fill_service(c, 1, "app");
    fill_service(c, 2, "base");
    c->services[1].after = base_only;
    c->services[1].n_after = 1;
    c->config = (flocks_config)FLOCKS_CONFIG_INIT;
    c->config.services = c->items;
    c->config.n_services = 3;
    c->response = (flocks_get_config_response)FLOCKS_GET_CONFIG_RESPONSE_INIT;
    c->response.config = &c->config;
    c->response.digest = "digest";
}

/* ---- running it ---- */

static void on_ended(void *data)
{
    ((struct world *)data)->ended++;
}

static void on_closed(void *data)
{
    ((struct world *)data)->closed++;
}

/* As main does: everything that starts with the daemon, before the keeper has told its children. */
static void begin_all(struct world *world)
{
    const struct supervisor_request request = {.kind = FLOCKS_OPERATION_KIND_START};
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    assert_int_equal(supervisor_begin(world->supervisor, &request, id, NULL), 0);
}

static void open_supervisor(struct world *world, bool fresh, bool start)
{
    struct configuration configuration;
    struct supervisor_setup setup = {.loop = &world->loop,
        .link = &world->link,
        .paths = &world->paths,
        .state_fd = world->state_fd,
        .notify_fd = -1,
        .keeper_pid = 1,
        .keeper_version = "test",
        .ended = on_ended,
        .data = world};

    fill_configuration(&configuration);
    if (fresh)
        setup.config = &configuration.response;
    fake_link_open(&world->keeper, &world->link);
    assert_int_equal(supervisor_new(&setup, &world->supervisor, NULL), 0);
    if (fresh && start)
        begin_all(world);
}

/* One turn that waits for nothing: what was changed is written. */
static void turn(struct world *world)
{
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* Spawns are asked for when the state that speaks of them has been written: at the turn's end. */
static void answer_spawns(struct world *world)
{
    turn(world);
    fake_link_answer_spawns(&world->link);
}

static unsigned spawns_of(struct world *world)
{
    turn(world);
    return world->keeper.spawns;
}

/* flocksd is gone; the keeper and the state stay. */
static void drop_supervisor(struct world *world)
{
    supervisor_close(world->supervisor, on_closed, world);
    fake_link_close(&world->link);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    world->supervisor = NULL;
}

/* The state as it was when the copy was made: flocksd was killed then. */
static void use_state_copy(struct world *world)
{
    fd_close(&world->state_fd);
    world->state_fd = world->keeper.state_copy_fd;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->state_fd = memfd_create("state", MFD_CLOEXEC);
    assert_int_equal(ftruncate(world->state_fd, STATE_BYTES), 0);
    (void)snprintf(world->paths.root, sizeof world->paths.root, "/nonexistent/flocks-test");
    (void)snprintf(world->paths.run, sizeof world->paths.run, "/nonexistent/flocks-test/run");
    (void)snprintf(world->paths.logs, sizeof world->paths.logs, "/nonexistent/flocks-test/logs");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->supervisor != NULL)
        drop_supervisor(world);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    fd_close(&world->state_fd);
    free(world);
    return 0;
}

/* ---- looking ---- */

/* "app": 0, "base": 1, "spare": 2. */
static enum flocks_service_state state_of(struct world *world, size_t slot)
{
    struct arena arena;
    flocks_get_status_response response;
    enum flocks_service_state found;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    assert_int_equal(response.n_services, 3);
    found = response.services[slot]->state;
    arena_deinit(&arena);
    return found;
}

static uint32_t generation_of(struct world *world, size_t slot)
{
    struct arena arena;
    flocks_get_status_response response;
    uint32_t found;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    found = response.services[slot]->generation;
    arena_deinit(&arena);
    return found;
}

static void on_patience_over(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("waited in vain");
}

static void run_until_state(struct world *world, size_t slot, enum flocks_service_state wanted)
{
    uv_timer_t patience;

    (void)uv_timer_init(&world->loop, &patience);
    (void)uv_timer_start(&patience, on_patience_over, PATIENCE_MS, 0);
    while (state_of(world, slot) != wanted)
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, NULL);
    turn(world);
}

static void begin(struct world *world, enum flocks_operation_kind kind, const char *service,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE])
{
    const struct supervisor_request request = {
        .kind = kind, .services = &service, .n_services = service != NULL ? 1 : 0};

    assert_int_equal(supervisor_begin(world->supervisor, &request, out_id, NULL), 0);
}

static enum flocks_operation_state operation_state(struct world *world, const char *id)
{
    struct arena arena;
    flocks_operation *operation = NULL;
    enum flocks_operation_state state;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(
        supervisor_get_operation(world->supervisor, id, &arena, &operation, NULL, NULL), 0);
    state = operation->state;
    arena_deinit(&arena);
    return state;
}

static void start_base(struct world *world)
{
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    answer_spawns(world);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* ---- scenarios ---- */

static void test_supervisor_fresh_start_runs_in_order(void **state)
{
    struct world *world = *state;

    open_supervisor(world, true, true);
    assert_int_equal(spawns_of(world), 0);
    fake_link_answer_list(&world->link);
    assert_int_equal(spawns_of(world), 1);
    assert_int_equal(state_of(world, 0), FLOCKS_SERVICE_STATE_WAITING);
    answer_spawns(world);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(spawns_of(world), 2);
    answer_spawns(world);
    run_until_state(world, 0, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(state_of(world, 2), FLOCKS_SERVICE_STATE_STOPPED);
}

static void test_supervisor_unknown_name_does_nothing(void **state)
{
    struct world *world = *state;
    const char *names[] = {"base", "nobody"};
    const struct supervisor_request request = {
        .kind = FLOCKS_OPERATION_KIND_START, .services = names, .n_services = 2};
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(supervisor_begin(world->supervisor, &request, id, &error), -STATUS_NOT_FOUND);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    assert_string_equal(error.subject, "nobody");
    assert_int_equal(spawns_of(world), 0);
}

static void test_supervisor_exit_is_replaced_in_the_same_turn(void **state)
{
    struct world *world = *state;

    start_base(world);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(generation_of(world, 1), 2);
    assert_int_equal(spawns_of(world), 2);
    assert_int_equal(world->keeper.acknowledged, 0);
    answer_spawns(world);
    turn(world);
    assert_int_equal(world->keeper.acknowledged, 1);
}

/* flocksd dies while the keeper starts the replacement: that one is taken over, not lost. */
static void test_supervisor_takeover_knows_a_run_from_its_request_on(void **state)
{
    struct world *world = *state;

    start_base(world);
    world->keeper.copies_state_from = world->state_fd;
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(spawns_of(world), 2);
    drop_supervisor(world);
    use_state_copy(world);
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(spawns_of(world), 2);
    assert_int_equal(generation_of(world, 1), 2);
}

/* Asked to start and killed before anything was written: it begins once more from the
 * configuration. */
static void test_supervisor_fresh_start_keeps_nothing_before_it_begins(void **state)
{
    struct world *world = *state;

    open_supervisor(world, true, true);
    turn(world);
    assert_false(supervisor_has_state(world->state_fd));
    fake_link_answer_list(&world->link);
    turn(world);
    assert_true(supervisor_has_state(world->state_fd));
}

static void test_supervisor_stop_overtakes_a_spawn_that_was_not_asked_for(void **state)
{
    struct world *world = *state;
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    start_base(world);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_STARTING);
    begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    assert_int_equal(spawns_of(world), 1);
    assert_int_equal(operation_state(world, stop), FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPED);
}

/* No process was seen, but orphans end all the time: perhaps it forks faster than we look. */
static void test_supervisor_stop_does_not_end_while_orphans_do(void **state)
{
    struct world *world = *state;
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    start_base(world);
    begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    world->keeper.strays_per_look = 1;
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPING);
    world->keeper.strays_per_look = 0;
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
}

/* Its id may be told before the loop's turn ends. */
static void test_supervisor_operation_is_known_after_a_kill(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    turn(world);
    begin(world, FLOCKS_OPERATION_KIND_STOP, NULL, id);
    fake_keeper_copy_state(&world->keeper, world->state_fd);
    drop_supervisor(world);
    use_state_copy(world);
    open_supervisor(world, false, false);
    assert_int_equal(operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

static void test_supervisor_takeover_starts_nothing_twice(void **state)
{
    struct world *world = *state;

    start_base(world);
    drop_supervisor(world);
    assert_true(supervisor_has_state(world->state_fd));
    open_supervisor(world, false, true);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_HEALTHY);
    fake_link_answer_list(&world->link);
    turn(world);
    assert_int_equal(spawns_of(world), 1);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_HEALTHY);
}

static void test_supervisor_takeover_before_the_spawn_was_answered(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    turn(world);
    drop_supervisor(world);
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(spawns_of(world), 1);
    assert_int_equal(operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* The state knows of the start, the keeper does not: the request was never sent. */
static void test_supervisor_takeover_of_a_spawn_that_was_never_asked_for(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    turn(world);
    drop_supervisor(world);
    world->keeper.children[1] = (struct fake_child){.alive = false};
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(spawns_of(world), 2);
    assert_int_equal(generation_of(world, 1), 1);
}

/* The keeper knows of a run that the state does not: the state was too full to be written. */
static void test_supervisor_takeover_ends_a_run_it_knows_nothing_of(void **state)
{
    struct world *world = *state;

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    turn(world);
    drop_supervisor(world);
    world->keeper.children[1] =
        (struct fake_child){.alive = true, .generation = 1, .pid = 77777777};
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPING);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
    assert_int_equal(spawns_of(world), 0);
}

static void test_supervisor_exit_told_again_is_believed_once(void **state)
{
    struct world *world = *state;
    struct keeper_exit exit;

    start_base(world);
    exit = fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    answer_spawns(world);
    turn(world);
    drop_supervisor(world);
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    world->link.events->exited(world->link.events_data, &exit);
    assert_int_equal(spawns_of(world), 2);
}

static void test_supervisor_exit_while_nobody_watched_is_a_restart(void **state)
{
    struct world *world = *state;
    struct keeper_exit exit;

    start_base(world);
    drop_supervisor(world);
    exit = fake_link_end_child(&world->keeper, NULL, 1, KILLED);
    world->keeper.children[1].alive = true; /* ended, not acknowledged: still in the list */
    open_supervisor(world, false, false);
    fake_link_answer_list(&world->link);
    world->keeper.children[1].alive = false;
    world->link.events->exited(world->link.events_data, &exit);
    assert_int_equal(spawns_of(world), 2);
    assert_int_equal(generation_of(world, 1), 2);
}

static void test_supervisor_stop_ends_a_start(void **state)
{
    struct world *world = *state;
    char start[SUPERVISOR_OPERATION_ID_SIZE];
    char stop[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    begin(world, FLOCKS_OPERATION_KIND_START, "base", start);
    turn(world);
    begin(world, FLOCKS_OPERATION_KIND_STOP, "base", stop);
    assert_int_equal(operation_state(world, start), FLOCKS_OPERATION_STATE_CANCELLED);
    answer_spawns(world);
    assert_int_equal(world->keeper.signals, 1);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    assert_int_equal(operation_state(world, stop), FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_STOPPED);
}

static void test_supervisor_exec_failure_ends_the_start(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    world->link.refuses = 2; /* ENOENT */
    begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    for (turn(world); world->link.n_spawning > 0; turn(world))
        fake_link_answer_spawns(&world->link);
    assert_int_equal(operation_state(world, id), FLOCKS_OPERATION_STATE_FAILED);
    assert_int_equal(state_of(world, 1), FLOCKS_SERVICE_STATE_BACKOFF);
    assert_int_equal(spawns_of(world), 4);
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

    open_supervisor(world, true, false);
    fake_link_answer_list(&world->link);
    begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    assert_int_equal(
        supervisor_wait(world->supervisor, id, SUPERVISOR_WAIT_END, 0, count, &told, &wait, NULL),
        0);
    assert_int_equal(
        supervisor_wait(world->supervisor, id, SUPERVISOR_WAIT_END, 0, count, &never, &wait, NULL),
        0);
    supervisor_wait_cancel(wait);
    answer_spawns(world);
    turn(world);
    assert_int_equal(told, 0);
    run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
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

    start_base(world);
    begin(world, FLOCKS_OPERATION_KIND_START, "app", id);
    answer_spawns(world);
    run_until_state(world, 0, FLOCKS_SERVICE_STATE_HEALTHY);
    begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    assert_int_equal(world->keeper.signals, 1);
    assert_int_equal(world->keeper.signalled[0], 0);
    assert_int_equal(
        supervisor_begin(world->supervisor, &start, id, NULL), -STATUS_FAILED_PRECONDITION);
    (void)fake_link_end_child(&world->keeper, &world->link, 0, KILLED);
    assert_int_equal(world->keeper.signals, 2);
    assert_int_equal(world->ended, 0);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    turn(world);
    turn(world);
    assert_int_equal(world->ended, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_supervisor_fresh_start_runs_in_order),
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
