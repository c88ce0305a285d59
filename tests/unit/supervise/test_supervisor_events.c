/* What watchers are told: every change once, in order, whatever becomes of flocksd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/supervisor_private.h"
#include "world.h"

/* ---- a watcher ---- */

enum { ARENA_BYTES = 16 * 1024 * 1024, TOKEN_SIZE = 48 };

struct watcher {
    struct supervisor_watch *watch;
    unsigned woken;
    char token[TOKEN_SIZE]; /* of the last item */
};

static void on_wake(void *data)
{
    ((struct watcher *)data)->woken++;
}

static int open_watcher(struct world *world, struct watcher *watcher, const char *after,
    const char *service, struct error *error)
{
    const struct supervisor_watching watching = {.after = after,
        .services = &service,
        .n_services = service != NULL ? 1 : 0,
        .wake = on_wake,
        .data = watcher};

    *watcher = (struct watcher){.watch = NULL};
    return supervisor_watch(world->supervisor, &watching, &watcher->watch, error);
}

static void watch(
    struct world *world, struct watcher *watcher, const char *after, const char *service)
{
    assert_int_equal(open_watcher(world, watcher, after, service, NULL), 0);
}

/* One line for an item: "snapshot 3", "gap 17", "base STOPPED>STARTING", "START SUCCEEDED",
 * "daemon RUNNING"; "" when there is none. */
static void describe(const flocks_watch_events_response *item, char *out, size_t size)
{
    const flocks_event *event = item->event;

    if (item->item_case == FLOCKS_WATCH_EVENTS_RESPONSE_ITEM_SNAPSHOT)
        (void)snprintf(out, size, "snapshot %zu", item->snapshot->n_services);
    else if (item->item_case == FLOCKS_WATCH_EVENTS_RESPONSE_ITEM_GAP)
        (void)snprintf(out, size, "gap %u", (unsigned)item->gap->events_lost);
    else if (event->kind_case == FLOCKS_EVENT_KIND_SERVICE)
        (void)snprintf(out, size, "%s %s>%s%s", event->service->status->name,
            flocks_service_state_name(event->service->previous_state),
            flocks_service_state_name(event->service->status->state),
            event->service->exit != NULL ? " exit" : "");
    else if (event->kind_case == FLOCKS_EVENT_KIND_OPERATION)
        (void)snprintf(out, size, "%s %s", flocks_operation_kind_name(event->operation->kind),
            flocks_operation_state_name(event->operation->state));
    else
        (void)snprintf(out, size, "daemon %s", flocks_daemon_state_name(event->daemon->state));
}

static const char *next_item(struct watcher *watcher)
{
    static char text[160];
    flocks_watch_events_response item;
    struct arena arena;
    int result;

    text[0] = '\0';
    arena_init(&arena, ARENA_BYTES);
    result = supervisor_watch_next(watcher->watch, &arena, &item, NULL);
    if (result == 0) {
        describe(&item, text, sizeof text);
        (void)snprintf(watcher->token, sizeof watcher->token, "%s", item.token);
    } else {
        assert_int_equal(result, SUPERVISOR_NOTHING);
    }
    arena_deinit(&arena);
    return text;
}

static void expect(struct watcher *watcher, const char *text)
{
    assert_string_equal(next_item(watcher), text);
}

/* Everything up to `last`, and nothing twice. */
static void skip_to(struct watcher *watcher, const char *last)
{
    for (;;) {
        const char *text = next_item(watcher);

        assert_string_not_equal(text, "");
        if (strcmp(text, last) == 0)
            return;
    }
}

static void get_token(struct world *world, char out[TOKEN_SIZE])
{
    struct arena arena;
    flocks_get_status_response response;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    (void)snprintf(out, TOKEN_SIZE, "%s", response.event_token);
    arena_deinit(&arena);
}

/* Everything said until now has been heard. */
static void hear_all(struct watcher *watcher)
{
    while (next_item(watcher)[0] != '\0') {
    }
}

/* ---- order ---- */

