/* gRPC calls through the HTTP/2 door: every kind, and every way to end. */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/http2_guard.h"
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
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http2_client_close(&client);
    return 0;
}

static char path_text[128];

static const char *path(enum scripted_method method)
{
    (void)snprintf(path_text, sizeof path_text, "/%s/%s", scripted_methods[method].service,
        scripted_methods[method].name);
    return path_text;
}

static struct http2_stream *begin(enum scripted_method method)
{
    return http2_client_begin(&client, path(method), NULL, 0);
}

static struct http2_stream *ask(enum scripted_method method, bool ends)
{
    struct http2_stream *stream = begin(method);
    http2_client_send(&client, stream, "", 0, ends);
    http2_client_move(&client);
    return stream;
}

/* ---- the kinds ---- */

static void test_unary_call_is_answered(void **state)
{
    (void)state;
    struct http2_stream *stream = ask(SCRIPTED_ASK, true);
    assert_int_equal(streams.n_calls, 1);
    scripted_answer(&streams.calls[0], "yes");
    http2_client_move(&client);
    assert_string_equal(
        stream->fields, ":status: 200\ncontent-type: application/grpc\n\ngrpc-status: 0\n\n");
    static const uint8_t expected[] = {0, 0, 0, 0, 5, 0x22, 3, 'y', 'e', 's'};
    assert_int_equal(stream->answer_len, sizeof expected);
    assert_memory_equal(stream->answer, expected, sizeof expected);
    assert_true(stream->is_closed);
    assert_int_equal(stream->error, NGHTTP2_NO_ERROR);
}

static void test_unary_handler_runs_when_the_request_is_known_to_be_the_only_one(void **state)
{
    (void)state;
    struct http2_stream *stream = ask(SCRIPTED_ASK, false);
    assert_int_equal(streams.n_calls, 0);
    http2_client_send_raw(&client, stream, NULL, 0, true);
    http2_client_move(&client);
    assert_int_equal(streams.n_calls, 1);
    scripted_answer(&streams.calls[0], "yes");
}

static void test_wrong_number_of_messages_is_unimplemented(void **state)
{
    (void)state;
    struct http2_stream *two = begin(SCRIPTED_ASK);
    http2_client_send(&client, two, "", 0, false);
    http2_client_send(&client, two, "", 0, true);
    struct http2_stream *none = begin(SCRIPTED_COUNT);
    http2_client_send_raw(&client, none, NULL, 0, true);
    http2_client_move(&client);
    assert_true(http2_stream_has(two, "grpc-status: 12"));
    assert_true(http2_stream_has(none, "grpc-status: 12"));
    assert_int_equal(streams.n_calls, 0);
}

static void test_server_stream_sends_all_and_ends(void **state)
{
    (void)state;
    streams.n_to_send = 3;
    streams.then = RPC_PULL_DONE;
    struct http2_stream *stream = ask(SCRIPTED_COUNT, true);
    assert_int_equal(streams.calls[0].n_sent, 3);
    assert_int_equal(streams.calls[0].code, RPC_OK);
    assert_true(http2_stream_has(stream, "grpc-status: 0"));
    assert_true(stream->is_closed);
}

static void test_empty_stream_has_headers_and_trailers(void **state)
{
    (void)state;
    streams.then = RPC_PULL_DONE;
    struct http2_stream *stream = ask(SCRIPTED_COUNT, true);
    assert_string_equal(
        stream->fields, ":status: 200\ncontent-type: application/grpc\n\ngrpc-status: 0\n\n");
}

static void test_client_stream_is_collected_whatever_the_cuts(void **state)
{
    enum { MESSAGES = 40 };
    (void)state;
    for (size_t piece = 1; piece <= 4096; piece = piece < 30 ? piece + 1 : piece * 2) {
        (void)tear_down(NULL);
        (void)set_up(NULL);
        client.piece = piece;
        streams.replies_at_half_close = true;
        struct http2_stream *stream = begin(SCRIPTED_COLLECT);
        for (int i = 0; i < MESSAGES; i++)
            http2_client_send(&client, stream,
                "\n\x03"
                "abc",
                5, i + 1 == MESSAGES);
        http2_client_move(&client);
        assert_int_equal(streams.n_calls, 1);
        size_t n = 0;
        for (const char *at = streams.calls[0].log; (at = strstr(at, "msg:abc")) != NULL; at++)
            n++;
        assert_int_equal(n, MESSAGES);
        assert_true(http2_stream_has(stream, "grpc-status: 0"));
    }
}

static void test_chat_echoes_and_ends_before_the_client_does(void **state)
{
    (void)state;
    streams.echoes = true;
    struct http2_stream *stream = begin(SCRIPTED_CHAT);
    http2_client_send(&client, stream,
        "\n\x01"
        "a",
        3, false);
    http2_client_move(&client);
    assert_true(stream->answer_len >= 5);
    assert_false(stream->is_closed);
    rpc_call_fail(streams.calls[0].call, RPC_ABORTED, NULL, "a b%%\xC3\xA4\n ");
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 10"));
    assert_true(http2_stream_has(stream, "grpc-message: a b%25%C3%A4%0A%20"));
    assert_true(stream->is_closed);
    assert_int_equal(stream->error, NGHTTP2_NO_ERROR);
}

