/* The driven client: one descriptor in a loop that does nothing but poll it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flocks/calls.h"

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "daemon_double.h"
#include "unit.h"

enum { PATIENCE_MS = 10000 };

static struct flocks_client *client;
static struct flocks_error *error;
static bool is_running_answer;
static int n_answered;
static int n_failed;
static enum rpc_code last_code;
static bool last_is_not_running;
static int last_system_error;

static bool is_running(void *data)
{
    (void)data;
    return is_running_answer;
}

static int set_up(void **state)
{
    (void)state;
    double_make_place();
    is_running_answer = true;
    n_answered = n_failed = 0;
    const struct flocks_client_options options = {
        .socket = double_path(), .is_running = is_running};
    client = flocks_client_new(&options, &error);
    return client != NULL && flocks_client_drive(client, &error) == RPC_DONE ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    flocks_error_free(error);
    error = NULL;
    flocks_client_free(client);
    double_remove_place();
    return 0;
}

/* Turns until *what is `wanted`; each turn must be for something. */
static void turn_until(const int *what, int wanted)
{
    int64_t until_at = clock_monotonic_ms() + PATIENCE_MS;
    int n_turns = 0;
    while (*what < wanted) {
        struct pollfd ready = {.fd = flocks_client_fd(client), .events = POLLIN};
        int64_t left_ms = until_at - clock_monotonic_ms();
        assert_true(left_ms > 0);
        (void)poll(&ready, 1, (int)left_ms);
        flocks_client_process(client);
        assert_true(++n_turns < 100000);
    }
}

static void turn_for(int64_t time_ms, int max_turns)
{
    int64_t until_at = clock_monotonic_ms() + time_ms;
    int64_t left_ms;
    while ((left_ms = until_at - clock_monotonic_ms()) > 0) {
        struct pollfd ready = {.fd = flocks_client_fd(client), .events = POLLIN};
        if (poll(&ready, 1, (int)left_ms) > 0)
            max_turns--;
        flocks_client_process(client);
    }
    assert_true(max_turns >= 0);
}

/* ---- calls ---- */

static void on_status(
    void *data, const struct flocks_error *failure, const flocks_get_status_response *response)
{
    assert_true((failure == NULL) != (response == NULL));
    int *n_more = data;
    if (response != NULL) {
        assert_string_equal(response->event_token, "token");
        n_answered++;
    }
    if (failure != NULL) {
        last_code = failure->code;
        last_is_not_running = failure->is_not_running;
        n_failed++;
    }
    if (n_more != NULL && (*n_more)-- > 0) {
        flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
        assert_non_null(
            flocks_client_get_status_begin(client, NULL, &request, on_status, data, &error));
    }
}

static struct flocks_pending *ask(int64_t timeout_ms, int *n_more)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    struct flocks_pending *pending =
        flocks_client_get_status_begin(client, &options, &request, on_status, n_more, &error);
    assert_non_null(pending);
    return pending;
}

static void on_stop(
    void *data, const struct flocks_error *failure, const flocks_stop_services_response *response)
{
    (void)data;
    assert_null(response);
    assert_string_equal(failure->detail->service, "web");
    n_failed++;
}

static void test_calls_are_answered_and_begin_more(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 0});
    int n_more = 20;
    (void)ask(0, NULL);
    (void)ask(0, &n_more);
    (void)ask(0, NULL);
    turn_until(&n_answered, 23);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    assert_non_null(
        flocks_client_stop_services_begin(client, NULL, &request, on_stop, NULL, &error));
    turn_until(&n_failed, 1);
    /* Idle means idle. */
    turn_for(100, 0);
}

static void test_calls_wait_for_a_daemon_that_comes_late(void **state)
{
    (void)state;
    (void)ask(0, NULL);
    turn_for(60, 20);
    double_listen();
    turn_for(30, 20);
    double_run(&(struct daemon_script){.last = 0});
    turn_until(&n_answered, 1);
    assert_int_equal(n_failed, 0);
}

static void test_calls_are_repeated_when_the_daemon_is_replaced(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.n_dropped = 2});
    (void)ask(0, NULL);
    turn_until(&n_answered, 1);
    double_kill();
    (void)ask(0, NULL);
    turn_for(50, 20);
    double_run(&(struct daemon_script){.last = 0});
    turn_until(&n_answered, 2);
    assert_int_equal(n_failed, 0);
}

static void on_restart(void *data, const struct flocks_error *failure,
    const flocks_restart_services_response *response)
{
    (void)data;
    assert_null(response);
    last_code = failure->code;
    n_failed++;
}

static void test_call_with_effects_is_not_repeated(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.n_dropped = 1});
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    assert_non_null(
        flocks_client_restart_services_begin(client, NULL, &request, on_restart, NULL, &error));
    turn_until(&n_failed, 1);
    assert_int_equal(last_code, RPC_UNAVAILABLE);
    request.request_id = "r1";
    assert_non_null(
        flocks_client_restart_services_begin(client, NULL, &request, on_restart, NULL, &error));
    turn_until(&n_failed, 2);
    assert_int_equal(last_code, RPC_UNIMPLEMENTED);
}

