/* Both ends of a ttrpc session against a simple model, in random schedules: opens of every kind,
 * messages, half-closes, ends, cancels and losses, with bytes written and read in pieces of 1 to
 * 4,096. Usage: test_rpc_session_model [SEED [SCHEDULES]]; a failure names its seed. */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/session.h"
#include "model.h"
#include "unit.h"
#include "wire_watch.h"

enum { PIPE_BYTES = 32 * 1024, PIECE_MAX = 4096 };

/* One direction: what was written and not yet read. */
struct direction {
    struct rpc_session *from;
    struct rpc_session *to;
    enum model_side sender;
    struct wire_watch watch;
    uint8_t bytes[PIPE_BYTES];
    size_t len;
};

struct run {
    struct model model;
    struct rpc_session *sessions[2];
    struct direction directions[2];
    size_t max_message;
    /* How many calls are at work at once, and how often their messages are taken. */
    size_t n_busy;
    size_t take_odds;
    bool may_lose;
    /* Sends whether or not there is room. */
    bool is_sloppy;
};

static struct rpc_session_event event;

static const struct rpc_method METHODS[] = {
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
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        if (method.len == 1 && method.data[0] == (uint8_t)METHODS[i].name[0])
            return &METHODS[i];
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

static struct rpc_payload draft_message(
    struct run *run, const struct model_call *call, enum model_side sender, struct draft *draft)
{
    *draft = (struct draft){
        .call = call,
        .sender = sender,
        .n = call->flows[sender].n_sent,
        .len = model_piece(&run->model, run->max_message) - 1,
    };
    return (struct rpc_payload){.len = draft->len, .write = write_draft, .source = draft};
}

/* ---- what both sides do ---- */

static struct model_call *any_call(struct run *run)
{
    size_t n = run->model.n_calls;
    size_t oldest = n > run->n_busy ? n - run->n_busy : 0;
    return n == 0 ? NULL : &run->model.calls[oldest + model_random(&run->model, n - oldest)];
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

static void send_message(struct run *run, struct model_call *call, enum model_side side)
{
    if (!model_may_send(call, side))
        return;
    bool is_writable = rpc_session_call_is_writable(call->handles[side]);
    if (!is_writable && !run->is_sloppy)
        return;
    struct draft draft;
    const struct rpc_payload payload = draft_message(run, call, side, &draft);
    enum rpc_send_result result = rpc_session_call_send(call->handles[side], &payload);
    if (result == RPC_SEND_TAKEN)
        model_sent(call, side, draft.len);
    MODEL_CHECK(&run->model, result != RPC_SEND_TOO_LARGE);
    MODEL_CHECK(&run->model, !is_writable || result == RPC_SEND_TAKEN);
}

static void take_message(struct run *run, struct model_call *call, enum model_side side)
{
    size_t len;
    if (model_random(&run->model, run->take_odds) == 0 && model_take(call, side, &len))
        rpc_session_call_taken(call->handles[side], len);
}

/* Requests and answers are not asked whether they may be sent. */
static bool has_room(const struct run *run, enum model_side side)
{
    size_t len = 0;
    (void)rpc_session_output(run->sessions[side], &len);
    return run->is_sloppy || len < RPC_OUTPUT_SOFT_BYTES;
}

static void finish(struct run *run, struct model_call *call)
{
    if (!has_room(run, MODEL_SERVER))
        return;
    static const enum rpc_code CODES[] = {RPC_OK, RPC_OK, RPC_OK, RPC_NOT_FOUND};
    enum rpc_code code = CODES[model_random(&run->model, 4)];
    bool has_answer = code == RPC_OK && !model_streams(call->kind, MODEL_SERVER);
    struct draft draft;
    const struct rpc_payload payload = draft_message(run, call, MODEL_SERVER, &draft);
    const struct rpc_status status = {.code = code, .message = RPC_BYTES_OF_TEXT("text")};
    enum rpc_send_result result =
        rpc_session_call_finish(call->handles[MODEL_SERVER], &status, &payload);
    MODEL_CHECK(&run->model, result == RPC_SEND_GONE || !is_over(call, MODEL_SERVER));
    if (result != RPC_SEND_TAKEN)
        return;
    if (has_answer)
        model_sent(call, MODEL_SERVER, draft.len);
    model_finished(call, code);
}

static void act_on_server(struct run *run, struct model_call *call)
{
    if (call->handles[MODEL_SERVER] == NULL)
        return;
    switch (model_random(&run->model, 10)) {
    case 0:
        if (!call->is_finished)
            finish(run, call);
        break;
    case 1:
        if (is_over(call, MODEL_SERVER))
            release(call, MODEL_SERVER);
        break;
    case 2:
    case 3:
    case 4:
        take_message(run, call, MODEL_SERVER);
        break;
    default:
        if (!call->is_finished)
            send_message(run, call, MODEL_SERVER);
        break;
    }
}

/* Sometimes without waiting to hear of the end. */
static void cancel(struct run *run, struct model_call *call)
{
    rpc_session_call_cancel(call->handles[MODEL_CLIENT]);
    model_cancelled(call);
    if (model_random(&run->model, 2) == 0 || is_over(call, MODEL_CLIENT))
        return;
    call->n_ended[MODEL_CLIENT]++;
    release(call, MODEL_CLIENT);
}

static void half_close(struct run *run, struct model_call *call)
{
    rpc_session_call_half_close(call->handles[MODEL_CLIENT]);
    model_half_closed(call);
    MODEL_CHECK(&run->model, !rpc_session_call_is_writable(call->handles[MODEL_CLIENT]));
}

static void act_on_client(struct run *run, struct model_call *call)
{
    if (call->handles[MODEL_CLIENT] == NULL)
        return;
    switch (model_random(&run->model, 20)) {
    case 0:
        if (model_random(&run->model, 2) == 0)
            cancel(run, call);
        break;
    case 1:
        half_close(run, call);
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
        take_message(run, call, MODEL_CLIENT);
        break;
    default:
        send_message(run, call, MODEL_CLIENT);
        break;
    }
}

/* The call's number travels as its metadata, and one more than it as the timeout. */
static void open_call(struct run *run)
{
    const struct rpc_method *method = &METHODS[model_random(&run->model, 4)];
    if (run->model.n_calls == MODEL_CALLS_MAX || !has_room(run, MODEL_CLIENT))
        return;
    struct model_call *call = model_open(&run->model, method->kind);
    char number[16];
    (void)snprintf(number, sizeof number, "%zu", call->index);
    const struct rpc_envelope_pair pair = {
        .key = RPC_BYTES_OF_TEXT("call"), .value = RPC_BYTES_OF_TEXT(number)};
    bool has_request = !model_streams(method->kind, MODEL_CLIENT);
    struct draft draft;
    const struct rpc_payload payload = draft_message(run, call, MODEL_CLIENT, &draft);
    call->handles[MODEL_CLIENT] = rpc_session_open(run->sessions[MODEL_CLIENT], method,
        (int64_t)call->index + 1, &pair, 1, has_request ? &payload : NULL);
    if (call->handles[MODEL_CLIENT] == NULL) {
        /* As if it had never been; only a connection that is at its end refuses. */
        MODEL_CHECK(&run->model, rpc_session_broken(run->sessions[MODEL_CLIENT]) != NULL);
        run->model.n_calls--;
        return;
    }
    rpc_session_call_set_owner(call->handles[MODEL_CLIENT], call);
    if (has_request)
        model_sent(call, MODEL_CLIENT, draft.len);
}

static void act(struct run *run, enum model_side side)
{
    struct model_call *call = any_call(run);
    if (call != NULL && side == MODEL_SERVER)
        act_on_server(run, call);
    else if (call != NULL)
        act_on_client(run, call);
}

/* ---- events ---- */

static struct model_call *accept_call(struct run *run)
{
    const struct rpc_session_facts *facts = &event.facts;
    MODEL_CHECK(&run->model, event.status.code == RPC_OK);
    MODEL_CHECK(&run->model, facts->method != NULL && facts->n_metadata >= 1);
    char number[16];
    (void)snprintf(number, sizeof number, "%.*s", (int)facts->metadata[0].value.len,
        (const char *)facts->metadata[0].value.data);
    size_t index = strtoul(number, NULL, 10);
    MODEL_CHECK(&run->model, index < run->model.n_calls);
    MODEL_CHECK(&run->model, facts->timeout_nano == (int64_t)index + 1);
    struct model_call *call = &run->model.calls[index];
    MODEL_CHECK(&run->model, call->handles[MODEL_SERVER] == NULL);
    model_saw_open(call, facts->method->kind);
    call->handles[MODEL_SERVER] = event.call;
    rpc_session_call_set_owner(event.call, call);
    return call;
}

static void take_event(struct run *run, enum model_side side)
{
    struct model_call *call =
        event.kind == RPC_EVENT_OPENED ? accept_call(run) : rpc_session_call_owner(event.call);
    MODEL_CHECK(&run->model, call != NULL && call->handles[side] == event.call);
    switch (event.kind) {
    case RPC_EVENT_OPENED:
        MODEL_CHECK(&run->model, side == MODEL_SERVER);
        break;
    case RPC_EVENT_MESSAGE:
        model_saw_message(call, side, event.message.data, event.message.len);
        break;
    case RPC_EVENT_HALF_CLOSED:
        MODEL_CHECK(&run->model, side == MODEL_SERVER);
        model_saw_half_close(call);
        break;
    case RPC_EVENT_ENDED:
        model_saw_end(call, side, event.status.code, event.status.is_local);
        break;
    }
}

/* Both ends learn of it; the events that follow from it are for the next pump. */
static void lose(struct run *run)
{
    model_lost(&run->model);
    rpc_session_lose(run->sessions[MODEL_CLIENT], RPC_UNAVAILABLE, "lost");
    rpc_session_lose(run->sessions[MODEL_SERVER], RPC_CANCELLED, "lost");
}

/* All events there are, with acts of the same side in between. */
static void pump(struct run *run, enum model_side side)
{
    while (rpc_session_next(run->sessions[side], &event)) {
        take_event(run, side);
        for (size_t n = model_random(&run->model, 3); n > 0; n--)
            act(run, side);
        if (run->may_lose && model_random(&run->model, 500) == 0)
            lose(run);
    }
}

/* ---- bytes ---- */

static void write_some(struct run *run, struct direction *direction, size_t max)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(direction->from, &len);
    MODEL_CHECK(&run->model, len <= RPC_OUTPUT_HARD_BYTES);
    size_t room = PIPE_BYTES - direction->len;
    len = len < max ? len : max;
    len = len < room ? len : room;
    if (len == 0)
        return;
    wire_watch_see(&direction->watch, bytes, len);
    memcpy(direction->bytes + direction->len, bytes, len);
    direction->len += len;
    rpc_session_sent(direction->from, len);
    /* Frames that waited for room. */
    pump(run, direction->sender);
}

static void read_some(struct run *run, struct direction *direction, size_t max)
{
    size_t len = direction->len < max ? direction->len : max;
    if (len == 0 || !rpc_session_wants_read(direction->to))
        return;
    /* An exact copy, so that the sanitizer sees every byte read too far or too late. */
    uint8_t *copy = malloc(len);
    memcpy(copy, direction->bytes, len);
    direction->len -= len;
    memmove(direction->bytes, direction->bytes + len, direction->len);
    rpc_session_receive(direction->to, copy, len, 0);
    pump(run, direction->sender == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT);
    free(copy);
}

static bool is_broken(const struct run *run)
{
    return rpc_session_broken(run->sessions[MODEL_CLIENT]) != NULL ||
           rpc_session_broken(run->sessions[MODEL_SERVER]) != NULL;
}

/* ---- schedules ---- */

static void step(struct run *run)
{
    struct direction *direction = &run->directions[model_random(&run->model, 2)];
    switch (model_random(&run->model, 12)) {
    case 0:
    case 1:
        open_call(run);
        break;
    case 2:
    case 3:
    case 4:
        act(run, MODEL_CLIENT);
        break;
    case 5:
    case 6:
    case 7:
        act(run, MODEL_SERVER);
        break;
    case 8:
    case 9:
        write_some(run, direction, model_piece(&run->model, PIECE_MAX));
        break;
    default:
        read_some(run, direction, model_piece(&run->model, PIECE_MAX));
        break;
    }
}

/* Every handler comes to its end, and all bytes arrive. */
static void settle_call(struct run *run, struct model_call *call)
{
    if (call->handles[MODEL_CLIENT] != NULL && call->n_ended[MODEL_CLIENT] == 0)
        half_close(run, call);
    if (call->handles[MODEL_SERVER] != NULL && !is_over(call, MODEL_SERVER) &&
        call->half_close_was_seen)
        finish(run, call);
    for (int side = 0; side < 2; side++) {
        if (call->handles[side] == NULL)
            continue;
        take_message(run, call, (enum model_side)side);
        if (is_over(call, (enum model_side)side))
            release(call, (enum model_side)side);
    }
}

static void settle(struct run *run)
{
    bool is_moving = true;
    while (is_moving && !is_broken(run) && !run->model.is_lost) {
        for (size_t i = 0; i < run->model.n_calls; i++)
            settle_call(run, &run->model.calls[i]);
        is_moving = false;
        for (int i = 0; i < 2; i++) {
            struct direction *direction = &run->directions[i];
            size_t len = 0;
            (void)rpc_session_output(direction->from, &len);
            is_moving = is_moving || len > 0 || direction->len > 0;
            write_some(run, direction, PIECE_MAX);
            read_some(run, direction, PIECE_MAX);
        }
    }
}

static void close_run(struct run *run)
{
    for (size_t i = 0; i < run->model.n_calls; i++) {
        struct model_call *call = &run->model.calls[i];
        for (int side = 0; side < 2; side++) {
            if (call->handles[side] != NULL)
                release(call, (enum model_side)side);
        }
    }
    for (int side = 0; side < 2; side++) {
        MODEL_CHECK(&run->model, run->model.untaken_len[side] == 0);
        rpc_session_free(run->sessions[side]);
    }
}

static void join(struct run *run, enum model_side sender)
{
    struct direction *direction = &run->directions[sender];
    direction->sender = sender;
    direction->from = run->sessions[sender];
    direction->to = run->sessions[sender == MODEL_CLIENT ? MODEL_SERVER : MODEL_CLIENT];
    wire_watch_init(&direction->watch, &run->model, sender);
}

static void begin_run(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof *run);
    model_init(&run->model, seed);
    run->sessions[MODEL_CLIENT] = rpc_ttrpc_client_new();
    run->sessions[MODEL_SERVER] = rpc_ttrpc_server_new(find, NULL);
    join(run, MODEL_CLIENT);
    join(run, MODEL_SERVER);
    static const size_t SIZES[] = {64, 64, 2000, 2000, 20000, 1 << 20};
    run->max_message = SIZES[model_random(&run->model, 6)];
    run->n_busy = 1 + model_random(&run->model, 40);
    run->take_odds = 1 + model_random(&run->model, 20);
    run->is_sloppy = model_random(&run->model, 8) == 0;
    run->may_lose = model_random(&run->model, 4) == 0;
}

