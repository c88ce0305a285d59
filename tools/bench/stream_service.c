/* The streams: a source that never waits, and a mirror that holds one message. */
#include <stdlib.h>
#include <string.h>

#include "echo_service.h"
#include "rounds.h"
#include "stream.server.h"

/* ---- Count ---- */

struct count {
    uint32_t left;
    bench_count_response message;
};

static enum rpc_pull next_count(void *state, struct bench_count_call *call)
{
    struct count *count = state;
    if (count->left == 0)
        return RPC_PULL_DONE;
    count->left--;
    if (bench_count_send(call, &count->message) != RPC_OK)
        return RPC_PULL_DONE;
    return RPC_PULL_SENT;
}

static void free_state(void *state, enum rpc_code code)
{
    (void)code;
    free(state);
}

static const struct bench_count_stream COUNT = {.next = next_count, .closed = free_state};

static void count(void *self, struct bench_count_call *call, const bench_count_request *request)
{
    (void)self;
    struct count *state = calloc(1, sizeof *state);
    if (state == NULL) {
        rpc_call_fail(bench_count_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    state->left = request->messages;
    state->message = (bench_count_response)BENCH_COUNT_RESPONSE_INIT;
    state->message.payload.len = request->bytes;
    state->message.payload.data = rounds_message(request->bytes);
    bench_count_begin(call, &COUNT, state);
}

/* ---- Bounce ---- */

struct bounce {
    bool has_message;
    bool is_half_closed;
    size_t len;
    uint8_t bytes[ROUNDS_BOUNCE_MAX];
};

static enum rpc_pull next_bounce(void *state, struct bench_bounce_call *call)
{
    struct bounce *bounce = state;
    if (!bounce->has_message)
        return bounce->is_half_closed ? RPC_PULL_DONE : RPC_PULL_LATER;
    bench_bounce_response message = BENCH_BOUNCE_RESPONSE_INIT;
    message.payload.data = bounce->bytes;
    message.payload.len = bounce->len;
    if (bench_bounce_send(call, &message) != RPC_OK)
        return RPC_PULL_DONE;
    bounce->has_message = false;
    return RPC_PULL_SENT;
}

static enum rpc_take take_bounce(
    void *state, struct bench_bounce_call *call, const bench_bounce_request *message)
{
    struct bounce *bounce = state;
    if (bounce->has_message)
        return RPC_TAKE_LATER;
    bounce->len = message->payload.len < sizeof bounce->bytes ? message->payload.len : 0;
    memcpy(bounce->bytes, message->payload.data, bounce->len);
    bounce->has_message = true;
    bench_bounce_wake(call);
    return RPC_TAKE_DONE;
}

static void half_close_bounce(void *state, struct bench_bounce_call *call)
{
    struct bounce *bounce = state;
    bounce->is_half_closed = true;
    bench_bounce_wake(call);
}

static const struct bench_bounce_stream BOUNCE = {
    .next = next_bounce,
    .message = take_bounce,
    .half_closed = half_close_bounce,
    .closed = free_state,
};

static void bounce(void *self, struct bench_bounce_call *call)
{
    (void)self;
    struct bounce *state = calloc(1, sizeof *state);
    if (state == NULL)
        rpc_call_fail(bench_bounce_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
    else
        bench_bounce_begin(call, &BOUNCE, state);
}

const struct rpc_service *stream_service(void)
{
    static const struct bench_stream_handlers handlers = {.count = count, .bounce = bounce};
    static struct rpc_service service;
    service = bench_stream_service(&handlers, NULL);
    return &service;
}
