/* What was done on one side against what is seen on the other. */
#include "model.h"

#include "unit.h"

void model_check(
    const struct model *model, bool holds, const char *claim, const char *file, int line)
{
    if (holds)
        return;
    print_error("seed %llu: not so: %s\n", (unsigned long long)model->seed, claim);
    _fail(file, line);
}

/* ---- chance ---- */

void model_init(struct model *model, uint64_t seed)
{
    memset(model, 0, sizeof *model);
    model->seed = seed;
    model->random = seed * 2 + 1;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(struct model *model)
{
    model->random += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = model->random;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

size_t model_random(struct model *model, size_t n)
{
    return (size_t)(next_random(model) % n);
}

size_t model_piece(struct model *model, size_t max)
{
    size_t limit = model_random(model, 3) == 0 ? 16 : max;
    return 1 + model_random(model, limit < max ? limit : max);
}

/* ---- calls ---- */

bool model_streams(enum rpc_kind kind, enum model_side side)
{
    return kind == RPC_BIDI ||
           kind == (side == MODEL_CLIENT ? RPC_CLIENT_STREAM : RPC_SERVER_STREAM);
}

struct model_call *model_open(struct model *model, enum rpc_kind kind)
{
    if (model->n_calls == MODEL_CALLS_MAX)
        return NULL;
    struct model_call *call = &model->calls[model->n_calls];
    *call = (struct model_call){.model = model, .index = model->n_calls++, .kind = kind};
    return call;
}

static uint8_t byte_at(const struct model_call *call, enum model_side sender, size_t n, size_t at)
{
    return (uint8_t)(call->index * 31 + n * 7 + at * 13 + (at >> 8) + (sender == MODEL_SERVER));
}

void model_write(
    const struct model_call *call, enum model_side sender, size_t n, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = byte_at(call, sender, n, i);
}

bool model_may_send(const struct model_call *call, enum model_side sender)
{
    return call->flows[sender].n_sent < MODEL_MESSAGES_MAX && model_streams(call->kind, sender) &&
           !(sender == MODEL_CLIENT && call->is_half_closed);
}

/* ---- what was done ---- */

void model_sent(struct model_call *call, enum model_side sender, size_t len)
{
    struct model_flow *flow = &call->flows[sender];
    MODEL_CHECK(call->model, flow->n_sent < MODEL_MESSAGES_MAX);
    flow->lens[flow->n_sent++] = len;
}

void model_half_closed(struct model_call *call)
{
    call->is_half_closed = true;
}

void model_cancelled(struct model_call *call)
{
    call->is_cancelled = true;
}

void model_finished(struct model_call *call, enum rpc_code code)
{
    MODEL_CHECK(call->model, call->n_opened == 1);
    MODEL_CHECK(call->model, !call->is_finished);
    MODEL_CHECK(call->model, call->n_ended[MODEL_SERVER] == 0);
    call->is_finished = true;
    call->finish_code = code;
}

static struct model_flow *flow_to(struct model_call *call, enum model_side receiver)
{
    return &call->flows[receiver == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT];
}

static bool is_counted(const struct model_call *call, enum model_side receiver)
{
    return model_streams(call->kind, receiver == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT);
}

bool model_take(struct model_call *call, enum model_side receiver, size_t *out_len)
{
    struct model_flow *flow = flow_to(call, receiver);
    if (!is_counted(call, receiver) || flow->n_taken == flow->n_got)
        return false;
    *out_len = flow->lens[flow->n_taken++];
    call->model->untaken_len[receiver] -= *out_len;
    return true;
}

void model_released(struct model_call *call, enum model_side side)
{
    size_t len;
    while (model_take(call, side, &len))
        continue;
    call->handles[side] = NULL;
}

void model_lost(struct model *model)
{
    model->is_lost = true;
}

/* ---- what was seen ---- */

void model_saw_open(struct model_call *call, enum rpc_kind kind)
{
    MODEL_CHECK(call->model, call->n_opened == 0);
    MODEL_CHECK(call->model, call->kind == kind);
    call->n_opened++;
}

static bool is_over(const struct model_call *call, enum model_side side)
{
    return call->n_ended[side] > 0 || (side == MODEL_SERVER && call->is_finished);
}

/* The next one that `sender` has sent. */
static bool is_message(
    const struct model_call *call, enum model_side sender, const uint8_t *bytes, size_t len)
{
    const struct model_flow *flow = &call->flows[sender];
    if (flow->n_got >= flow->n_sent || flow->lens[flow->n_got] != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != byte_at(call, sender, flow->n_got, i))
            return false;
    }
    return true;
}

void model_saw_message(
    struct model_call *call, enum model_side receiver, const uint8_t *bytes, size_t len)
{
    struct model *model = call->model;
    struct model_flow *flow = flow_to(call, receiver);
    enum model_side sender = receiver == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT;
    MODEL_CHECK(model, !is_over(call, receiver));
    MODEL_CHECK(model, receiver == MODEL_CLIENT || call->n_opened == 1);
    MODEL_CHECK(model, receiver == MODEL_CLIENT || !call->half_close_was_seen);
    MODEL_CHECK(model, is_message(call, sender, bytes, len));
    flow->n_got++;
    model->n_messages++;
    if (!is_counted(call, receiver))
        return;
    model->untaken_len[receiver] += len;
    MODEL_CHECK(model, flow->n_got - flow->n_taken <= RPC_INBOUND_MESSAGES_MAX);
    MODEL_CHECK(model, model->untaken_len[receiver] <= RPC_INBOUND_BYTES_MAX);
}

void model_saw_half_close(struct model_call *call)
{
    const struct model_flow *flow = &call->flows[MODEL_CLIENT];
    MODEL_CHECK(call->model, !is_over(call, MODEL_SERVER));
    MODEL_CHECK(call->model, call->n_opened == 1 && !call->half_close_was_seen);
    MODEL_CHECK(call->model, call->is_half_closed || !model_streams(call->kind, MODEL_CLIENT));
    MODEL_CHECK(call->model, flow->n_got == flow->n_sent);
    call->half_close_was_seen = true;
}

/* The next message would have been one too many for `side`. */
static bool is_at_bound(struct model_call *call, enum model_side side)
{
    const struct model_flow *flow = flow_to(call, side);
    if (!is_counted(call, side) || flow->n_got == flow->n_sent)
        return false;
    return flow->n_got - flow->n_taken == RPC_INBOUND_MESSAGES_MAX ||
           flow->lens[flow->n_got] > RPC_INBOUND_BYTES_MAX - call->model->untaken_len[side];
}

/* The server's own end: nothing of what it sent is missing. */
static void check_served_end(struct model_call *call, enum rpc_code code)
{
    const struct model_flow *flow = &call->flows[MODEL_SERVER];
    MODEL_CHECK(call->model, code == call->finish_code);
    MODEL_CHECK(call->model, flow->n_got == flow->n_sent);
    MODEL_CHECK(
        call->model, flow->n_got == 1 || code != RPC_OK || model_streams(call->kind, MODEL_SERVER));
}

void model_saw_end(struct model_call *call, enum model_side side, enum rpc_code code, bool is_local)
{
    const struct model *model = call->model;
    MODEL_CHECK(model, !is_over(call, side));
    MODEL_CHECK(model, side == MODEL_CLIENT || call->n_opened == 1);
    call->n_ended[side]++;
    if (side == MODEL_CLIENT && !is_local) {
        if (call->is_finished)
            check_served_end(call, code);
        else
            MODEL_CHECK(model, call->is_overrun && code == RPC_RESOURCE_EXHAUSTED);
        return;
    }
    MODEL_CHECK(model, is_local);
    if (code == RPC_RESOURCE_EXHAUSTED) {
        MODEL_CHECK(model, is_at_bound(call, side));
        call->is_overrun = true;
    } else if (code == RPC_CANCELLED) {
        MODEL_CHECK(model,
            call->is_cancelled || model->is_lost || (side == MODEL_SERVER && call->is_overrun));
    } else {
        MODEL_CHECK(model, model->is_lost && code == RPC_UNAVAILABLE);
    }
}

void model_check_ended(const struct model *model)
{
    for (size_t i = 0; i < model->n_calls; i++) {
        const struct model_call *call = &model->calls[i];
        MODEL_CHECK(model, call->n_ended[MODEL_CLIENT] == 1);
        MODEL_CHECK(model, call->n_opened == 1 || call->is_cancelled || model->is_lost);
        MODEL_CHECK(model, call->n_ended[MODEL_SERVER] + call->is_finished == call->n_opened);
    }
}
