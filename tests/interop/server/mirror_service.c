/* What the server has seen of a call, and what has become of its calls. */
#include <stdlib.h>

#include "common/base/clock.h"
#include "tests/interop/server/services.h"

typedef struct flocks_testing_v1_mirror_mirror_call mirror_call;
typedef struct flocks_testing_v1_mirror_observe_call observe_call;

/* ---- Mirror ---- */

/* A call of it whose work takes time. Lives in the call. */
struct postponed {
    struct test_server *server;
    mirror_call *call;
    const flocks_testing_v1_mirror_request *request;
    struct delay delay;
};

/* False: the call has been ended. */
static bool add_pairs(struct rpc_call *call, const flocks_testing_v1_mirror_request *request)
{
    enum rpc_code code = RPC_OK;
    for (size_t i = 0; i < request->n_headers && code == RPC_OK; i++) {
        const flocks_testing_v1_pair *pair = request->headers[i];
        code = rpc_call_add_header(call, pair->key, pair->value.data, pair->value.len);
    }
    for (size_t i = 0; i < request->n_trailers && code == RPC_OK; i++) {
        const flocks_testing_v1_pair *pair = request->trailers[i];
        code = rpc_call_add_trailer(call, pair->key, pair->value.data, pair->value.len);
    }
    if (code != RPC_OK)
        rpc_call_fail(call, code, NULL, "a pair is refused");
    return code == RPC_OK;
}

static void fail_as_asked(struct rpc_call *call, const flocks_testing_v1_failure *failure)
{
    flocks_testing_v1_failure_detail detail = FLOCKS_TESTING_V1_FAILURE_DETAIL_INIT;
    detail.text = failure->detail;
    if (failure->code <= RPC_OK || failure->code > RPC_UNAUTHENTICATED)
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, NULL, "there is no code %d", failure->code);
    else
        rpc_call_fail(call, (enum rpc_code)failure->code, &detail.base, "%s", failure->message);
}

static int64_t time_left_ms(const struct rpc_call *call)
{
    int64_t deadline_ms = rpc_call_deadline_ms(call);
    return deadline_ms == INT64_MAX ? -1 : deadline_ms - clock_monotonic_ms();
}

static void reply(mirror_call *call)
{
    struct rpc_call *base = flocks_testing_v1_mirror_mirror_base(call);
    flocks_testing_v1_mirror_response response = FLOCKS_TESTING_V1_MIRROR_RESPONSE_INIT;
    size_t n = 0;
    const struct rpc_metadata *metadata = rpc_call_metadata(base, &n);
    flocks_testing_v1_pair *pairs = rpc_call_alloc(base, (n + 1) * sizeof *pairs);
    response.metadata = rpc_call_alloc(base, (n + 1) * sizeof(void *));
    if (pairs == NULL || response.metadata == NULL) {
        rpc_call_fail(base, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        pairs[i] = (flocks_testing_v1_pair)FLOCKS_TESTING_V1_PAIR_INIT;
        pairs[i].key = metadata[i].key;
        pairs[i].value.data = (uint8_t *)(uintptr_t)metadata[i].value;
        pairs[i].value.len = metadata[i].value_len;
        response.metadata[i] = &pairs[i];
    }
    response.n_metadata = n;
    response.time_left_ms = time_left_ms(base);
    flocks_testing_v1_mirror_mirror_reply(call, &response);
}

static void answer(mirror_call *call, const flocks_testing_v1_mirror_request *request)
{
    struct rpc_call *base = flocks_testing_v1_mirror_mirror_base(call);
    if (!add_pairs(base, request))
        return;
    if (request->failure != NULL)
        fail_as_asked(base, request->failure);
    else
        reply(call);
}

static void delay_ended(struct delay *delay)
{
    struct postponed *postponed = CONTAINER_OF(delay, struct postponed, delay);
    struct tally *tally = &postponed->server->tally;
    answer(postponed->call, postponed->request);
    tally_end(tally, RPC_OK);
}

static void give_up(void *data)
{
    struct postponed *postponed = data;
    struct tally *tally = &postponed->server->tally;
    struct rpc_call *base = flocks_testing_v1_mirror_mirror_base(postponed->call);
    bool is_late = rpc_call_deadline_ms(base) <= clock_monotonic_ms();
    enum rpc_code code = is_late ? RPC_DEADLINE_EXCEEDED : RPC_CANCELLED;
    delay_cancel(&postponed->delay);
    rpc_call_fail(base, code, NULL, "the work was not done");
    tally_end(tally, code);
}

static void mirror(void *self, mirror_call *call, const flocks_testing_v1_mirror_request *request)
{
    struct test_server *server = self;
    struct rpc_call *base = flocks_testing_v1_mirror_mirror_base(call);
    if (request->delay_ms == 0) {
        answer(call, request);
        return;
    }
    struct postponed *postponed = rpc_call_alloc(base, sizeof *postponed);
    if (postponed == NULL) {
        rpc_call_fail(base, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    *postponed = (struct postponed){.server = server, .call = call, .request = request};
    delay_init(&postponed->delay, delay_ended);
    delay_begin(&postponed->delay, &server->delays,
        clock_monotonic_ns() + (int64_t)request->delay_ms * 1000000);
    tally_begin(&server->tally);
    rpc_call_on_cancel(base, give_up, postponed);
}

/* ---- Observe ---- */

/* Lives in the call. */
struct observer {
    struct test_server *server;
    observe_call *call;
    struct tally_waiter waiter;
};

static void tell(const struct test_server *server, observe_call *call)
{
    const struct tally *tally = &server->tally;
    flocks_testing_v1_observe_response response = FLOCKS_TESTING_V1_OBSERVE_RESPONSE_INIT;
    response.begun = tally->begun;
    response.ended = tally->ended;
    response.cancelled = tally->cancelled;
    response.expired = tally->expired;
    response.connections = (uint32_t)rpc_listener_n_connections(server->listener);
    response.held_bytes = test_server_held_bytes(server);
    flocks_testing_v1_mirror_observe_reply(call, &response);
}

static void heard(struct tally_waiter *waiter)
{
    struct observer *observer = CONTAINER_OF(waiter, struct observer, waiter);
    tell(observer->server, observer->call);
}

static void stop_observing(void *data)
{
    struct observer *observer = data;
    tally_stop_waiting(&observer->waiter);
    rpc_call_fail(flocks_testing_v1_mirror_observe_base(observer->call), RPC_DEADLINE_EXCEEDED,
        NULL, "%llu calls have ended", (unsigned long long)observer->server->tally.ended);
}

static void observe(
    void *self, observe_call *call, const flocks_testing_v1_observe_request *request)
{
    struct test_server *server = self;
    struct rpc_call *base = flocks_testing_v1_mirror_observe_base(call);
    if (server->tally.ended >= request->until_ended) {
        tell(server, call);
        return;
    }
    struct observer *observer = rpc_call_alloc(base, sizeof *observer);
    if (observer == NULL) {
        rpc_call_fail(base, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    *observer = (struct observer){.server = server, .call = call};
    observer->waiter.until_ended = request->until_ended;
    observer->waiter.heard = heard;
    tally_wait(&server->tally, &observer->waiter);
    rpc_call_on_cancel(base, stop_observing, observer);
}

/* ---- the service ---- */

struct rpc_service mirror_service(struct test_server *server)
{
    static const struct flocks_testing_v1_mirror_handlers handlers = {
        .mirror = mirror, .observe = observe};
    return flocks_testing_v1_mirror_service(&handlers, server);
}
