/* What either end does by chance, told to the model; what it is told, compared with it. */
#include "session_ends.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

static struct rpc_session_event event;

const struct rpc_method session_ends_methods[] = {
    [RPC_UNARY] = {.service = "m.S", .name = "U", .kind = RPC_UNARY},
    [RPC_SERVER_STREAM] = {.service = "m.S", .name = "S", .kind = RPC_SERVER_STREAM},
    [RPC_CLIENT_STREAM] = {.service = "m.S", .name = "K", .kind = RPC_CLIENT_STREAM},
    [RPC_BIDI] = {.service = "m.S", .name = "D", .kind = RPC_BIDI},
};

static const struct rpc_method *find(
    const void *table, struct rpc_bytes service, struct rpc_bytes method)
{
    (void)table;
    (void)service;
    for (size_t i = 0; i < sizeof session_ends_methods / sizeof session_ends_methods[0]; i++) {
        if (method.len == 1 && method.data[0] == (uint8_t)session_ends_methods[i].name[0])
            return &session_ends_methods[i];
    }
    return NULL;
}

/* ---- messages ---- */

struct draft {
    const struct model_call *call;
    enum model_side sender;
    size_t n;
    size_t len;
};

static void write_draft(const void *source, uint8_t *out)
{
    const struct draft *draft = source;
    model_write(draft->call, draft->sender, draft->n, out, draft->len);
}

static struct rpc_payload draft_message(struct session_ends *ends, const struct model_call *call,
    enum model_side sender, struct draft *draft)
{
    *draft = (struct draft){
        .call = call,
        .sender = sender,
        .n = call->flows[sender].n_sent,
        .len = model_piece(&ends->model, ends->max_message) - 1,
    };
    return (struct rpc_payload){.len = draft->len, .write = write_draft, .source = draft};
}

/* ---- what both sides do ---- */

static struct model_call *any_call(struct session_ends *ends)
{
    size_t n = ends->model.n_calls;
    size_t oldest = n > ends->n_busy ? n - ends->n_busy : 0;
    return n == 0 ? NULL : &ends->model.calls[oldest + model_random(&ends->model, n - oldest)];
}

static void release(struct model_call *call, enum model_side side)
{
    struct rpc_session_call *handle = call->handles[side];
    rpc_session_call_set_owner(handle, NULL);
    rpc_session_call_release(handle);
    model_released(call, side);
}

static bool is_over(const struct model_call *call, enum model_side side)
{
    return call->n_ended[side] > 0 || (side == MODEL_SERVER && call->is_finished);
}

static void send_message(struct session_ends *ends, struct model_call *call, enum model_side side)
{
    if (!model_may_send(call, side))
        return;
    bool is_writable = rpc_session_call_is_writable(call->handles[side]);
    if (!is_writable && !ends->is_sloppy)
        return;
    struct draft draft;
    const struct rpc_payload payload = draft_message(ends, call, side, &draft);
    enum rpc_send_result result = rpc_session_call_send(call->handles[side], &payload);
    if (result == RPC_SEND_TAKEN)
        model_sent(call, side, draft.len);
    MODEL_CHECK(&ends->model, result != RPC_SEND_TOO_LARGE);
    MODEL_CHECK(&ends->model, !is_writable || result == RPC_SEND_TAKEN);
}

static void take_message(struct session_ends *ends, struct model_call *call, enum model_side side)
{
    size_t len;
    if (model_random(&ends->model, ends->take_odds) == 0 && model_take(call, side, &len))
        rpc_session_call_taken(call->handles[side], len);
}

/* Requests and answers are not asked whether they may be sent. */
static bool has_room(const struct session_ends *ends, enum model_side side)
{
    size_t len = 0;
    (void)rpc_session_output(ends->sessions[side], &len);
    return ends->is_sloppy || len < RPC_OUTPUT_SOFT_BYTES;
}

static void finish(struct session_ends *ends, struct model_call *call)
{
    if (!has_room(ends, MODEL_SERVER))
        return;
    static const enum rpc_code CODES[] = {RPC_OK, RPC_OK, RPC_OK, RPC_NOT_FOUND};
    enum rpc_code code = CODES[model_random(&ends->model, 4)];
    bool has_answer = code == RPC_OK && !model_streams(call->kind, MODEL_SERVER);
    struct draft draft;
    const struct rpc_payload payload = draft_message(ends, call, MODEL_SERVER, &draft);
    const struct rpc_status status = {.code = code, .message = RPC_BYTES_OF_TEXT("text")};
    enum rpc_send_result result =
        rpc_session_call_finish(call->handles[MODEL_SERVER], &status, &payload);
    MODEL_CHECK(&ends->model, result == RPC_SEND_GONE || !is_over(call, MODEL_SERVER));
    if (result != RPC_SEND_TAKEN)
        return;
    if (has_answer)
        model_sent(call, MODEL_SERVER, draft.len);
    model_finished(call, code);
}

