/* The server path with the n-th allocation failing, for every n: no crash, no leak, and the caller
 * gets an honest end or a closed connection. */
#include <stdbool.h>

#include "hex.h"
#include "unit.h"
#include "wire_pair.h"

/* Linked with --wrap: every allocation of our own code comes here. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* Allocations left until one fails; negative: none does. */
static int left_until_failure = -1;
static bool has_failed;

static bool fails_now(void)
{
    if (left_until_failure < 0)
        return false;
    if (left_until_failure-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

static struct flocks_get_operation_call *waiting;

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    (void)request;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    char *token = rpc_call_alloc(flocks_get_status_base(call), 100);
    if (token == NULL) {
        rpc_call_fail(flocks_get_status_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    strcpy(token, "1");
    response.event_token = token;
    flocks_get_status_reply(call, &response);
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    (void)self;
    (void)request;
    waiting = call;
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_status = get_status, .get_operation = get_operation};

static void receive(struct wire_pair *pair, size_t piece)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair->client, &len);
    for (size_t at = 0; at < len; at += piece)
        rpc_connection_receive(
            pair->connection, bytes + at, len - at < piece ? len - at : piece, pair->now_ms);
    rpc_session_sent(pair->client, len);
}

/* A request cut in two, an answer now, a refusal with its detail, a late answer and a deadline. */
static bool run_with_failure(int n)
{
    struct wire_pair pair;
    struct wire_end ends[4];
    wire_pair_open(&pair, &HANDLERS, NULL);
    const struct rpc_method *methods = flocks_supervisor_methods;
    (void)wire_pair_call(
        &pair, &methods[FLOCKS_SUPERVISOR_GET_STATUS], 0, "\x0a\x03web", 5, &ends[0]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_CONFIG], 0, NULL, 0, &ends[1]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_OPERATION], 0, NULL, 0, &ends[2]);
    (void)wire_pair_call(&pair, &methods[FLOCKS_SUPERVISOR_GET_OPERATION], 9, NULL, 0, &ends[3]);
    waiting = NULL;
    has_failed = false;
    left_until_failure = n;
    receive(&pair, 50);
    rpc_server_tick(pair.server, pair.now_ms + 9);
    left_until_failure = -1;
    bool is_closing = (rpc_connection_wants(pair.connection) & RPC_WANTS_CLOSE) != 0;
    wire_pair_move(&pair);
    for (int i = 0; i < 2; i++)
        assert_true(ends[i].has_ended || is_closing);
    if (!has_failed) {
        assert_int_equal(ends[0].code, RPC_OK);
        assert_int_equal(ends[1].code, RPC_UNIMPLEMENTED);
        assert_int_equal(ends[3].code, RPC_DEADLINE_EXCEEDED);
    }
    wire_pair_close(&pair);
    return has_failed;
}

static void test_every_failing_allocation_ends_honestly(void **state)
{
    (void)state;
    int n = 0;
    while (run_with_failure(n))
        n++;
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_ends_honestly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
