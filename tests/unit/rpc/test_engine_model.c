/* Random schedules over a server's engine and a client's session: calls of all kinds, cuts of 1 to
 * 4,096 bytes, cancels, deadlines, stalls and disconnects, at any moment. Every call is finished
 * exactly once on both sides, nothing is lost or reordered, and what can end does.
 *
 * ENGINE_MODEL_SEEDS=<n> runs more schedules, ENGINE_MODEL_SEED=<n> that one. */
#include <stdio.h>
#include <stdlib.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "common/rpc/session.h"
#include "crpc/limits.h"
#include "random_service.h"
#include "unit.h"

enum { STEPS = 600, SEEDS = 300, CUT_MAX = 4096, LIVE_MAX = 24 };

/* The client's side of one call. */
struct caller {
    struct rpc_session_call *call; /* NULL: ended, or not opened */
    enum rpc_kind kind;
    bool is_half_closed;
    bool is_ended;
    bool is_local;
    enum rpc_code code;
    int n_sent;
    int n_received;
};

struct world {
    struct random_app app;
    struct rpc_service service;
    struct rpc_server *server;
    struct rpc_connection *connection;
    struct rpc_session *client;
    struct caller callers[RANDOM_CALLS_MAX];
    int n_callers;
    int n_live;
    int64_t now_ms;
    /* Steps in which the client does not read. */
    unsigned stalled_for;
    bool is_shut;
};

static unsigned chance(struct world *world, unsigned n)
{
    return random_below(&world->app, n);
}

/* ---- the client ---- */

static struct caller *caller_of(struct rpc_session_call *call)
{
    return rpc_session_call_owner(call);
}

static void take_message(struct caller *caller, struct rpc_bytes bytes)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(
        flocks_get_status_response_info.descriptor, NULL, bytes.len, bytes.data);
    assert_non_null(message);
    const flocks_get_status_response *response =
        (const flocks_get_status_response *)(void *)message;
    assert_int_equal(random_number(response->event_token), caller->n_received);
    caller->n_received++;
    protobuf_c_message_free_unpacked(message, NULL);
}

static void take_end(struct world *world, struct caller *caller, const struct rpc_status *status)
{
    assert_false(caller->is_ended);
    caller->is_ended = true;
    caller->is_local = status->is_local;
    caller->code = status->code;
    rpc_session_call_release(caller->call);
    caller->call = NULL;
    world->n_live--;
    const struct random_call *of = &world->app.calls[caller - world->callers];
    if (caller->is_local)
        return;
    if (of->n_closed > 0)
        assert_int_equal(of->closed_with, caller->code);
    assert_true(!of->has_begun || of->n_closed == 1);
    if (caller->code == RPC_OK)
        assert_int_equal(caller->n_received, of->n_sent);
}

static void take_events(struct world *world)
{
    static struct rpc_session_event event;
    while (rpc_session_next(world->client, &event)) {
        struct caller *caller = caller_of(event.call);
        assert_ptr_equal(caller->call, event.call);
        if (event.kind == RPC_EVENT_MESSAGE) {
            take_message(caller, event.message);
            rpc_session_call_taken(event.call, event.message.len);
        } else {
            assert_int_equal(event.kind, RPC_EVENT_ENDED);
            take_end(world, caller, &event.status);
        }
    }
}

static void write_bytes(const void *source, uint8_t *out)
{
    const struct rpc_bytes *bytes = source;
    memcpy(out, bytes->data, bytes->len);
}

/* GetStatusRequest { services: "<number>" }, packed by hand: numbers are short. */
static size_t pack_number(int number, uint8_t *out, size_t size)
{
    int len = snprintf((char *)out + 2, size - 2, "%d", number);
    out[0] = 0x0a;
    out[1] = (uint8_t)len;
    return (size_t)len + 2;
}

