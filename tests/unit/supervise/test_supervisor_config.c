/* Configurations that change while services run, with a keeper made of memory: what is started
 * anew, added and let go, across deaths of flocksd at the moments that matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/config/config.h"
#include "server/supervise/supervisor_private.h"
#include "world.h"

#define RUNS "{command: [/bin/sleep, \"1000\"]"
#define OTHER "{command: [/bin/sleep, \"1001\"]"

/* "app" after "base". */
static const char both[] = "services: {app: " RUNS ", after: [base]}, base: " RUNS "}}\n";
static const char both_changed[] = "services: {app: " OTHER ", after: [base]}, base: " OTHER "}}\n";
static const char base_only[] = "services: {base: " RUNS "}}\n";
static const char base_changed[] = "services: {base: " OTHER "}}\n";
static const char renamed[] = "services: {fresh: " RUNS "}}\n";

/* The file does not matter: every text is given. What others write beside it would be looked at, as
 * they do in /tmp. */
static const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
static const struct config_request config_request = {
    .root = "/", .file = "/no-such-flocks.yaml", .environment = environment};

/* ---- asking ---- */

struct answer {
    unsigned n;
    int result;
    uint32_t reason;
    char plan[CONFIG_DIGEST_SIZE];
    size_t n_mistakes;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
};

static void take_error(struct answer *answer, const struct error *error)
{
    if (error != NULL)
        answer->reason = error->reason;
}

static void on_planned(
    void *data, int result, const flocks_plan_config_response *response, const struct error *error)
{
    struct answer *answer = data;

    answer->n++;
    answer->result = result;
    take_error(answer, error);
    if (response != NULL) {
        (void)snprintf(answer->plan, sizeof answer->plan, "%s", response->plan);
        answer->n_mistakes = response->n_mistakes;
    }
}

static void on_applied(void *data, int result, const char *operation_id,
    const flocks_source_position *position, const struct error *error)
{
    struct answer *answer = data;

    (void)position;
    answer->n++;
    answer->result = result;
    take_error(answer, error);
    if (operation_id != NULL)
        (void)snprintf(answer->id, sizeof answer->id, "%s", operation_id);
}

static void run_until_answered(struct world *world, const struct answer *answer)
{
    RUN_UNTIL(&world->loop, answer->n > 0);
    assert_int_equal(answer->n, 1);
}

static struct supervisor_text text_of(const char *text)
{
    return (struct supervisor_text){.bytes = (const uint8_t *)text, .len = strlen(text)};
}

static struct answer plan(struct world *world, const char *text)
{
    const struct supervisor_text given = text_of(text);
    struct answer answer = {.n = 0};
    struct supervisor_job *job;

    assert_int_equal(
        supervisor_plan(world->supervisor, &given, on_planned, &answer, &job, NULL), 0);
    run_until_answered(world, &answer);
    return answer;
}

static struct answer apply_plan(struct world *world, const char *hash, const char *text)
{
    const struct supervisor_apply_request request = {.plan = hash, .text = text_of(text)};
    struct answer answer = {.n = 0};
    struct supervisor_job *job;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    assert_int_equal(
        supervisor_apply(world->supervisor, &request, on_applied, &answer, id, &job, NULL), 0);
    run_until_answered(world, &answer);
    return answer;
}

/* Planned and applied. */
static struct answer change(struct world *world, const char *text)
{
    struct answer planned = plan(world, text);
    struct answer applied;

    assert_int_equal(planned.result, 0);
    assert_int_equal(planned.n_mistakes, 0);
    applied = apply_plan(world, planned.plan, text);
    assert_int_equal(applied.result, 0);
    return applied;
}

/* ---- looking ---- */

struct looked {
    enum flocks_service_state state;
    uint32_t generation;
    bool exists;
};

static struct looked look(struct world *world, const char *name)
{
    struct arena arena;
    flocks_get_status_response response;
    struct looked looked = {.exists = false};

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    for (size_t i = 0; i < response.n_services; i++) {
        if (strcmp(response.services[i]->name, name) == 0)
            looked = (struct looked){
                response.services[i]->state, response.services[i]->generation, true};
    }
    arena_deinit(&arena);
    return looked;
}

/* The keeper answers meanwhile. */
static bool is_in_state(struct world *world, const char *name, enum flocks_service_state wanted)
{
    fake_link_answer_spawns(&world->link);
    return look(world, name).state == wanted;
}

static void run_until(struct world *world, const char *name, enum flocks_service_state wanted)
{
    RUN_UNTIL(&world->loop, is_in_state(world, name, wanted));
}

