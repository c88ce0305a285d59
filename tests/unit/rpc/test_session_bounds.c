/* What a session holds at most: messages that nobody takes, output that nobody reads. */
#include "hex.h"
#include "session_pair.h"
#include "unit.h"

/* ---- messages that are not taken ---- */

static void test_server_stream_of_untaken_messages_ends_with_resource_exhausted(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    struct rpc_session_call *call =
        session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
    struct rpc_session_call *other =
        session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
        assert_int_equal(session_pair_send(call, 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX);
    assert_int_equal(pair.n_ended, 0);
    /* One place is free again, and only one. */
    rpc_session_call_taken(pair.served[0], 1);
    assert_int_equal(session_pair_send(call, 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 0);
    assert_int_equal(session_pair_send(call, 1), RPC_SEND_TAKEN);
    assert_int_equal(session_pair_send(other, 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], pair.served[0]);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    /* The other call has its message, and the client hears of the one. */
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX + 2);
    session_pair_move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_ended, 2);
    assert_ptr_equal(pair.ended_calls[1], call);
    assert_int_equal(pair.ended[1], RPC_RESOURCE_EXHAUSTED);
    assert_true(rpc_session_call_is_writable(other));
    session_pair_close(&pair);
}

static void test_client_stream_of_untaken_messages_is_cancelled(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    struct rpc_session_call *call =
        session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    struct rpc_session_call *other = session_pair_call(&pair, &session_pair_methods[RPC_UNARY]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    pair.n_messages = 0;
    for (int i = 0; i <= RPC_INBOUND_MESSAGES_MAX; i++)
        assert_int_equal(session_pair_send(pair.served[0], 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], call);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 2);
    assert_ptr_equal(pair.ended_calls[1], pair.served[0]);
    assert_int_equal(pair.ended[1], RPC_CANCELLED);
    rpc_session_call_cancel(other);
    session_pair_close(&pair);
}

