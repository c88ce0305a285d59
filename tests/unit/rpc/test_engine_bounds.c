/* Bounds of the engine that many connections reach together, or a handler alone: to the limit and
 * one past it. Those of one connection are in test_session*.c, test_server.c and test_stream_*.c.
 */
#include <stdlib.h>

#include "flocks/v1/supervisor.server.h"

#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "crpc/limits.h"
#include "unit.h"
#include "wire_pair.h"

static struct wire_pair pair;
static int n_held;
static size_t n_allocated;

/* ---- handlers ---- */

static void given_up(void *data)
{
    n_held--;
    rpc_call_fail(data, RPC_CANCELLED, NULL, "given up");
}

static void hold(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)self;
    (void)request;
    n_held++;
    rpc_call_on_cancel(flocks_get_operation_base(call), given_up, flocks_get_operation_base(call));
}

/* As much as there is. */
static void allocate(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    enum { PIECE = 64 };
    (void)self;
    (void)request;
    while (rpc_call_alloc(flocks_get_status_base(call), PIECE) != NULL)
        n_allocated += PIECE;
    rpc_call_fail(flocks_get_status_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "all taken");
}

/* A text that is too long by one. */
static void complain(
    void *self, struct flocks_stop_services_call *call, const flocks_stop_services_request *request)
{
    static char text[RPC_STATUS_TEXT_MAX + 2];
    size_t len = strtoul(request->services[0], NULL, 10);
    (void)self;
    memset(text, 'x', len);
    text[len] = '\0';
    rpc_call_fail(flocks_stop_services_base(call), RPC_INTERNAL, NULL, "%s", text);
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_operation = hold, .get_status = allocate, .stop_services = complain};

static int set_up(void **state)
{
    (void)state;
    n_held = 0;
    n_allocated = 0;
    wire_pair_open(&pair, &HANDLERS, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    return 0;
}

/* ---- calls of all connections ---- */

static size_t put_call(uint8_t *out, uint32_t stream)
{
    const struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT("flocks.v1.SupervisorService"),
        .method = RPC_BYTES_OF_TEXT("GetOperation")};
    const struct rpc_frame frame = {.body_len = (uint32_t)rpc_request_size(&request),
        .stream_id = stream,
        .type = RPC_FRAME_REQUEST};
    rpc_frame_encode(&frame, out);
    (void)rpc_request_encode(&request, out + RPC_FRAME_HEADER_BYTES);
    return RPC_FRAME_HEADER_BYTES + frame.body_len;
}

static void call(struct rpc_connection *connection, size_t n)
{
    uint8_t bytes[128];
    for (size_t i = 0; i < n; i++)
        rpc_connection_receive(connection, bytes, put_call(bytes, (uint32_t)(2 * i + 1)), 0);
}

/* Of the one response that waits; -1: none does. */
static int code_of_output(struct rpc_connection *connection)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(connection, &len);
    struct rpc_response_envelope response;
    if (len == 0)
        return -1;
    assert_true(rpc_response_decode(
        bytes + RPC_FRAME_HEADER_BYTES, len - RPC_FRAME_HEADER_BYTES, NULL, 0, &response));
    return response.code;
}

static void test_calls_of_all_connections_are_bounded(void **state)
{
    enum {
        N = RPC_SERVER_CALLS_MAX / RPC_CONNECTION_CALLS_MAX,
        REST = RPC_SERVER_CALLS_MAX % RPC_CONNECTION_CALLS_MAX
    };
    const struct rpc_peer peer = {.pid = 1};
    struct rpc_connection *connections[N + 2];
    (void)state;
    for (size_t i = 0; i < N + 2; i++)
        connections[i] = rpc_connection_new(pair.server, &peer);
    for (size_t i = 0; i < N; i++)
        call(connections[i], RPC_CONNECTION_CALLS_MAX);
    call(connections[N], REST);
    assert_int_equal(n_held, RPC_SERVER_CALLS_MAX);
    assert_int_equal(code_of_output(connections[N]), -1);
    /* One that has calls already gets no other; the first of a connection is served. */
    call(connections[N + 1], 2);
    assert_int_equal(n_held, RPC_SERVER_CALLS_MAX + 1);
    assert_int_equal(code_of_output(connections[N + 1]), RPC_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < N + 2; i++)
        rpc_connection_free(connections[i]);
    assert_int_equal(n_held, 0);
}

static void test_first_calls_of_connections_are_bounded_too(void **state)
{
    enum { ALL = RPC_SERVER_CALLS_MAX + RPC_SERVER_CALLS_RESERVED };
    const struct rpc_peer peer = {.pid = 1};
    static struct rpc_connection *connections[ALL + 1];
    (void)state;
    for (size_t i = 0; i <= ALL; i++) {
        connections[i] = rpc_connection_new(pair.server, &peer);
        call(connections[i], 1);
    }
    assert_int_equal(n_held, ALL);
    assert_int_equal(code_of_output(connections[ALL]), RPC_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i <= ALL; i++)
        rpc_connection_free(connections[i]);
    assert_int_equal(n_held, 0);
}

