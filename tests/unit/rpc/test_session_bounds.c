/* What a session holds: messages that nobody takes, output that nobody reads, and what is dropped
 * of it when a call ends early. */
#include "common/rpc/ttrpc.h"
#include "hex.h"
#include "unit.h"

static const struct rpc_method SERVER = {.service = "a.B", .name = "S", .kind = RPC_SERVER_STREAM};
static const struct rpc_method CLIENT = {.service = "a.B", .name = "K", .kind = RPC_CLIENT_STREAM};
static const struct rpc_method BIDI = {.service = "a.B", .name = "D", .kind = RPC_BIDI};
static const struct rpc_method UNARY = {.service = "a.B", .name = "U", .kind = RPC_UNARY};

static const struct rpc_method *find(
    const void *table, struct rpc_bytes service, struct rpc_bytes method)
{
    (void)table;
    (void)service;
    switch (method.data[0]) {
    case 'S':
        return &SERVER;
    case 'K':
        return &CLIENT;
    case 'D':
        return &BIDI;
    default:
        return &UNARY;
    }
}

static void fill(const void *source, uint8_t *out)
{
    const struct rpc_payload *payload = source;
    memset(out, 'm', payload->len);
}

static enum rpc_send_result send_bytes(struct rpc_session_call *call, size_t len)
{
    struct rpc_payload payload = {.len = len, .write = fill};
    payload.source = &payload;
    return rpc_session_call_send(call, &payload);
}

/* ---- two ends, joined by hand ---- */

enum { MAX_CALLS = 128 };

struct pair {
    struct rpc_session *client;
    struct rpc_session *server;
    /* The server's, in the order they were opened. */
    struct rpc_session_call *served[MAX_CALLS];
    size_t n_served;
    size_t n_messages;
    size_t message_bytes;
    enum rpc_code ended[MAX_CALLS];
    struct rpc_session_call *ended_calls[MAX_CALLS];
    size_t n_ended;
    bool takes;
};

static void open_pair(struct pair *pair)
{
    *pair =
        (struct pair){.client = rpc_ttrpc_client_new(), .server = rpc_ttrpc_server_new(find, NULL)};
    assert_non_null(pair->client);
    assert_non_null(pair->server);
}

static void take_events(struct pair *pair, struct rpc_session *session)
{
    static struct rpc_session_event event;
    while (rpc_session_next(session, &event)) {
        if (event.kind == RPC_EVENT_OPENED) {
            assert_int_equal(event.status.code, RPC_OK);
            pair->served[pair->n_served++] = event.call;
        } else if (event.kind == RPC_EVENT_MESSAGE) {
            pair->n_messages++;
            pair->message_bytes += event.message.len;
            if (pair->takes)
                rpc_session_call_taken(event.call, event.message.len);
        } else if (event.kind == RPC_EVENT_ENDED) {
            pair->ended[pair->n_ended] = event.status.code;
            pair->ended_calls[pair->n_ended++] = event.call;
        }
    }
}

/* The first `len` bytes at most, from one end to the other. */
static void move(struct pair *pair, struct rpc_session *from, size_t max_len)
{
    struct rpc_session *to = from == pair->client ? pair->server : pair->client;
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(from, &len);
    len = len < max_len ? len : max_len;
    if (len > 0)
        rpc_session_receive(to, bytes, len, 0);
    take_events(pair, to);
    rpc_session_sent(from, len);
}

static void close_pair(struct pair *pair)
{
    size_t n_ended = pair->n_ended;
    for (size_t i = 0; i < n_ended; i++)
        rpc_session_call_release(pair->ended_calls[i]);
    pair->n_ended = 0;
    rpc_session_lose(pair->client, RPC_UNAVAILABLE, "over");
    rpc_session_lose(pair->server, RPC_CANCELLED, "over");
    take_events(pair, pair->client);
    take_events(pair, pair->server);
    for (size_t i = 0; i < pair->n_ended; i++)
        rpc_session_call_release(pair->ended_calls[i]);
    rpc_session_free(pair->client);
    rpc_session_free(pair->server);
}

