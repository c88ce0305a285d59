/* What clients who do not read, or do not wait, can make a server hold. */
#include <stdlib.h>

#include "crpc/limits.h"
#include "unit.h"
#include "wire_pair.h"

enum { MIB = 1 << 20, LARGE = 3 * MIB, CALLS_MAX = RPC_ORPHANED_BYTES_MAX / MIB + 8 };

static struct wire_pair pair;
/* GetStatus: none is answered before the test says so. */
static struct flocks_get_status_call *waiting[CALLS_MAX];
static size_t n_waiting;
static struct wire_end ends[CALLS_MAX];

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    (void)request;
    assert_true(n_waiting < CALLS_MAX);
    waiting[n_waiting++] = call;
}

static int set_up(void **state)
{
    (void)state;
    static const struct flocks_supervisor_handlers handlers = {.get_status = get_status};
    n_waiting = 0;
    wire_pair_open(&pair, &handlers, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    return 0;
}

/* Answers the newest call with so many bytes. */
static void answer(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.event_token = text;
    flocks_get_status_reply(waiting[--n_waiting], &response);
    free(text);
}

static struct rpc_session_call *begin(int64_t timeout_ms, const void *request, size_t len, size_t i)
{
    struct rpc_session_call *call =
        wire_pair_call(&pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_STATUS], timeout_ms,
            request, len, &ends[i]);
    wire_pair_move(&pair);
    return call;
}

/* Begins and gives up one call whose request takes a mebibyte and a little. */
static void begin_and_cancel(size_t i)
{
    static uint8_t request[MIB + 4] = {0x0A, 0x80, 0x80, 0x40};
    memset(request + 4, 'x', MIB);
    struct rpc_session_call *call = begin(0, request, sizeof request, i);
    if (ends[i].has_ended)
        return;
    rpc_session_call_cancel(call);
    wire_pair_move(&pair);
}

/* Not when the next timer happens to be due: its reader may never read again. */
static void test_output_beyond_the_hard_bound_is_told_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        (void)begin(0, NULL, 0, i);
    answer(LARGE);
    answer(LARGE);
    assert_int_equal(pair.n_output_ready, 1);
    assert_int_equal(rpc_connection_wants(pair.connection) & RPC_WANTS_CLOSE, 0);
    answer(LARGE);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
    assert_string_equal(rpc_connection_close_reason(pair.connection), "no room for more output");
    assert_true(pair.n_output_ready > 1);
}

/* Go's client says so when its context's deadline has passed before the request goes out. */
static void test_deadline_of_the_past_has_passed(void **state)
{
    (void)state;
    (void)begin(-1, NULL, 0, 0);
    assert_int_equal(n_waiting, 0);
    assert_true(ends[0].has_ended);
    assert_int_equal(ends[0].code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(ends[0].reason, 1 + RPC_REFUSAL_DEADLINE);
}

static void test_memory_of_calls_without_a_caller_is_bounded(void **state)
{
    (void)state;
    size_t n = 0;
    do {
        begin_and_cancel(n);
    } while (ends[n++].code == RPC_CANCELLED && n < CALLS_MAX);
    assert_int_equal(ends[n - 1].code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(ends[n - 1].reason, 1 + RPC_REFUSAL_LIMIT);
    assert_int_equal(n_waiting, RPC_ORPHANED_BYTES_MAX / MIB);
    assert_int_equal(rpc_server_n_calls(pair.server), n_waiting);
    /* Whoever finishes one makes room. */
    answer(1);
    begin_and_cancel(0);
    assert_int_equal(ends[0].code, RPC_CANCELLED);
    while (n_waiting > 0)
        answer(1);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

/* Or the bound of all would close those who did nothing but be many. */
static void test_crowd_of_idle_connections_is_within_the_bound_of_all(void **state)
{
    enum { LEN = 60 * 1024, PIECE = RPC_RECEIVE_BYTES_FIRST };
    static uint8_t request[LEN] = {0x0A, 0xFC, 0xDF, 0x03};
    (void)state;
    memset(request + 4, 'x', sizeof request - 4);
    (void)wire_pair_call(&pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_STATUS], 0,
        request, sizeof request, &ends[0]);
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair.client, &len);
    for (size_t at = 0; at < len; at += PIECE)
        rpc_connection_receive(
            pair.connection, bytes + at, len - at < PIECE ? len - at : PIECE, pair.now_ms);
    rpc_session_sent(pair.client, len);
    assert_int_equal(n_waiting, 1);
    answer(LEN);
    wire_pair_move(&pair);
    assert_int_equal(ends[0].code, RPC_OK);
    assert_in_range(rpc_connection_held_bytes(pair.connection), 0,
        RPC_HELD_BYTES_MAX / RPC_LISTENER_CONNECTIONS_MAX / 2);
}

/* The time in which nothing is read is not the client's. */
static void test_half_a_frame_waits_while_reading_has_stopped(void **state)
{
    static const uint8_t HALF[] = {0, 0, 0, 9, 0, 0, 0, 99, 1};
    enum { FIRST_MS = 1000, LATER_MS = FIRST_MS + 2 * RPC_FRAME_MS_MAX };
    (void)state;
    for (size_t i = 0; i < 2; i++)
        (void)begin(0, NULL, 0, i);
    rpc_connection_receive(pair.connection, HALF, sizeof HALF, FIRST_MS);
    answer(LARGE);
    answer(LARGE);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_WRITE);
    (void)rpc_connection_tick(pair.connection, FIRST_MS);
    (void)rpc_connection_tick(pair.connection, LATER_MS);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_WRITE);
    pair.now_ms = LATER_MS;
    (void)wire_pair_pull(&pair, SIZE_MAX);
    assert_int_equal(rpc_connection_tick(pair.connection, LATER_MS), LATER_MS + RPC_FRAME_MS_MAX);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    (void)rpc_connection_tick(pair.connection, LATER_MS + RPC_FRAME_MS_MAX);
    assert_string_equal(rpc_connection_close_reason(pair.connection), "half a frame for too long");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_output_beyond_the_hard_bound_is_told_at_once),
        TEST(test_deadline_of_the_past_has_passed),
        TEST(test_memory_of_calls_without_a_caller_is_bounded),
        TEST(test_crowd_of_idle_connections_is_within_the_bound_of_all),
        TEST(test_half_a_frame_waits_while_reading_has_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