/* ---- ends ---- */

static void test_unknown_method_is_one_block(void **state)
{
    (void)state;
    struct http2_stream *stream = http2_client_begin(&client, "/no.Service/No", NULL, 0);
    http2_client_move(&client);
    assert_non_null(strstr(stream->fields, "content-type: application/grpc\ngrpc-status: 12\n"));
    assert_true(stream->is_closed);
}

static void test_cancelled_call_is_noticed_at_once(void **state)
{
    (void)state;
    struct http2_stream *stream = ask(SCRIPTED_CHAT, false);
    assert_int_equal(rpc_connection_n_calls(client.connection), 1);
    assert_int_equal(
        nghttp2_submit_rst_stream(client.h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL), 0);
    http2_client_move(&client);
    assert_int_equal(streams.calls[0].n_closed, 1);
    assert_int_equal(streams.calls[0].code, RPC_CANCELLED);
    assert_int_equal(rpc_connection_n_calls(client.connection), 0);
}

static void test_deadline_is_heard_and_told(void **state)
{
    static const char *const timeout[] = {"grpc-timeout", "50m"};
    (void)state;
    struct http2_stream *stream = http2_client_begin(&client, path(SCRIPTED_ASK), timeout, 1);
    http2_client_send(&client, stream, "", 0, true);
    http2_client_move(&client);
    assert_int_equal(rpc_server_next_tick(client.server), client.now_ms + 50);
    rpc_server_tick(client.server, client.now_ms + 50);
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 4"));
    scripted_answer(&streams.calls[0], "late");
}

/* Nobody else knows of such a call, so nobody else could end it. */
static void test_call_without_its_request_leaves_nothing(void **state)
{
    (void)state;
    struct http2_stream *cut = begin(SCRIPTED_ASK);
    http2_client_send_raw(&client, cut, "\0\0\0", 3, true);
    http2_client_move(&client);
    assert_true(http2_stream_has(cut, "grpc-status: 3"));
    struct http2_stream *cancelled = begin(SCRIPTED_COUNT);
    http2_client_move(&client);
    assert_int_equal(rpc_server_n_calls(client.server), 1);
    assert_int_equal(
        nghttp2_submit_rst_stream(client.h2, NGHTTP2_FLAG_NONE, cancelled->id, NGHTTP2_CANCEL), 0);
    http2_client_move(&client);
    assert_int_equal(rpc_server_n_calls(client.server), 0);
    assert_int_equal(streams.n_calls, 0);
}

static void test_deadline_passes_while_the_request_comes(void **state)
{
    static const char *const timeout[] = {"grpc-timeout", "50m"};
    (void)state;
    struct http2_stream *stream = http2_client_begin(&client, path(SCRIPTED_ASK), timeout, 1);
    http2_client_move(&client);
    assert_int_equal(rpc_server_next_tick(client.server), client.now_ms + 50);
    rpc_server_tick(client.server, client.now_ms + 50);
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 4"));
    assert_int_equal(rpc_server_n_calls(client.server), 0);
}

/* RFC 9113, 4.2, 6.3 and 8.3.1: what nghttp2 leaves to us. */
static void test_rules_that_nghttp2_does_not_keep_are_kept(void **state)
{
    static const struct {
        uint8_t bytes[9];
        uint32_t error;
    } frames[] = {
        {{0, 0x40, 1, 9, 4, 0, 0, 0, 1}, NGHTTP2_FRAME_SIZE_ERROR},
        {{0, 0, 5, 2, 0, 0, 0, 0, 0}, NGHTTP2_PROTOCOL_ERROR},
        {{0, 0, 5, 2, 0, 0x80, 0, 0, 0}, NGHTTP2_PROTOCOL_ERROR},
    };
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct http2_guard guard;
        const char *objection = NULL;
        http2_guard_init(&guard, 0);
        guard.preface_left = 0;
        (void)http2_guard_look(&guard, frames[i].bytes, sizeof frames[i].bytes, 0, &objection);
        assert_non_null(objection);
        assert_int_equal(guard.error, frames[i].error);
    }
    struct http2_stream *stream = http2_client_begin(&client, "no slash", NULL, 0);
    http2_client_move(&client);
    assert_true(stream->is_closed);
    assert_int_equal(stream->error, NGHTTP2_PROTOCOL_ERROR);
}