static void test_untaken_bytes_of_all_streams_are_bounded_together(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    struct rpc_session_call *first =
        session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
    struct rpc_session_call *second =
        session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
    struct rpc_session_call *third =
        session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
    /* A message as large as they get, on two streams: exactly the bound. */
    const size_t half = RPC_INBOUND_BYTES_MAX / 2;
    assert_int_equal(half, RPC_MESSAGE_BYTES_MAX);
    assert_int_equal(session_pair_send(first, half), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(session_pair_send(second, half), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.message_bytes, RPC_INBOUND_BYTES_MAX);
    assert_int_equal(session_pair_send(third, 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], pair.served[2]);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    /* What was taken counts no more. */
    rpc_session_call_taken(pair.served[0], half);
    assert_int_equal(session_pair_send(second, half), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_int_equal(pair.message_bytes, 3 * half);
    /* Nor what belonged to a call that was released. */
    rpc_session_call_cancel(second);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    session_pair_take_events(&pair, pair.client);
    assert_int_equal(pair.n_ended, 3);
    rpc_session_call_release(pair.served[1]);
    /* The server's first, then the client's own. */
    assert_ptr_equal(pair.ended_calls[1], pair.served[1]);
    pair.ended_calls[1] = pair.ended_calls[--pair.n_ended];
    assert_int_equal(session_pair_send(first, half), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.message_bytes, 4 * half);
    session_pair_close(&pair);
}

static void test_messages_that_are_taken_at_once_have_no_bound(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    pair.takes = true;
    struct rpc_session_call *call = session_pair_call(&pair, &session_pair_methods[RPC_BIDI]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(session_pair_send(call, 100), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_messages, 1000);
    assert_int_equal(pair.n_ended, 0);
    session_pair_close(&pair);
}

/* The last message may be the one too many; the server has ended the call then, and hears nothing.
 */
static void test_last_message_beyond_the_bound_ends_with_resource_exhausted(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
        assert_int_equal(session_pair_send(pair.served[0], 1), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.server, SIZE_MAX);
    uint8_t bytes[16];
    size_t len = hex_decode("00000001 00000001 03 01 'x'", bytes, sizeof bytes);
    rpc_session_receive(pair.client, bytes, len, 0);
    session_pair_take_events(&pair, pair.client);
    assert_int_equal(pair.n_ended, 1);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(session_pair_output_len(pair.client), 0);
    session_pair_close(&pair);
}

static void test_first_message_beyond_the_bound_refuses_the_call(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    for (int i = 0; i < 2; i++) {
        struct rpc_session_call *call =
            session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
        assert_int_equal(session_pair_send(call, RPC_MESSAGE_BYTES_MAX), RPC_SEND_TAKEN);
        session_pair_move(&pair, pair.client, SIZE_MAX);
    }
    uint8_t bytes[32];
    size_t len =
        hex_decode("0000000b 00000005 01 02 0a03'a.B' 1201'K' 1a01'q'", bytes, sizeof bytes);
    rpc_session_receive(pair.server, bytes, len, 0);
    static struct rpc_session_event event;
    assert_true(rpc_session_next(pair.server, &event));
    assert_int_equal(event.kind, RPC_EVENT_OPENED);
    assert_int_equal(event.status.code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(rpc_session_call_finish(event.call, &event.status, NULL), RPC_SEND_TAKEN);
    rpc_session_call_release(event.call);
    assert_false(rpc_session_next(pair.server, &event));
    session_pair_close(&pair);
}

/* ---- output that is not read ---- */

static void test_stream_is_writable_up_to_the_soft_bound_and_taken_up_to_the_hard_one(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    struct rpc_session_call *call = pair.served[0];
    assert_true(rpc_session_call_is_writable(call));
    assert_int_equal(session_pair_send(call, RPC_MESSAGE_BYTES_MAX + 1), RPC_SEND_TOO_LARGE);
    assert_int_equal(session_pair_output_len(pair.server), 0);
    assert_int_equal(session_pair_send(call, RPC_OUTPUT_SOFT_BYTES - 11), RPC_SEND_TAKEN);
    assert_true(rpc_session_call_is_writable(call));
    assert_int_equal(session_pair_send(call, 0), RPC_SEND_TAKEN);
    assert_false(rpc_session_call_is_writable(call));
    assert_true(rpc_session_wants_read(pair.server));
    while (session_pair_output_len(pair.server) < RPC_OUTPUT_STALL_BYTES)
        assert_int_equal(session_pair_send(call, RPC_OUTPUT_SOFT_BYTES), RPC_SEND_TAKEN);
    assert_false(rpc_session_wants_read(pair.server));
    enum rpc_send_result result = RPC_SEND_TAKEN;
    while (result == RPC_SEND_TAKEN)
        result = session_pair_send(call, RPC_OUTPUT_SOFT_BYTES);
    assert_int_equal(result, RPC_SEND_NO_ROOM);
    assert_true(session_pair_output_len(pair.server) <= RPC_OUTPUT_HARD_BYTES);
    assert_non_null(rpc_session_broken(pair.server));
    session_pair_close(&pair);
}

static void test_server_that_is_stalled_leaves_frames_until_output_was_sent(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    while (session_pair_output_len(pair.server) < RPC_OUTPUT_STALL_BYTES)
        assert_int_equal(session_pair_send(pair.served[0], RPC_OUTPUT_SOFT_BYTES), RPC_SEND_TAKEN);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_UNARY]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 1);
    session_pair_move(&pair, pair.server, RPC_OUTPUT_SOFT_BYTES + 100);
    session_pair_take_events(&pair, pair.server);
    assert_int_equal(pair.n_served, 2);
    session_pair_close(&pair);
}

static void test_request_or_answer_beyond_4_mib_is_not_sent(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    const struct rpc_payload huge = {.len = RPC_MESSAGE_BYTES_MAX};
    assert_null(rpc_session_open(pair.client, &session_pair_methods[RPC_UNARY], 0, NULL, 0, &huge));
    assert_null(rpc_session_broken(pair.client));
    assert_int_equal(session_pair_output_len(pair.client), 0);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_UNARY]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    const struct rpc_status status = {.code = RPC_OK};
    assert_int_equal(rpc_session_call_finish(pair.served[0], &status, &huge), RPC_SEND_TOO_LARGE);
    assert_int_equal(session_pair_output_len(pair.server), 0);
    session_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_stream_of_untaken_messages_ends_with_resource_exhausted),
        cmocka_unit_test(test_client_stream_of_untaken_messages_is_cancelled),
        cmocka_unit_test(test_untaken_bytes_of_all_streams_are_bounded_together),
        cmocka_unit_test(test_messages_that_are_taken_at_once_have_no_bound),
        cmocka_unit_test(test_stream_is_writable_up_to_the_soft_bound_and_taken_up_to_the_hard_one),
        cmocka_unit_test(test_server_that_is_stalled_leaves_frames_until_output_was_sent),
        cmocka_unit_test(test_last_message_beyond_the_bound_ends_with_resource_exhausted),
        cmocka_unit_test(test_first_message_beyond_the_bound_refuses_the_call),
        cmocka_unit_test(test_request_or_answer_beyond_4_mib_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
