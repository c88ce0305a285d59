/* Streams from the client: every message given once and in order, kept while it is not wanted, the
 * half-close after the last; and streams in both directions. */
#include "crpc/limits.h"
#include "hex.h"
#include "scripted_streams.h"
#include "unit.h"
#include "wire_pair.h"

/* ---- scaffolding ---- */

static struct wire_pair pair;
static struct scripted_streams streams;
static struct wire_end end;

static int set_up(void **state)
{
    (void)state;
    memset(&streams, 0, sizeof streams);
    memset(&end, 0, sizeof end);
    streams.message_len = 5;
    streams.then = RPC_PULL_LATER;
    const struct rpc_service service = scripted_service(&streams);
    wire_pair_open_service(&pair, &service);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    return 0;
}

static struct scripted_stream *stream_of(size_t i)
{
    assert_true(i < streams.n_calls);
    return &streams.calls[i];
}

static struct rpc_session_call *open_stream(enum scripted_method method)
{
    return wire_pair_call(&pair, &scripted_methods[method], 0, NULL, 0, &end);
}

/* `text` of one character in field 1. */
static void say(struct rpc_session_call *call, char text)
{
    const char message[] = {0x0a, 0x01, text};
    wire_pair_send(call, message, sizeof message);
}

static void send_hex(struct rpc_session_call *call, const char *hex)
{
    uint8_t bytes[256];
    size_t len = hex_decode(hex, bytes, sizeof bytes);
    wire_pair_send(call, bytes, len);
}

/* ---- client streams ---- */

static void test_messages_are_given_in_order_and_the_answer_ends_it(void **state)
{
    (void)state;
    streams.replies_at_half_close = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    rpc_session_call_half_close(call);
    wire_pair_push(&pair);
    /* Within the read; `next` is nobody's in this direction. */
    assert_string_equal(stream_of(0)->log, "open msg:1 msg:2 half closed:0 ");
    wire_pair_move(&pair);
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_OK);
    assert_int_equal(end.message_len, 11);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_many_messages_that_are_taken_at_once_meet_no_bound(void **state)
{
    (void)state;
    streams.replies_at_half_close = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    for (int i = 0; i < 10 * RPC_INBOUND_MESSAGES_MAX; i++)
        say(call, 'x');
    rpc_session_call_half_close(call);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
}

static void test_messages_before_begin_wait_for_it(void **state)
{
    (void)state;
    streams.begins_later = true;
    streams.replies_at_half_close = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    rpc_session_call_half_close(call);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open ");
    scripted_begin(stream_of(0));
    assert_string_equal(stream_of(0)->log, "open ");
    assert_int_equal(pair.n_output_ready, 1);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 msg:2 half closed:0 ");
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
}

static void test_later_gives_the_same_message_again_after_a_wake(void **state)
{
    (void)state;
    streams.take = RPC_TAKE_LATER;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    rpc_session_call_half_close(call);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    rpc_call_wake(stream_of(0)->call);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 msg:1 ");
    streams.take = RPC_TAKE_DONE;
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 msg:1 ");
    rpc_call_wake(stream_of(0)->call);
    assert_int_equal(pair.n_output_ready, 2);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 msg:1 msg:1 msg:2 half ");
    scripted_answer(stream_of(0), "at last");
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
}

static void wake_itself(struct scripted_stream *stream, const char *hook)
{
    if (strcmp(hook, "message") == 0)
        rpc_call_wake(stream->call);
}

static void test_wake_inside_message_does_not_undo_its_later(void **state)
{
    (void)state;
    streams.take = RPC_TAKE_LATER;
    streams.inside = wake_itself;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
}

static void test_messages_not_taken_are_bounded(void **state)
{
    (void)state;
    streams.take = RPC_TAKE_LATER;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    struct wire_end other;
    (void)wire_pair_call(&pair, &scripted_methods[SCRIPTED_ASK], 0, NULL, 0, &other);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
        say(call, 'x');
    wire_pair_move(&pair);
    assert_int_equal(stream_of(0)->n_closed, 0);
    say(call, 'x');
    wire_pair_push(&pair);
    assert_int_equal(stream_of(0)->n_closed, 1);
    assert_int_equal(stream_of(0)->code, RPC_RESOURCE_EXHAUSTED);
    scripted_answer(stream_of(1), "goes on");
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(other.code, RPC_OK);
    assert_true(other.has_ended);
}