static void run_until_gone(struct world *world, const char *name)
{
    RUN_UNTIL(&world->loop, !look(world, name).exists);
}

/* The slot of a service, by its log. */
static uint32_t slot_of(const struct world *world, const char *name)
{
    char end[64];

    (void)snprintf(end, sizeof end, "/%s.log", name);
    for (uint32_t slot = 0; slot < FAKE_SLOTS; slot++) {
        const char *path = world->keeper.outputs[slot];

        if (strlen(path) > strlen(end) && strcmp(path + strlen(path) - strlen(end), end) == 0)
            return slot;
    }
    fail_msg("no output of %s", name);
    return 0;
}

static void end_run(struct world *world, const char *name)
{
    (void)fake_link_end_child(&world->keeper, &world->link, slot_of(world, name), KILLED);
    world_turn(world);
}

static unsigned signals_to(const struct world *world, const char *name)
{
    uint32_t slot = slot_of(world, name);
    unsigned n = 0;

    for (unsigned i = 0; i < world->keeper.signals; i++)
        n += world->keeper.signalled[i] == slot;
    return n;
}

static void reopen(struct world *world)
{
    world_drop(world);
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
}

/* What the daemon began with did not run: "app", "base" and "spare" are as if new. */
static void start_all(struct world *world)
{
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_begin(world, FLOCKS_OPERATION_KIND_START, NULL, id);
}

static void begin_both(struct world *world)
{
    world->config_request = &config_request;
    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    (void)change(world, both);
    start_all(world);
    run_until(world, "app", FLOCKS_SERVICE_STATE_HEALTHY);
}

/* ---- tests ---- */

static void test_apply_lets_go_what_is_stopped_at_once(void **state)
{
    struct world *world = *state;

    world->config_request = &config_request;
    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    assert_true(look(world, "spare").exists);
    (void)change(world, both);
    world_turn(world);
    assert_false(look(world, "spare").exists);
    assert_true(look(world, "app").exists);
}

