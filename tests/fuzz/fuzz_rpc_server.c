/* A hostile client against the whole engine; as fuzz_rpc_http2 one of HTTP/2, whose preface and
 * first SETTINGS are there already. The input is a script: a byte below 0x80 is one less
 * than the number of bytes after it that are received; any other is an act of the application or
 * the transport. Every stream that was begun is closed once, and nothing of it runs afterwards. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "crpc/limits.h"
#include "crpc/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 128 };

struct call {
    struct state *state;
    /* NULL: finished or closed. */
    struct rpc_call *call;
    bool has_begun;
    bool is_closed;
    bool is_in_hook;
};

struct state {
    struct call calls[CALLS_MAX];
    size_t n_calls;
    /* What hooks do next; each takes two bits. */
    uint32_t mood;
    struct rpc_server *server;
    struct rpc_connection *connection;
    int64_t now_ms;
};

static unsigned decide(struct state *state)
{
    unsigned decision = state->mood & 3U;
    state->mood = state->mood >> 2 | decision << 30;
    return decision;
}

/* ---- streams ---- */

static const flocks_get_status_response ANSWER = FLOCKS_GET_STATUS_RESPONSE_INIT;

static enum rpc_kind kind_of(const struct call *call)
{
    return rpc_call_method(call->call)->kind;
}

static void finish(struct call *call)
{
    struct rpc_call *handle = call->call;
    bool has_answer = kind_of(call) == RPC_UNARY || kind_of(call) == RPC_CLIENT_STREAM;
    call->call = NULL;
    if (has_answer)
        rpc_call_reply_message(handle, &ANSWER.base);
    else
        rpc_call_fail(handle, RPC_ABORTED, NULL, "finished");
    assert(!call->has_begun || call->is_in_hook || call->is_closed);
}

static struct call *enter(void *state, struct rpc_call *handle)
{
    struct call *call = state;
    assert(!call->is_closed && !call->is_in_hook && call->call == handle);
    call->is_in_hook = true;
    return call;
}

static enum rpc_pull next(const void *source, void *state, struct rpc_call *handle)
{
    (void)source;
    struct call *call = enter(state, handle);
    enum rpc_pull result = RPC_PULL_LATER;
    flocks_get_status_response message = FLOCKS_GET_STATUS_RESPONSE_INIT;
    message.event_token = "a message of the server";
    unsigned decision = decide(call->state);
    if (decision <= 1 && rpc_call_send_message(handle, &message.base) == RPC_OK)
        result = RPC_PULL_SENT;
    else if (decision == 2)
        result = RPC_PULL_DONE;
    if (decision == 2 && decide(call->state) == 3)
        finish(call);
    call->is_in_hook = false;
    return result;
}

static enum rpc_take take(
    const void *source, void *state, struct rpc_call *handle, const ProtobufCMessage *message)
{
    (void)source;
    assert(message != NULL);
    struct call *call = enter(state, handle);
    unsigned decision = decide(call->state);
    if (decision == 3 && decide(call->state) == 3)
        finish(call);
    call->is_in_hook = false;
    return decision == 2 ? RPC_TAKE_LATER : RPC_TAKE_DONE;
}

static void half_closed(const void *source, void *state, struct rpc_call *handle)
{
    (void)source;
    struct call *call = enter(state, handle);
    if (decide(call->state) >= 2)
        finish(call);
    call->is_in_hook = false;
}

static void closed(const void *source, void *state, enum rpc_code code)
{
    (void)source;
    (void)code;
    struct call *call = state;
    assert(call->has_begun && !call->is_closed);
    call->is_closed = true;
    call->call = NULL;
}

static const struct rpc_stream_hooks HOOKS = {
    .next = next, .message = take, .half_closed = half_closed, .closed = closed};

/* ---- calls ---- */

static void begin(struct call *call)
{
    if (kind_of(call) == RPC_UNARY || call->has_begun)
        return;
    call->has_begun = true;
    rpc_call_begin_stream(call->call, &HOOKS, NULL, call);
}

static void cancelled(void *data)
{
    struct call *call = data;
    assert(call->call != NULL && !call->has_begun);
    unsigned decision = decide(call->state);
    if (decision == 0)
        finish(call);
    else if (decision == 1)
        begin(call);
}

static void invoke(
    const void *handlers, void *self, struct rpc_call *handle, const ProtobufCMessage *request)
{
    (void)handlers;
    struct state *state = self;
    bool has_request = rpc_call_method(handle)->kind == RPC_UNARY ||
                       rpc_call_method(handle)->kind == RPC_SERVER_STREAM;
    assert((request != NULL) == has_request);
    if (state->n_calls == CALLS_MAX) {
        rpc_call_fail(handle, RPC_RESOURCE_EXHAUSTED, NULL, "more calls than this test follows");
        return;
    }
    struct call *call = &state->calls[state->n_calls++];
    *call = (struct call){.state = state, .call = handle};
    rpc_call_on_cancel(handle, cancelled, call);
    unsigned decision = decide(state);
    if (decision <= 1)
        begin(call);
    else if (decision == 2)
        finish(call);
}

#define METHOD(method_name, method_kind)                                                           \
    .service = "t.S", .name = (method_name), .kind = (method_kind),                                \
    .request = &flocks_get_status_request_info, .response = &flocks_get_status_response_info

