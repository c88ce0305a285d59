#include "random_service.h"

#include <stdio.h>
#include <stdlib.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "crpc/limits.h"
#include "unit.h"

/* ---- chance ---- */

unsigned random_below(struct random_app *app, unsigned n)
{
    /* xorshift64* (Vigna): the same schedule for the same seed, on every machine. */
    app->seed ^= app->seed >> 12;
    app->seed ^= app->seed << 25;
    app->seed ^= app->seed >> 27;
    return (unsigned)((app->seed * 0x2545F4914F6CDD1DU) >> 33) % n;
}

static bool happens(struct random_app *app, unsigned percent)
{
    return random_below(app, 100) < percent;
}

int random_number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

/* ---- what a handler does to its call ---- */

static void fail_call(struct random_call *of)
{
    struct rpc_call *call = of->call;
    of->call = NULL;
    rpc_call_fail(call, RPC_ABORTED, NULL, "by chance");
    assert_int_equal(of->n_closed, of->has_begun && !of->is_in_hook);
}

static void reply_to(struct random_call *of)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = "0";
    struct rpc_call *call = of->call;
    of->call = NULL;
    of->n_sent = 1;
    rpc_call_reply_message(call, &response.base);
    assert_int_equal(of->n_closed, of->has_begun && !of->is_in_hook);
}

static bool gives_stream(const struct random_call *of)
{
    return of->method->kind == RPC_SERVER_STREAM || of->method->kind == RPC_BIDI;
}

static void begin(struct random_call *of);

/* Of a call that its handler holds. */
static void finish_held(struct random_call *of)
{
    if (of->method->kind != RPC_UNARY && !happens(of->app, 20))
        begin(of);
    else if (gives_stream(of) || happens(of->app, 30))
        fail_call(of);
    else
        reply_to(of);
}

static void act_on(struct random_call *of)
{
    if (of->call == NULL)
        return;
    if (!of->has_begun)
        finish_held(of);
    else if (of->was_half_closed && !gives_stream(of) && happens(of->app, 50))
        reply_to(of);
    else if (happens(of->app, 20))
        fail_call(of);
    else
        rpc_call_wake(of->call);
}

void random_act(struct random_app *app)
{
    /* A few tries, because most calls are over. */
    for (int i = 0; i < 20; i++) {
        struct random_call *of = &app->calls[random_below(app, RANDOM_CALLS_MAX)];
        if (of->call == NULL)
            continue;
        act_on(of);
        return;
    }
}

static void enter(struct random_call *of)
{
    assert_non_null(of->call);
    assert_false(of->is_in_hook);
    assert_int_equal(of->n_closed, 0);
    of->is_in_hook = true;
    if (happens(of->app, 5))
        random_act(of->app);
}

static void leave(struct random_call *of)
{
    of->is_in_hook = false;
}

/* ---- hooks ---- */

/* False: not sent, because it is too large. */
static bool send_number(struct random_call *of)
{
    size_t len = happens(of->app, 4) ? 150000 : random_below(of->app, 40);
    len = happens(of->app, 2) ? RPC_MESSAGE_BYTES_MAX : len;
    char *text = malloc(len + 16);
    assert_non_null(text);
    int n = snprintf(text, 16, "%d ", of->n_sent);
    memset(text + n, 'x', len);
    text[(size_t)n + len] = '\0';
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = text;
    bool is_sent = rpc_call_send_message(of->call, &response.base) == RPC_OK;
    free(text);
    assert_int_equal(is_sent, len < RPC_MESSAGE_BYTES_MAX);
    of->n_sent += is_sent;
    return is_sent;
}

static enum rpc_pull pull(struct random_call *of)
{
    if (of->call == NULL)
        return RPC_PULL_SENT;
    if (happens(of->app, 3)) {
        fail_call(of);
        return (enum rpc_pull)random_below(of->app, 3);
    }
    if (of->app->is_ending || happens(of->app, 5)) {
        of->call = NULL;
        return RPC_PULL_DONE;
    }
    if (happens(of->app, 20))
        return RPC_PULL_LATER;
    if (!send_number(of))
        return RPC_PULL_LATER;
    if (happens(of->app, 5))
        rpc_call_wake(of->call);
    return happens(of->app, 10) ? RPC_PULL_LATER : RPC_PULL_SENT;
}

static enum rpc_pull next(const void *source, void *state, struct rpc_call *call)
{
    (void)source;
    (void)call;
    struct random_call *of = state;
    enter(of);
    enum rpc_pull did = pull(of);
    leave(of);
    return did;
}

static enum rpc_take take(struct random_call *of, int number)
{
    assert_int_equal(number, of->n_taken);
    assert_false(of->was_half_closed);
    if (of->call == NULL)
        return RPC_TAKE_LATER;
    if (!of->app->is_ending && happens(of->app, 25))
        return RPC_TAKE_LATER;
    of->n_taken++;
    if (happens(of->app, 3))
        fail_call(of);
    else if (!gives_stream(of) && happens(of->app, 3))
        reply_to(of);
    return RPC_TAKE_DONE;
}