static void test_supervisor_events_follow_the_snapshot_in_order(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct watcher watcher;

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    watch(world, &watcher, "", NULL);
    expect(&watcher, "snapshot 3");
    expect(&watcher, "");
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    assert_true(watcher.woken > 0);
    expect(&watcher, "base STOPPED>STARTING");
    expect(&watcher, "START RUNNING");
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    expect(&watcher, "base STARTING>STARTING"); /* its pid */
    skip_to(&watcher, "base STARTING>HEALTHY");
    expect(&watcher, "START SUCCEEDED");
    expect(&watcher, "");
    supervisor_watch_close(watcher.watch);
}

/* The next item, or "" if there is none, begins with `text`. */
static void expect_beginning(struct watcher *watcher, const char *text)
{
    const char *item = next_item(watcher);

    assert_true(strlen(item) >= strlen(text));
    assert_memory_equal(item, text, strlen(text));
}

/* What is left to hear; how many of that tell of an end. */
static unsigned count_exits(struct watcher *watcher)
{
    unsigned n = 0;

    for (const char *text = next_item(watcher); text[0] != '\0'; text = next_item(watcher))
        n += strstr(text, " exit") != NULL;
    return n;
}

static void test_supervisor_events_end_of_a_generation_is_told_once(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    expect(&watcher, "snapshot 3");
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_spawns(world, 2);
    assert_int_equal(count_exits(&watcher), 1);
    supervisor_watch_close(watcher.watch);
}

/* From STOPPED by way of WAITING. */
static void test_supervisor_events_of_one_turn_are_one(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", "spare");
    expect(&watcher, "snapshot 1");
    service_ask(supervisor_find(world->supervisor, "spare"), SERVICE_EVENT_START,
        FLOCKS_STATE_REASON_REQUESTED, false);
    world_turn(world);
    expect(&watcher, "spare STOPPED>STARTING");
    expect(&watcher, "");
    supervisor_watch_close(watcher.watch);
}

static void test_supervisor_events_are_not_made_of_what_has_not_changed(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    expect(&watcher, "snapshot 3");
    supervisor_status_changed(supervisor_find(world->supervisor, "base"));
    world_turn(world);
    expect(&watcher, "");
    supervisor_watch_close(watcher.watch);
}

/* dinit#363: what happens between a look and a subscription is not lost; what the look has shown is
 * not told again. */
static void test_supervisor_events_dinit_363_go_on_behind_the_token_of_a_status(void **state)
{
    struct world *world = *state;
    char token[TOKEN_SIZE];
    struct watcher watcher;

    world_start_base(world);
    /* Seen, but its turn is not over. */
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    get_token(world, token);
    watch(world, &watcher, token, NULL);
    expect(&watcher, "");
    world_run_until_spawns(world, 2);
    assert_int_equal(count_exits(&watcher), 0);
    supervisor_watch_close(watcher.watch);
}

static void test_supervisor_events_begin_anew_when_services_came_or_went(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    expect(&watcher, "snapshot 3");
    supervisor_services_changed(world->supervisor);
    world_turn(world);
    expect(&watcher, "snapshot 3");
    expect(&watcher, "");
    supervisor_watch_close(watcher.watch);
}

static void test_supervisor_events_of_a_shutdown_say_that_the_daemon_stops(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    expect(&watcher, "snapshot 3");
    world_begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    skip_to(&watcher, "daemon STOPPING");
    supervisor_watch_close(watcher.watch);
}

static void test_supervisor_events_of_a_lease_are_the_last_one_of_the_turn(void **state)
{
    struct world *world = *state;
    flocks_lease lease = FLOCKS_LEASE_INIT;
    const char *services[] = {"base"};
    flocks_watch_events_response item;
    struct watcher watcher;
    struct watcher other;
    struct arena arena;

    world_start_base(world);
    watch(world, &watcher, "", "base");
    watch(world, &other, "", "spare");
    expect(&watcher, "snapshot 1");
    expect(&other, "snapshot 1");
    lease.id = "a-lease";
    lease.services = services;
    lease.n_services = 1;
    lease.phase = FLOCKS_UPGRADE_PHASE_HELD;
    supervisor_lease_changed(world->supervisor, &lease);
    lease.phase = FLOCKS_UPGRADE_PHASE_COMMITTING;
    supervisor_lease_changed(world->supervisor, &lease);
    world_turn(world);
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(supervisor_watch_next(watcher.watch, &arena, &item, NULL), 0);
    assert_int_equal(item.event->kind_case, FLOCKS_EVENT_KIND_LEASE);
    assert_int_equal(item.event->lease->phase, FLOCKS_UPGRADE_PHASE_COMMITTING);
    arena_deinit(&arena);
    expect(&watcher, "");
    expect(&other, "");
    supervisor_watch_close(watcher.watch);
    supervisor_watch_close(other.watch);
}

