/* What is dropped of the output when a call ends early, and what must stay. */
#include "common/rpc/ttrpc.h"
#include "hex.h"
#include "session_pair.h"
#include "unit.h"

static void test_cancel_drops_what_the_server_has_queued(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    struct rpc_session_call *call =
        session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(session_pair_send(pair.served[0], 1000), RPC_SEND_TAKEN);
        assert_int_equal(session_pair_send(pair.served[1], 10), RPC_SEND_TAKEN);
    }
    rpc_session_call_cancel(call);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    /* The other call's messages, and the answer to the cancel. */
    assert_in_range(session_pair_output_len(pair.server), 100 * 20 + 11, 100 * 20 + 100);
    pair.n_messages = 0;
    pair.takes = true;
    session_pair_move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, 100);
    session_pair_close(&pair);
}

static void test_frame_that_was_sent_in_part_is_never_dropped(void **state)
{
    (void)state;
    /* Cut everywhere in the first two frames. */
    for (size_t cut = 0; cut <= 40; cut++) {
        struct session_pair pair;
        session_pair_open(&pair);
        pair.takes = true;
        struct rpc_session_call *call =
            session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
        struct rpc_session_call *other =
            session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
        session_pair_move(&pair, pair.client, SIZE_MAX);
        pair.n_messages = 0;
        for (int i = 0; i < 10; i++)
            assert_int_equal(session_pair_send(pair.served[0], 10), RPC_SEND_TAKEN);
        assert_int_equal(session_pair_send(pair.served[1], 10), RPC_SEND_TAKEN);
        session_pair_move(&pair, pair.server, cut / 2);
        session_pair_move(&pair, pair.server, cut - cut / 2);
        assert_int_equal(pair.n_messages, cut / 20);
        rpc_session_call_cancel(call);
        session_pair_move(&pair, pair.client, SIZE_MAX);
        size_t begun = (cut + 19) / 20 * 20 - cut;
        assert_in_range(session_pair_output_len(pair.server), begun + 20 + 11, begun + 20 + 100);
        pair.n_messages = 0;
        session_pair_move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.n_messages, 1);
        assert_null(rpc_session_broken(pair.client));
        /* Both ends still agree where a frame begins. */
        assert_int_equal(session_pair_send(pair.served[1], 7), RPC_SEND_TAKEN);
        session_pair_move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.n_messages, 2);
        rpc_session_call_cancel(other);
        session_pair_close(&pair);
    }
}

static void test_cancel_takes_back_a_request_that_was_not_begun(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    /* The first announces the extension, and stays for that. */
    struct rpc_session_call *first = session_pair_call(&pair, &session_pair_methods[RPC_BIDI]);
    struct rpc_session_call *second = session_pair_call(&pair, &session_pair_methods[RPC_BIDI]);
    assert_int_equal(session_pair_send(first, 1000), RPC_SEND_TAKEN);
    assert_int_equal(session_pair_send(second, 1000), RPC_SEND_TAKEN);
    rpc_session_call_half_close(second);
    rpc_session_call_cancel(first);
    rpc_session_call_cancel(second);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 1);
    assert_int_equal(pair.n_messages, 0);
    assert_int_equal(pair.n_ended, 1);
    assert_int_equal(pair.ended[0], RPC_CANCELLED);
    session_pair_close(&pair);
}

static void test_cancel_of_a_request_that_was_begun_is_told(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_UNARY]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    struct rpc_session_call *call = session_pair_call(&pair, &session_pair_methods[RPC_BIDI]);
    assert_int_equal(session_pair_send(call, 1000), RPC_SEND_TAKEN);
    session_pair_move(&pair, pair.client, 1);
    rpc_session_call_cancel(call);
    pair.n_messages = 0;
    session_pair_move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 2);
    assert_int_equal(pair.n_messages, 0);
    assert_int_equal(pair.ended[0], RPC_CANCELLED);
    assert_ptr_equal(pair.ended_calls[0], pair.served[1]);
    session_pair_close(&pair);
}

static void test_end_by_the_server_drops_what_the_client_has_queued(void **state)
{
    (void)state;
    static const enum rpc_code CODES[] = {RPC_OK, RPC_NOT_FOUND};
    for (size_t i = 0; i < 2; i++) {
        struct session_pair pair;
        session_pair_open(&pair);
        struct rpc_session_call *call =
            session_pair_call(&pair, &session_pair_methods[RPC_CLIENT_STREAM]);
        session_pair_move(&pair, pair.client, SIZE_MAX);
        for (int n = 0; n < 10; n++)
            assert_int_equal(session_pair_send(call, 1000), RPC_SEND_TAKEN);
        rpc_session_call_half_close(call);
        const struct rpc_status status = {.code = CODES[i]};
        const struct rpc_payload answer = {.len = 0};
        assert_int_equal(rpc_session_call_finish(pair.served[0], &status, &answer), RPC_SEND_TAKEN);
        rpc_session_call_release(pair.served[0]);
        session_pair_move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.ended[0], CODES[i]);
        assert_int_equal(session_pair_output_len(pair.client), 0);
        session_pair_close(&pair);
    }
}

