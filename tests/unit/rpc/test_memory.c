/* The server path with the n-th allocation failing, for every n: no crash, no leak, and the caller
 * gets an honest end or a closed connection. */
#include <stdbool.h>

#include "failing_memory.h"
#include "scripted_streams.h"
#include "unit.h"
#include "wire_pair.h"

static struct flocks_get_operation_call *waiting;

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    (void)request;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    char *token = rpc_call_alloc(flocks_get_status_base(call), 100);
    if (token == NULL) {
        rpc_call_fail(flocks_get_status_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    strcpy(token, "1");
    response.event_token = token;
    flocks_get_status_reply(call, &response);
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)self;
    (void)request;
    waiting = call;
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_status = get_status, .get_operation = get_operation};

static void receive(struct wire_pair *pair, size_t piece)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair->client, &len);
    for (size_t at = 0; at < len; at += piece)
        rpc_connection_receive(
            pair->connection, bytes + at, len - at < piece ? len - at : piece, pair->now_ms);
    rpc_session_sent(pair->client, len);
}

/* A request cut in two, an answer now, a refusal with its detail, a late answer and a deadline. */
static bool run_with_failure(int n)
{
    struct wire_pair pair;
    struct wire_end ends[4];
    wire_pair_open(&pair, &HANDLERS, NULL);
    const struct rpc_method *methods = flocks_supervisor_methods;
    (void)wire_pair_call(
        &pair, &methods[FLOCKS_SUPERVISOR_GET_STATUS], 0, "\x0a\x03web", 5, &ends[0]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_CONFIG], 0, NULL, 0, &ends[1]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_OPERATION], 0, NULL, 0, &ends[2]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_OPERATION], 9, NULL, 0, &ends[3]);
    waiting = NULL;
    failing_memory_arm(n);
    receive(&pair, 50);
    rpc_server_tick(pair.server, pair.now_ms + 9);
    failing_memory_pause();
    bool is_closing = (rpc_connection_wants(pair.connection) & RPC_WANTS_CLOSE) != 0;
    wire_pair_move(&pair);
    for (int i = 0; i < 2; i++)
        assert_true(ends[i].has_ended || is_closing);
    if (!failing_memory_has_failed()) {
        assert_int_equal(ends[0].code, RPC_OK);
        assert_int_equal(ends[1].code, RPC_UNIMPLEMENTED);
        assert_int_equal(ends[3].code, RPC_DEADLINE_EXCEEDED);
    }
    wire_pair_close(&pair);
    return failing_memory_has_failed();
}

static void test_every_failing_allocation_ends_honestly(void **state)
{
    (void)state;
    int n = 0;
    while (run_with_failure(n))
        n++;
    assert_true(n > 5);
}

/* ---- calls of every kind ---- */

enum { KINDS = 4 };

struct conversation {
    struct wire_pair pair;
    struct scripted_streams streams;
    struct rpc_session_call *calls[KINDS];
    struct wire_end ends[KINDS];
};

static struct rpc_session_call *open_with_metadata(
    struct conversation *conversation, enum scripted_method method)
{
    struct rpc_envelope_pair who = {
        .key = RPC_BYTES_OF_TEXT("who"), .value = RPC_BYTES_OF_TEXT("me")};
    struct rpc_payload nothing = {.len = 0};
    struct wire_end *end = &conversation->ends[method];
    struct rpc_session_call *call = rpc_session_open(
        conversation->pair.client, &scripted_methods[method], 0, &who, 1, &nothing);
    assert_non_null(call);
    rpc_session_call_set_owner(call, end);
    return call;
}

/* The server's side fails; what the client's needs is there. */
static void exchange(struct conversation *conversation)
{
    for (bool has_moved = true; has_moved;) {
        struct wire_pair *pair = &conversation->pair;
        size_t len = 0;
        failing_memory_resume();
        receive(pair, 50);
        const uint8_t *bytes = rpc_connection_output(pair->connection, &len);
        failing_memory_pause();
        has_moved = len > 0;
        (void)bytes;
        (void)wire_pair_pull(pair, len);
    }
}

static void check_streams(const struct conversation *conversation)
{
    for (size_t i = 0; i < conversation->streams.n_calls; i++) {
        const struct scripted_stream *stream = &conversation->streams.calls[i];
        assert_int_equal(stream->n_closed, stream->has_begun);
    }
}

static void check_ends(struct conversation *conversation)
{
    bool is_closing = (rpc_connection_wants(conversation->pair.connection) & RPC_WANTS_CLOSE) != 0;
    for (int i = 0; i < KINDS; i++) {
        const struct wire_end *end = &conversation->ends[i];
        if (end->has_ended && end->code == RPC_OK)
            continue;
        assert_true(failing_memory_has_failed());
        assert_true(is_closing || end->has_ended);
        assert_true(!end->has_ended || end->code == RPC_RESOURCE_EXHAUSTED);
    }
    if (!is_closing)
        assert_int_equal(rpc_server_n_calls(conversation->pair.server), 0);
}

/* Begins what was not begun, wakes what sleeps, answers what waits. */
static void let_them_end(struct conversation *conversation)
{
    conversation->streams.take = RPC_TAKE_DONE;
    failing_memory_resume();
    for (size_t i = 0; i < conversation->streams.n_calls; i++) {
        struct scripted_stream *stream = &conversation->streams.calls[i];
        if (stream->call == NULL)
            continue;
        if (rpc_call_method(stream->call)->kind == RPC_UNARY)
            scripted_answer(stream, "ok");
        else if (!stream->has_begun)
            scripted_begin(stream);
        else
            rpc_call_wake(stream->call);
    }
    failing_memory_pause();
}

static bool run_all_kinds(int n, bool begins_later)
{
    static struct conversation conversation;
    memset(&conversation, 0, sizeof conversation);
    struct scripted_streams *streams = &conversation.streams;
    streams->begins_later = begins_later;
    streams->n_to_send = 3;
    streams->message_len = 5000;
    streams->then = RPC_PULL_DONE;
    streams->take = RPC_TAKE_LATER;
    streams->replies_at_half_close = true;
    const struct rpc_service service = scripted_service(streams);
    wire_pair_open_service(&conversation.pair, &service);
    for (int i = 0; i < KINDS; i++)
        conversation.calls[i] = open_with_metadata(&conversation, (enum scripted_method)i);
    wire_pair_send(conversation.calls[SCRIPTED_COLLECT], "\x0a\x01x", 3);
    wire_pair_send(conversation.calls[SCRIPTED_COLLECT], "\x0a\x01y", 3);
    wire_pair_send(conversation.calls[SCRIPTED_CHAT], "\x0a\x01z", 3);
    rpc_session_call_half_close(conversation.calls[SCRIPTED_COLLECT]);
    failing_memory_arm(n);
    exchange(&conversation);
    /* Once to be begun, once to be woken. */
    for (int i = 0; i < 2; i++) {
        let_them_end(&conversation);
        exchange(&conversation);
    }
    check_ends(&conversation);
    bool has_failed = failing_memory_has_failed();
    rpc_connection_free(conversation.pair.connection);
    conversation.pair.connection = NULL;
    check_streams(&conversation);
    wire_pair_close(&conversation.pair);
    return has_failed;
}

static void test_every_failing_allocation_ends_streams_honestly(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        int n = 0;
        while (run_all_kinds(n, later != 0))
            n++;
        assert_true(n > 15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_ends_honestly),
        cmocka_unit_test(test_every_failing_allocation_ends_streams_honestly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
