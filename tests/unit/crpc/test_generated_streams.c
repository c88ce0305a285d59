/* Generated stubs of streaming methods: every typed function reaches the right one of the engine,
 * every hook of the engine the right typed one. Under UBSan no function is called through a type
 * that is not its own. */
#include "crpc/nasty/v1/nasty.client.h"
#include "crpc/nasty/v1/nasty.server.h"
#include "fake_engine.h"
#include "unit.h"

static int set_up(void **state)
{
    (void)state;
    fake_engine_reset();
    return 0;
}

/* What a hook or handler was given last. */
static struct {
    const char *hook;
    const void *call;
    const void *message;
    enum rpc_code code;
} seen;

/* ---- server ---- */

static enum rpc_pull both_next(void *state, struct nasty_both_call *call)
{
    seen.hook = state;
    seen.call = call;
    return RPC_PULL_LATER;
}

static enum rpc_take both_message(
    void *state, struct nasty_both_call *call, const nasty_empty *message)
{
    seen.hook = state;
    seen.call = call;
    seen.message = message;
    return RPC_TAKE_LATER;
}

static void both_half_closed(void *state, struct nasty_both_call *call)
{
    seen.hook = state;
    seen.call = call;
}

static void both_closed(void *state, enum rpc_code code)
{
    seen.hook = state;
    seen.code = code;
}

static const struct nasty_both_stream BOTH_STREAM = {
    .next = both_next,
    .message = both_message,
    .half_closed = both_half_closed,
    .closed = both_closed,
};

static void handle_both(void *self, struct nasty_both_call *call)
{
    nasty_both_begin(call, &BOTH_STREAM, self);
}

static void handle_down(void *self, struct nasty_down_call *call, const nasty_empty *request)
{
    seen.hook = self;
    seen.call = call;
    seen.message = request;
}

static void test_server_invoke_of_a_server_stream_brings_the_request(void **state)
{
    (void)state;
    char self[] = "self";
    const struct nasty_handlers handlers = {.down = handle_down};
    const struct rpc_service service = nasty_service(&handlers, self);
    nasty_empty request = NASTY_EMPTY_INIT;
    service.invoke[NASTY_DOWN](service.handlers, service.self, fake_call(), &request.base);
    assert_ptr_equal(seen.hook, self);
    assert_ptr_equal(seen.call, fake_call());
    assert_ptr_equal(seen.message, &request);
}

static void test_server_begin_hands_over_hooks_that_reach_the_typed_ones(void **state)
{
    (void)state;
    char self[] = "self";
    const struct nasty_handlers handlers = {.both = handle_both};
    const struct rpc_service service = nasty_service(&handlers, self);
    service.invoke[NASTY_BOTH](service.handlers, service.self, fake_call(), NULL);
    assert_string_equal(fake_engine.function, "rpc_call_begin_stream");
    assert_ptr_equal(fake_engine.source, &BOTH_STREAM);
    assert_ptr_equal(fake_engine.data, self);
    const struct rpc_stream_hooks *hooks = fake_engine.hooks;
    nasty_empty message = NASTY_EMPTY_INIT;
    assert_int_equal(hooks->next(&BOTH_STREAM, self, fake_call()), RPC_PULL_LATER);
    assert_int_equal(
        hooks->message(&BOTH_STREAM, self, fake_call(), &message.base), RPC_TAKE_LATER);
    assert_ptr_equal(seen.message, &message);
    hooks->half_closed(&BOTH_STREAM, self, fake_call());
    assert_ptr_equal(seen.call, fake_call());
    hooks->closed(&BOTH_STREAM, self, RPC_CANCELLED);
    assert_int_equal(seen.code, RPC_CANCELLED);
}

static void test_server_hooks_of_a_kind_are_only_those_it_needs(void **state)
{
    (void)state;
    const struct nasty_down_stream down = {0};
    const struct nasty_up_stream up = {0};
    nasty_down_begin((struct nasty_down_call *)(void *)fake_call(), &down, NULL);
    assert_true(fake_engine.hooks->next != NULL && fake_engine.hooks->closed != NULL);
    assert_true(fake_engine.hooks->message == NULL && fake_engine.hooks->half_closed == NULL);
    nasty_up_begin((struct nasty_up_call *)(void *)fake_call(), &up, NULL);
    assert_true(fake_engine.hooks->next == NULL && fake_engine.hooks->message != NULL);
}

