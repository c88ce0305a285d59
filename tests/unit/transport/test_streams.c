/* Streaming calls over a real unix socket: readers that stall or leave, many streams at a time, and
 * a loop that neither spins nor starves. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "harness.h"

enum {
    FRAME_MAX = 128,
    FRAME_HEADER = 10,
    REMOTE_CLOSED = 1,
    DATA_TYPE = 3,
    CANCEL_TYPE = 0x10,
    STREAMS_MAX = 8,
    MESSAGE_BYTES = 1000
};

struct harness_stream {
    struct flocks_watch_events_call *call;
    int asked;
    int sent;
    int closed;
    enum rpc_code code;
};

/* What the handlers do; one test at a time. */
static struct {
    struct harness_stream streams[STREAMS_MAX];
    int n_streams;
    /* Messages of each stream; then LATER. */
    int to_send;
    size_t message_bytes;
    /* Each message wakes the other of two streams. */
    bool wakes_other;
} script;

static enum rpc_pull next(void *state, struct flocks_watch_events_call *call)
{
    static char text[MESSAGE_BYTES + 1];
    struct harness_stream *stream = state;
    flocks_watch_events_response response = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;

    stream->asked++;
    if (stream->sent == script.to_send)
        return RPC_PULL_LATER;
    memset(text, 'x', script.message_bytes);
    text[script.message_bytes] = '\0';
    response.token = text;
    assert_int_equal(flocks_watch_events_send(call, &response), RPC_OK);
    stream->sent++;
    if (!script.wakes_other)
        return RPC_PULL_SENT;
    stream = &script.streams[stream == &script.streams[0]];
    if (stream->call)
        flocks_watch_events_wake(stream->call);
    return RPC_PULL_LATER;
}

static void closed(void *state, enum rpc_code code)
{
    struct harness_stream *stream = state;

    stream->closed++;
    stream->code = code;
    stream->call = NULL;
}

static const struct flocks_watch_events_stream hooks = {.next = next, .closed = closed};

static void watch_events(
    void *self, struct flocks_watch_events_call *call, const flocks_watch_events_request *request)
{
    struct harness_stream *stream = &script.streams[script.n_streams++];

    (void)self;
    (void)request;
    assert_true(script.n_streams <= STREAMS_MAX);
    stream->call = call;
    flocks_watch_events_begin(call, &hooks, stream);
}

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;

    (void)self;
    (void)request;
    flocks_get_status_reply(call, &response);
}

static const struct flocks_supervisor_handlers handlers = {
    .get_status = get_status, .watch_events = watch_events};

/* ---- scaffolding ---- */

static struct harness harness;

static int set_up(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    script.message_bytes = MESSAGE_BYTES;
    harness_open_with(&harness, &handlers);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    harness_close(&harness);
    return 0;
}

static void open_stream(int fd, uint32_t id)
{
    uint8_t frame[FRAME_MAX];
    size_t len = client_frame(frame, id, "WatchEvents");
    int before = script.n_streams;
    int64_t deadline_at = harness_deadline();

    frame[9] = REMOTE_CLOSED;
    client_send(fd, frame, len);
    while (script.n_streams == before)
        harness_turn(&harness, deadline_at);
}

/* Reads `len` bytes, the loop turning as long as there are none. */
static void read_all(int fd, uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = client_receive(&harness, fd, out + at, len - at);

        assert_true(n > 0);
        at += n;
    }
}