/* ---- who watches what ---- */

static void test_supervisor_events_of_other_services_are_left_out(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_open(world, true, true);
    fake_link_answer_list(&world->link);
    world_turn(world);
    watch(world, &watcher, "", "app");
    expect(&watcher, "snapshot 1");
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    world_answer_spawns(world);
    world_run_until_state(world, 0, FLOCKS_SERVICE_STATE_HEALTHY);
    for (;;) {
        const char *text = next_item(&watcher);

        assert_string_not_equal(text, "");
        assert_int_not_equal(strncmp(text, "base", 4), 0);
        if (strcmp(text, "START SUCCEEDED") == 0)
            break;
    }
    supervisor_watch_close(watcher.watch);
}

static void test_supervisor_events_of_unknown_services_and_bad_tokens_are_refused(void **state)
{
    struct world *world = *state;
    struct error error = ERROR_INIT;
    struct error token_error = ERROR_INIT;
    struct watcher watcher;

    world_start_base(world);
    assert_int_equal(open_watcher(world, &watcher, "", "nobody", &error), -STATUS_NOT_FOUND);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    assert_int_equal(
        open_watcher(world, &watcher, "yesterday", NULL, &token_error), -STATUS_INVALID_ARGUMENT);
    assert_true(token_error.hint[0] != '\0');
}

static void test_supervisor_events_have_1024_watchers_at_most(void **state)
{
    static struct watcher watchers[SUPERVISOR_WATCHES_MAX];
    struct world *world = *state;
    struct error error = ERROR_INIT;
    struct watcher more;

    world_start_base(world);
    for (size_t i = 0; i < SUPERVISOR_WATCHES_MAX; i++)
        watch(world, &watchers[i], "", NULL);
    assert_int_equal(open_watcher(world, &more, "", NULL, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_LIMIT_REACHED);
    supervisor_watch_close(watchers[7].watch);
    watch(world, &watchers[7], "", NULL);
    for (size_t i = 0; i < SUPERVISOR_WATCHES_MAX; i++)
        supervisor_watch_close(watchers[i].watch);
}

/* supervisord drops the oldest without a word; a watcher that reads too slowly here is told how
 * many, and shown how everything is. */
static void test_supervisor_events_lost_by_a_slow_watcher_are_counted(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    char token[TOKEN_SIZE];
    struct watcher slow;

    world_start_base(world);
    watch(world, &slow, "", NULL);
    expect(&slow, "snapshot 3");
    (void)snprintf(token, sizeof token, "%s", slow.token);
    for (int i = 0; i < EVENTS_MAX + 5; i++) {
        supervisor_daemon_changed(world->supervisor);
        supervisor_save(world->supervisor);
    }
    assert_int_equal(strncmp(next_item(&slow), "gap ", 4), 0);
    assert_string_equal(slow.token, token);
    expect(&slow, "snapshot 3");
    expect(&slow, "");
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", id);
    expect(&slow, "base HEALTHY>STOPPING");
    supervisor_watch_close(slow.watch);
}

static void test_supervisor_events_watch_may_outlive_the_supervisor(void **state)
{
    struct world *world = *state;
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    world_drop(world);
    supervisor_watch_close(watcher.watch);
}

/* ---- the next flocksd ---- */

static void test_supervisor_events_go_on_in_the_next_flocksd(void **state)
{
    struct world *world = *state;
    char token[TOKEN_SIZE];
    struct watcher watcher;

    world_start_base(world);
    watch(world, &watcher, "", NULL);
    hear_all(&watcher);
    (void)snprintf(token, sizeof token, "%s", watcher.token);
    supervisor_watch_close(watcher.watch);
    world_drop(world);
    world_open(world, false, false);
    watch(world, &watcher, token, NULL);
    expect(&watcher, "");
    fake_link_answer_list(&world->link);
    world_turn(world);
    expect(&watcher, "daemon RUNNING"); /* another pid */
    expect(&watcher, "");
    supervisor_watch_close(watcher.watch);
}

/* Killed when the state had been written: the end of the generation is told once, by the one that
 * died or by the next. */
static void test_supervisor_events_of_a_killed_flocksd_are_told_by_the_next(void **state)
{
    struct world *world = *state;
    char token[TOKEN_SIZE];
    struct watcher watcher;

    world_start_base(world);
    get_token(world, token);
    world->keeper.copies_state_from = world->state_fd;
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_spawns(world, 2);
    world_drop(world);
    world_use_state_copy(world);
    world_open(world, false, false);
    watch(world, &watcher, token, NULL);
    fake_link_answer_list(&world->link);
    world_turn(world);
    expect_beginning(&watcher, "base HEALTHY>");
    supervisor_watch_close(watcher.watch);
    watch(world, &watcher, token, NULL);
    assert_int_equal(count_exits(&watcher), 1);
    supervisor_watch_close(watcher.watch);
}

/* Killed before: the next one sees the end itself, and tells it. */
static void test_supervisor_events_of_what_was_not_written_are_told_when_seen_again(void **state)
{
    struct world *world = *state;
    char token[TOKEN_SIZE];
    struct watcher watcher;

    world_start_base(world);
    get_token(world, token);
    fake_keeper_copy_state(&world->keeper, world->state_fd);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_drop(world);
    world_use_state_copy(world);
    world_open(world, false, false);
    watch(world, &watcher, token, NULL);
    expect(&watcher, "");
    fake_link_answer_list(&world->link);
    world_turn(world);
    expect_beginning(&watcher, "base HEALTHY>");
    supervisor_watch_close(watcher.watch);
}

/* ---- cancelling ---- */

static void cancel(struct world *world, const char *id)
{
    assert_int_equal(supervisor_cancel_operation(world->supervisor, id, NULL), 0);
}

static void test_supervisor_cancelled_start_that_waits_is_stopped_again(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "app", id);
    assert_int_equal(world_state_of(world, 0), FLOCKS_SERVICE_STATE_WAITING);
    cancel(world, id);
    assert_int_equal(world_state_of(world, 0), FLOCKS_SERVICE_STATE_STOPPED);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_CANCELLED);
    cancel(world, id);
}