static struct rpc_session_call *open_call(struct pair *pair, const struct rpc_method *method)
{
    struct rpc_session_call *call =
        rpc_session_open(pair->client, method, 0, NULL, 0, &(struct rpc_payload){.len = 0});
    assert_non_null(call);
    return call;
}

static size_t output_len(const struct rpc_session *session)
{
    size_t len = 0;
    (void)rpc_session_output(session, &len);
    return len;
}

/* ---- messages that are not taken ---- */

static void test_server_stream_of_untaken_messages_ends_with_resource_exhausted(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    struct rpc_session_call *call = open_call(&pair, &CLIENT);
    struct rpc_session_call *other = open_call(&pair, &CLIENT);
    for (int i = 0; i < RPC_INBOUND_MESSAGES_MAX; i++)
        assert_int_equal(send_bytes(call, 1), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX);
    assert_int_equal(pair.n_ended, 0);
    /* One place is free again, and only one. */
    rpc_session_call_taken(pair.served[0], 1);
    assert_int_equal(send_bytes(call, 1), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 0);
    assert_int_equal(send_bytes(call, 1), RPC_SEND_TAKEN);
    assert_int_equal(send_bytes(other, 1), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], pair.served[0]);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    /* The other call has its message, and the client hears of the one. */
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX + 2);
    move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_ended, 2);
    assert_ptr_equal(pair.ended_calls[1], call);
    assert_int_equal(pair.ended[1], RPC_RESOURCE_EXHAUSTED);
    assert_true(rpc_session_call_is_writable(other));
    close_pair(&pair);
}

static void test_client_stream_of_untaken_messages_is_cancelled(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    struct rpc_session_call *call = open_call(&pair, &SERVER);
    struct rpc_session_call *other = open_call(&pair, &UNARY);
    move(&pair, pair.client, SIZE_MAX);
    pair.n_messages = 0;
    for (int i = 0; i <= RPC_INBOUND_MESSAGES_MAX; i++)
        assert_int_equal(send_bytes(pair.served[0], 1), RPC_SEND_TAKEN);
    move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, RPC_INBOUND_MESSAGES_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], call);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 2);
    assert_ptr_equal(pair.ended_calls[1], pair.served[0]);
    assert_int_equal(pair.ended[1], RPC_CANCELLED);
    rpc_session_call_cancel(other);
    close_pair(&pair);
}

static void test_untaken_bytes_of_all_streams_are_bounded_together(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    struct rpc_session_call *first = open_call(&pair, &CLIENT);
    struct rpc_session_call *second = open_call(&pair, &CLIENT);
    struct rpc_session_call *third = open_call(&pair, &CLIENT);
    /* A message as large as they get, on two streams: exactly the bound. */
    const size_t half = RPC_INBOUND_BYTES_MAX / 2;
    assert_int_equal(half, RPC_MESSAGE_BYTES_MAX);
    assert_int_equal(send_bytes(first, half), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(send_bytes(second, half), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.message_bytes, RPC_INBOUND_BYTES_MAX);
    assert_int_equal(send_bytes(third, 1), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_ptr_equal(pair.ended_calls[0], pair.served[2]);
    assert_int_equal(pair.ended[0], RPC_RESOURCE_EXHAUSTED);
    /* What was taken counts no more. */
    rpc_session_call_taken(pair.served[0], half);
    assert_int_equal(send_bytes(second, half), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_ended, 1);
    assert_int_equal(pair.message_bytes, 3 * half);
    /* Nor what belonged to a call that was released. */
    rpc_session_call_cancel(second);
    move(&pair, pair.client, SIZE_MAX);
    take_events(&pair, pair.client);
    assert_int_equal(pair.n_ended, 3);
    rpc_session_call_release(pair.served[1]);
    /* The server's first, then the client's own. */
    assert_ptr_equal(pair.ended_calls[1], pair.served[1]);
    pair.ended_calls[1] = pair.ended_calls[--pair.n_ended];
    assert_int_equal(send_bytes(first, half), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.message_bytes, 4 * half);
    close_pair(&pair);
}

static void test_messages_that_are_taken_at_once_have_no_bound(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    pair.takes = true;
    struct rpc_session_call *call = open_call(&pair, &BIDI);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_bytes(call, 100), RPC_SEND_TAKEN);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_messages, 1000);
    assert_int_equal(pair.n_ended, 0);
    close_pair(&pair);
}

