/* A hostile server against the client's session. The input is a script: a byte below 0x80 is one
 * less than the number of bytes after it that are received; any other is something the caller does.
 * Every call ends exactly once, and nothing comes of it afterwards. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 64, UNTAKEN_MAX = RPC_INBOUND_MESSAGES_MAX };

static const struct rpc_method METHODS[] = {
    {.service = "t.S", .name = "Ask", .kind = RPC_UNARY},
    {.service = "t.S", .name = "Count", .kind = RPC_SERVER_STREAM},
    {.service = "t.S", .name = "Collect", .kind = RPC_CLIENT_STREAM},
    {.service = "t.S", .name = "Chat", .kind = RPC_BIDI},
};

struct call {
    struct rpc_session_call *call; /* NULL: released */
    enum rpc_kind kind;
    bool is_half_closed;
    bool has_ended;
    size_t n_messages;
    size_t untaken[UNTAKEN_MAX];
    size_t n_untaken;
};

struct state {
    struct rpc_session *session;
    struct call calls[CALLS_MAX];
    size_t n_calls;
    int64_t now_ms;
};

static struct rpc_session_event event;

static bool sends(const struct call *call)
{
    return call->kind == RPC_CLIENT_STREAM || call->kind == RPC_BIDI;
}

static bool receives(const struct call *call)
{
    return call->kind == RPC_SERVER_STREAM || call->kind == RPC_BIDI;
}

/* ---- events ---- */

static void take_message(struct call *call)
{
    call->n_messages++;
    if (!receives(call)) {
        assert(call->n_messages == 1);
        return;
    }
    assert(call->n_untaken < UNTAKEN_MAX);
    call->untaken[call->n_untaken++] = event.message.len;
}

static void take_events(struct state *state)
{
    while (rpc_session_next(state->session, &event)) {
        struct call *call = rpc_session_call_owner(event.call);
        assert(call != NULL && call->call == event.call && !call->has_ended);
        if (event.kind == RPC_EVENT_MESSAGE) {
            take_message(call);
            continue;
        }
        assert(event.kind == RPC_EVENT_ENDED);
        assert(event.status.code != RPC_OK || receives(call) || call->n_messages == 1);
        call->has_ended = true;
    }
}

/* ---- what the caller does ---- */

static void write_text(const void *source, uint8_t *out)
{
    const struct rpc_payload *payload = source;
    memset(out, 'm', payload->len);
}

static void draft(struct rpc_payload *payload, size_t len)
{
    *payload = (struct rpc_payload){.len = len, .write = write_text, .source = payload};
}

static void open_call(struct state *state, unsigned which)
{
    if (state->n_calls == CALLS_MAX)
        return;
    const struct rpc_method *method = &METHODS[which % 4];
    struct call *call = &state->calls[state->n_calls];
    *call = (struct call){.kind = method->kind};
    struct rpc_payload payload;
    draft(&payload, (size_t)which * 10);
    call->call =
        rpc_session_open(state->session, method, which, NULL, 0, sends(call) ? NULL : &payload);
    if (call->call == NULL)
        return;
    rpc_session_call_set_owner(call->call, call);
    state->n_calls++;
}

static void send_message(struct call *call, size_t len)
{
    if (!sends(call) || call->is_half_closed)
        return;
    bool is_writable = rpc_session_call_is_writable(call->call);
    struct rpc_payload payload;
    draft(&payload, len);
    enum rpc_send_result result = rpc_session_call_send(call->call, &payload);
    assert(!is_writable || result == RPC_SEND_TAKEN);
    assert(!call->has_ended || result == RPC_SEND_GONE);
}

static void take_oldest(struct call *call)
{
    if (call->n_untaken == 0)
        return;
    rpc_session_call_taken(call->call, call->untaken[0]);
    call->n_untaken--;
    memmove(call->untaken, call->untaken + 1, call->n_untaken * sizeof call->untaken[0]);
}

static void release(struct call *call)
{
    if (!call->has_ended)
        return;
    rpc_session_call_set_owner(call->call, NULL);
    rpc_session_call_release(call->call);
    call->call = NULL;
}

static void write_output(struct state *state, unsigned sixteenths)
{
    size_t len = 0;
    (void)rpc_session_output(state->session, &len);
    rpc_session_sent(state->session, sixteenths == 15 ? len : len * sixteenths / 16);
}

enum { ACT_OPEN, ACT_SEND, ACT_HALF_CLOSE, ACT_CANCEL, ACT_TAKE, ACT_RELEASE, ACT_WRITE, ACT_TIME };

static void act_on(struct call *call, unsigned what)
{
    switch (what) {
    case ACT_SEND:
        send_message(call, call->n_messages * 1000);
        break;
    case ACT_HALF_CLOSE:
        rpc_session_call_half_close(call->call);
        call->is_half_closed = true;
        break;
    case ACT_CANCEL:
        rpc_session_call_cancel(call->call);
        break;
    case ACT_TAKE:
        take_oldest(call);
        break;
    default:
        release(call);
        break;
    }
}

static void act(struct state *state, unsigned what, unsigned which)
{
    if (what == ACT_OPEN) {
        open_call(state, which);
    } else if (what == ACT_WRITE) {
        write_output(state, which);
    } else if (what == ACT_TIME) {
        state->now_ms += (int64_t)1 << which;
        (void)rpc_session_tick(state->session, state->now_ms);
    } else if (which < state->n_calls) {
        struct call *call = &state->calls[state->n_calls - 1 - which];
        if (call->call != NULL)
            act_on(call, what);
    }
    take_events(state);
}

/* ---- the script ---- */

static void receive(struct state *state, const uint8_t *bytes, size_t len)
{
    /* An exact copy, so that the sanitizer sees a read beyond or after it. */
    uint8_t *copy = malloc(len);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    rpc_session_receive(state->session, copy, len, state->now_ms);
    take_events(state);
    free(copy);
}

static void play(struct state *state, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size && rpc_session_broken(state->session) == NULL) {
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
    state.session = rpc_ttrpc_client_new();
    assert(state.session != NULL);
    play(&state, data, size);
    rpc_session_lose(state.session, RPC_UNAVAILABLE, "over");
    take_events(&state);
    for (size_t i = 0; i < state.n_calls; i++) {
        assert(state.calls[i].has_ended);
        if (state.calls[i].call != NULL)
            release(&state.calls[i]);
    }
    rpc_session_free(state.session);
    return 0;
}
