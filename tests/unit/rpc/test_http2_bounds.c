/* What peers of the HTTP/2 door can make a server do and hold: each bound, and one past it. */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/http2_guard.h"
#include "common/rpc/http2_text.h"
#include "http2_client.h"
#include "scripted_streams.h"
#include "unit.h"

static struct http2_client client;
static struct scripted_streams streams;

static int set_up(void **state)
{
    (void)state;
    memset(&streams, 0, sizeof streams);
    const struct rpc_service service = scripted_service(&streams);
    http2_client_open(&client, &service);
    http2_client_move(&client);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http2_client_close(&client);
    return 0;
}

static struct http2_stream *begin(enum scripted_method method, const char *const *more, size_t n)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/%s/%s", scripted_methods[method].service,
        scripted_methods[method].name);
    return http2_client_begin(&client, path, more, n);
}

/* ---- floods ---- */

/* Frames of one kind until the server says that it is enough; answers how many it took. */
static int flood(const uint8_t *frame, size_t len, int most)
{
    for (int i = 0; i < most; i++) {
        rpc_connection_receive(client.connection, frame, len, client.now_ms);
        http2_client_move(&client);
        if (client.n_goaways > 0)
            return i;
    }
    return most;
}

static void assert_calmed(void)
{
    assert_int_equal(client.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

static void test_pings_are_bounded(void **state)
{
    static const uint8_t ping[17] = {0, 0, 8, 6};
    (void)state;
    int n = flood(ping, sizeof ping, RPC_HTTP2_CONTROL_MAX + 1);
    /* The client's own acknowledgements count, too. */
    assert_in_range(n, RPC_HTTP2_CONTROL_MAX - 4, RPC_HTTP2_CONTROL_MAX);
    assert_calmed();
    assert_string_equal(
        rpc_connection_close_reason(client.connection), "too many frames without content");
}

static void test_settings_are_bounded(void **state)
{
    static const uint8_t settings[9] = {0, 0, 0, 4};
    const uint8_t *bytes = NULL;
    size_t len = 0;
    int n = 0;
    (void)state;
    /* Not through nghttp2's client, which would take the acknowledgements amiss. */
    while ((rpc_connection_wants(client.connection) & RPC_WANTS_READ) != 0) {
        rpc_connection_sent(client.connection, len, client.now_ms);
        rpc_connection_receive(client.connection, settings, sizeof settings, client.now_ms);
        bytes = rpc_connection_output(client.connection, &len);
        n++;
    }
    assert_int_equal(n, RPC_HTTP2_SETTINGS_MAX);
    assert_true(bytes != NULL && len > 4);
    if (bytes == NULL)
        return;
    assert_int_equal(bytes[len - 1], NGHTTP2_ENHANCE_YOUR_CALM);
    rpc_connection_sent(client.connection, len, client.now_ms);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

static void test_continuations_are_bounded(void **state)
{
    static const uint8_t headers[9] = {0, 0, 0, 1, 0, 0, 0, 0, 1};
    static const uint8_t continuation[9] = {0, 0, 0, 9, 0, 0, 0, 0, 1};
    (void)state;
    rpc_connection_receive(client.connection, headers, sizeof headers, client.now_ms);
    assert_int_equal(flood(continuation, sizeof continuation, RPC_HTTP2_CONTINUATIONS_MAX + 2),
        RPC_HTTP2_CONTINUATIONS_MAX);
    assert_calmed();
}

/* The number that a guard lets pass in one moment, after so many milliseconds. */
static int resets_at(struct http2_guard *guard, int64_t now_ms)
{
    int n = 0;
    while (http2_guard_count_reset(guard, now_ms))
        n++;
    return n;
}

static void test_resets_are_bounded_in_time(void **state)
{
    struct http2_guard guard;
    (void)state;
    http2_guard_init(&guard, 0);
    assert_int_equal(resets_at(&guard, 0), RPC_HTTP2_RESETS_MAX);
    assert_int_equal(resets_at(&guard, 1000), RPC_HTTP2_RESETS_PER_SECOND);
    /* A rest that is not enough for one is not lost. */
    int n = 0;
    for (int64_t now_ms = 1001; now_ms <= 2000; now_ms++)
        n += resets_at(&guard, now_ms);
    assert_int_equal(n, RPC_HTTP2_RESETS_PER_SECOND);
    assert_int_equal(resets_at(&guard, 1000000), RPC_HTTP2_RESETS_MAX);
}

static int look_n(struct http2_guard *guard, uint8_t type, int64_t now_ms, int most)
{
    const uint8_t frame[9] = {0, 0, 0, type};
    const char *objection = NULL;
    int n = 0;
    for (; n < most; n++) {
        assert_int_equal(http2_guard_look(guard, frame, sizeof frame, now_ms, &objection), 9);
        if (objection != NULL)
            return n;
    }
    return n;
}

static void test_control_frames_are_bounded_in_time_and_by_content(void **state)
{
    enum { HEADERS = 1, SETTINGS = 4, PING = 6, ALL = 1 << 20 };
    struct http2_guard guard;
    (void)state;
    http2_guard_init(&guard, 0);
    guard.preface_left = 0;
    assert_int_equal(look_n(&guard, PING, 0, ALL), RPC_HTTP2_CONTROL_MAX);
    assert_int_equal(look_n(&guard, PING, 1000, ALL), RPC_HTTP2_CONTROL_PER_SECOND);
    assert_int_equal(look_n(&guard, HEADERS, 1000, 1), 1);
    assert_int_equal(look_n(&guard, PING, 1000, ALL), RPC_HTTP2_CONTROL_PER_FRAME);
    assert_int_equal(look_n(&guard, SETTINGS, 1000, ALL), RPC_HTTP2_SETTINGS_MAX);
    assert_int_equal(look_n(&guard, SETTINGS, 2000, ALL), RPC_HTTP2_SETTINGS_PER_SECOND);
}

/* ---- headers ---- */

static void test_header_list_is_bounded(void **state)
{
    enum { OVERHEAD = 32, USUAL = 512 };
    static char value[RPC_HTTP2_HEADER_LIST_BYTES + 1];
    static const char *const more[] = {"grpc-nothing", value};
    (void)state;
    memset(value, 'x', RPC_HTTP2_HEADER_LIST_BYTES);
    struct http2_stream *large = begin(SCRIPTED_ASK, more, 1);
    http2_client_move(&client);
    assert_true(http2_stream_has(large, "grpc-status: 8"));
    value[RPC_HTTP2_HEADER_LIST_BYTES - OVERHEAD - USUAL] = '\0';
    struct http2_stream *fits = begin(SCRIPTED_ASK, more, 1);
    http2_client_send(&client, fits, "", 0, true);
    http2_client_move(&client);
    assert_int_equal(streams.n_calls, 1);
    scripted_answer(&streams.calls[0], "");
}

static void test_trailers_are_as_large_as_the_peer_takes(void **state)
{
    static char text[4 * RPC_STATUS_TEXT_MAX];
    (void)state;
    memset(text, '%', RPC_STATUS_TEXT_MAX);
    const nghttp2_settings_entry little = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 1000};
    struct http2_stream *stream = begin(SCRIPTED_CHAT, NULL, 0);
    http2_client_move(&client);
    assert_int_equal(nghttp2_submit_settings(client.h2, NGHTTP2_FLAG_NONE, &little, 1), 0);
    http2_client_move(&client);
    rpc_call_fail(streams.calls[0].call, RPC_ABORTED, NULL, "%s", text);
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 10"));
    assert_null(strstr(stream->fields, "grpc-message"));
    assert_true(RPC_HTTP2_TRAILERS_BYTES > 3 * RPC_STATUS_TEXT_MAX + 2 * RPC_METADATA_BYTES_MAX);
}

static void test_timeouts_are_digits_and_a_unit(void **state)
{
    int64_t nano = 0;
    (void)state;
    assert_true(http2_timeout_read("99999999H", &nano));
    assert_true(nano == INT64_MAX);
    assert_true(http2_timeout_read("1500m", &nano));
    assert_true(nano == 1500000000);
    assert_true(http2_timeout_read("0n", &nano));
    assert_true(nano == -1);
    static const char *const bad[] = {"", "1", "m", "1x", "123456789n", "1 m", "-1m", "1mm"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(http2_timeout_read(bad[i], &nano));
}

/* ---- messages ---- */

static void test_handler_that_takes_nothing_holds_a_window(void **state)
{
    enum { MESSAGE = 1000, MESSAGES = 1000 };
    static uint8_t message[MESSAGE];
    (void)state;
    memset(message, 'x', sizeof message);
    memcpy(message, "\x0a\xe5\x07", 3);
    streams.take = RPC_TAKE_LATER;
    struct http2_stream *stream = begin(SCRIPTED_COLLECT, NULL, 0);
    for (int i = 0; i < MESSAGES; i++)
        http2_client_send(&client, stream, message, MESSAGE, i + 1 == MESSAGES);
    http2_client_move(&client);
    assert_int_equal(stream->body_at, RPC_HTTP2_WINDOW_BYTES);
    assert_false(stream->is_closed);
    /* Another call of the same connection goes on. */
    struct http2_stream *other = begin(SCRIPTED_ASK, NULL, 0);
    http2_client_send(&client, other, "", 0, true);
    http2_client_move(&client);
    scripted_answer(&streams.calls[1], "");
    http2_client_move(&client);
    assert_true(http2_stream_has(other, "grpc-status: 0"));
    assert_in_range(rpc_connection_held_bytes(client.connection), 0, 8 * RPC_HTTP2_WINDOW_BYTES);
    /* What was not taken comes when it is. */
    streams.take = RPC_TAKE_DONE;
    streams.replies_at_half_close = true;
    rpc_call_wake(streams.calls[0].call);
    http2_client_move(&client);
    assert_int_equal(stream->body_at, stream->body_len);
    assert_true(http2_stream_has(stream, "grpc-status: 0"));
}

static void test_large_messages_come_whole_one_after_another(void **state)
{
    enum { STREAMS = 3, LEN = RPC_MESSAGE_BYTES_MAX };
    (void)state;
    uint8_t *message = calloc(1, LEN);
    struct http2_stream *sent[STREAMS];
    assert_non_null(message);
    /* One field of bytes that fills it. */
    memcpy(message, "\x0a\xfb\xff\xff\x01", 5);
    memset(message + 5, 'x', LEN - 5);
    for (size_t i = 0; i < STREAMS; i++) {
        sent[i] = begin(SCRIPTED_ASK, NULL, 0);
        http2_client_send(&client, sent[i], message, LEN, true);
    }
    http2_client_move(&client);
    assert_int_equal(streams.n_calls, STREAMS);
    for (size_t i = 0; i < STREAMS; i++)
        scripted_answer(&streams.calls[i], "");
    http2_client_move(&client);
    for (size_t i = 0; i < STREAMS; i++)
        assert_true(http2_stream_has(sent[i], "grpc-status: 0"));
    free(message);
}

static void test_message_over_the_bound_is_refused_before_it_comes(void **state)
{
    static const uint8_t prefix[] = {0, 0, 0x40, 0, 1};
    (void)state;
    struct http2_stream *stream = begin(SCRIPTED_CHAT, NULL, 0);
    http2_client_send_raw(&client, stream, prefix, sizeof prefix, false);
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 8"));
    assert_int_equal(streams.calls[0].code, RPC_RESOURCE_EXHAUSTED);
}

static void test_reader_without_window_pauses_its_stream_alone(void **state)
{
    enum { MESSAGE = 1000 };
    (void)state;
    const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    assert_int_equal(nghttp2_submit_settings(client.h2, NGHTTP2_FLAG_NONE, &none, 1), 0);
    streams.n_to_send = 1 << 20;
    streams.message_len = MESSAGE;
    struct http2_stream *stream = begin(SCRIPTED_COUNT, NULL, 0);
    http2_client_send(&client, stream, "", 0, true);
    http2_client_move(&client);
    assert_int_equal(stream->answer_len, 0);
    assert_in_range(streams.calls[0].n_sent, RPC_HTTP2_QUEUE_BYTES / MESSAGE - 8,
        RPC_HTTP2_QUEUE_BYTES / MESSAGE + 1);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_READ);
    /* Trailers need no window. */
    struct http2_stream *other = begin(SCRIPTED_NOTHING, NULL, 0);
    http2_client_move(&client);
    assert_true(http2_stream_has(other, "grpc-status: 12"));
}

/* ---- time ---- */

static void test_notice_that_nobody_hears_ends_in_time(void **state)
{
    (void)state;
    rpc_connection_shut(client.connection, client.now_ms);
    size_t len = 0;
    (void)rpc_connection_output(client.connection, &len);
    rpc_connection_sent(client.connection, len, client.now_ms);
    assert_int_equal(rpc_connection_tick(client.connection, client.now_ms),
        client.now_ms + RPC_HTTP2_FAREWELL_MS);
    (void)rpc_connection_tick(client.connection, client.now_ms + RPC_HTTP2_FAREWELL_MS);
    http2_client_move(&client);
    assert_int_equal(client.n_goaways, 1);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

static void test_half_a_frame_is_not_waited_for(void **state)
{
    (void)state;
    rpc_connection_receive(client.connection, (const uint8_t *)"\0\0", 2, client.now_ms);
    assert_int_equal(
        rpc_connection_tick(client.connection, client.now_ms), client.now_ms + RPC_FRAME_MS_MAX);
    (void)rpc_connection_tick(client.connection, client.now_ms + RPC_FRAME_MS_MAX);
    assert_string_equal(
        rpc_connection_close_reason(client.connection), "half a frame for too long");
}

static void test_connection_window_is_given_back_at_once(void **state)
{
    (void)state;
    assert_int_equal(
        nghttp2_session_get_remote_window_size(client.h2), RPC_HTTP2_CONNECTION_WINDOW_BYTES);
    assert_int_equal(
        nghttp2_session_get_remote_settings(client.h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
        RPC_CONNECTION_CALLS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pings_are_bounded),
        TEST(test_settings_are_bounded),
        TEST(test_continuations_are_bounded),
        cmocka_unit_test(test_resets_are_bounded_in_time),
        cmocka_unit_test(test_control_frames_are_bounded_in_time_and_by_content),
        TEST(test_header_list_is_bounded),
        TEST(test_trailers_are_as_large_as_the_peer_takes),
        cmocka_unit_test(test_timeouts_are_digits_and_a_unit),
        TEST(test_handler_that_takes_nothing_holds_a_window),
        TEST(test_large_messages_come_whole_one_after_another),
        TEST(test_message_over_the_bound_is_refused_before_it_comes),
        TEST(test_reader_without_window_pauses_its_stream_alone),
        TEST(test_notice_that_nobody_hears_ends_in_time),
        TEST(test_half_a_frame_is_not_waited_for),
        TEST(test_connection_window_is_given_back_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