/* ---- output that is not read ---- */

static void test_stream_is_writable_up_to_the_soft_bound_and_taken_up_to_the_hard_one(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    (void)open_call(&pair, &SERVER);
    move(&pair, pair.client, SIZE_MAX);
    struct rpc_session_call *call = pair.served[0];
    assert_true(rpc_session_call_is_writable(call));
    assert_int_equal(send_bytes(call, RPC_MESSAGE_BYTES_MAX + 1), RPC_SEND_TOO_LARGE);
    assert_int_equal(output_len(pair.server), 0);
    assert_int_equal(send_bytes(call, RPC_OUTPUT_SOFT_BYTES - 11), RPC_SEND_TAKEN);
    assert_true(rpc_session_call_is_writable(call));
    assert_int_equal(send_bytes(call, 0), RPC_SEND_TAKEN);
    assert_false(rpc_session_call_is_writable(call));
    assert_true(rpc_session_wants_read(pair.server));
    while (output_len(pair.server) < RPC_OUTPUT_STALL_BYTES)
        assert_int_equal(send_bytes(call, RPC_OUTPUT_SOFT_BYTES), RPC_SEND_TAKEN);
    assert_false(rpc_session_wants_read(pair.server));
    enum rpc_send_result result = RPC_SEND_TAKEN;
    while (result == RPC_SEND_TAKEN)
        result = send_bytes(call, RPC_OUTPUT_SOFT_BYTES);
    assert_int_equal(result, RPC_SEND_NO_ROOM);
    assert_true(output_len(pair.server) <= RPC_OUTPUT_HARD_BYTES);
    assert_non_null(rpc_session_broken(pair.server));
    close_pair(&pair);
}

static void test_server_that_is_stalled_leaves_frames_until_output_was_sent(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    (void)open_call(&pair, &SERVER);
    move(&pair, pair.client, SIZE_MAX);
    while (output_len(pair.server) < RPC_OUTPUT_STALL_BYTES)
        assert_int_equal(send_bytes(pair.served[0], RPC_OUTPUT_SOFT_BYTES), RPC_SEND_TAKEN);
    (void)open_call(&pair, &UNARY);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 1);
    move(&pair, pair.server, RPC_OUTPUT_SOFT_BYTES + 100);
    take_events(&pair, pair.server);
    assert_int_equal(pair.n_served, 2);
    close_pair(&pair);
}

/* ---- dropping ---- */

static void test_cancel_drops_what_the_server_has_queued(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    struct rpc_session_call *call = open_call(&pair, &SERVER);
    (void)open_call(&pair, &SERVER);
    move(&pair, pair.client, SIZE_MAX);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(send_bytes(pair.served[0], 1000), RPC_SEND_TAKEN);
        assert_int_equal(send_bytes(pair.served[1], 10), RPC_SEND_TAKEN);
    }
    rpc_session_call_cancel(call);
    move(&pair, pair.client, SIZE_MAX);
    /* The other call's messages, and the answer to the cancel. */
    assert_in_range(output_len(pair.server), 100 * 20 + 11, 100 * 20 + 100);
    pair.n_messages = 0;
    pair.takes = true;
    move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, 100);
    close_pair(&pair);
}