static void test_deadline_passes_while_nobody_listens(void **state)
{
    (void)state;
    int64_t began_at = clock_monotonic_ms();
    (void)ask(80, NULL);
    turn_until(&n_failed, 1);
    assert_int_equal(last_code, RPC_DEADLINE_EXCEEDED);
    assert_true(clock_monotonic_ms() - began_at >= 80);
    is_running_answer = false;
    (void)ask(0, NULL);
    turn_until(&n_failed, 2);
    assert_true(last_is_not_running);
    turn_for(50, 1);
}

static void test_cancelled_and_dropped_calls_are_not_heard_of(void **state)
{
    (void)state;
    struct flocks_pending *waiting = ask(0, NULL);
    flocks_pending_cancel(waiting);
    turn_for(30, 3);
    double_listen();
    double_run(&(struct daemon_script){.last = 0});
    (void)ask(0, NULL);
    turn_until(&n_answered, 1);
    flocks_pending_cancel(ask(0, NULL));
    (void)ask(0, NULL);
    assert_int_equal(n_answered, 1);
}

/* It was never sent there: the daemon had closed the connection before the loop could see it. */
static void test_call_with_effects_survives_a_daemon_that_was_replaced_before_it(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 0});
    (void)ask(0, NULL);
    turn_until(&n_answered, 1);
    double_kill();
    double_run(&(struct daemon_script){.last = 0});
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    assert_non_null(
        flocks_client_restart_services_begin(client, NULL, &request, on_restart, NULL, &error));
    turn_until(&n_failed, 1);
    assert_int_equal(last_code, RPC_UNIMPLEMENTED);
}

static void on_system_error(
    void *data, const struct flocks_error *failure, const flocks_get_status_response *response)
{
    (void)data;
    assert_null(response);
    last_code = failure->code;
    last_system_error = failure->system_error;
    n_failed++;
}

static void test_failure_to_connect_has_its_errno(void **state)
{
    (void)state;
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    const struct flocks_client_options options = {.socket = path};
    struct flocks_client *usual = client;
    client = flocks_client_new(&options, &error);
    assert_int_equal(flocks_client_drive(client, &error), RPC_DONE);
    assert_non_null(
        flocks_client_get_status_begin(client, NULL, &request, on_system_error, NULL, &error));
    turn_until(&n_failed, 1);
    assert_int_equal(last_code, RPC_INVALID_ARGUMENT);
    assert_int_equal(last_system_error, ENAMETOOLONG);
    flocks_client_free(client);
    client = usual;
}

/* ---- streams ---- */

struct watcher {
    struct flocks_stream *stream;
    int n_seen;
    int n_ended;
    enum rpc_code end_code;
    bool takes_one_a_time;
    bool is_owed;
    int closes_at;
};

static enum rpc_take on_event(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *event)
{
    struct watcher *watcher = data;
    assert_ptr_equal(stream, watcher->stream);
    if (watcher->takes_one_a_time && !watcher->is_owed) {
        watcher->is_owed = true;
        return RPC_TAKE_LATER;
    }
    watcher->is_owed = false;
    watcher->n_seen++;
    assert_int_equal(strtoul(event->token, NULL, 10), watcher->n_seen);
    if (watcher->n_seen == watcher->closes_at)
        flocks_stream_close(stream);
    return RPC_TAKE_DONE;
}

static void on_end(void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    struct watcher *watcher = data;
    assert_ptr_equal(stream, watcher->stream);
    watcher->n_ended++;
    watcher->end_code = failure == NULL ? RPC_OK : failure->code;
}

static const struct flocks_client_watch_events_hooks HOOKS = {.message = on_event, .ended = on_end};

static void watch(struct watcher *watcher, int64_t timeout_ms)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    watcher->stream =
        flocks_client_watch_events_watch(client, &options, &request, &HOOKS, watcher, &error);
    assert_non_null(watcher->stream);
}

static void test_streams_go_on_across_the_deaths_of_daemons(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 40, .n_said_max = 25});
    struct watcher first = {.n_seen = 0};
    struct watcher second = {.n_seen = 0};
    watch(&first, 0);
    watch(&second, 0);
    while (first.n_seen + second.n_seen < 25)
        turn_for(5, 1000);
    double_kill();
    double_run(&(struct daemon_script){.last = 40});
    turn_until(&first.n_ended, 1);
    turn_until(&second.n_ended, 1);
    assert_int_equal(first.n_seen, 40);
    assert_int_equal(second.n_seen, 40);
    assert_int_equal(first.end_code, RPC_OK);
    flocks_stream_close(first.stream);
    flocks_stream_close(second.stream);
}