static void test_metadata_come_decoded_and_go_encoded(void **state)
{
    static const char *const more[] = {
        "who", "me", "raw-bin", "/wA=,YWI", "user-agent", "test", "grpc-previous", "x"};
    (void)state;
    struct http2_stream *stream = http2_client_begin(&client, path(SCRIPTED_ASK), more, 4);
    http2_client_send(&client, stream, "", 0, true);
    http2_client_move(&client);
    struct rpc_call *call = streams.calls[0].call;
    size_t n = 0;
    const struct rpc_metadata *pairs = rpc_call_metadata(call, &n);
    assert_int_equal(n, 4);
    assert_string_equal(rpc_call_metadata_value(call, "who"), "me");
    assert_int_equal(pairs[1].value_len, 2);
    assert_memory_equal(pairs[1].value, "\xFF\0", 2);
    assert_string_equal(pairs[2].value, "ab");
    assert_int_equal(rpc_call_add_header(call, "h-bin", "\xFF", 1), RPC_OK);
    assert_int_equal(rpc_call_add_trailer(call, "t", "x", 1), RPC_OK);
    scripted_answer(&streams.calls[0], "");
    http2_client_move(&client);
    assert_string_equal(stream->fields,
        ":status: 200\ncontent-type: application/grpc\nh-bin: /w\n\ngrpc-status: 0\nt: x\n\n");
}

static void test_headers_go_when_told(void **state)
{
    (void)state;
    struct http2_stream *stream = ask(SCRIPTED_ASK, true);
    rpc_call_send_headers(streams.calls[0].call);
    http2_client_move(&client);
    assert_string_equal(stream->fields, ":status: 200\ncontent-type: application/grpc\n\n");
    scripted_answer(&streams.calls[0], "");
    http2_client_move(&client);
    assert_true(http2_stream_has(stream, "grpc-status: 0"));
}

static void test_compressed_messages_are_refused(void **state)
{
    static const char *const gzip[] = {"grpc-encoding", "gzip"};
    static const uint8_t compressed[] = {1, 0, 0, 0, 0};
    (void)state;
    struct http2_stream *said = http2_client_begin(&client, path(SCRIPTED_ASK), gzip, 1);
    struct http2_stream *unsaid = begin(SCRIPTED_ASK);
    http2_client_send_raw(&client, unsaid, compressed, sizeof compressed, true);
    http2_client_move(&client);
    assert_true(http2_stream_has(said, "grpc-status: 12"));
    assert_true(http2_stream_has(said, "grpc-accept-encoding: identity"));
    assert_true(http2_stream_has(unsaid, "grpc-status: 13"));
}

static void test_other_http_is_told_so(void **state)
{
    (void)state;
    struct http2_stream *stream = &client.streams[client.n_streams++];
    stream->body = malloc(HTTP2_BODY);
    stream->answer = malloc(HTTP2_BODY);
    static uint8_t names[][8] = {":method", ":scheme", ":path"};
    static uint8_t values[][8] = {"GET", "http", "/"};
    nghttp2_nv fields[3];
    for (size_t i = 0; i < 3; i++)
        fields[i] = (nghttp2_nv){.name = names[i],
            .value = values[i],
            .namelen = strlen((char *)names[i]),
            .valuelen = strlen((char *)values[i])};
    stream->id = nghttp2_submit_request(client.h2, NULL, fields, 3, NULL, stream);
    http2_client_move(&client);
    assert_string_equal(stream->fields, ":status: 405\nallow: POST\n\n");
}

/* ---- the graceful end ---- */

static void test_shut_connection_tells_twice_and_serves_what_crosses(void **state)
{
    (void)state;
    struct http2_stream *old = ask(SCRIPTED_ASK, true);
    rpc_server_shut(client.server);
    rpc_connection_shut(client.connection, client.now_ms);
    struct http2_stream *crossing = begin(SCRIPTED_ASK);
    http2_client_send(&client, crossing, "", 0, true);
    http2_client_move(&client);
    assert_int_equal(client.n_goaways, 2);
    assert_int_equal(client.last_goaway_id, crossing->id);
    assert_int_equal(client.goaway_error, NGHTTP2_NO_ERROR);
    assert_int_equal(streams.n_calls, 2);
    scripted_answer(&streams.calls[0], "");
    scripted_answer(&streams.calls[1], "");
    http2_client_move(&client);
    assert_true(http2_stream_has(old, "grpc-status: 0"));
    assert_true(http2_stream_has(crossing, "grpc-status: 0"));
    assert_int_equal(rpc_connection_wants(client.connection), RPC_WANTS_CLOSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unary_call_is_answered),
        TEST(test_unary_handler_runs_when_the_request_is_known_to_be_the_only_one),
        TEST(test_wrong_number_of_messages_is_unimplemented),
        TEST(test_server_stream_sends_all_and_ends),
        TEST(test_empty_stream_has_headers_and_trailers),
        TEST(test_client_stream_is_collected_whatever_the_cuts),
        TEST(test_chat_echoes_and_ends_before_the_client_does),
        TEST(test_unknown_method_is_one_block),
        TEST(test_cancelled_call_is_noticed_at_once),
        TEST(test_deadline_is_heard_and_told),
        TEST(test_call_without_its_request_leaves_nothing),
        TEST(test_deadline_passes_while_the_request_comes),
        TEST(test_rules_that_nghttp2_does_not_keep_are_kept),
        TEST(test_metadata_come_decoded_and_go_encoded),
        TEST(test_headers_go_when_told),
        TEST(test_compressed_messages_are_refused),
        TEST(test_other_http_is_told_so),
        TEST(test_shut_connection_tells_twice_and_serves_what_crosses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