/* One whole frame, its body dropped; answers its stream. */
static uint32_t read_frame(int fd, uint8_t *out_type)
{
    static uint8_t body[1 << 16];
    uint8_t header[FRAME_HEADER];
    size_t len;

    read_all(fd, header, sizeof(header));
    len = (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    assert_true(len <= sizeof(body));
    read_all(fd, body, len);
    *out_type = header[8];
    return header[7];
}

/* Turns the loop until the streams send nothing more. */
static void run_until_stalled(void)
{
    int64_t deadline_at = harness_deadline();
    int sent;

    do {
        sent = script.streams[0].sent;
        for (int i = 0; i < 20; i++)
            harness_turn(&harness, deadline_at);
    } while (script.streams[0].sent != sent);
}

/* Whether the loop would wait now: no idle handle, no descriptor that is ready. */
static void assert_loop_waits(void)
{
    struct pollfd loop = {.fd = uv_backend_fd(&harness.loop), .events = POLLIN};

    assert_int_not_equal(uv_backend_timeout(&harness.loop), 0);
    assert_int_equal(poll(&loop, 1, 0), 0);
}

static void wake_and_run(void)
{
    flocks_watch_events_wake(script.streams[0].call);
    run_until_stalled();
}

/* ---- tests ---- */

static void test_messages_arrive_and_a_wake_from_outside_is_heard(void **state)
{
    int fd = client_connect(&harness);
    uint8_t type;

    (void)state;
    script.to_send = 3;
    open_stream(fd, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_frame(fd, &type), 1);
        assert_int_equal(type, DATA_TYPE);
    }
    run_until_stalled();
    assert_loop_waits();
    script.to_send = 4;
    flocks_watch_events_wake(script.streams[0].call);
    assert_int_equal(read_frame(fd, &type), 1);
    (void)close(fd);
}

static void test_stalled_reader_holds_its_bound_and_others_are_served(void **state)
{
    int stalled = client_connect(&harness);
    int other = client_connect(&harness);
    uint8_t frame[FRAME_MAX];
    int buffer_bytes;
    socklen_t len = sizeof(buffer_bytes);

    (void)state;
    script.to_send = 1000000;
    open_stream(stalled, 1);
    run_until_stalled();
    assert_loop_waits();
    /* Waking it lets it fill its bound, and then nothing more. */
    for (int i = 0; i < 20; i++)
        wake_and_run();
    assert_int_equal(getsockopt(stalled, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, &len), 0);
    assert_true(script.streams[0].sent * MESSAGE_BYTES > RPC_OUTPUT_SOFT_BYTES);
    assert_true(script.streams[0].sent * MESSAGE_BYTES <
                RPC_OUTPUT_SOFT_BYTES + MESSAGE_BYTES + 2 * buffer_bytes);
    int asked = script.streams[0].asked;
    wake_and_run();
    assert_int_equal(script.streams[0].asked, asked);
    assert_loop_waits();
    client_send(other, frame, client_frame(frame, 1, "GetStatus"));
    assert_true(client_has_answer(&harness, other, 1));
    assert_int_equal(script.streams[0].closed, 0);
    (void)close(stalled);
    (void)close(other);
}

static void test_reader_that_goes_on_gets_everything(void **state)
{
    int fd = client_connect(&harness);
    uint8_t type;

    (void)state;
    script.to_send = 3000;
    open_stream(fd, 1);
    run_until_stalled();
    assert_true(script.streams[0].sent < 3000);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(read_frame(fd, &type), 1);
    assert_int_equal(script.streams[0].sent, 3000);
    (void)close(fd);
}

static void test_disconnect_ends_a_stream_within_one_turn(void **state)
{
    int fd = client_connect(&harness);

    (void)state;
    script.to_send = 1;
    open_stream(fd, 1);
    run_until_stalled();
    (void)close(fd);
    harness_turn(&harness, harness_deadline());
    assert_int_equal(script.streams[0].closed, 1);
    assert_int_equal(script.streams[0].code, RPC_CANCELLED);
}

static void test_disconnect_of_a_stalled_reader_ends_it_and_the_loop_waits(void **state)
{
    int64_t deadline_at = harness_deadline();
    int fd = client_connect(&harness);

    (void)state;
    script.to_send = 1000000;
    open_stream(fd, 1);
    open_stream(fd, 3);
    run_until_stalled();
    (void)close(fd);
    harness_turn(&harness, deadline_at);
    assert_int_equal(script.streams[0].closed, 1);
    assert_int_equal(script.streams[1].closed, 1);
    assert_int_equal(script.streams[1].code, RPC_CANCELLED);
    while (transport_connections(harness.transport) > 0)
        harness_turn(&harness, deadline_at);
    harness_turn(&harness, deadline_at);
    assert_loop_waits();
}