static void act_on_server(struct session_ends *ends, struct model_call *call)
{
    if (call->handles[MODEL_SERVER] == NULL)
        return;
    switch (model_random(&ends->model, 10)) {
    case 0:
        if (!call->is_finished && model_random(&ends->model, ends->end_odds) == 0)
            finish(ends, call);
        break;
    case 1:
        if (is_over(call, MODEL_SERVER))
            release(call, MODEL_SERVER);
        break;
    case 2:
    case 3:
    case 4:
        take_message(ends, call, MODEL_SERVER);
        break;
    default:
        if (!call->is_finished)
            send_message(ends, call, MODEL_SERVER);
        break;
    }
}

/* Sometimes without waiting to hear of the end. */
static void cancel(struct session_ends *ends, struct model_call *call)
{
    rpc_session_call_cancel(call->handles[MODEL_CLIENT]);
    model_cancelled(call);
    if (model_random(&ends->model, 2) == 0 || is_over(call, MODEL_CLIENT))
        return;
    call->n_ended[MODEL_CLIENT]++;
    release(call, MODEL_CLIENT);
}

static void half_close(struct session_ends *ends, struct model_call *call)
{
    rpc_session_call_half_close(call->handles[MODEL_CLIENT]);
    model_half_closed(call);
    MODEL_CHECK(&ends->model, !rpc_session_call_is_writable(call->handles[MODEL_CLIENT]));
}

static void act_on_client(struct session_ends *ends, struct model_call *call)
{
    if (call->handles[MODEL_CLIENT] == NULL)
        return;
    switch (model_random(&ends->model, 20)) {
    case 0:
        if (model_random(&ends->model, ends->end_odds) == 0)
            cancel(ends, call);
        break;
    case 1:
        if (model_random(&ends->model, ends->end_odds) == 0)
            half_close(ends, call);
        break;
    case 2:
        if (is_over(call, MODEL_CLIENT))
            release(call, MODEL_CLIENT);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        take_message(ends, call, MODEL_CLIENT);
        break;
    default:
        send_message(ends, call, MODEL_CLIENT);
        break;
    }
}

/* The call's number travels as its metadata, and one more than it as the timeout. */
void session_ends_begin_call(struct session_ends *ends)
{
    const struct rpc_method *method = &session_ends_methods[model_random(&ends->model, 4)];
    if (ends->model.n_calls == MODEL_CALLS_MAX || !has_room(ends, MODEL_CLIENT))
        return;
    struct model_call *call = model_open(&ends->model, method->kind);
    char number[16];
    (void)snprintf(number, sizeof number, "%zu", call->index);
    const struct rpc_envelope_pair pair = {
        .key = RPC_BYTES_OF_TEXT("call"), .value = RPC_BYTES_OF_TEXT(number)};
    bool has_request = !model_streams(method->kind, MODEL_CLIENT);
    struct draft draft;
    const struct rpc_payload payload = draft_message(ends, call, MODEL_CLIENT, &draft);
    call->handles[MODEL_CLIENT] = rpc_session_open(ends->sessions[MODEL_CLIENT], method,
        (int64_t)call->index + 1, &pair, 1, has_request ? &payload : NULL);
    if (call->handles[MODEL_CLIENT] == NULL) {
        /* As if it had never been; only a connection that is at its end refuses. */
        MODEL_CHECK(&ends->model, rpc_session_broken(ends->sessions[MODEL_CLIENT]) != NULL);
        ends->model.n_calls--;
        return;
    }
    rpc_session_call_set_owner(call->handles[MODEL_CLIENT], call);
    if (has_request)
        model_sent(call, MODEL_CLIENT, draft.len);
}

void session_ends_act(struct session_ends *ends, enum model_side side)
{
    struct model_call *call = any_call(ends);
    if (call != NULL && side == MODEL_SERVER)
        act_on_server(ends, call);
    else if (call != NULL)
        act_on_client(ends, call);
}

/* ---- events ---- */

static struct model_call *accept_call(struct session_ends *ends)
{
    const struct rpc_session_facts *facts = &event.facts;
    MODEL_CHECK(&ends->model, event.status.code == RPC_OK);
    MODEL_CHECK(&ends->model, facts->method != NULL && facts->n_metadata >= 1);
    char number[16];
    (void)snprintf(number, sizeof number, "%.*s", (int)facts->metadata[0].value.len,
        (const char *)facts->metadata[0].value.data);
    size_t index = strtoul(number, NULL, 10);
    MODEL_CHECK(&ends->model, index < ends->model.n_calls);
    MODEL_CHECK(&ends->model, facts->timeout_nano == (int64_t)index + 1);
    struct model_call *call = &ends->model.calls[index];
    MODEL_CHECK(&ends->model, call->handles[MODEL_SERVER] == NULL);
    model_saw_open(call, facts->method->kind);
    call->handles[MODEL_SERVER] = event.call;
    rpc_session_call_set_owner(event.call, call);
    return call;
}