/* ---- names ---- */

static int code_of_method(const char *method, size_t len)
{
    const struct rpc_peer peer = {.pid = 1};
    struct rpc_connection *connection = rpc_connection_new(pair.server, &peer);
    uint8_t bytes[1024];
    const struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT("flocks.v1.SupervisorService"),
        .method = {(const uint8_t *)method, len}};
    const struct rpc_frame frame = {.body_len = (uint32_t)rpc_request_size(&request),
        .stream_id = 1,
        .type = RPC_FRAME_REQUEST};
    rpc_frame_encode(&frame, bytes);
    (void)rpc_request_encode(&request, bytes + RPC_FRAME_HEADER_BYTES);
    rpc_connection_receive(connection, bytes, RPC_FRAME_HEADER_BYTES + frame.body_len, 0);
    int code = code_of_output(connection);
    rpc_connection_free(connection);
    return code;
}

static void test_name_that_goes_on_behind_a_nul_is_unknown(void **state)
{
    char method[512] = "GetStatus";
    (void)state;
    assert_int_equal(code_of_method(method, strlen(method)), RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(code_of_method(method, strlen(method) + 1), RPC_UNIMPLEMENTED);
    assert_int_equal(code_of_method(method, sizeof method), RPC_UNIMPLEMENTED);
    assert_int_equal(code_of_method(method, strlen(method) - 1), RPC_UNIMPLEMENTED);
}

/* ---- memory of a call ---- */

static size_t allocated_with(size_t request_len)
{
    /* An unknown field of two bytes and its content. */
    uint8_t *request = calloc(1, request_len + 1);
    assert_non_null(request);
    if (request_len > 0) {
        request[0] = 15 << 3 | 2;
        request[1] = (uint8_t)(request_len - 2);
    }
    n_allocated = 0;
    struct wire_end end = wire_pair_ask(&pair, FLOCKS_SUPERVISOR_GET_STATUS, request, request_len);
    free(request);
    assert_int_equal(end.code, RPC_RESOURCE_EXHAUSTED);
    return n_allocated;
}

static void test_memory_of_a_call_grows_with_its_request_and_ends_there(void **state)
{
    enum { REQUEST = 100, DECODED_MAX = 512 };
    (void)state;
    size_t least = allocated_with(0);
    assert_in_range(least, RPC_ARENA_EXTRA_BYTES - DECODED_MAX, RPC_ARENA_EXTRA_BYTES);
    size_t most = RPC_ARENA_EXTRA_BYTES + RPC_ARENA_FACTOR * REQUEST;
    assert_in_range(allocated_with(REQUEST), most - DECODED_MAX, most);
}

/* ---- text of a status ---- */

static size_t told_of(const char *request)
{
    struct wire_end end =
        wire_pair_ask(&pair, FLOCKS_SUPERVISOR_STOP_SERVICES, request, strlen(request));
    assert_int_equal(end.code, RPC_INTERNAL);
    return strlen(end.text);
}

static void test_text_of_a_status_is_cut_beyond_its_bound(void **state)
{
    (void)state;
    _Static_assert(RPC_STATUS_TEXT_MAX == 1024, "the texts below");
    assert_int_equal(told_of("\x0a\x04"
                             "1023"),
        RPC_STATUS_TEXT_MAX - 1);
    assert_int_equal(told_of("\x0a\x04"
                             "1024"),
        RPC_STATUS_TEXT_MAX);
    assert_int_equal(told_of("\x0a\x04"
                             "1025"),
        RPC_STATUS_TEXT_MAX);
}

/* ---- fields ---- */

static enum rpc_code code_with_fields(size_t n)
{
    /* Not empty, or the arena would be the bound. */
    static const uint8_t FIELD[] = {0x0a, 2, '1', '0'};
    uint8_t *request = malloc(n * sizeof FIELD);
    assert_non_null(request);
    for (size_t i = 0; i < n; i++)
        memcpy(request + i * sizeof FIELD, FIELD, sizeof FIELD);
    struct wire_end end =
        wire_pair_ask(&pair, FLOCKS_SUPERVISOR_STOP_SERVICES, request, n * sizeof FIELD);
    free(request);
    return end.code;
}

static void test_fields_of_a_request_are_bounded(void **state)
{
    (void)state;
    /* The handler's own answer. */
    assert_int_equal(code_with_fields(RPC_FIELDS_MAX), RPC_INTERNAL);
    assert_int_equal(code_with_fields(RPC_FIELDS_MAX + 1), RPC_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_calls_of_all_connections_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_first_calls_of_connections_are_bounded_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_name_that_goes_on_behind_a_nul_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_memory_of_a_call_grows_with_its_request_and_ends_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_text_of_a_status_is_cut_beyond_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_of_a_request_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