/* One that takes its time loses nothing: what it cannot keep is asked for again. */
static void test_slow_watcher_sees_every_event_once(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 500});
    struct watcher watcher = {.takes_one_a_time = true};
    watch(&watcher, 0);
    while (watcher.n_ended == 0) {
        int before = watcher.n_seen;
        if (watcher.is_owed) {
            flocks_stream_wake(watcher.stream);
            flocks_client_process(client);
        } else {
            turn_for(5, 1000);
        }
        (void)before;
    }
    assert_int_equal(watcher.n_seen, 500);
    assert_int_equal(watcher.end_code, RPC_OK);
    flocks_stream_close(watcher.stream);
}

static void test_held_stream_does_not_spin_when_the_daemon_is_gone(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 0});
    struct watcher watcher = {.takes_one_a_time = true};
    watch(&watcher, 0);
    while (!watcher.is_owed)
        turn_for(5, 1000);
    double_kill();
    turn_for(50, 2);
    flocks_stream_close(watcher.stream);
}

static void test_stream_may_be_closed_from_its_hook(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 10});
    struct watcher watcher = {.closes_at = 3};
    watch(&watcher, 0);
    turn_until(&watcher.n_seen, 3);
    turn_for(30, 5);
    assert_int_equal(watcher.n_seen, 3);
    assert_int_equal(watcher.n_ended, 0);
}

static void test_deadline_of_a_stream_holds_during_an_outage(void **state)
{
    (void)state;
    struct watcher watcher = {.n_seen = 0};
    watch(&watcher, 100);
    turn_until(&watcher.n_ended, 1);
    assert_int_equal(watcher.end_code, RPC_DEADLINE_EXCEEDED);
    flocks_stream_close(watcher.stream);
    is_running_answer = false;
    watch(&watcher, 0);
    turn_until(&watcher.n_ended, 2);
    assert_int_equal(watcher.end_code, RPC_UNAVAILABLE);
    flocks_stream_close(watcher.stream);
}

/* A child that does not exec keeps our connections open, and so in the set of the loop. */
static void test_forked_child_leaves_no_closed_connection_in_the_loop(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 0});
    struct watcher watcher = {.n_seen = 0};
    watch(&watcher, 0);
    turn_until(&watcher.n_seen, 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    flocks_stream_close(watcher.stream);
    double_kill();
    turn_for(50, 2);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

/* The time of an outage counts from when somebody was there last, even if he said nothing. */
static void test_quiet_stream_bears_every_outage_anew(void **state)
{
    (void)state;
    double_listen();
    double_run(&(struct daemon_script){.last = 3, .n_said_max = 1});
    struct watcher watcher = {.n_seen = 0};
    watch(&watcher, 0);
    turn_until(&watcher.n_seen, 1);
    double_kill();
    turn_for(30, 20);
    assert_true(watcher.stream->outage_at != CLOCK_NEVER);
    /* As if that had been long ago, and a daemon there ever since. */
    watcher.stream->outage_at -= 2 * (int64_t)FLOCKS_CLIENT_OUTAGE_MS;
    watcher.stream->begun_at -= FLOCKS_CLIENT_OUTAGE_MS;
    double_run(&(struct daemon_script){.n_dropped = 1, .last = 3});
    turn_until(&watcher.n_ended, 1);
    assert_int_equal(watcher.end_code, RPC_OK);
    assert_int_equal(watcher.n_seen, 3);
    flocks_stream_close(watcher.stream);
}

static void test_blocking_functions_are_refused(void **state)
{
    (void)state;
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *response = NULL;
    assert_int_equal(
        flocks_client_get_status(client, NULL, &request, &response, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    struct watcher watcher = {.n_seen = 0};
    watch(&watcher, 0);
    const ProtobufCMessage *message = NULL;
    assert_int_equal(flocks_stream_next(watcher.stream, &message, NULL), RPC_ERROR);
    flocks_stream_close(watcher.stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_are_answered_and_begin_more),
        TEST(test_calls_wait_for_a_daemon_that_comes_late),
        TEST(test_calls_are_repeated_when_the_daemon_is_replaced),
        TEST(test_call_with_effects_is_not_repeated),
        TEST(test_deadline_passes_while_nobody_listens),
        TEST(test_cancelled_and_dropped_calls_are_not_heard_of),
        TEST(test_call_with_effects_survives_a_daemon_that_was_replaced_before_it),
        TEST(test_failure_to_connect_has_its_errno),
        TEST(test_forked_child_leaves_no_closed_connection_in_the_loop),
        TEST(test_quiet_stream_bears_every_outage_anew),
        TEST(test_streams_go_on_across_the_deaths_of_daemons),
        TEST(test_slow_watcher_sees_every_event_once),
        TEST(test_held_stream_does_not_spin_when_the_daemon_is_gone),
        TEST(test_stream_may_be_closed_from_its_hook),
        TEST(test_deadline_of_a_stream_holds_during_an_outage),
        TEST(test_blocking_functions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