static void test_frame_that_was_sent_in_part_is_never_dropped(void **state)
{
    (void)state;
    /* Cut everywhere in the first two frames. */
    for (size_t cut = 0; cut <= 40; cut++) {
        struct pair pair;
        open_pair(&pair);
        pair.takes = true;
        struct rpc_session_call *call = open_call(&pair, &SERVER);
        struct rpc_session_call *other = open_call(&pair, &SERVER);
        move(&pair, pair.client, SIZE_MAX);
        pair.n_messages = 0;
        for (int i = 0; i < 10; i++)
            assert_int_equal(send_bytes(pair.served[0], 10), RPC_SEND_TAKEN);
        assert_int_equal(send_bytes(pair.served[1], 10), RPC_SEND_TAKEN);
        move(&pair, pair.server, cut / 2);
        move(&pair, pair.server, cut - cut / 2);
        assert_int_equal(pair.n_messages, cut / 20);
        rpc_session_call_cancel(call);
        move(&pair, pair.client, SIZE_MAX);
        size_t begun = (cut + 19) / 20 * 20 - cut;
        assert_in_range(output_len(pair.server), begun + 20 + 11, begun + 20 + 100);
        pair.n_messages = 0;
        move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.n_messages, 1);
        assert_null(rpc_session_broken(pair.client));
        /* Both ends still agree where a frame begins. */
        assert_int_equal(send_bytes(pair.served[1], 7), RPC_SEND_TAKEN);
        move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.n_messages, 2);
        rpc_session_call_cancel(other);
        close_pair(&pair);
    }
}

static void test_cancel_takes_back_a_request_that_was_not_begun(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    /* The first announces the extension, and stays for that. */
    struct rpc_session_call *first = open_call(&pair, &BIDI);
    struct rpc_session_call *second = open_call(&pair, &BIDI);
    assert_int_equal(send_bytes(first, 1000), RPC_SEND_TAKEN);
    assert_int_equal(send_bytes(second, 1000), RPC_SEND_TAKEN);
    rpc_session_call_half_close(second);
    rpc_session_call_cancel(first);
    rpc_session_call_cancel(second);
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 1);
    assert_int_equal(pair.n_messages, 0);
    assert_int_equal(pair.n_ended, 1);
    assert_int_equal(pair.ended[0], RPC_CANCELLED);
    close_pair(&pair);
}

static void test_cancel_of_a_request_that_was_begun_is_told(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    (void)open_call(&pair, &UNARY);
    move(&pair, pair.client, SIZE_MAX);
    struct rpc_session_call *call = open_call(&pair, &BIDI);
    assert_int_equal(send_bytes(call, 1000), RPC_SEND_TAKEN);
    move(&pair, pair.client, 1);
    rpc_session_call_cancel(call);
    pair.n_messages = 0;
    move(&pair, pair.client, SIZE_MAX);
    assert_int_equal(pair.n_served, 2);
    assert_int_equal(pair.n_messages, 0);
    assert_int_equal(pair.ended[0], RPC_CANCELLED);
    assert_ptr_equal(pair.ended_calls[0], pair.served[1]);
    close_pair(&pair);
}

static void test_end_by_the_server_drops_what_the_client_has_queued(void **state)
{
    (void)state;
    static const enum rpc_code CODES[] = {RPC_OK, RPC_NOT_FOUND};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        open_pair(&pair);
        struct rpc_session_call *call = open_call(&pair, &CLIENT);
        move(&pair, pair.client, SIZE_MAX);
        for (int n = 0; n < 10; n++)
            assert_int_equal(send_bytes(call, 1000), RPC_SEND_TAKEN);
        rpc_session_call_half_close(call);
        const struct rpc_status status = {.code = CODES[i]};
        const struct rpc_payload answer = {.len = 0};
        assert_int_equal(rpc_session_call_finish(pair.served[0], &status, &answer), RPC_SEND_TAKEN);
        rpc_session_call_release(pair.served[0]);
        move(&pair, pair.server, SIZE_MAX);
        assert_int_equal(pair.ended[0], CODES[i]);
        assert_int_equal(output_len(pair.client), 0);
        close_pair(&pair);
    }
}

