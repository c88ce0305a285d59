/* What a connection of the HTTP/2 door holds is counted, all of it, and the order in which it says
 * goodbye. Frames are written by hand where nghttp2's client would not send them so. */
#include <stdio.h>
#include <stdlib.h>

#include "http2_client.h"
#include "scripted_streams.h"
#include "unit.h"

enum { FRAME_HEAD = 9, HEADERS = 1, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };

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

static struct http2_stream *begin(enum scripted_method method)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/%s/%s", scripted_methods[method].service,
        scripted_methods[method].name);
    return http2_client_begin(&client, path, NULL, 0);
}

static size_t held(void)
{
    return rpc_connection_held_bytes(client.connection);
}

/* A GetStatusRequest of 1,000 bytes. */
static void send_kilobyte(struct http2_stream *stream)
{
    static uint8_t message[1000];
    memset(message, 'x', sizeof message);
    memcpy(message, "\x0a\xe5\x07", 3);
    http2_client_send(&client, stream, message, sizeof message, false);
    http2_client_move(&client);
}

/* ---- memory ---- */

static void test_large_messages_wait_when_the_bound_is_exceeded_by_small_ones(void **state)
{
    enum { LEN = RPC_MESSAGE_BYTES_MAX, UPLOADS = 3 };
    (void)state;
    struct http2_stream *uploads[UPLOADS];
    uint8_t *message = calloc(1, LEN);
    assert_non_null(message);
    streams.take = RPC_TAKE_LATER;
    struct http2_stream *chat = begin(SCRIPTED_CHAT);
    for (size_t i = 0; i < UPLOADS; i++) {
        uploads[i] = begin(SCRIPTED_ASK);
        http2_client_send(&client, uploads[i], message, LEN, false);
        /* Never whole. */
        uploads[i]->body_len--;
        if (i + 1 == UPLOADS)
            send_kilobyte(chat);
        http2_client_move(&client);
    }
    free(message);
    /* Two fill the bound; what was not taken lies beyond it. */
    assert_int_equal(uploads[1]->body_at, uploads[1]->body_len);
    assert_in_range(uploads[2]->body_at, 1, RPC_HTTP2_WINDOW_BYTES);
    assert_in_range(held(), 0, 5 * (size_t)LEN);
}

static void test_messages_that_are_not_taken_are_counted(void **state)
{
    enum { MESSAGES = 10 };
    (void)state;
    streams.take = RPC_TAKE_LATER;
    struct http2_stream *chat = begin(SCRIPTED_CHAT);
    send_kilobyte(chat);
    size_t before = held();
    for (int i = 0; i < MESSAGES; i++)
        send_kilobyte(chat);
    assert_in_range(held() - before, MESSAGES * 1000, MESSAGES * 2000);
}

static void test_memory_that_is_kept_for_the_next_calls_is_counted(void **state)
{
    enum { CALLS = HTTP2_STREAMS };
    (void)state;
    struct http2_stream *asked[CALLS];
    size_t before = held();
    for (size_t i = 0; i < CALLS; i++) {
        asked[i] = begin(SCRIPTED_ASK);
        send_kilobyte(asked[i]);
    }
    for (size_t i = 0; i < CALLS; i++) {
        http2_client_send_raw(&client, asked[i], "", 0, true);
        http2_client_move(&client);
        scripted_answer(&streams.calls[i], "");
        http2_client_move(&client);
        assert_true(asked[i]->is_closed);
    }
    assert_int_equal(rpc_connection_n_calls(client.connection), 0);
    assert_true(held() - before > (size_t)CALLS * 1000);
}

static void test_trailers_that_wait_for_window_are_counted(void **state)
{
    static const nghttp2_settings_entry no_window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    enum { TEXT = 1000 };
    char text[TEXT + 1];
    (void)state;
    memset(text, '%', TEXT);
    text[TEXT] = '\0';
    assert_int_equal(nghttp2_submit_settings(client.h2, NGHTTP2_FLAG_NONE, &no_window, 1), 0);
    http2_client_move(&client);
    streams.n_to_send = 1;
    streams.message_len = 10;
    streams.then = RPC_PULL_LATER;
    struct http2_stream *stream = begin(SCRIPTED_COUNT);
    http2_client_send(&client, stream, "", 0, true);
    http2_client_move(&client);
    assert_int_equal(streams.calls[0].n_sent, 1);
    size_t before = held();
    rpc_call_fail(streams.calls[0].call, RPC_ABORTED, NULL, "%s", text);
    http2_client_move(&client);
    assert_false(stream->is_closed);
    /* Percent-encoded. */
    assert_true(held() > before + (size_t)2 * TEXT);
}

/* ---- frames by hand ---- */

static uint8_t script[512];
static size_t script_len;

static void add_frame(uint8_t type, uint8_t flags, uint8_t stream, const void *body, size_t len)
{
    assert_true(len < 256 && script_len + FRAME_HEAD + len <= sizeof script);
    uint8_t *out = script + script_len;
    memset(out, 0, FRAME_HEAD);
    out[2] = (uint8_t)len;
    out[3] = type;
    out[4] = flags;
    out[8] = stream;
    memcpy(out + FRAME_HEAD, body, len);
    script_len += FRAME_HEAD + len;
}

