/* Blocking streams against a scripted peer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flocks/v1/supervisor.names.h"

#include "common/rpc/client_state.h"
#include "common/rpc/frame.h"
#include "crpc/limits.h"
#include "fake_wire.h"
#include "unit.h"

static struct rpc_client *client;
static struct rpc_error *error;

static int set_up(void **state)
{
    (void)state;
    client = rpc_client_take_fd(fake_wire_open(), &error);
    return client == NULL ? -1 : 0;
}

static void forget_error(void)
{
    rpc_error_free(error);
    error = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    forget_error();
    rpc_client_close(client);
    fake_wire_close();
    return 0;
}

static struct rpc_stream *open_stream(const struct rpc_method *method, int64_t timeout_ms)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    struct rpc_stream *stream = rpc_client_open(
        client, method, &options, method->kind == RPC_SERVER_STREAM ? &request.base : NULL, &error);
    assert_non_null(stream);
    return stream;
}

static enum rpc_result say(struct rpc_stream *stream, const char *text)
{
    flocks_get_operation_request message = FLOCKS_GET_OPERATION_REQUEST_INIT;
    message.operation_id = text;
    return rpc_stream_send(stream, &message.base, &error);
}

static enum rpc_result ask(int64_t timeout_ms)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    const ProtobufCMessage *answer = NULL;
    enum rpc_result result =
        rpc_client_call(client, &TALK_ASK, &options, &request.base, &answer, &error);
    rpc_message_free(answer);
    return result;
}

static void check_text(const ProtobufCMessage *message, const char *expected)
{
    assert_non_null(message);
    assert_string_equal(((const flocks_get_operation_request *)message)->operation_id, expected);
    rpc_message_free(message);
}

static void expect_message(struct rpc_stream *stream, const char *expected)
{
    const ProtobufCMessage *message = NULL;
    assert_int_equal(rpc_stream_next(stream, &message, &error), RPC_DONE);
    check_text(message, expected);
}

static enum rpc_result next(struct rpc_stream *stream)
{
    const ProtobufCMessage *message = NULL;
    enum rpc_result result = rpc_stream_next(stream, &message, &error);
    assert_null(message);
    return result;
}

static void expect_error(struct rpc_stream *stream, enum rpc_code code, bool from_server)
{
    assert_int_equal(next(stream), RPC_ERROR);
    assert_int_equal(error->code, code);
    assert_int_equal(error->from_server, from_server);
    forget_error();
}

/* ---- receiving ---- */

static void test_server_stream_is_read_to_its_end_at_every_cut(void **state)
{
    (void)state;
    for (unsigned cut = 1; cut <= 20; cut++) {
        wire.read_max = cut;
        wire.write_max = cut;
        talk_message(cut, 2 * cut - 1, "one");
        talk_message(cut, 2 * cut - 1, "two");
        talk_end(cut, 2 * cut - 1);
        struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
        expect_message(stream, "one");
        expect_message(stream, "two");
        assert_int_equal(next(stream), RPC_END);
        assert_int_equal(next(stream), RPC_END);
        rpc_stream_close(stream);
    }
}

static void test_error_comes_after_the_messages_and_again(void **state)
{
    (void)state;
    talk_message(1, 1, "one");
    talk_error(1, 1, RPC_ABORTED, "no more");
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    expect_message(stream, "one");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(stream), RPC_ERROR);
        assert_int_equal(error->code, RPC_ABORTED);
        assert_string_equal(error->message, "no more");
        forget_error();
    }
    rpc_stream_close(stream);
}

static void test_streams_and_calls_share_a_connection(void **state)
{
    (void)state;
    struct rpc_stream *first = open_stream(&TALK_LISTEN, 0);
    struct rpc_stream *second = open_stream(&TALK_LISTEN, 0);
    talk_message(2, 3, "second 1");
    talk_message(2, 1, "first 1");
    talk_message(2, 3, "second 2");
    talk_end(2, 1);
    talk_answer(3, 5, "answer");
    talk_end(3, 3);
    assert_int_equal(ask(0), RPC_DONE);
    expect_message(first, "first 1");
    assert_int_equal(next(first), RPC_END);
    expect_message(second, "second 1");
    expect_message(second, "second 2");
    rpc_stream_close(first);
    assert_int_equal(next(second), RPC_END);
    rpc_stream_close(second);
}

/* 1,000 messages in one read; the one who reads them is never too slow. */
static void test_burst_for_the_one_who_reads_is_no_flood(void **state)
{
    (void)state;
    enum { N = 1000, LEN = RPC_FRAME_HEADER_BYTES + 4 };
    static uint8_t bytes[N * LEN];
    static const uint8_t message[LEN] = {0, 0, 0, 4, 0, 0, 0, 1, 3, 0, 0x0a, 2, 'h', 'i'};
    for (size_t i = 0; i < N; i++)
        memcpy(bytes + i * LEN, message, LEN);
    fake_wire_say_bytes(1, 0, bytes, sizeof bytes);
    talk_end(1, 1);
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    for (int i = 0; i < N; i++)
        expect_message(stream, "hi");
    assert_int_equal(next(stream), RPC_END);
    rpc_stream_close(stream);
}

