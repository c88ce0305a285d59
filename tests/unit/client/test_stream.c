/* Blocking streams across the deaths of the daemon. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "flocks/calls.h"

#include "common/base/clock.h"
#include "daemon_double.h"
#include "unit.h"

static struct flocks_client *client;
static struct flocks_error *error;
static bool is_running_answer;

static bool is_running(void *data)
{
    (void)data;
    return is_running_answer;
}

static int set_up(void **state)
{
    (void)state;
    double_make_place();
    double_listen();
    is_running_answer = true;
    const struct flocks_client_options options = {
        .socket = double_path(), .is_running = is_running};
    client = flocks_client_new(&options, &error);
    return client == NULL ? -1 : 0;
}

static void forget_error(void)
{
    flocks_error_free(error);
    error = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    forget_error();
    flocks_client_free(client);
    double_remove_place();
    return 0;
}

static struct flocks_stream *watch(int64_t timeout_ms)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    struct flocks_stream *stream = flocks_client_watch_events(client, &options, &request, &error);
    assert_non_null(stream);
    return stream;
}

static void expect_number(struct flocks_stream *stream, unsigned number)
{
    const flocks_watch_events_response *event = NULL;
    assert_int_equal(flocks_client_watch_events_next(stream, &event, &error), RPC_DONE);
    assert_int_equal(strtoul(event->token, NULL, 10), number);
    rpc_message_free(&event->base);
}

static enum rpc_result next(struct flocks_stream *stream)
{
    const ProtobufCMessage *message = NULL;
    enum rpc_result result = flocks_stream_next(stream, &message, &error);
    assert_null(message);
    return result;
}

/* More than one read holds, and nobody is ever too slow for it. */
static void test_long_stream_is_read_at_the_readers_pace(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 5000});
    struct flocks_stream *stream = watch(0);
    for (unsigned i = 1; i <= 5000; i++)
        expect_number(stream, i);
    assert_int_equal(next(stream), RPC_END);
    assert_int_equal(next(stream), RPC_END);
    flocks_stream_close(stream);
}

static void test_stream_goes_on_behind_what_was_seen_when_the_daemon_is_replaced(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 30, .n_said_max = 10});
    struct flocks_stream *stream = watch(0);
    for (unsigned i = 1; i <= 30; i++) {
        expect_number(stream, i);
        if (i != 10 && i != 25)
            continue;
        double_kill();
        double_run(&(struct daemon_script){.last = 30, .n_said_max = i == 10 ? 15 : 0});
    }
    assert_int_equal(next(stream), RPC_END);
    flocks_stream_close(stream);
}

static void test_logs_go_on_too_and_end_as_the_daemon_says(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 4, .n_said_max = 2});
    flocks_read_logs_request request = FLOCKS_READ_LOGS_REQUEST_INIT;
    request.start_case = FLOCKS__V1__READ_LOGS_REQUEST__START_TAIL;
    request.tail = 10;
    struct flocks_stream *stream = flocks_client_read_logs(client, NULL, &request, &error);
    const flocks_read_logs_response *log = NULL;
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(flocks_client_read_logs_next(stream, &log, &error), RPC_DONE);
        assert_int_equal(strtoul(log->token, NULL, 10), i);
        rpc_message_free(&log->base);
        if (i == 2) {
            double_kill();
            double_run(&(struct daemon_script){.last = 4});
        }
    }
    assert_int_equal(next(stream), RPC_END);
    flocks_stream_close(stream);
    request.daemon = true;
    stream = flocks_client_read_logs(client, NULL, &request, &error);
    assert_int_equal(flocks_client_read_logs_next(stream, &log, &error), RPC_DONE);
    rpc_message_free(&log->base);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(stream), RPC_ERROR);
        assert_int_equal(error->code, RPC_ABORTED);
        assert_true(error->is_from_daemon);
        forget_error();
    }
    flocks_stream_close(stream);
}

static void test_stream_without_a_token_tells_its_end(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 2, .n_said_max = 1});
    flocks_watch_operation_request request = FLOCKS_WATCH_OPERATION_REQUEST_INIT;
    struct flocks_stream *stream = flocks_client_watch_operation(client, NULL, &request, &error);
    const flocks_watch_operation_response *response = NULL;
    assert_int_equal(flocks_client_watch_operation_next(stream, &response, &error), RPC_DONE);
    rpc_message_free(&response->base);
    double_kill();
    assert_int_equal(next(stream), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    flocks_stream_close(stream);
}

static void test_stream_ends_when_no_daemon_will_come(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 0});
    struct flocks_stream *stream = watch(0);
    expect_number(stream, 1);
    double_kill();
    double_stop_listening();
    is_running_answer = false;
    assert_int_equal(next(stream), RPC_ERROR);
    assert_true(error->is_not_running);
    flocks_stream_close(stream);
}

static void test_patience_and_deadline_hold_during_an_outage(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 0});
    /* Long after the two times of patience. */
    struct flocks_stream *stream = watch(2000);
    expect_number(stream, 1);
    flocks_stream_set_patience(stream, 100);
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(next(stream), RPC_AGAIN);
    double_kill();
    double_stop_listening();
    assert_int_equal(next(stream), RPC_AGAIN);
    assert_true(clock_monotonic_ms() - began_at >= 200);
    flocks_stream_set_patience(stream, 0);
    assert_int_equal(next(stream), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    flocks_stream_close(stream);
}

/* Until the queue is full; answers how many. */
static size_t crowd(int *fds, size_t n_max)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)strcpy(address.sun_path, double_path());
    size_t n = 0;
    for (; n < n_max; n++) {
        fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fds[n], (const struct sockaddr *)&address, sizeof address) == 0)
            continue;
        (void)close(fds[n]);
        return n;
    }
    fail_msg("the queue has no end");
    return n;
}

static void test_patience_that_ends_while_connecting_ends_no_stream(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 3, .n_said_max = 1});
    struct flocks_stream *stream = watch(0);
    expect_number(stream, 1);
    double_kill();
    int fds[64];
    size_t n = crowd(fds, 64);
    flocks_stream_set_patience(stream, 30);
    assert_int_equal(next(stream), RPC_AGAIN);
    assert_int_equal(next(stream), RPC_AGAIN);
    while (n > 0)
        (void)close(fds[--n]);
    flocks_stream_set_patience(stream, 0);
    double_run(&(struct daemon_script){.last = 3});
    expect_number(stream, 2);
    flocks_stream_close(stream);
}

static void test_unary_calls_go_on_beside_an_unread_stream(void **state)
{
    (void)state;
    double_run(&(struct daemon_script){.last = 100000});
    struct flocks_stream *stream = watch(0);
    for (int i = 0; i < 50; i++) {
        flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
        const flocks_get_status_response *response = NULL;
        assert_int_equal(
            flocks_client_get_status(client, NULL, &request, &response, &error), RPC_DONE);
        rpc_message_free(&response->base);
    }
    expect_number(stream, 1);
    flocks_stream_close(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_long_stream_is_read_at_the_readers_pace),
        TEST(test_stream_goes_on_behind_what_was_seen_when_the_daemon_is_replaced),
        TEST(test_logs_go_on_too_and_end_as_the_daemon_says),
        TEST(test_stream_without_a_token_tells_its_end),
        TEST(test_stream_ends_when_no_daemon_will_come),
        TEST(test_patience_and_deadline_hold_during_an_outage),
        TEST(test_patience_that_ends_while_connecting_ends_no_stream),
        TEST(test_unary_calls_go_on_beside_an_unread_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