static void test_taken_messages_make_room_for_others(void **state)
{
    (void)state;
    streams.take = RPC_TAKE_LATER;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    for (int round = 0; round < 3; round++) {
        streams.take = RPC_TAKE_LATER;
        for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
            say(call, 'x');
        wire_pair_move(&pair);
        streams.take = RPC_TAKE_DONE;
        rpc_call_wake(stream_of(0)->call);
        wire_pair_move(&pair);
    }
    assert_int_equal(stream_of(0)->n_closed, 0);
}

static void test_answer_before_the_half_close_ends_it(void **state)
{
    (void)state;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    wire_pair_push(&pair);
    scripted_answer(stream_of(0), "enough");
    assert_string_equal(stream_of(0)->log, "open msg:1 closed:0 ");
    say(call, '2');
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
    assert_string_equal(stream_of(0)->log, "open msg:1 closed:0 ");
}

static void test_answer_without_a_stream_ends_it_too(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    wire_pair_push(&pair);
    scripted_answer(stream_of(0), "not interested");
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
    assert_int_equal(stream_of(0)->n_closed, 0);
}

static void test_cancel_closes_while_messages_wait(void **state)
{
    (void)state;
    streams.take = RPC_TAKE_LATER;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    wire_pair_move(&pair);
    rpc_session_call_cancel(call);
    wire_pair_push(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 closed:1 ");
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    wire_pair_move(&pair);
}

static void fail_in_message(struct scripted_stream *stream, const char *hook)
{
    if (strcmp(hook, "message") == 0)
        rpc_call_fail(stream->call, RPC_OUT_OF_RANGE, NULL, "not this one");
}

static void test_failing_inside_message_closes_after_it(void **state)
{
    (void)state;
    streams.inside = fail_in_message;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open msg:1 closed:11 ");
    assert_int_equal(end.code, RPC_OUT_OF_RANGE);
}

static void test_method_without_a_handler_is_unimplemented(void **state)
{
    (void)state;
    struct rpc_session_call *call = open_stream(SCRIPTED_NOTHING);
    say(call, '1');
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_UNIMPLEMENTED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_NOT_IMPLEMENTED);
}

static void test_streaming_method_called_as_unary_is_unimplemented(void **state)
{
    (void)state;
    uint8_t frame[64];
    size_t len = hex_decode(
        "0000001a 00000001 01 00 0a0f'test.v1.Streams' 1207'Collect'", frame, sizeof frame);
    rpc_connection_receive(pair.connection, frame, len, 1000);
    assert_int_equal(streams.n_calls, 0);
    size_t out_len = 0;
    const uint8_t *output = rpc_connection_output(pair.connection, &out_len);
    assert_true(out_len > 16);
    /* Response { status { code: 12 */
    assert_int_equal(output[8], 2);
    assert_memory_equal(strchr((const char *)output + 10, 0x08), "\x08\x0c\x12", 3);
}

/* ---- what messages must be ---- */

static void test_bad_message_ends_the_stream(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { enum scripted_method method; const char *message; enum rpc_code code;
        enum rpc_refusal refusal; } rows[] = {
        {SCRIPTED_COLLECT, "0a02 ff'x'", RPC_INVALID_ARGUMENT, RPC_REFUSAL_BAD_TEXT},
        {SCRIPTED_COLLECT, "0a03 'a' 00 'b'", RPC_INVALID_ARGUMENT, RPC_REFUSAL_BAD_TEXT},
        {SCRIPTED_CHAT, "0a05'x'", RPC_INVALID_ARGUMENT, RPC_REFUSAL_MALFORMED},
        {SCRIPTED_MUTATE, "fa0103'web'", RPC_UNIMPLEMENTED, RPC_REFUSAL_UNKNOWN_FIELD},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rpc_session_call *call = open_stream(rows[i].method);
        say(call, '1');
        send_hex(call, rows[i].message);
        say(call, '3');
        wire_pair_move(&pair);
        assert_int_equal(end.code, rows[i].code);
        assert_int_equal(end.reason, 1 + rows[i].refusal);
        assert_int_equal(stream_of(i)->n_closed, 1);
        assert_int_equal(stream_of(i)->code, rows[i].code);
        assert_null(strstr(stream_of(i)->log, "msg:3"));
        assert_non_null(strstr(stream_of(i)->log, "msg:1"));
    }
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    send_hex(call, "fa0103'web'");
    wire_pair_move(&pair);
    assert_false(end.has_ended);
}

static void test_bad_message_that_waited_ends_the_stream(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_CHAT);
    send_hex(call, "0a02 ff'x'");
    wire_pair_move(&pair);
    scripted_begin(stream_of(0));
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(stream_of(0)->log, "open closed:3 ");
}

struct admissions {
    int n_calls;
    int n_messages;
    int refused_at;
};