/* What a handler has sent arrives, however it then ends the call. */
static void test_end_by_the_server_drops_nothing_of_its_own(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    pair.takes = true;
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    pair.n_messages = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(session_pair_send(pair.served[0], 1000), RPC_SEND_TAKEN);
    const struct rpc_status status = {.code = RPC_NOT_FOUND};
    assert_int_equal(rpc_session_call_finish(pair.served[0], &status, NULL), RPC_SEND_TAKEN);
    rpc_session_call_release(pair.served[0]);
    session_pair_move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, 10);
    assert_int_equal(pair.ended[0], RPC_NOT_FOUND);
    session_pair_close(&pair);
}

/* Clients may use an id again once its call has ended. */
static void test_id_used_again_keeps_its_new_frames(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(session_pair_find, NULL);
    struct session_pair pair = {.server = session};
    uint8_t bytes[256];
#define OPEN_NEGOTIATED(id)                                                                        \
    "0000001c " id " 01 01 0a03'a.B' 1201'S' 2a12 0a08'crpc-ext' 1206'cancel' "
#define CANCEL(id) "00000000 " id " 10 00 "
    size_t len =
        hex_decode(OPEN_NEGOTIATED("00000001") OPEN_NEGOTIATED("00000003"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    session_pair_take_events(&pair, session);
    assert_int_equal(session_pair_send(pair.served[1], 1000), RPC_SEND_TAKEN);
    assert_int_equal(session_pair_send(pair.served[0], 1), RPC_SEND_TAKEN);
    len = hex_decode(CANCEL("00000001") OPEN_NEGOTIATED("00000001"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    session_pair_take_events(&pair, session);
    assert_int_equal(pair.n_served, 3);
    assert_int_equal(session_pair_send(pair.served[2], 2), RPC_SEND_TAKEN);
    /* Makes the session look through its queue. */
    len = hex_decode(CANCEL("00000003"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    session_pair_take_events(&pair, session);
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len,
        "00000001 00000001 03 00 'm'"
        "00000023 00000001 02 00 0a21 0801 121d'the caller cancelled the call'"
        "00000002 00000001 03 00 'mm'"
        "00000023 00000003 02 00 0a21 0801 121d'the caller cancelled the call'");
    rpc_session_lose(session, RPC_CANCELLED, "over");
    session_pair_take_events(&pair, session);
    for (size_t i = 0; i < pair.n_ended; i++)
        rpc_session_call_release(pair.ended_calls[i]);
    rpc_session_free(session);
}

/* A client that opens, lets the server queue a little, and cancels, again and again, beside a full
 * queue: what is looked through grows with what it sends, not with its square. */
static void test_cancel_storm_beside_a_full_queue_drops_all(void **state)
{
    (void)state;
    struct session_pair pair;
    session_pair_open(&pair);
    (void)session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
    session_pair_move(&pair, pair.client, SIZE_MAX);
    while (rpc_session_call_is_writable(pair.served[0]))
        assert_int_equal(session_pair_send(pair.served[0], 16), RPC_SEND_TAKEN);
    size_t full_len = session_pair_output_len(pair.server);
    for (int i = 0; i < 10000; i++) {
        struct rpc_session_call *call =
            session_pair_call(&pair, &session_pair_methods[RPC_SERVER_STREAM]);
        session_pair_move(&pair, pair.client, SIZE_MAX);
        assert_int_equal(session_pair_send(pair.served[1], 16), RPC_SEND_TAKEN);
        rpc_session_call_cancel(call);
        session_pair_move(&pair, pair.client, SIZE_MAX);
        session_pair_take_events(&pair, pair.client);
        rpc_session_call_release(pair.served[1]);
        rpc_session_call_release(call);
        pair.n_served = 1;
        pair.n_ended = 0;
    }
    /* Answers stay, 45 bytes each, and what is not looked through yet. */
    size_t answers_len = (size_t)10000 * 45;
    assert_in_range(session_pair_output_len(pair.server), full_len + answers_len,
        full_len + answers_len + (size_t)TTRPC_DOOMED_MAX * 26);
    session_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_drops_what_the_server_has_queued),
        cmocka_unit_test(test_frame_that_was_sent_in_part_is_never_dropped),
        cmocka_unit_test(test_cancel_takes_back_a_request_that_was_not_begun),
        cmocka_unit_test(test_cancel_of_a_request_that_was_begun_is_told),
        cmocka_unit_test(test_end_by_the_server_drops_what_the_client_has_queued),
        cmocka_unit_test(test_end_by_the_server_drops_nothing_of_its_own),
        cmocka_unit_test(test_id_used_again_keeps_its_new_frames),
        cmocka_unit_test(test_cancel_storm_beside_a_full_queue_drops_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