static enum rpc_take message(
    const void *source, void *state, struct rpc_call *call, const ProtobufCMessage *message)
{
    (void)source;
    (void)call;
    struct random_call *of = state;
    const flocks_get_status_request *request =
        (const flocks_get_status_request *)(const void *)message;
    enter(of);
    enum rpc_take took = take(of, random_number(request->services[0]));
    leave(of);
    return took;
}

static void half_closed(const void *source, void *state, struct rpc_call *call)
{
    (void)source;
    (void)call;
    struct random_call *of = state;
    enter(of);
    assert_false(of->was_half_closed);
    of->was_half_closed = true;
    if (of->call != NULL && !gives_stream(of) && (of->app->is_ending || happens(of->app, 50)))
        reply_to(of);
    leave(of);
}

static void closed(const void *source, void *state, enum rpc_code code)
{
    (void)source;
    struct random_call *of = state;
    assert_false(of->is_in_hook);
    assert_int_equal(of->n_closed, 0);
    of->n_closed++;
    of->closed_with = code;
    of->call = NULL;
    if (happens(of->app, 10))
        random_act(of->app);
}

static const struct rpc_stream_hooks HOOKS = {
    .next = next, .message = message, .half_closed = half_closed, .closed = closed};

static void begin(struct random_call *of)
{
    of->has_begun = true;
    rpc_call_begin_stream(of->call, &HOOKS, NULL, of);
}

/* ---- handlers ---- */

static void cancelled(void *data)
{
    struct random_call *of = data;
    assert_non_null(of->call);
    assert_false(of->has_begun);
    assert_int_equal(of->n_cancelled++, 0);
    if (happens(of->app, 50))
        finish_held(of);
}

static void handle(
    const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request)
{
    (void)handlers;
    struct random_app *app = self;
    int id = random_number(rpc_call_metadata_value(call, "id"));
    assert_true(id >= 0 && id < RANDOM_CALLS_MAX);
    struct random_call *of = &app->calls[id];
    assert_null(of->app);
    *of = (struct random_call){.app = app, .method = rpc_call_method(call), .call = call};
    assert_true((request == NULL) ==
                (of->method->kind == RPC_CLIENT_STREAM || of->method->kind == RPC_BIDI));
    rpc_call_on_cancel(call, cancelled, of);
    if (happens(app, 5))
        random_act(app);
    if (of->call != NULL && !of->has_begun && happens(app, 60))
        finish_held(of);
}

/* ---- the table ---- */

#define METHOD(method_name, method_kind)                                                           \
    {                                                                                              \
        .service = "test.v1.Random", .name = (method_name), .kind = (method_kind),                 \
        .request = &flocks_get_status_request_info, .response = &flocks_get_status_response_info   \
    }

const struct rpc_method random_methods[RANDOM_KINDS] = {
    [RPC_UNARY] = METHOD("Unary", RPC_UNARY),
    [RPC_SERVER_STREAM] = METHOD("ServerStream", RPC_SERVER_STREAM),
    [RPC_CLIENT_STREAM] = METHOD("ClientStream", RPC_CLIENT_STREAM),
    [RPC_BIDI] = METHOD("Bidi", RPC_BIDI),
};

static const rpc_invoke_fn INVOKE[RANDOM_KINDS] = {handle, handle, handle, handle};

struct rpc_service random_service(struct random_app *app)
{
    return (struct rpc_service){
        .name = "test.v1.Random",
        .n_methods = RANDOM_KINDS,
        .methods = random_methods,
        .invoke = INVOKE,
        .self = app,
    };
}

/* ---- checks and ends ---- */

void random_check(const struct random_app *app)
{
    for (int i = 0; i < RANDOM_CALLS_MAX; i++) {
        const struct random_call *of = &app->calls[i];
        assert_false(of->is_in_hook);
        assert_int_equal(of->n_closed, of->has_begun && of->call == NULL);
    }
}

void random_check_disconnected(const struct random_app *app)
{
    random_check(app);
    for (int i = 0; i < RANDOM_CALLS_MAX; i++) {
        const struct random_call *of = &app->calls[i];
        assert_int_equal(of->n_closed, of->has_begun);
        assert_true(of->call == NULL || of->n_cancelled == 1);
    }
}

void random_end(struct random_app *app)
{
    for (int i = 0; i < RANDOM_CALLS_MAX; i++) {
        struct random_call *of = &app->calls[i];
        if (of->call == NULL)
            continue;
        if (!of->has_begun)
            finish_held(of);
        else if (of->was_half_closed && !gives_stream(of))
            reply_to(of);
        else
            rpc_call_wake(of->call);
    }
}
