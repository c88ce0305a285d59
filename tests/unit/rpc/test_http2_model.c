/* The HTTP/2 server session against nghttp2's client and a simple model, in random schedules: calls
 * of every kind, messages, half-closes, ends, resets, windows that open late, GOAWAY and losses,
 * with bytes written and read in pieces of 1 to 4,096. Usage: test_rpc_http2_model [SEED
 * [SCHEDULES]]; a failure names its seed. */
#include <stdio.h>
#include <stdlib.h>

#include <nghttp2/nghttp2.h>

#include "session_ends.h"
#include "unit.h"

enum {
    PIPE_BYTES = 32 * 1024,
    PIECE_MAX = 4096,
    PREFIX_BYTES = 5,
    /* What a caller has written and nghttp2 not yet sent; more is not added. */
    BODY_BYTES = 256 * 1024
};

struct bytes {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

/* The client's side of a call; handles[MODEL_CLIENT] of the model's. */
struct client_call {
    struct model_call *call;
    int32_t id;
    struct bytes body;
    struct bytes answer;
    bool is_closing;
    bool was_sent;
    bool has_status;
    enum rpc_code status;
    /* Taken from the answer, and not yet given back to the window. */
    size_t unconsumed;
};

struct run {
    struct session_ends ends;
    nghttp2_session *h2;
    struct bytes to_server;
    struct bytes to_client;
    int64_t now_ms;
    bool is_leaving;
};

static struct totals {
    size_t n_messages;
    size_t n_cancelled;
    size_t n_losses;
    size_t n_unserved;
    size_t n_leavings;
} totals;

/* ---- bytes ---- */

static void append(struct bytes *bytes, const uint8_t *data, size_t len)
{
    if (bytes->len + len > bytes->capacity) {
        bytes->capacity = 2 * (bytes->len + len);
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

static void drop(struct bytes *bytes, size_t len)
{
    if (len == 0)
        return;
    bytes->len -= len;
    memmove(bytes->data, bytes->data + len, bytes->len);
}

/* ---- the client, told ---- */

static struct client_call *caller_of(nghttp2_session *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *data)
{
    struct client_call *caller = caller_of(h2, frame->hd.stream_id);
    char number[8];
    (void)flags;
    (void)data;
    if (name_len != strlen("grpc-status") || memcmp(name, "grpc-status", name_len) != 0)
        return 0;
    (void)snprintf(number, sizeof number, "%.*s", (int)value_len, (const char *)value);
    MODEL_CHECK(caller->call->model, !caller->has_status);
    caller->has_status = true;
    caller->status = (enum rpc_code)strtoul(number, NULL, 10);
    return 0;
}

static int on_chunk(
    nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *data)
{
    struct client_call *caller = caller_of(h2, id);
    struct model_call *call = caller->call;
    size_t taken;
    (void)flags;
    (void)data;
    append(&caller->answer, bytes, len);
    caller->unconsumed += len;
    while (caller->answer.len >= PREFIX_BYTES) {
        const uint8_t *head = caller->answer.data;
        size_t message_len =
            (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
        MODEL_CHECK(call->model, head[0] == 0);
        if (caller->answer.len < PREFIX_BYTES + message_len)
            break;
        model_saw_message(call, MODEL_CLIENT, head + PREFIX_BYTES, message_len);
        (void)model_take(call, MODEL_CLIENT, &taken);
        drop(&caller->answer, PREFIX_BYTES + message_len);
    }
    return 0;
}

static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    (void)data;
    if (frame->hd.type == NGHTTP2_HEADERS)
        caller_of(h2, frame->hd.stream_id)->was_sent = true;
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *data)
{
    struct client_call *caller = caller_of(h2, id);
    struct run *run = data;
    struct model_call *call = caller->call;
    caller->id = 0;
    if (caller->has_status) {
        MODEL_CHECK(call->model, caller->answer.len == 0);
        model_saw_end(call, MODEL_CLIENT, caller->status, false);
        return 0;
    }
    if (!call->is_cancelled) {
        /* Only a server that leaves turns a call away, and then none of it has been seen. */
        MODEL_CHECK(call->model, run->is_leaving && call->n_opened == 0);
        MODEL_CHECK(call->model, !caller->was_sent || error == NGHTTP2_REFUSED_STREAM);
        model_cancelled(call);
    }
    model_saw_end(call, MODEL_CLIENT, RPC_CANCELLED, true);
    return 0;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *bytes, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct client_call *caller = source->ptr;
    (void)h2;
    (void)id;
    (void)data;
    if (caller->body.len == 0 && !caller->is_closing)
        return NGHTTP2_ERR_DEFERRED;
    len = caller->body.len < len ? caller->body.len : len;
    if (len > 0)
        memcpy(bytes, caller->body.data, len);
    drop(&caller->body, len);
    if (caller->body.len == 0 && caller->is_closing)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static nghttp2_session *new_client(struct run *run)
{
    nghttp2_session *h2 = NULL;
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&options), 0);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new2(&h2, callbacks, run, options), 0);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    return h2;
}

/* ---- the client, acting ---- */

static void write_message(struct run *run, struct client_call *caller)
{
    struct model_call *call = caller->call;
    size_t len = model_piece(&run->ends.model, run->ends.max_message) - 1;
    const uint8_t prefix[PREFIX_BYTES] = {
        0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    uint8_t *message = malloc(len + 1);
    assert_non_null(message);
    model_write(call, MODEL_CLIENT, call->flows[MODEL_CLIENT].n_sent, message, len);
    append(&caller->body, prefix, sizeof prefix);
    append(&caller->body, message, len);
    free(message);
    model_sent(call, MODEL_CLIENT, len);
}

static void half_close(struct client_call *caller)
{
    caller->is_closing = true;
    model_half_closed(caller->call);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value)};
}