static void open_call(struct world *world)
{
    if (world->n_live >= LIVE_MAX || world->n_callers == RANDOM_CALLS_MAX)
        return;
    int id = world->n_callers;
    struct caller *caller = &world->callers[id];
    enum rpc_kind kind = (enum rpc_kind)chance(world, RANDOM_KINDS);
    uint8_t bytes[16];
    char text[16];
    struct rpc_bytes message = {.data = bytes, .len = pack_number(id, bytes, sizeof bytes)};
    struct rpc_payload request = {.len = message.len, .write = write_bytes, .source = &message};
    (void)snprintf(text, sizeof text, "%d", id);
    struct rpc_envelope_pair pair = {
        .key = RPC_BYTES_OF_TEXT("id"), .value = RPC_BYTES_OF_TEXT(text)};
    int64_t timeout_ms = chance(world, 3) == 0 ? 1 + chance(world, 100) : 0;
    bool sends_stream = kind == RPC_CLIENT_STREAM || kind == RPC_BIDI;
    caller->call = rpc_session_open(world->client, &random_methods[kind], timeout_ms * 1000000,
        &pair, 1, sends_stream ? NULL : &request);
    if (caller->call == NULL)
        return;
    caller->kind = kind;
    rpc_session_call_set_owner(caller->call, caller);
    world->n_callers++;
    world->n_live++;
}

static struct caller *any_live(struct world *world)
{
    for (int i = 0; i < 20 && world->n_callers > 0; i++) {
        int n_recent = world->n_callers < 2 * LIVE_MAX ? world->n_callers : 2 * LIVE_MAX;
        struct caller *caller =
            &world->callers[world->n_callers - 1 - (int)chance(world, (unsigned)n_recent)];
        if (caller->call != NULL)
            return caller;
    }
    return NULL;
}

static bool may_send(const struct caller *caller)
{
    return caller->call != NULL &&
           (caller->kind == RPC_CLIENT_STREAM || caller->kind == RPC_BIDI) &&
           !caller->is_half_closed;
}

static void send_some(struct world *world)
{
    struct caller *caller = any_live(world);
    if (caller == NULL || !may_send(caller))
        return;
    for (unsigned n = 1 + chance(world, 4); n > 0; n--) {
        uint8_t bytes[16];
        struct rpc_bytes message = {
            .data = bytes, .len = pack_number(caller->n_sent, bytes, sizeof bytes)};
        struct rpc_payload payload = {.len = message.len, .write = write_bytes, .source = &message};
        if (rpc_session_call_send(caller->call, &payload) == RPC_SEND_TAKEN)
            caller->n_sent++;
    }
}

static void half_close(struct caller *caller)
{
    if (caller == NULL || !may_send(caller))
        return;
    rpc_session_call_half_close(caller->call);
    caller->is_half_closed = true;
}

static void cancel(struct world *world)
{
    struct caller *caller = any_live(world);
    if (caller != NULL)
        rpc_session_call_cancel(caller->call);
}

/* ---- the wire ---- */

static bool push(struct world *world, size_t max_len)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(world->client, &len);
    if (len == 0 || (rpc_connection_wants(world->connection) & RPC_WANTS_READ) == 0)
        return false;
    len = len < max_len ? len : max_len;
    /* An exact copy, so that the sanitizer sees every byte read too far or too late. */
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    rpc_session_sent(world->client, len);
    rpc_connection_receive(world->connection, copy, len, world->now_ms);
    free(copy);
    return true;
}

static bool pull(struct world *world, size_t max_len)
{
    bool wants_write = (rpc_connection_wants(world->connection) & RPC_WANTS_WRITE) != 0;
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(world->connection, &len);
    /* Nothing is to be had that was not announced. */
    assert_true(len == 0 || wants_write);
    assert_true(len <= RPC_OUTPUT_HARD_BYTES);
    if (len == 0)
        return wants_write;
    len = len < max_len ? len : max_len;
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    rpc_connection_sent(world->connection, len, world->now_ms);
    rpc_session_receive(world->client, copy, len, world->now_ms);
    take_events(world);
    free(copy);
    return true;
}

static void connect(struct world *world)
{
    world->connection = rpc_connection_new(world->server, &(struct rpc_peer){.pid = 1});
    world->client = rpc_ttrpc_client_new();
    assert_non_null(world->connection);
    assert_non_null(world->client);
}