static void test_flood_that_nobody_reads_ends_that_stream_only(void **state)
{
    (void)state;
    struct rpc_stream *flooded = open_stream(&TALK_LISTEN, 0);
    struct rpc_stream *other = open_stream(&TALK_LISTEN, 0);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX + 1; i++)
        talk_message(2, 1, "water");
    talk_message(2, 3, "word");
    talk_message(2, 1, "late");
    talk_answer(3, 5, "answer");
    assert_int_equal(ask(0), RPC_DONE);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    expect_message(other, "word");
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
        expect_message(flooded, "water");
    expect_error(flooded, RPC_RESOURCE_EXHAUSTED, false);
    rpc_stream_close(flooded);
    talk_end(4, 3);
    assert_int_equal(next(other), RPC_END);
    rpc_stream_close(other);
}

static void test_garbage_on_a_stream_ends_that_stream_only(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    talk_message(1, 1, "good");
    fake_wire_say(1, 0, "00000003 00000001 03 00 0a01ff");
    talk_message(1, 1, "after");
    talk_answer(3, 3, "answer");
    expect_message(stream, "good");
    expect_error(stream, RPC_INTERNAL, false);
    expect_error(stream, RPC_INTERNAL, false);
    assert_int_equal(ask(0), RPC_DONE);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    rpc_stream_close(stream);
}

static void test_server_that_dies_ends_every_stream_after_its_messages(void **state)
{
    (void)state;
    struct rpc_stream *first = open_stream(&TALK_LISTEN, 0);
    struct rpc_stream *second = open_stream(&TALK_CHAT, 0);
    talk_message(2, 3, "word");
    fake_wire_hang_up(2, 0, ECONNRESET);
    expect_error(first, RPC_UNAVAILABLE, false);
    expect_message(second, "word");
    assert_int_equal(next(second), RPC_ERROR);
    assert_int_equal(error->system_error, ECONNRESET);
    forget_error();
    assert_int_equal(say(second, "more"), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    forget_error();
    assert_false(rpc_client_is_alive(client));
    rpc_stream_close(first);
    rpc_stream_close(second);
}

/* ---- time ---- */

static void test_patience_ends_the_waiting_not_the_stream(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    rpc_stream_set_patience(stream, 30);
    int64_t began_at = wire.now_ms;
    assert_int_equal(next(stream), RPC_AGAIN);
    assert_int_equal(wire.now_ms - began_at, 30);
    fake_wire_say(1, 40, "00000003 00000001 03 00 0a0141");
    talk_end(1, 1);
    assert_int_equal(next(stream), RPC_AGAIN);
    expect_message(stream, "A");
    assert_int_equal(next(stream), RPC_END);
    rpc_stream_close(stream);
}

static void test_deadline_ends_the_stream_after_its_messages(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 80);
    rpc_stream_set_patience(stream, 1000);
    talk_message(1, 1, "one");
    talk_message(1, 1, "two");
    int64_t began_at = wire.now_ms;
    expect_message(stream, "one");
    expect_message(stream, "two");
    assert_int_equal(next(stream), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    forget_error();
    assert_int_equal(wire.now_ms - began_at, 80);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    expect_error(stream, RPC_DEADLINE_EXCEEDED, false);
    rpc_stream_close(stream);
}

static void test_client_stream_has_the_deadline_of_a_call(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_TELL, 0);
    int64_t began_at = wire.now_ms;
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(rpc_stream_finish(stream, &answer, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(wire.now_ms - began_at, RPC_CLIENT_TIMEOUT_MS);
    rpc_stream_close(stream);
}

/* ---- sending ---- */

static void test_client_stream_is_answered_once(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_TELL, 0);
    assert_int_equal(say(stream, "one"), RPC_DONE);
    assert_int_equal(say(stream, "two"), RPC_DONE);
    talk_answer(4, 1, "sum");
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(rpc_stream_finish(stream, &answer, &error), RPC_DONE);
    check_text(answer, "sum");
    assert_int_equal(talk_heard(1, RPC_FRAME_DATA), 3);
    assert_int_equal(say(stream, "three"), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    rpc_stream_close(stream);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 0);
}

static void test_client_stream_may_fail_without_an_answer(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_TELL, 0);
    talk_error(1, 1, RPC_NOT_FOUND, "nobody");
    assert_int_equal(say(stream, "one"), RPC_DONE);
    wire.now_ms++;
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(rpc_stream_finish(stream, &answer, &error), RPC_ERROR);
    assert_null(answer);
    assert_int_equal(error->code, RPC_NOT_FOUND);
    assert_true(error->from_server);
    forget_error();
    assert_int_equal(rpc_stream_half_close(stream, &error), RPC_DONE);
    rpc_stream_close(stream);
}