static void begin_call(struct run *run)
{
    const struct rpc_method *method = &session_ends_methods[model_random(&run->ends.model, 4)];
    struct model_call *call = model_open(&run->ends.model, method->kind);
    char path[32];
    char number[16];
    char timeout[24];
    if (call == NULL)
        return;
    struct client_call *caller = calloc(1, sizeof *caller);
    assert_non_null(caller);
    caller->call = call;
    call->handles[MODEL_CLIENT] = caller;
    (void)snprintf(path, sizeof path, "/%s/%s", method->service, method->name);
    (void)snprintf(number, sizeof number, "%zu", call->index);
    (void)snprintf(timeout, sizeof timeout, "%zun", call->index + 1);
    const nghttp2_nv fields[] = {field(":method", "POST"), field(":scheme", "http"),
        field(":path", path), field("content-type", "application/grpc"), field("te", "trailers"),
        field("grpc-timeout", timeout), field("call", number)};
    if (!model_streams(call->kind, MODEL_CLIENT)) {
        write_message(run, caller);
        caller->is_closing = true;
    }
    const nghttp2_data_provider provider = {.source = {.ptr = caller}, .read_callback = read_body};
    caller->id = nghttp2_submit_request(
        run->h2, NULL, fields, sizeof fields / sizeof fields[0], &provider, caller);
    assert_true(caller->id > 0);
}

static void consume(struct run *run, struct client_call *caller, size_t len)
{
    if (len == 0 || caller->id == 0)
        return;
    assert_int_equal(nghttp2_session_consume(run->h2, caller->id, len), 0);
    caller->unconsumed -= len;
}

/* The rest of a stream that is closed; the connection's window must not run dry for it. */
static void consume_rest(struct run *run, struct client_call *caller)
{
    if (caller->id != 0 || caller->unconsumed == 0)
        return;
    assert_int_equal(nghttp2_session_consume_connection(run->h2, caller->unconsumed), 0);
    caller->unconsumed = 0;
}

static void cancel(struct run *run, struct client_call *caller)
{
    if (caller->call->is_cancelled)
        return;
    model_cancelled(caller->call);
    assert_int_equal(
        nghttp2_submit_rst_stream(run->h2, NGHTTP2_FLAG_NONE, caller->id, NGHTTP2_CANCEL), 0);
}