static void disconnect(struct world *world)
{
    if (chance(world, 2) == 0) {
        rpc_connection_receive_end(world->connection);
        random_check_disconnected(&world->app);
        /* CLOSE after what is still to be written. */
        assert_int_equal(rpc_connection_wants(world->connection) & RPC_WANTS_READ, 0);
    }
    rpc_connection_free(world->connection);
    random_check_disconnected(&world->app);
    rpc_session_lose(world->client, RPC_UNAVAILABLE, "disconnected");
    take_events(world);
    rpc_session_free(world->client);
    assert_int_equal(world->n_live, 0);
}

/* ---- schedules ---- */

static void tick(struct world *world)
{
    world->now_ms += chance(world, 10);
    rpc_server_tick(world->server, world->now_ms);
    assert_true(rpc_server_next_tick(world->server) > world->now_ms);
    (void)rpc_connection_tick(world->connection, world->now_ms);
}

static void read_some(struct world *world)
{
    if (world->stalled_for > 0)
        world->stalled_for--;
    else if (chance(world, 60) == 0)
        world->stalled_for = chance(world, 200);
    else
        (void)pull(world, chance(world, 4) == 0 ? SIZE_MAX : 1 + chance(world, CUT_MAX));
}

static void step(struct world *world)
{
    unsigned roll = chance(world, 1000);
    if (roll < 100)
        open_call(world);
    else if (roll < 250)
        send_some(world);
    else if (roll < 290)
        half_close(any_live(world));
    else if (roll < 310)
        cancel(world);
    else if (roll < 550)
        (void)push(world, 1 + chance(world, CUT_MAX));
    else if (roll < 800)
        read_some(world);
    else if (roll < 850)
        tick(world);
    else if (roll < 997)
        random_act(&world->app);
    else if (roll < 999 || world->is_shut) {
        disconnect(world);
        connect(world);
    } else if (chance(world, 4) == 0) {
        world->is_shut = true;
        rpc_server_shut(world->server);
    }
    take_events(world);
    random_check(&world->app);
    if ((rpc_connection_wants(world->connection) & RPC_WANTS_CLOSE) != 0) {
        disconnect(world);
        connect(world);
    }
}

static void move_all(struct world *world)
{
    for (bool has_moved = true; has_moved;) {
        has_moved = push(world, SIZE_MAX);
        has_moved = pull(world, SIZE_MAX) || has_moved;
    }
    take_events(world);
}

/* With everybody willing, every call ends and nothing is left. */
static void end_all(struct world *world)
{
    world->app.is_ending = true;
    for (int i = 0; i < world->n_callers; i++)
        half_close(&world->callers[i]);
    move_all(world);
    for (int round = 0; round < 100 && world->n_live > 0; round++) {
        random_end(&world->app);
        move_all(world);
    }
    random_end(&world->app);
    assert_int_equal(world->n_live, 0);
    assert_int_equal(rpc_connection_n_calls(world->connection), 0);
    assert_int_equal(rpc_server_n_calls(world->server), 0);
    assert_int_equal(rpc_connection_wants(world->connection), RPC_WANTS_READ);
}

/* The schedule that runs, 0 when none does. */
static uint64_t running_seed;

static void run(uint64_t seed)
{
    running_seed = seed;
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->app.seed = seed * 0x9E3779B97F4A7C15U;
    world->now_ms = 1000;
    world->server = rpc_server_new(&(struct rpc_server_hooks){.data = NULL});
    assert_non_null(world->server);
    world->service = random_service(&world->app);
    assert_int_equal(rpc_server_add(world->server, &world->service), RPC_OK);
    connect(world);
    for (int i = 0; i < STEPS; i++)
        step(world);
    if (chance(world, 4) > 0)
        end_all(world);
    disconnect(world);
    for (int i = 0; i < world->n_callers; i++)
        assert_true(world->callers[i].is_ended);
    /* Calls that their handlers still hold die with the server. */
    rpc_server_free(world->server);
    free(world);
    running_seed = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (running_seed != 0)
        print_error("ENGINE_MODEL_SEED=%llu\n", (unsigned long long)running_seed);
    return 0;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread. */
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void test_every_call_is_finished_exactly_once_in_any_order(void **state)
{
    (void)state;
    uint64_t only = setting("ENGINE_MODEL_SEED", 0);
    uint64_t n_seeds = setting("ENGINE_MODEL_SEEDS", SEEDS);
    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : n_seeds); seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_call_is_finished_exactly_once_in_any_order, tell_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