static const struct rpc_method METHODS[] = {
    {METHOD("Ask", RPC_UNARY)},
    {METHOD("Change", RPC_UNARY), .mutates = true},
    {METHOD("Count", RPC_SERVER_STREAM)},
    {METHOD("Collect", RPC_CLIENT_STREAM)},
    {METHOD("Chat", RPC_BIDI)},
    {METHOD("Nothing", RPC_BIDI)},
};
enum { N_METHODS = sizeof METHODS / sizeof METHODS[0] };
/* The last is not implemented. */
static const rpc_invoke_fn INVOKE[N_METHODS] = {invoke, invoke, invoke, invoke, invoke};

/* ---- acts ---- */

/* One of the latest calls; NULL: it is over. */
static struct call *call_of(struct state *state, unsigned which)
{
    if (which >= state->n_calls)
        return NULL;
    struct call *call = &state->calls[state->n_calls - 1 - which];
    return call->call == NULL ? NULL : call;
}

static void write_output(struct state *state, unsigned sixteenths)
{
    size_t len = 0;
    (void)rpc_connection_output(state->connection, &len);
    rpc_connection_sent(
        state->connection, sixteenths == 15 ? len : len * sixteenths / 16, state->now_ms);
}

static void pass_time(struct state *state, int64_t ms)
{
    state->now_ms += ms;
    rpc_server_tick(state->server, state->now_ms);
    (void)rpc_connection_tick(state->connection, state->now_ms);
}

/* What the newest call sends with its answer. */
static void add_metadata(struct state *state, unsigned how)
{
    struct call *call = call_of(state, 0);
    if (call == NULL)
        return;
    if ((how & 1U) != 0)
        (void)rpc_call_add_header(call->call, "key-bin", "\xFF", 1);
    if ((how & 2U) != 0)
        (void)rpc_call_add_trailer(call->call, "key", "value", 5);
    if ((how & 4U) != 0)
        rpc_call_send_headers(call->call);
}

enum { ACT_MOOD, ACT_WAKE, ACT_FINISH, ACT_BEGIN, ACT_WRITE, ACT_TIME, ACT_END, ACT_FAIL };

static void act(struct state *state, unsigned what, unsigned which)
{
    struct call *call = call_of(state, which);
    switch (what) {
    case ACT_MOOD:
        state->mood = state->mood << 4 | which;
        break;
    case ACT_WAKE:
        if (call != NULL && call->has_begun)
            rpc_call_wake(call->call);
        break;
    case ACT_FINISH:
        if (call != NULL)
            finish(call);
        break;
    case ACT_BEGIN:
        if (call != NULL)
            begin(call);
        break;
    case ACT_WRITE:
        write_output(state, which);
        break;
    case ACT_TIME:
        pass_time(state, (int64_t)1 << which);
        break;
    case ACT_END:
        if (which == 15)
            rpc_server_shut(state->server);
        else if (which == 14)
            rpc_connection_receive_end(state->connection);
        else if (which == 13)
            rpc_connection_shut(state->connection, state->now_ms);
        else
            add_metadata(state, which);
        break;
    default:
        if (call != NULL)
            rpc_call_fail(call->call, RPC_NOT_FOUND, NULL, "failed");
        if (call != NULL)
            call->call = NULL;
        break;
    }
}

static void receive(struct state *state, const uint8_t *bytes, size_t len)
{
    /* An exact copy, so that the sanitizer sees a read beyond or after it. */
    uint8_t *copy = malloc(len);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    rpc_connection_receive(state->connection, copy, len, state->now_ms);
    free(copy);
}

static void greet(struct state *state)
{
#ifdef FUZZ_HTTP2
    static const uint8_t greeting[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";
    receive(state, greeting, sizeof greeting);
#else
    (void)state;
#endif
}

static void play(struct state *state, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size && (rpc_connection_wants(state->connection) & RPC_WANTS_CLOSE) == 0) {
        uint8_t byte = data[at++];
        if ((byte & 0x80U) != 0) {
            act(state, byte >> 4 & 7U, byte & 15U);
            continue;
        }
        size_t len = (size_t)byte + 1 < size - at ? (size_t)byte + 1 : size - at;
        if (len > 0)
            receive(state, data + at, len);
        at += len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct state state;
    memset(&state, 0, sizeof state);
    state.now_ms = 1000;
    const struct rpc_server_hooks hooks = {.data = NULL};
    state.server = rpc_server_new(&hooks);
    const struct rpc_service service = {.name = "t.S",
        .n_methods = N_METHODS,
        .methods = METHODS,
        .invoke = INVOKE,
        .self = &state};
    enum rpc_code code = rpc_server_add(state.server, &service);
    assert(code == RPC_OK);
    state.connection = rpc_connection_new(state.server, &(struct rpc_peer){.pid = 1});
    assert(state.connection != NULL);
    greet(&state);
    play(&state, data, size);
    rpc_connection_free(state.connection);
    for (size_t i = 0; i < state.n_calls; i++)
        assert(state.calls[i].is_closed == state.calls[i].has_begun);
    rpc_server_free(state.server);
    return 0;
}
