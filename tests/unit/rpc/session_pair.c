/* Two sessions, their events in order. */
#include "session_pair.h"

#include "unit.h"

const struct rpc_method session_pair_methods[4] = {
    [RPC_UNARY] = {.service = "a.B", .name = "U", .kind = RPC_UNARY},
    [RPC_SERVER_STREAM] = {.service = "a.B", .name = "S", .kind = RPC_SERVER_STREAM},
    [RPC_CLIENT_STREAM] = {.service = "a.B", .name = "K", .kind = RPC_CLIENT_STREAM},
    [RPC_BIDI] = {.service = "a.B", .name = "D", .kind = RPC_BIDI},
};

const struct rpc_method *session_pair_find(
    const void *table, struct rpc_bytes service, struct rpc_bytes method)
{
    (void)table;
    (void)service;
    for (size_t i = 0; i < 4; i++) {
        if (method.len == 1 && method.data[0] == (uint8_t)session_pair_methods[i].name[0])
            return &session_pair_methods[i];
    }
    return NULL;
}

static void fill(const void *source, uint8_t *out)
{
    const struct rpc_payload *payload = source;
    memset(out, 'm', payload->len);
}

enum rpc_send_result session_pair_send(struct rpc_session_call *call, size_t len)
{
    struct rpc_payload payload = {.len = len, .write = fill};
    payload.source = &payload;
    return rpc_session_call_send(call, &payload);
}

void session_pair_open(struct session_pair *pair)
{
    *pair = (struct session_pair){
        .client = rpc_ttrpc_client_new(), .server = rpc_ttrpc_server_new(session_pair_find, NULL)};
    assert_non_null(pair->client);
    assert_non_null(pair->server);
}

void session_pair_take_events(struct session_pair *pair, struct rpc_session *session)
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

void session_pair_move(struct session_pair *pair, struct rpc_session *from, size_t max_len)
{
    struct rpc_session *to = from == pair->client ? pair->server : pair->client;
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(from, &len);
    len = len < max_len ? len : max_len;
    if (len > 0)
        rpc_session_receive(to, bytes, len, 0);
    session_pair_take_events(pair, to);
    rpc_session_sent(from, len);
}

void session_pair_close(struct session_pair *pair)
{
    size_t n_ended = pair->n_ended;
    for (size_t i = 0; i < n_ended; i++)
        rpc_session_call_release(pair->ended_calls[i]);
    pair->n_ended = 0;
    rpc_session_lose(pair->client, RPC_UNAVAILABLE, "over");
    rpc_session_lose(pair->server, RPC_CANCELLED, "over");
    session_pair_take_events(pair, pair->client);
    session_pair_take_events(pair, pair->server);
    for (size_t i = 0; i < pair->n_ended; i++)
        rpc_session_call_release(pair->ended_calls[i]);
    rpc_session_free(pair->client);
    rpc_session_free(pair->server);
}

struct rpc_session_call *session_pair_call(
    struct session_pair *pair, const struct rpc_method *method)
{
    struct rpc_session_call *call =
        rpc_session_open(pair->client, method, 0, NULL, 0, &(struct rpc_payload){.len = 0});
    assert_non_null(call);
    return call;
}

size_t session_pair_output_len(struct rpc_session *session)
{
    size_t len = 0;
    (void)rpc_session_output(session, &len);
    return len;
}
