/* Both ends of a session with the n-th allocation failing, for every n: nothing leaks, a session
 * that could not go on says so, and every call that was begun still ends once. */
#include <stdlib.h>

#include "common/rpc/session.h"
#include "failing_memory.h"
#include "unit.h"

enum { N_KINDS = 4, PIECE = 700, MESSAGE_BYTES = 1500 };

static const struct rpc_method METHODS[N_KINDS] = {
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
    for (size_t i = 0; i < N_KINDS; i++) {
        if (method.len == 1 && method.data[0] == (uint8_t)METHODS[i].name[0])
            return &METHODS[i];
    }
    return NULL;
}

static void fill(const void *source, uint8_t *out)
{
    (void)source;
    memset(out, 'm', MESSAGE_BYTES);
}

static const struct rpc_payload MESSAGE = {.len = MESSAGE_BYTES, .write = fill};

struct run {
    struct rpc_session *client;
    struct rpc_session *server;
    struct rpc_session_call *calls[N_KINDS];
    enum rpc_code codes[N_KINDS];
    int n_ended[N_KINDS];
    /* Of the server: opened less ended. */
    int n_served;
};

static struct rpc_session_event event;

static void finish(struct run *run, struct rpc_session_call *call)
{
    const struct rpc_status status = {.code = RPC_OK};
    enum rpc_send_result result = rpc_session_call_finish(call, &status, &MESSAGE);
    if (result != RPC_SEND_TAKEN) {
        /* It stays live, until the session that wants to close is lost. */
        assert_int_equal(result, RPC_SEND_NO_ROOM);
        assert_non_null(rpc_session_broken(run->server));
        return;
    }
    rpc_session_call_release(call);
    run->n_served--;
}

/* A server stream sends; the bidirectional call waits for its cancel. */
static void serve(struct run *run)
{
    while (rpc_session_next(run->server, &event)) {
        struct rpc_session_call *call = event.call;
        const struct rpc_method *method = rpc_session_call_owner(call);
        if (event.kind == RPC_EVENT_OPENED) {
            rpc_session_call_set_owner(call, (void *)(uintptr_t)event.facts.method);
            run->n_served++;
        } else if (event.kind == RPC_EVENT_MESSAGE) {
            rpc_session_call_taken(call, event.message.len);
            if (method->kind == RPC_SERVER_STREAM)
                (void)rpc_session_call_send(call, &MESSAGE);
        } else if (event.kind == RPC_EVENT_HALF_CLOSED) {
            if (method->kind != RPC_BIDI)
                finish(run, call);
        } else {
            rpc_session_call_release(call);
            run->n_served--;
        }
    }
}

static void hear(struct run *run)
{
    while (rpc_session_next(run->client, &event)) {
        size_t i = 0;
        assert_non_null(event.call);
        if (event.call == NULL)
            return;
        while (run->calls[i] != event.call)
            i++;
        if (event.kind == RPC_EVENT_MESSAGE) {
            rpc_session_call_taken(event.call, event.message.len);
            continue;
        }
        assert_int_equal(event.kind, RPC_EVENT_ENDED);
        run->codes[i] = event.status.code;
        run->n_ended[i]++;
        rpc_session_call_release(event.call);
        run->calls[i] = NULL;
    }
}

static void move(struct run *run, bool to_server)
{
    struct rpc_session *from = to_server ? run->client : run->server;
    struct rpc_session *to = to_server ? run->server : run->client;
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(from, &len);
    for (size_t at = 0; at < len && rpc_session_broken(to) == NULL; at += PIECE) {
        size_t n = len - at < PIECE ? len - at : PIECE;
        rpc_session_receive(to, bytes + at, n, 0);
        if (to_server)
            serve(run);
        else
            hear(run);
    }
    rpc_session_sent(from, len);
}

static void open_calls(struct run *run)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        bool has_request = i == RPC_UNARY || i == RPC_SERVER_STREAM;
        run->calls[i] =
            rpc_session_open(run->client, &METHODS[i], 0, NULL, 0, has_request ? &MESSAGE : NULL);
        if (run->calls[i] == NULL)
            assert_non_null(rpc_session_broken(run->client));
        for (int n = 0; n < 3 && run->calls[i] != NULL && !has_request; n++) {
            if (rpc_session_call_send(run->calls[i], &MESSAGE) != RPC_SEND_TAKEN)
                assert_non_null(rpc_session_broken(run->client));
        }
    }
    if (run->calls[RPC_CLIENT_STREAM] != NULL)
        rpc_session_call_half_close(run->calls[RPC_CLIENT_STREAM]);
}

static void converse(struct run *run)
{
    open_calls(run);
    move(run, true);
    move(run, false);
    if (run->calls[RPC_BIDI] != NULL)
        rpc_session_call_cancel(run->calls[RPC_BIDI]);
    hear(run);
    move(run, true);
    move(run, false);
}

static void close_run(struct run *run)
{
    rpc_session_lose(run->client, RPC_UNAVAILABLE, "over");
    hear(run);
    rpc_session_lose(run->server, RPC_CANCELLED, "over");
    serve(run);
    assert_int_equal(run->n_served, 0);
    rpc_session_free(run->client);
    rpc_session_free(run->server);
}

static bool run_with_failure(int n)
{
    struct run run = {.n_served = 0};
    failing_memory_arm(n);
    run.client = rpc_ttrpc_client_new();
    run.server = rpc_ttrpc_server_new(find, NULL);
    if (run.client == NULL || run.server == NULL) {
        failing_memory_pause();
        rpc_session_free(run.client);
        rpc_session_free(run.server);
        return true;
    }
    converse(&run);
    failing_memory_pause();
    bool has_failed = failing_memory_has_failed();
    bool is_broken =
        rpc_session_broken(run.client) != NULL || rpc_session_broken(run.server) != NULL;
    assert_int_equal(has_failed, is_broken);
    struct rpc_session_call *open[N_KINDS];
    memcpy(open, run.calls, sizeof open);
    close_run(&run);
    for (size_t i = 0; i < N_KINDS; i++) {
        if (!has_failed)
            assert_int_equal(run.codes[i], i == RPC_BIDI ? RPC_CANCELLED : RPC_OK);
        assert_true(run.n_ended[i] == 1 || (has_failed && open[i] == NULL && run.n_ended[i] == 0));
    }
    return has_failed;
}

static void test_session_every_failing_allocation_is_said(void **state)
{
    (void)state;
    int n = 0;
    while (run_with_failure(n))
        n++;
    assert_in_range(n, 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_every_failing_allocation_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