static void test_supervisor_cancelled_start_that_was_launched_goes_on(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    cancel(world, id);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_CANCELLED);
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
}

/* Somebody else wants it, too, and is next. */
static void test_supervisor_cancelled_start_is_not_undone_for_the_next_one(void **state)
{
    struct world *world = *state;
    const char *names[] = {"app", "spare"};
    const struct supervisor_request both = {
        .kind = FLOCKS_OPERATION_KIND_START, .services = names, .n_services = 2};
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    char other[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "app", id);
    assert_int_equal(supervisor_begin(world->supervisor, &both, other, NULL), 0);
    cancel(world, id);
    assert_int_equal(world_state_of(world, 0), FLOCKS_SERVICE_STATE_WAITING);
    assert_int_equal(world_operation_state(world, other), FLOCKS_OPERATION_STATE_RUNNING);
}

static void test_supervisor_cancelled_stop_is_not_undone(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", id);
    cancel(world, id);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_CANCELLED);
    (void)fake_link_end_child(&world->keeper, &world->link, 1, 0);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_STOPPED);
}

static void test_supervisor_shutdown_and_unknown_operations_are_not_cancelled(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    world_start_base(world);
    assert_int_equal(
        supervisor_cancel_operation(world->supervisor, "nobody's", &error), -STATUS_NOT_FOUND);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UNKNOWN_OPERATION);
    world_begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    assert_int_equal(
        supervisor_cancel_operation(world->supervisor, id, &error), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_SHUTTING_DOWN);
}

/* ---- explaining ---- */

static void test_supervisor_explains_what_a_service_waits_for_and_who_asked(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    flocks_explain_service_response why;
    struct arena arena;

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "app", id);
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(supervisor_explain(world->supervisor, "app", &arena, &why, NULL), 0);
    assert_int_equal(why.status->state, FLOCKS_SERVICE_STATE_WAITING);
    assert_int_equal(why.n_waiting_for, 1);
    assert_string_equal(why.waiting_for[0], "base");
    assert_string_equal(why.last_operation->id, id);
    assert_non_null(strstr(why.hint, "base"));
    arena_deinit(&arena);
}