/* half_closed and closed may be left out. */
static void test_server_hooks_that_are_null_do_nothing(void **state)
{
    (void)state;
    const struct nasty_up_stream up = {0};
    nasty_up_begin((struct nasty_up_call *)(void *)fake_call(), &up, NULL);
    fake_engine.hooks->half_closed(&up, NULL, fake_call());
    fake_engine.hooks->closed(&up, NULL, RPC_OK);
}

static void test_server_stream_functions_reach_the_engine(void **state)
{
    (void)state;
    struct nasty_both_call *both = (struct nasty_both_call *)(void *)fake_call();
    struct nasty_up_call *up = (struct nasty_up_call *)(void *)fake_call();
    nasty_empty message = NASTY_EMPTY_INIT;
    assert_int_equal(nasty_both_send(both, &message), RPC_OK);
    assert_string_equal(fake_engine.function, "rpc_call_send_message");
    assert_ptr_equal(fake_engine.sent, &message);
    nasty_both_wake(both);
    assert_string_equal(fake_engine.function, "rpc_call_wake");
    nasty_up_reply(up, &message);
    assert_string_equal(fake_engine.function, "rpc_call_reply_message");
    assert_ptr_equal(nasty_up_base(up), fake_call());
}

static void test_server_without_stream_handler_answers_unimplemented(void **state)
{
    (void)state;
    static const enum nasty_method METHODS[] = {NASTY_DOWN, NASTY_UP, NASTY_BOTH};
    const struct nasty_handlers handlers = {0};
    const struct rpc_service service = nasty_service(&handlers, NULL);
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        fake_engine_reset();
        service.invoke[METHODS[i]](service.handlers, service.self, fake_call(), NULL);
        assert_string_equal(fake_engine.function, "rpc_call_not_implemented");
    }
}

/* ---- client, blocking ---- */

static void test_client_server_stream_opens_with_its_request(void **state)
{
    (void)state;
    nasty_empty request = NASTY_EMPTY_INIT;
    static nasty_everything answer = NASTY_EVERYTHING_INIT;
    const nasty_everything *out = NULL;
    struct nasty_down_client_stream *stream = nasty_down(NULL, NULL, &request, NULL);
    assert_ptr_equal(fake_engine.method, &nasty_methods[NASTY_DOWN]);
    assert_ptr_equal(fake_engine.sent, &request);
    fake_engine.canned = &answer.base;
    assert_int_equal(nasty_down_next(stream, &out, NULL), RPC_DONE);
    assert_string_equal(fake_engine.function, "rpc_stream_next");
    assert_ptr_equal(out, &answer);
    nasty_down_close(stream);
    assert_string_equal(fake_engine.function, "rpc_stream_close");
    assert_ptr_equal(fake_engine.stream, fake_stream());
}

static void test_client_client_stream_writes_and_finishes(void **state)
{
    (void)state;
    nasty_everything message = NASTY_EVERYTHING_INIT;
    static nasty_empty answer = NASTY_EMPTY_INIT;
    const nasty_empty *out = NULL;
    struct nasty_up_client_stream *stream = nasty_up(NULL, NULL, NULL);
    assert_null(fake_engine.sent);
    assert_int_equal(nasty_up_write(stream, &message, NULL), RPC_DONE);
    assert_string_equal(fake_engine.function, "rpc_stream_send");
    assert_ptr_equal(fake_engine.sent, &message);
    assert_int_equal(nasty_up_half_close(stream, NULL), RPC_DONE);
    assert_string_equal(fake_engine.function, "rpc_stream_half_close");
    fake_engine.canned = &answer.base;
    assert_int_equal(nasty_up_finish(stream, &out, NULL), RPC_DONE);
    assert_string_equal(fake_engine.function, "rpc_stream_finish");
    assert_ptr_equal(out, &answer);
}

/* ---- client, attached ---- */

static void done_get_url(void *data, const struct rpc_error *error, const nasty_empty *response)
{
    seen.hook = data;
    seen.call = error;
    seen.message = response;
}