static void act_on_client(struct run *run)
{
    struct model *model = &run->ends.model;
    size_t n = model->n_calls;
    size_t oldest = n > run->ends.n_busy ? n - run->ends.n_busy : 0;
    if (n == 0)
        return;
    struct model_call *call = &model->calls[oldest + model_random(model, n - oldest)];
    struct client_call *caller = call->handles[MODEL_CLIENT];
    consume_rest(run, caller);
    if (caller->id == 0)
        return;
    switch (model_random(model, 20)) {
    case 0:
        if (model_random(model, run->ends.end_odds) == 0)
            cancel(run, caller);
        break;
    case 1:
        if (model_streams(call->kind, MODEL_CLIENT) && !call->is_half_closed &&
            model_random(model, run->ends.end_odds) == 0)
            half_close(caller);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        if (model_random(model, run->ends.take_odds) == 0)
            consume(run, caller, model_random(model, caller->unconsumed + 1));
        break;
    default:
        if (model_may_send(call, MODEL_CLIENT) && caller->body.len < BODY_BYTES)
            write_message(run, caller);
        break;
    }
    (void)nghttp2_session_resume_data(run->h2, caller->id);
}

/* ---- bytes on their way ---- */

static void fill_from_client(struct run *run)
{
    while (run->to_server.len < PIPE_BYTES) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(run->h2, &bytes);
        MODEL_CHECK(&run->ends.model, len >= 0);
        if (len <= 0)
            return;
        append(&run->to_server, bytes, (size_t)len);
    }
}

static void read_on_server(struct run *run, size_t max)
{
    struct rpc_session *server = run->ends.sessions[MODEL_SERVER];
    fill_from_client(run);
    size_t len = run->to_server.len < max ? run->to_server.len : max;
    if (len == 0 || !rpc_session_wants_read(server))
        return;
    /* An exact copy, so that the sanitizer sees every byte read too far or too late. */
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, run->to_server.data, len);
    drop(&run->to_server, len);
    rpc_session_receive(server, copy, len, run->now_ms);
    session_ends_pump(&run->ends, MODEL_SERVER);
    free(copy);
}

static void write_on_server(struct run *run, size_t max)
{
    struct rpc_session *server = run->ends.sessions[MODEL_SERVER];
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(server, &len);
    MODEL_CHECK(&run->ends.model, len <= RPC_OUTPUT_HARD_BYTES);
    len = len < max ? len : max;
    if (len == 0 || run->to_client.len + len > PIPE_BYTES)
        return;
    append(&run->to_client, bytes, len);
    rpc_session_sent(server, len);
    session_ends_pump(&run->ends, MODEL_SERVER);
}

static void read_on_client(struct run *run, size_t max)
{
    size_t len = run->to_client.len < max ? run->to_client.len : max;
    if (len == 0)
        return;
    MODEL_CHECK(&run->ends.model,
        nghttp2_session_mem_recv(run->h2, run->to_client.data, len) == (ssize_t)len);
    drop(&run->to_client, len);
}

/* ---- schedules ---- */

static void leave(struct run *run)
{
    run->is_leaving = true;
    rpc_session_shut(run->ends.sessions[MODEL_SERVER], run->now_ms);
}

static void step(struct run *run)
{
    struct model *model = &run->ends.model;
    run->now_ms += (int64_t)model_random(model, 40);
    switch (model_random(model, 14)) {
    case 0:
    case 1:
        if (model_random(model, run->ends.open_odds) == 0)
            begin_call(run);
        break;
    case 2:
    case 3:
    case 4:
        act_on_client(run);
        break;
    case 5:
    case 6:
    case 7:
        session_ends_act(&run->ends, MODEL_SERVER);
        break;
    case 8:
        read_on_server(run, model_piece(model, PIECE_MAX));
        break;
    case 9:
        write_on_server(run, model_piece(model, PIECE_MAX));
        break;
    case 10:
        read_on_client(run, model_piece(model, PIECE_MAX));
        break;
    case 11:
        read_on_server(run, PIPE_BYTES);
        break;
    case 12:
        read_on_client(run, PIPE_BYTES);
        break;
    default:
        if (!run->is_leaving && run->ends.end_odds <= 3 && model_random(model, 200) == 0)
            leave(run);
        break;
    }
}

static bool is_over(const struct run *run)
{
    return session_ends_are_broken(&run->ends) || run->ends.model.is_lost;
}

static bool has_untaken(const struct model_call *call)
{
    const struct model_flow *flow = &call->flows[MODEL_CLIENT];
    return call->handles[MODEL_SERVER] != NULL && model_streams(call->kind, MODEL_CLIENT) &&
           flow->n_taken < flow->n_got;
}