/* What a handler has sent arrives, however it then ends the call. */
static void test_end_by_the_server_drops_nothing_of_its_own(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    pair.takes = true;
    (void)open_call(&pair, &SERVER);
    move(&pair, pair.client, SIZE_MAX);
    pair.n_messages = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(send_bytes(pair.served[0], 1000), RPC_SEND_TAKEN);
    const struct rpc_status status = {.code = RPC_NOT_FOUND};
    assert_int_equal(rpc_session_call_finish(pair.served[0], &status, NULL), RPC_SEND_TAKEN);
    rpc_session_call_release(pair.served[0]);
    move(&pair, pair.server, SIZE_MAX);
    assert_int_equal(pair.n_messages, 10);
    assert_int_equal(pair.ended[0], RPC_NOT_FOUND);
    close_pair(&pair);
}

/* Clients may use an id again once its call has ended. */
static void test_id_used_again_keeps_its_new_frames(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    struct pair pair = {.server = session};
    uint8_t bytes[256];
#define OPEN_NEGOTIATED(id)                                                                        \
    "0000001c " id " 01 01 0a03'a.B' 1201'S' 2a12 0a08'crpc-ext' 1206'cancel' "
#define CANCEL(id) "00000000 " id " 10 00 "
    size_t len =
        hex_decode(OPEN_NEGOTIATED("00000001") OPEN_NEGOTIATED("00000003"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    take_events(&pair, session);
    assert_int_equal(send_bytes(pair.served[1], 1000), RPC_SEND_TAKEN);
    assert_int_equal(send_bytes(pair.served[0], 1), RPC_SEND_TAKEN);
    len = hex_decode(CANCEL("00000001") OPEN_NEGOTIATED("00000001"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    take_events(&pair, session);
    assert_int_equal(pair.n_served, 3);
    assert_int_equal(send_bytes(pair.served[2], 2), RPC_SEND_TAKEN);
    /* Makes the session look through its queue. */
    len = hex_decode(CANCEL("00000003"), bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    take_events(&pair, session);
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len,
        "00000001 00000001 03 00 'm'"
        "00000023 00000001 02 00 0a21 0801 121d'the caller cancelled the call'"
        "00000002 00000001 03 00 'mm'"
        "00000023 00000003 02 00 0a21 0801 121d'the caller cancelled the call'");
    rpc_session_lose(session, RPC_CANCELLED, "over");
    take_events(&pair, session);
    for (size_t i = 0; i < pair.n_ended; i++)
        rpc_session_call_release(pair.ended_calls[i]);
    rpc_session_free(session);
}

/* A client that opens, lets the server queue a little, and cancels, again and again, beside a full
 * queue: what is looked through grows with what it sends, not with its square. */
static void test_cancel_storm_beside_a_full_queue_drops_all(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    (void)open_call(&pair, &SERVER);
    move(&pair, pair.client, SIZE_MAX);
    while (rpc_session_call_is_writable(pair.served[0]))
        assert_int_equal(send_bytes(pair.served[0], 16), RPC_SEND_TAKEN);
    size_t full_len = output_len(pair.server);
    for (int i = 0; i < 10000; i++) {
        struct rpc_session_call *call = open_call(&pair, &SERVER);
        move(&pair, pair.client, SIZE_MAX);
        assert_int_equal(send_bytes(pair.served[1], 16), RPC_SEND_TAKEN);
        rpc_session_call_cancel(call);
        move(&pair, pair.client, SIZE_MAX);
        take_events(&pair, pair.client);
        rpc_session_call_release(pair.served[1]);
        rpc_session_call_release(call);
        pair.n_served = 1;
        pair.n_ended = 0;
    }
    /* Answers stay, 45 bytes each, and what is not looked through yet. */
    size_t answers_len = (size_t)10000 * 45;
    assert_in_range(output_len(pair.server), full_len + answers_len,
        full_len + answers_len + (size_t)TTRPC_DOOMED_MAX * 26);
    close_pair(&pair);
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