static bool admit(void *data, struct rpc_call *call, const ProtobufCMessage *request)
{
    struct admissions *seen = data;
    if (request == NULL)
        seen->n_calls++;
    else
        seen->n_messages++;
    if (seen->n_calls + seen->n_messages != seen->refused_at)
        return true;
    rpc_call_fail(call, RPC_PERMISSION_DENIED, NULL, "not you");
    return false;
}

static void test_admit_sees_the_call_and_each_message_once(void **state)
{
    (void)state;
    struct admissions seen = {.n_calls = 0};
    pair.admit = admit;
    pair.admit_data = &seen;
    streams.take = RPC_TAKE_LATER;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    wire_pair_move(&pair);
    assert_int_equal(seen.n_calls, 1);
    say(call, '1');
    say(call, '2');
    wire_pair_move(&pair);
    for (int i = 0; i < 3; i++) {
        rpc_call_wake(stream_of(0)->call);
        wire_pair_move(&pair);
    }
    assert_int_equal(seen.n_messages, 1);
    streams.take = RPC_TAKE_DONE;
    rpc_call_wake(stream_of(0)->call);
    wire_pair_move(&pair);
    assert_int_equal(seen.n_messages, 2);
    assert_int_equal(seen.n_calls, 1);
}

static void test_admit_may_end_the_call_at_any_message(void **state)
{
    (void)state;
    struct admissions seen = {.refused_at = 1};
    pair.admit = admit;
    pair.admit_data = &seen;
    struct rpc_session_call *call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_PERMISSION_DENIED);
    assert_int_equal(streams.n_calls, 0);
    seen = (struct admissions){.refused_at = 3};
    call = open_stream(SCRIPTED_COLLECT);
    say(call, '1');
    say(call, '2');
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_PERMISSION_DENIED);
    assert_string_equal(stream_of(0)->log, "open msg:1 closed:7 ");
}

/* ---- both directions ---- */

static void test_chat_echoes_in_order_and_ends_without_the_client(void **state)
{
    (void)state;
    streams.echoes = true;
    struct rpc_session_call *call = open_stream(SCRIPTED_CHAT);
    for (const char *text = "01234"; *text != '\0'; text++)
        say(call, *text);
    wire_pair_move(&pair);
    assert_int_equal(end.n_messages, 5);
    assert_string_equal(stream_of(0)->log, "open msg:0 msg:1 next msg:1 msg:2 next msg:2 msg:3 "
                                           "next msg:3 msg:4 next msg:4 next ");
    streams.then = RPC_PULL_DONE;
    rpc_call_wake(stream_of(0)->call);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_OK);
    assert_true(end.has_ended);
    assert_int_equal(stream_of(0)->n_closed, 1);
}

static void test_chat_with_a_stalled_reader_still_hears_its_client(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    streams.message_len = 100000;
    struct rpc_session_call *call = open_stream(SCRIPTED_CHAT);
    wire_pair_push(&pair);
    size_t len = 0;
    (void)rpc_connection_output(pair.connection, &len);
    assert_true(len >= RPC_OUTPUT_SOFT_BYTES);
    say(call, '1');
    rpc_session_call_half_close(call);
    wire_pair_push(&pair);
    assert_non_null(strstr(stream_of(0)->log, "msg:1 half"));
    rpc_call_fail(stream_of(0)->call, RPC_ABORTED, NULL, "enough");
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_ABORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_are_given_in_order_and_the_answer_ends_it),
        TEST(test_many_messages_that_are_taken_at_once_meet_no_bound),
        TEST(test_messages_before_begin_wait_for_it),
        TEST(test_later_gives_the_same_message_again_after_a_wake),
        TEST(test_wake_inside_message_does_not_undo_its_later),
        TEST(test_messages_not_taken_are_bounded),
        TEST(test_taken_messages_make_room_for_others),
        TEST(test_answer_before_the_half_close_ends_it),
        TEST(test_answer_without_a_stream_ends_it_too),
        TEST(test_cancel_closes_while_messages_wait),
        TEST(test_failing_inside_message_closes_after_it),
        TEST(test_method_without_a_handler_is_unimplemented),
        TEST(test_streaming_method_called_as_unary_is_unimplemented),
        TEST(test_bad_message_ends_the_stream),
        TEST(test_bad_message_that_waited_ends_the_stream),
        TEST(test_admit_sees_the_call_and_each_message_once),
        TEST(test_admit_may_end_the_call_at_any_message),
        TEST(test_chat_echoes_in_order_and_ends_without_the_client),
        TEST(test_chat_with_a_stalled_reader_still_hears_its_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