static void test_chat_goes_both_ways(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_CHAT, 0);
    talk_message(2, 1, "you said one");
    talk_message(3, 1, "you said two");
    talk_message(4, 1, "you said all");
    talk_end(4, 1);
    assert_int_equal(say(stream, "one"), RPC_DONE);
    expect_message(stream, "you said one");
    assert_int_equal(say(stream, "two"), RPC_DONE);
    expect_message(stream, "you said two");
    assert_int_equal(rpc_stream_half_close(stream, &error), RPC_DONE);
    assert_int_equal(rpc_stream_half_close(stream, &error), RPC_DONE);
    expect_message(stream, "you said all");
    assert_int_equal(next(stream), RPC_END);
    rpc_stream_close(stream);
}

static void test_send_waits_for_room_as_long_as_it_may(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_CHAT, 500);
    static char text[400001];
    memset(text, 'x', sizeof text - 1);
    wire.room = 1000;
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(stream, text), RPC_DONE);
    rpc_stream_set_patience(stream, 100);
    assert_int_equal(say(stream, text), RPC_AGAIN);
    /* While it waits it reads. */
    talk_message(1, 1, "word");
    assert_int_equal(say(stream, text), RPC_AGAIN);
    wire.room = SIZE_MAX;
    assert_int_equal(say(stream, text), RPC_DONE);
    expect_message(stream, "word");
    wire.room = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(say(stream, text), RPC_DONE);
    rpc_stream_set_patience(stream, 0);
    assert_int_equal(say(stream, text), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    wire.room = SIZE_MAX;
    rpc_stream_close(stream);
}

static void test_message_too_large_leaves_the_stream(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_CHAT, 0);
    char *text = malloc(RPC_MESSAGE_BYTES_MAX + 1);
    memset(text, 'x', RPC_MESSAGE_BYTES_MAX);
    text[RPC_MESSAGE_BYTES_MAX] = '\0';
    assert_int_equal(say(stream, text), RPC_ERROR);
    free(text);
    assert_int_equal(error->code, RPC_RESOURCE_EXHAUSTED);
    forget_error();
    talk_message(2, 1, "still here");
    assert_int_equal(say(stream, "small"), RPC_DONE);
    expect_message(stream, "still here");
    rpc_stream_close(stream);
}

static void test_send_after_the_servers_end_says_so(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_CHAT, 0);
    talk_error(1, 1, RPC_ABORTED, "enough");
    assert_int_equal(next(stream), RPC_ERROR);
    forget_error();
    assert_int_equal(say(stream, "more"), RPC_END);
    rpc_stream_close(stream);
}

/* ---- closing ---- */

static void test_close_cancels_what_has_not_ended(void **state)
{
    (void)state;
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    rpc_stream_close(stream);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
    talk_message(2, 1, "late");
    talk_end(2, 1);
    talk_answer(3, 3, "answer");
    assert_int_equal(ask(0), RPC_DONE);
    rpc_stream_close(NULL);
}

static void test_wrong_kinds_are_refused(void **state)
{
    (void)state;
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    assert_null(rpc_client_open(client, &TALK_ASK, NULL, &request.base, &error));
    forget_error();
    assert_null(rpc_client_open(client, &TALK_LISTEN, NULL, NULL, &error));
    assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
    forget_error();
    struct rpc_stream *stream = open_stream(&TALK_LISTEN, 0);
    assert_int_equal(say(stream, "me too"), RPC_ERROR);
    forget_error();
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(rpc_stream_finish(stream, &answer, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    rpc_stream_close(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_server_stream_is_read_to_its_end_at_every_cut),
        TEST(test_error_comes_after_the_messages_and_again),
        TEST(test_streams_and_calls_share_a_connection),
        TEST(test_burst_for_the_one_who_reads_is_no_flood),
        TEST(test_flood_that_nobody_reads_ends_that_stream_only),
        TEST(test_garbage_on_a_stream_ends_that_stream_only),
        TEST(test_server_that_dies_ends_every_stream_after_its_messages),
        TEST(test_patience_ends_the_waiting_not_the_stream),
        TEST(test_deadline_ends_the_stream_after_its_messages),
        TEST(test_client_stream_has_the_deadline_of_a_call),
        TEST(test_client_stream_is_answered_once),
        TEST(test_client_stream_may_fail_without_an_answer),
        TEST(test_chat_goes_both_ways),
        TEST(test_send_waits_for_room_as_long_as_it_may),
        TEST(test_message_too_large_leaves_the_stream),
        TEST(test_send_after_the_servers_end_says_so),
        TEST(test_close_cancels_what_has_not_ended),
        TEST(test_wrong_kinds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