static void test_cancel_of_a_stalled_stream_ends_it_within_one_turn(void **state)
{
    static const uint8_t announced[] = {0x2a, 0x12, 0x0a, 0x08, 'c', 'r', 'p', 'c', '-', 'e', 'x',
        't', 0x12, 0x06, 'c', 'a', 'n', 'c', 'e', 'l'};
    uint8_t frame[FRAME_MAX + sizeof(announced)];
    const uint8_t cancel[FRAME_HEADER] = {[7] = 1, [8] = CANCEL_TYPE};
    int fd = client_connect(&harness);
    size_t len = client_frame(frame, 3, "GetStatus");

    (void)state;
    memcpy(frame + len, announced, sizeof(announced));
    frame[3] = (uint8_t)(frame[3] + sizeof(announced));
    client_send(fd, frame, len + sizeof(announced));
    assert_true(client_has_answer(&harness, fd, 3));
    script.to_send = 1000000;
    open_stream(fd, 1);
    run_until_stalled();
    client_send(fd, cancel, sizeof(cancel));
    harness_turn(&harness, harness_deadline());
    assert_int_equal(script.streams[0].closed, 1);
    assert_int_equal(script.streams[0].code, RPC_CANCELLED);
    (void)close(fd);
}

static void test_deadline_of_a_stalled_stream_ends_it(void **state)
{
    uint8_t frame[FRAME_MAX];
    int fd = client_connect(&harness);
    size_t len = client_frame(frame, 1, "WatchEvents");
    /* timeout_nano: 30 ms */
    static const uint8_t timeout[] = {0x20, 0x80, 0x87, 0xa7, 0x0e};
    int64_t began_at = clock_monotonic_ms();

    (void)state;
    memcpy(frame + len, timeout, sizeof(timeout));
    frame[3] = (uint8_t)(frame[3] + sizeof(timeout));
    frame[9] = REMOTE_CLOSED;
    script.to_send = 1000000;
    client_send(fd, frame, len + sizeof(timeout));
    harness_run_until(&harness, &script.streams[0].closed);
    assert_int_equal(script.streams[0].code, RPC_DEADLINE_EXCEEDED);
    assert_true(clock_monotonic_ms() - began_at >= 30);
    (void)close(fd);
}

static void test_streams_of_one_connection_have_their_turns(void **state)
{
    int fd = client_connect(&harness);
    int frames[STREAMS_MAX + 1] = {0};
    uint8_t type;

    (void)state;
    script.to_send = 1000000;
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        open_stream(fd, 2 * i + 1);
    /* The streams that opened first had turns alone; from now on all are equal. */
    run_until_stalled();
    int before[STREAMS_MAX];
    for (int i = 0; i < STREAMS_MAX; i++)
        before[i] = script.streams[i].sent;
    for (int i = 0; i < 4000; i++)
        frames[read_frame(fd, &type) / 2]++;
    run_until_stalled();
    int least = script.streams[0].sent - before[0];
    int most = least;
    for (int i = 1; i < STREAMS_MAX; i++) {
        int sent = script.streams[i].sent - before[i];
        least = sent < least ? sent : least;
        most = sent > most ? sent : most;
    }
    assert_true(least > 100);
    assert_true(most - least <= 1);
    (void)close(fd);
}

static void test_streams_that_wake_each_other_do_not_keep_the_loop(void **state)
{
    int fds[2] = {client_connect(&harness), client_connect(&harness)};
    int64_t deadline_at = harness_deadline();

    (void)state;
    script.wakes_other = true;
    script.to_send = 1000000;
    script.message_bytes = 1;
    open_stream(fds[0], 1);
    open_stream(fds[1], 1);
    int sent = script.streams[0].sent;
    for (int i = 0; i < 10; i++)
        harness_turn(&harness, deadline_at);
    assert_true(script.streams[0].sent > sent);
    assert_true(script.streams[0].sent <= sent + 10);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_arrive_and_a_wake_from_outside_is_heard),
        TEST(test_stalled_reader_holds_its_bound_and_others_are_served),
        TEST(test_reader_that_goes_on_gets_everything),
        TEST(test_disconnect_ends_a_stream_within_one_turn),
        TEST(test_disconnect_of_a_stalled_reader_ends_it_and_the_loop_waits),
        TEST(test_cancel_of_a_stalled_stream_ends_it_within_one_turn),
        TEST(test_deadline_of_a_stalled_stream_ends_it),
        TEST(test_streams_of_one_connection_have_their_turns),
        TEST(test_streams_that_wake_each_other_do_not_keep_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