static void test_client_begin_delivers_to_the_typed_function(void **state)
{
    (void)state;
    char data[] = "data";
    nasty_everything request = NASTY_EVERYTHING_INIT;
    static nasty_empty answer = NASTY_EMPTY_INIT;
    const struct rpc_error error = {.code = RPC_ABORTED};
    (void)nasty_get_url_begin(NULL, NULL, &request, done_get_url, data, NULL);
    assert_ptr_equal(fake_engine.method, &nasty_methods[NASTY_GET_URL]);
    assert_ptr_equal(fake_engine.sent, &request);
    fake_engine.deliver(fake_engine.typed, fake_engine.data, NULL, &answer.base);
    assert_ptr_equal(seen.hook, data);
    assert_ptr_equal(seen.message, &answer);
    fake_engine.deliver(fake_engine.typed, fake_engine.data, &error, NULL);
    assert_ptr_equal(seen.call, &error);
    assert_null(seen.message);
}

static enum rpc_take watched_message(
    void *data, struct nasty_both_client_stream *stream, const nasty_empty *message)
{
    seen.hook = data;
    seen.call = stream;
    seen.message = message;
    return RPC_TAKE_LATER;
}

static void watched_writable(void *data, struct nasty_both_client_stream *stream)
{
    seen.hook = data;
    seen.call = stream;
}

static void watched_ended(
    void *data, struct nasty_both_client_stream *stream, const struct rpc_error *error)
{
    seen.hook = data;
    seen.call = stream;
    seen.message = error;
}

static void test_client_watch_hooks_reach_the_typed_ones(void **state)
{
    (void)state;
    static const struct nasty_both_hooks HOOKS = {
        .message = watched_message, .writable = watched_writable, .ended = watched_ended};
    char data[] = "data";
    nasty_empty message = NASTY_EMPTY_INIT;
    const struct rpc_error error = {.code = RPC_ABORTED};
    struct nasty_both_client_stream *stream = nasty_both_watch(NULL, NULL, &HOOKS, data, NULL);
    assert_ptr_equal(nasty_both_rpc_stream(stream), fake_stream());
    assert_ptr_equal(fake_engine.source, &HOOKS);
    const struct rpc_watch_hooks *hooks = fake_engine.watch_hooks;
    assert_int_equal(hooks->message(&HOOKS, data, fake_stream(), &message.base), RPC_TAKE_LATER);
    assert_ptr_equal(seen.call, stream);
    assert_ptr_equal(seen.message, &message);
    seen.call = NULL;
    hooks->writable(&HOOKS, data, fake_stream());
    assert_ptr_equal(seen.call, stream);
    hooks->ended(&HOOKS, data, fake_stream(), &error);
    assert_ptr_equal(seen.message, &error);
}

static void test_client_watch_hooks_that_are_null_do_nothing(void **state)
{
    (void)state;
    static const struct nasty_both_hooks HOOKS = {0};
    (void)nasty_both_watch(NULL, NULL, &HOOKS, NULL, NULL);
    const struct rpc_watch_hooks *hooks = fake_engine.watch_hooks;
    assert_int_equal(hooks->message(&HOOKS, NULL, fake_stream(), NULL), RPC_TAKE_DONE);
    hooks->writable(&HOOKS, NULL, fake_stream());
    hooks->ended(&HOOKS, NULL, fake_stream(), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_server_invoke_of_a_server_stream_brings_the_request, set_up),
        cmocka_unit_test_setup(
            test_server_begin_hands_over_hooks_that_reach_the_typed_ones, set_up),
        cmocka_unit_test_setup(test_server_hooks_of_a_kind_are_only_those_it_needs, set_up),
        cmocka_unit_test_setup(test_server_hooks_that_are_null_do_nothing, set_up),
        cmocka_unit_test_setup(test_server_stream_functions_reach_the_engine, set_up),
        cmocka_unit_test_setup(test_server_without_stream_handler_answers_unimplemented, set_up),
        cmocka_unit_test_setup(test_client_server_stream_opens_with_its_request, set_up),
        cmocka_unit_test_setup(test_client_client_stream_writes_and_finishes, set_up),
        cmocka_unit_test_setup(test_client_begin_delivers_to_the_typed_function, set_up),
        cmocka_unit_test_setup(test_client_watch_hooks_reach_the_typed_ones, set_up),
        cmocka_unit_test_setup(test_client_watch_hooks_that_are_null_do_nothing, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