/* A call of one empty message. */
static void add_call(uint8_t stream, enum scripted_method method)
{
    static const char content_type[] = "\x0f\x10\x10"
                                       "application/grpc";
    char path[128];
    uint8_t fields[256] = {0x83, 0x86, 0x04};
    int path_len = snprintf(path, sizeof path, "/%s/%s", scripted_methods[method].service,
        scripted_methods[method].name);
    fields[3] = (uint8_t)path_len;
    memcpy(fields + 4, path, (size_t)path_len);
    memcpy(fields + 4 + path_len, content_type, sizeof content_type - 1);
    add_frame(HEADERS, NGHTTP2_FLAG_END_HEADERS, stream, fields,
        4 + (size_t)path_len + sizeof content_type - 1);
    add_frame(0, NGHTTP2_FLAG_END_STREAM, stream, "\0\0\0\0\0", 5);
}

/* All of it at once. */
static void say(void)
{
    rpc_connection_receive(client.connection, script, script_len, client.now_ms);
    script_len = 0;
}

/* The types of the frames that the server says; `out_last` is the id of the last GOAWAY. */
static const char *hear(uint32_t *out_last)
{
    static char types[64];
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(client.connection, &len);
    size_t n = 0;
    for (size_t at = 0; at + FRAME_HEAD <= len; n++) {
        const uint8_t *frame = bytes + at;
        size_t body_len = (size_t)frame[1] << 8 | frame[2];
        assert_true(n + 1 < sizeof types);
        types[n] = (char)('0' + frame[3]);
        if (frame[3] == GOAWAY)
            *out_last = (uint32_t)frame[9] << 24 | (uint32_t)frame[10] << 16 |
                        (uint32_t)frame[11] << 8 | frame[12];
        at += FRAME_HEAD + body_len;
    }
    types[n] = '\0';
    rpc_connection_sent(client.connection, len, client.now_ms);
    return types;
}

static void test_stream_that_the_server_resets_ends_its_call_at_once(void **state)
{
    (void)state;
    streams.then = RPC_PULL_LATER;
    add_call(1, SCRIPTED_COUNT);
    add_frame(WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff", 4);
    say();
    assert_int_equal(streams.calls[0].n_closed, 1);
    assert_int_equal(rpc_connection_n_calls(client.connection), 0);
}

/* ---- goodbye ---- */

static void test_ping_follows_the_notice_whose_round_trip_it_measures(void **state)
{
    uint32_t last = 0;
    (void)state;
    rpc_connection_shut(client.connection, client.now_ms);
    assert_string_equal(hear(&last), "76");
    assert_int_equal(last, INT32_MAX);
}

static void test_nothing_is_served_behind_the_last_id(void **state)
{
    uint32_t last = 0;
    (void)state;
    rpc_connection_shut(client.connection, client.now_ms);
    (void)hear(&last);
    add_call(1, SCRIPTED_ASK);
    add_frame(PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    add_call(3, SCRIPTED_ASK);
    say();
    assert_string_equal(hear(&last), "7");
    assert_int_equal(last, 1);
    assert_int_equal(streams.n_calls, 1);
    scripted_answer(&streams.calls[0], "");
    assert_string_equal(hear(&last), "101");
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

static void test_time_of_the_notice_runs_from_when_it_is_told(void **state)
{
    (void)state;
    client.now_ms += 60000;
    rpc_connection_shut(client.connection, client.now_ms);
    assert_int_equal(rpc_connection_tick(client.connection, client.now_ms),
        client.now_ms + RPC_HTTP2_FAREWELL_MS);
}

static void test_peer_that_has_said_goodbye_is_waited_for_a_second(void **state)
{
    uint32_t last = 0;
    (void)state;
    add_call(1, SCRIPTED_ASK);
    add_frame(GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    say();
    /* Its call goes on. */
    assert_int_equal(rpc_connection_tick(client.connection, client.now_ms), INT64_MAX);
    scripted_answer(&streams.calls[0], "");
    assert_string_equal(hear(&last), "101");
    int64_t end_at = client.now_ms + RPC_HTTP2_FAREWELL_MS;
    assert_int_equal(rpc_connection_tick(client.connection, client.now_ms), end_at);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_READ);
    (void)rpc_connection_tick(client.connection, end_at);
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_large_messages_wait_when_the_bound_is_exceeded_by_small_ones),
        TEST(test_messages_that_are_not_taken_are_counted),
        TEST(test_memory_that_is_kept_for_the_next_calls_is_counted),
        TEST(test_trailers_that_wait_for_window_are_counted),
        TEST(test_stream_that_the_server_resets_ends_its_call_at_once),
        TEST(test_ping_follows_the_notice_whose_round_trip_it_measures),
        TEST(test_nothing_is_served_behind_the_last_id),
        TEST(test_time_of_the_notice_runs_from_when_it_is_told),
        TEST(test_peer_that_has_said_goodbye_is_waited_for_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