/* One round in which everybody does what brings its calls to their ends; false: nothing moved. */
static bool settle_once(struct run *run)
{
    struct rpc_session *server = run->ends.sessions[MODEL_SERVER];
    bool is_moving = false;
    for (size_t i = 0; i < run->ends.model.n_calls; i++) {
        struct model_call *call = &run->ends.model.calls[i];
        struct client_call *caller = call->handles[MODEL_CLIENT];
        if (caller->id != 0 && !call->is_half_closed && model_streams(call->kind, MODEL_CLIENT))
            half_close(caller);
        if (caller->id != 0)
            (void)nghttp2_session_resume_data(run->h2, caller->id);
        consume(run, caller, caller->unconsumed);
        consume_rest(run, caller);
        is_moving = is_moving || has_untaken(call);
        session_ends_settle(&run->ends, call);
    }
    /* Messages that waited for others to be taken. */
    session_ends_pump(&run->ends, MODEL_SERVER);
    fill_from_client(run);
    is_moving = is_moving || run->to_server.len > 0 || run->to_client.len > 0 ||
                rpc_session_has_output(server);
    read_on_server(run, PIPE_BYTES);
    write_on_server(run, PIPE_BYTES);
    read_on_client(run, PIPE_BYTES);
    return is_moving;
}

/* What the client would conclude of a connection that is gone. */
static void lose_client(struct run *run)
{
    for (size_t i = 0; i < run->ends.model.n_calls; i++) {
        struct model_call *call = &run->ends.model.calls[i];
        struct client_call *caller = call->handles[MODEL_CLIENT];
        if (caller->id != 0)
            model_saw_end(call, MODEL_CLIENT, RPC_UNAVAILABLE, true);
        caller->id = 0;
    }
}

static void close_run(struct run *run)
{
    for (size_t i = 0; i < run->ends.model.n_calls; i++) {
        const struct model_call *call = &run->ends.model.calls[i];
        struct client_call *caller = call->handles[MODEL_CLIENT];
        totals.n_cancelled += call->is_cancelled;
        totals.n_unserved += call->n_opened == 0;
        free(caller->body.data);
        free(caller->answer.data);
        free(caller);
        run->ends.model.calls[i].handles[MODEL_CLIENT] = NULL;
    }
    totals.n_messages += run->ends.model.n_messages;
    totals.n_losses += run->ends.model.is_lost;
    totals.n_leavings += run->is_leaving;
    session_ends_close(&run->ends);
    nghttp2_session_del(run->h2);
    free(run->to_server.data);
    free(run->to_client.data);
}

static void run_schedule(uint64_t seed)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    session_ends_open_http2(&run.ends, seed);
    /* Its windows keep this client from sending beyond what the server takes. */
    run.ends.is_sloppy = false;
    run.h2 = new_client(&run);
    size_t n_steps = 200 + model_random(&run.ends.model, 3000);
    for (size_t i = 0; i < n_steps && !is_over(&run); i++)
        step(&run);
    run.ends.take_odds = 1;
    while (!is_over(&run) && settle_once(&run))
        run.now_ms++;
    MODEL_CHECK(&run.ends.model,
        !session_ends_are_broken(&run.ends) || run.ends.model.is_lost || run.is_leaving);
    if (is_over(&run) && !run.ends.model.is_lost)
        session_ends_lose(&run.ends);
    session_ends_pump(&run.ends, MODEL_SERVER);
    if (run.ends.model.is_lost)
        lose_client(&run);
    model_check_ended(&run.ends.model);
    close_run(&run);
}

static uint64_t first_seed = 1;
static uint64_t n_schedules = 100;

static void test_http2_model_every_schedule_keeps_to_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + n_schedules; seed++)
        run_schedule(seed);
    print_message("%llu schedules from seed %llu: %zu messages, %zu calls given up, %zu never "
                  "served, %zu connections lost, %zu left\n",
        (unsigned long long)n_schedules, (unsigned long long)first_seed, totals.n_messages,
        totals.n_cancelled, totals.n_unserved, totals.n_losses, totals.n_leavings);
    if (n_schedules < 100)
        return;
    assert_true(totals.n_messages > 1000 && totals.n_cancelled > 10);
    assert_true(totals.n_unserved > 10 && totals.n_losses > 3 && totals.n_leavings > 3);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        n_schedules = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2_model_every_schedule_keeps_to_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