static void test_apply_restarts_dependents_first_and_starts_them_last(void **state)
{
    struct world *world = *state;
    struct answer answer;

    begin_both(world);
    answer = change(world, both_changed);
    assert_int_equal(signals_to(world, "app"), 1);
    assert_int_equal(signals_to(world, "base"), 0);
    end_run(world, "app");
    run_until(world, "app", FLOCKS_SERVICE_STATE_WAITING);
    /* It is down, and waits: what it waits for is to be replaced. */
    assert_int_equal(signals_to(world, "base"), 1);
    end_run(world, "base");
    run_until(world, "base", FLOCKS_SERVICE_STATE_HEALTHY);
    run_until(world, "app", FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(look(world, "app").generation, 2);
    assert_int_equal(look(world, "base").generation, 2);
    assert_int_equal(world_operation_state(world, answer.id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

static void test_apply_goes_on_after_a_death_in_its_middle(void **state)
{
    struct world *world = *state;
    struct answer answer;

    begin_both(world);
    answer = change(world, both_changed);
    /* Before anything has ended: both run with what no configuration says any more. */
    reopen(world);
    end_run(world, "app");
    reopen(world);
    run_until(world, "app", FLOCKS_SERVICE_STATE_WAITING);
    end_run(world, "base");
    reopen(world);
    run_until(world, "app", FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(look(world, "app").generation, 2);
    assert_int_equal(world_operation_state(world, answer.id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* Killed right after the answer: what was told is written. */
static void test_apply_is_written_before_it_is_told(void **state)
{
    struct world *world = *state;
    struct answer answer;

    begin_both(world);
    answer = change(world, base_only);
    fake_keeper_copy_state(&world->keeper, world->state_fd);
    world_drop(world);
    world_use_state_copy(world);
    world_open(world, false, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    assert_int_equal(look(world, "app").state, FLOCKS_SERVICE_STATE_STOPPING);
    end_run(world, "app");
    run_until_gone(world, "app");
    assert_int_equal(look(world, "base").generation, 1);
    assert_int_equal(world_operation_state(world, answer.id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* The fake keeper refuses a number that a slot has had. */
static void test_apply_numbers_runs_above_those_of_a_slots_former_owner(void **state)
{
    struct world *world = *state;
    uint32_t former;

    begin_both(world);
    former = slot_of(world, "base");
    for (int i = 0; i < 4; i++) {
        end_run(world, "base");
        run_until(world, "base", FLOCKS_SERVICE_STATE_HEALTHY);
    }
    (void)change(world, base_only);
    end_run(world, "app");
    run_until_gone(world, "app");
    (void)change(world, renamed);
    end_run(world, "base");
    run_until_gone(world, "base");
    run_until(world, "fresh", FLOCKS_SERVICE_STATE_HEALTHY);
    reopen(world);
    (void)change(world, both);
    end_run(world, "fresh");
    run_until(world, "app", FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(look(world, "base").generation, 1);
    assert_true(world->keeper.children[former].generation > 5 || slot_of(world, "base") != former);
}

static void test_apply_refuses_what_was_planned_of_another_state(void **state)
{
    struct world *world = *state;
    struct answer planned;
    struct answer applied;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    begin_both(world);
    planned = plan(world, both_changed);
    applied = apply_plan(world, planned.plan, base_only);
    assert_int_equal(applied.result, -STATUS_ABORTED);
    assert_int_equal(applied.reason, FLOCKS_ERROR_REASON_STALE_PLAN);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "app", id);
    applied = apply_plan(world, planned.plan, both_changed);
    assert_int_equal(applied.reason, FLOCKS_ERROR_REASON_STALE_PLAN);
    assert_int_equal(look(world, "base").generation, 1);
}

static void test_apply_is_refused_once_a_shutdown_was_asked_for(void **state)
{
    struct world *world = *state;
    const struct supervisor_apply_request request = {.plan = "", .text = text_of(both_changed)};
    struct answer answer = {.n = 0};
    struct supervisor_job *job;
    struct error error = ERROR_INIT;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    begin_both(world);
    world_begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    assert_int_equal(
        supervisor_apply(world->supervisor, &request, on_applied, &answer, id, &job, &error),
        -STATUS_FAILED_PRECONDITION);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_SHUTTING_DOWN);
}

static void test_apply_stop_of_a_person_goes_first(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct answer answer;

    begin_both(world);
    answer = change(world, base_changed);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", id);
    end_run(world, "app");
    end_run(world, "base");
    run_until(world, "base", FLOCKS_SERVICE_STATE_STOPPED);
    run_until_gone(world, "app");
    assert_int_equal(world_operation_state(world, answer.id), FLOCKS_OPERATION_STATE_CANCELLED);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* One service of it is gone by the time that it has to end for the other one, too. */
static void test_apply_overdue_when_one_of_its_services_is_gone(void **state)
{
    struct world *world = *state;
    struct supervisor_apply_request request = {.text = text_of(base_changed), .timeout_ms = 300};
    struct answer planned;
    struct answer applied = {.n = 0};
    struct supervisor_job *job;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    begin_both(world);
    planned = plan(world, base_changed);
    request.plan = planned.plan;
    assert_int_equal(
        supervisor_apply(world->supervisor, &request, on_applied, &applied, id, &job, NULL), 0);
    run_until_answered(world, &applied);
    assert_int_equal(applied.result, 0);
    end_run(world, "app");
    run_until_gone(world, "app");
    RUN_UNTIL(
        &world->loop, world_operation_state(world, applied.id) != FLOCKS_OPERATION_STATE_RUNNING);
    assert_int_equal(
        world_operation_state(world, applied.id), FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED);
    assert_int_equal(look(world, "base").state, FLOCKS_SERVICE_STATE_STOPPING);
}

#define ALIVE(on_failure)                                                                          \
    "services: {base: {command: [/bin/sleep, \"1000\"], probes: {alive: {tcp: {port: 1}, "         \
    "period: 50ms, timeout: 50ms, failure_threshold: 1, on_failure: " on_failure "}}}}\n"

/* What has failed for long does not fail anew, but is no less failing for that. */
static void test_apply_ends_what_fails_already_once_it_is_to_be_ended(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world->config_request = &config_request;
    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    (void)change(world, ALIVE("REPORT"));
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    run_until(world, "base", FLOCKS_SERVICE_STATE_DEGRADED);
    (void)change(world, ALIVE("RESTART"));
    run_until(world, "base", FLOCKS_SERVICE_STATE_STOPPING);
}

static void test_plan_tells_mistakes(void **state)
{
    struct world *world = *state;
    struct answer answer;

    begin_both(world);
    answer = plan(world, "services: {app: {}}\n");
    assert_int_equal(answer.result, 0);
    assert_int_equal(answer.n_mistakes, 1);
    assert_string_equal(answer.plan, "");
}

static void test_plan_of_too_many_at_once_is_refused_and_cancelled_ones_make_room(void **state)
{
    struct world *world = *state;
    const struct supervisor_text text = text_of(both);
    struct answer answers[SUPERVISOR_JOBS_MAX + 1] = {{.n = 0}};
    struct supervisor_job *jobs[SUPERVISOR_JOBS_MAX + 1];
    struct error error = ERROR_INIT;

    begin_both(world);
    for (size_t i = 0; i < SUPERVISOR_JOBS_MAX; i++)
        assert_int_equal(
            supervisor_plan(world->supervisor, &text, on_planned, &answers[i], &jobs[i], NULL), 0);
    assert_int_equal(supervisor_plan(world->supervisor, &text, on_planned,
                         &answers[SUPERVISOR_JOBS_MAX], &jobs[SUPERVISOR_JOBS_MAX], &error),
        -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_LIMIT_REACHED);
    /* One that is being read, one that waits. */
    supervisor_job_cancel(jobs[0]);
    supervisor_job_cancel(jobs[1]);
    assert_int_equal(supervisor_plan(world->supervisor, &text, on_planned,
                         &answers[SUPERVISOR_JOBS_MAX], &jobs[SUPERVISOR_JOBS_MAX], NULL),
        0);
    run_until_answered(world, &answers[SUPERVISOR_JOBS_MAX]);
    assert_int_equal(answers[0].n, 0);
    assert_int_equal(answers[1].n, 0);
    for (size_t i = 2; i < SUPERVISOR_JOBS_MAX; i++)
        assert_int_equal(answers[i].n, 1);
}

/* Whoever writes beside the file, without end, perhaps, makes the daemon look at it. */
static void test_plan_has_its_place_whatever_the_daemon_itself_looks_at(void **state)
{
    struct world *world = *state;
    const struct supervisor_text text = text_of(both);
    struct answer answers[SUPERVISOR_JOBS_MAX] = {{.n = 0}};
    struct supervisor_job *job;

    begin_both(world);
    supervisor_look_at_file(world->supervisor);
    for (size_t i = 0; i < SUPERVISOR_JOBS_MAX; i++)
        assert_int_equal(
            supervisor_plan(world->supervisor, &text, on_planned, &answers[i], &job, NULL), 0);
    supervisor_look_at_file(world->supervisor);
    assert_int_equal(supervisor_plan(world->supervisor, &text, on_planned, &answers[0], &job, NULL),
        -STATUS_RESOURCE_EXHAUSTED);
    run_until_answered(world, &answers[SUPERVISOR_JOBS_MAX - 1]);
}

static void test_plan_is_not_answered_by_a_supervisor_that_was_closed(void **state)
{
    struct world *world = *state;
    const struct supervisor_text text = text_of(both_changed);
    struct answer answers[2] = {{.n = 0}};
    struct supervisor_job *job;

    begin_both(world);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            supervisor_plan(world->supervisor, &text, on_planned, &answers[i], &job, NULL), 0);
    world_drop(world);
    assert_int_equal(answers[0].n + answers[1].n, 0);
}

static void test_plan_without_a_file_to_compare_with_is_refused(void **state)
{
    struct world *world = *state;
    const struct supervisor_text text = text_of(both);
    struct answer answer = {.n = 0};
    struct supervisor_job *job;

    world_open(world, true, false);
    assert_int_equal(supervisor_plan(world->supervisor, &text, on_planned, &answer, &job, NULL),
        -STATUS_FAILED_PRECONDITION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply_lets_go_what_is_stopped_at_once),
        TEST(test_apply_restarts_dependents_first_and_starts_them_last),
        TEST(test_apply_goes_on_after_a_death_in_its_middle),
        TEST(test_apply_is_written_before_it_is_told),
        TEST(test_apply_numbers_runs_above_those_of_a_slots_former_owner),
        TEST(test_apply_refuses_what_was_planned_of_another_state),
        TEST(test_apply_is_refused_once_a_shutdown_was_asked_for),
        TEST(test_apply_stop_of_a_person_goes_first),
        TEST(test_apply_overdue_when_one_of_its_services_is_gone),
        TEST(test_apply_ends_what_fails_already_once_it_is_to_be_ended),
        TEST(test_plan_tells_mistakes),
        TEST(test_plan_of_too_many_at_once_is_refused_and_cancelled_ones_make_room),
        TEST(test_plan_has_its_place_whatever_the_daemon_itself_looks_at),
        TEST(test_plan_is_not_answered_by_a_supervisor_that_was_closed),
        TEST(test_plan_without_a_file_to_compare_with_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