static void take_event(struct session_ends *ends, enum model_side side)
{
    struct model_call *call =
        event.kind == RPC_EVENT_OPENED ? accept_call(ends) : rpc_session_call_owner(event.call);
    MODEL_CHECK(&ends->model, call != NULL && call->handles[side] == event.call);
    switch (event.kind) {
    case RPC_EVENT_OPENED:
        MODEL_CHECK(&ends->model, side == MODEL_SERVER);
        break;
    case RPC_EVENT_MESSAGE:
        model_saw_message(call, side, event.message.data, event.message.len);
        break;
    case RPC_EVENT_HALF_CLOSED:
        MODEL_CHECK(&ends->model, side == MODEL_SERVER);
        model_saw_half_close(call);
        break;
    case RPC_EVENT_ENDED:
        model_saw_end(call, side, event.status.code, event.status.is_local);
        break;
    }
}

void session_ends_lose(struct session_ends *ends)
{
    model_lost(&ends->model);
    if (ends->sessions[MODEL_CLIENT] != NULL)
        rpc_session_lose(ends->sessions[MODEL_CLIENT], RPC_UNAVAILABLE, "lost");
    rpc_session_lose(ends->sessions[MODEL_SERVER], RPC_CANCELLED, "lost");
}

void session_ends_pump(struct session_ends *ends, enum model_side side)
{
    while (rpc_session_next(ends->sessions[side], &event)) {
        take_event(ends, side);
        for (size_t n = model_random(&ends->model, 3); n > 0; n--)
            session_ends_act(ends, side);
        if (ends->may_lose && model_random(&ends->model, 500) == 0)
            session_ends_lose(ends);
    }
}

/* ---- schedules ---- */

void session_ends_settle(struct session_ends *ends, struct model_call *call)
{
    if (ends->sessions[MODEL_CLIENT] != NULL && call->handles[MODEL_CLIENT] != NULL &&
        call->n_ended[MODEL_CLIENT] == 0)
        half_close(ends, call);
    if (call->handles[MODEL_SERVER] != NULL && !is_over(call, MODEL_SERVER) &&
        call->half_close_was_seen)
        finish(ends, call);
    for (int side = 0; side < 2; side++) {
        if (ends->sessions[side] == NULL || call->handles[side] == NULL)
            continue;
        take_message(ends, call, (enum model_side)side);
        if (is_over(call, (enum model_side)side))
            release(call, (enum model_side)side);
    }
}

bool session_ends_are_broken(const struct session_ends *ends)
{
    for (int side = 0; side < 2; side++) {
        if (ends->sessions[side] != NULL && rpc_session_broken(ends->sessions[side]) != NULL)
            return true;
    }
    return false;
}

static void choose_habits(struct session_ends *ends)
{
    static const size_t SIZES[] = {64, 64, 2000, 2000, 20000, 1 << 20};
    ends->max_message = SIZES[model_random(&ends->model, 6)];
    ends->n_busy = 1 + model_random(&ends->model, 40);
    ends->take_odds = 1 + model_random(&ends->model, 20);
    ends->end_odds = 1 + model_random(&ends->model, 20);
    ends->open_odds = 1 + model_random(&ends->model, 20);
    ends->is_sloppy = model_random(&ends->model, 8) == 0;
    ends->may_lose = model_random(&ends->model, 4) == 0;
}

void session_ends_open(struct session_ends *ends, uint64_t seed)
{
    memset(ends, 0, sizeof *ends);
    model_init(&ends->model, seed);
    ends->sessions[MODEL_CLIENT] = rpc_ttrpc_client_new();
    ends->sessions[MODEL_SERVER] = rpc_ttrpc_server_new(find, NULL);
    choose_habits(ends);
}

void session_ends_open_http2(struct session_ends *ends, uint64_t seed)
{
    memset(ends, 0, sizeof *ends);
    model_init(&ends->model, seed);
    ends->sessions[MODEL_SERVER] = rpc_http2_server_new(find, NULL, 0);
    choose_habits(ends);
}

void session_ends_close(struct session_ends *ends)
{
    for (size_t i = 0; i < ends->model.n_calls; i++) {
        struct model_call *call = &ends->model.calls[i];
        for (int side = 0; side < 2; side++) {
            if (ends->sessions[side] != NULL && call->handles[side] != NULL)
                release(call, (enum model_side)side);
        }
    }
    for (int side = 0; side < 2; side++) {
        MODEL_CHECK(&ends->model, ends->model.untaken_len[side] == 0);
        rpc_session_free(ends->sessions[side]);
    }
}