static size_t run_schedule(uint64_t seed)
{
    static struct run run;
    begin_run(&run, seed);
    size_t n_steps = 200 + model_random(&run.model, 2000);
    for (size_t i = 0; i < n_steps && !is_broken(&run) && !run.model.is_lost; i++)
        step(&run);
    /* A session breaks only when it was sent to against its word. */
    MODEL_CHECK(&run.model, run.is_sloppy || !is_broken(&run));
    run.take_odds = 1;
    settle(&run);
    if (is_broken(&run))
        lose(&run);
    pump(&run, MODEL_CLIENT);
    pump(&run, MODEL_SERVER);
    model_check_ended(&run.model);
    close_run(&run);
    return run.model.n_messages;
}

static uint64_t first_seed = 1;
static uint64_t n_schedules = 300;

static void test_session_model_every_schedule_keeps_to_the_model(void **state)
{
    (void)state;
    size_t n_messages = 0;
    for (uint64_t seed = first_seed; seed < first_seed + n_schedules; seed++)
        n_messages += run_schedule(seed);
    print_message("%llu schedules from seed %llu, %zu messages\n", (unsigned long long)n_schedules,
        (unsigned long long)first_seed, n_messages);
    assert_true(n_messages > n_schedules || n_schedules < 10);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        n_schedules = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_model_every_schedule_keeps_to_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