static void test_supervisor_explains_ends_and_how_close_the_breaker_is(void **state)
{
    struct world *world = *state;
    flocks_explain_service_response why;
    struct arena arena;

    world_start_base(world);
    for (unsigned i = 0; i < 3; i++) {
        (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
        world_run_until_spawns(world, i + 2);
        fake_link_answer_spawns(&world->link);
    }
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(supervisor_explain(world->supervisor, "base", &arena, &why, NULL), 0);
    assert_int_equal(why.n_exits, 3);
    assert_int_equal(why.exits[0]->generation, 3);
    assert_string_equal(why.exits[2]->signal, "SIGKILL");
    assert_int_equal(why.n_breaker, 2); /* one late, two early ends */
    assert_int_equal(why.breaker[0]->allowed, 5);
    arena_deinit(&arena);
}

static void test_supervisor_explains_sixteen_ends_at_most(void **state)
{
    struct world *world = *state;
    struct service *service;
    struct service_exit exit = {.reason = FLOCKS_STATE_REASON_EXITED};
    flocks_explain_service_response why;
    struct arena arena;

    world_start_base(world);
    service = supervisor_find(world->supervisor, "base");
    for (uint32_t i = 1; i <= SERVICE_EXITS_MAX + 1; i++) {
        exit.generation = i;
        service_note_exit(service, &exit);
    }
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(supervisor_explain(world->supervisor, "base", &arena, &why, NULL), 0);
    assert_int_equal(why.n_exits, 16);
    assert_int_equal(why.exits[0]->generation, 17);
    arena_deinit(&arena);
}

static void test_supervisor_explains_no_unknown_service(void **state)
{
    struct world *world = *state;
    struct error error = ERROR_INIT;
    flocks_explain_service_response why;
    struct arena arena;

    world_start_base(world);
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(
        supervisor_explain(world->supervisor, "nobody", &arena, &why, &error), -STATUS_NOT_FOUND);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UNKNOWN_SERVICE);
    arena_deinit(&arena);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_supervisor_events_follow_the_snapshot_in_order),
        TEST(test_supervisor_events_end_of_a_generation_is_told_once),
        TEST(test_supervisor_events_of_one_turn_are_one),
        TEST(test_supervisor_events_are_not_made_of_what_has_not_changed),
        TEST(test_supervisor_events_dinit_363_go_on_behind_the_token_of_a_status),
        TEST(test_supervisor_events_begin_anew_when_services_came_or_went),
        TEST(test_supervisor_events_of_a_shutdown_say_that_the_daemon_stops),
        TEST(test_supervisor_events_of_a_lease_are_the_last_one_of_the_turn),
        TEST(test_supervisor_events_of_other_services_are_left_out),
        TEST(test_supervisor_events_of_unknown_services_and_bad_tokens_are_refused),
        TEST(test_supervisor_events_have_1024_watchers_at_most),
        TEST(test_supervisor_events_lost_by_a_slow_watcher_are_counted),
        TEST(test_supervisor_events_watch_may_outlive_the_supervisor),
        TEST(test_supervisor_events_go_on_in_the_next_flocksd),
        TEST(test_supervisor_events_of_a_killed_flocksd_are_told_by_the_next),
        TEST(test_supervisor_events_of_what_was_not_written_are_told_when_seen_again),
        TEST(test_supervisor_cancelled_start_that_waits_is_stopped_again),
        TEST(test_supervisor_cancelled_start_that_was_launched_goes_on),
        TEST(test_supervisor_cancelled_start_is_not_undone_for_the_next_one),
        TEST(test_supervisor_cancelled_stop_is_not_undone),
        TEST(test_supervisor_shutdown_and_unknown_operations_are_not_cancelled),
        TEST(test_supervisor_explains_what_a_service_waits_for_and_who_asked),
        TEST(test_supervisor_explains_ends_and_how_close_the_breaker_is),
        TEST(test_supervisor_explains_sixteen_ends_at_most),
        TEST(test_supervisor_explains_no_unknown_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
