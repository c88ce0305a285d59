/* grpc.reflection and grpc.health with the n-th allocation failing, for every n: no crash, no leak,
 * an honest end, and what could not be kept is not half there. */
#include <stdbool.h>
#include <stdlib.h>

#include "crpc/health.h"
#include "crpc/indexed/v1/indexed.index.h"
#include "crpc/reflection.h"
#include "failing_memory.h"
#include "grpc/health/v1/health.methods.h"
#include "unit.h"
#include "wire_pair.h"

enum { ASKED = 4 };

/* list_services "*"; file_containing_symbol "crpc.indexed.v1.Base"; a number of it; all of them. */
static const struct {
    const char *bytes;
    size_t len;
} QUESTIONS[ASKED] = {
    {"\x3a\x01*", 3},
    {"\x22\x14"
     "crpc.indexed.v1.Base",
        22},
    {"\x2a\x18\x0a\x14"
     "crpc.indexed.v1.Base\x10\x64",
        26},
    {"\x32\x14"
     "crpc.indexed.v1.Base",
        22},
};

static void assert_is_honest(const struct wire_end *end, bool is_closing)
{
    assert_true(end->has_ended || is_closing);
    assert_true(is_closing || end->code == RPC_OK || end->code == RPC_RESOURCE_EXHAUSTED);
}

static bool reflect_with_failure(int n)
{
    static const struct crpc_index *const indexes[] = {&indexed_index, NULL};
    const struct rpc_service service = rpc_reflection_service(RPC_REFLECTION_V1, indexes);
    struct wire_pair pair;
    struct wire_end end;
    wire_pair_open_service(&pair, &service);
    struct rpc_session_call *call = wire_pair_call(&pair, service.methods, 0, NULL, 0, &end);
    for (size_t i = 0; i < ASKED; i++)
        wire_pair_send(call, QUESTIONS[i].bytes, QUESTIONS[i].len);
    rpc_session_call_half_close(call);
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair.client, &len);
    failing_memory_arm(n);
    rpc_connection_receive(pair.connection, bytes, len, pair.now_ms);
    size_t answered = 0;
    (void)rpc_connection_output(pair.connection, &answered);
    failing_memory_pause();
    rpc_session_sent(pair.client, len);
    bool is_closing = (rpc_connection_wants(pair.connection) & RPC_WANTS_CLOSE) != 0;
    wire_pair_move(&pair);
    assert_is_honest(&end, is_closing);
    if (!failing_memory_has_failed()) {
        assert_int_equal(end.code, RPC_OK);
        assert_int_equal(end.n_messages, ASKED);
    }
    wire_pair_close(&pair);
    return failing_memory_has_failed();
}

static void test_reflection_without_memory_ends_honestly(void **state)
{
    (void)state;
    int n = 0;
    while (reflect_with_failure(n))
        n++;
    assert_true(n > 8);
}

static bool watch_with_failure(int n)
{
    struct wire_pair pair;
    struct wire_end ends[2];
    struct rpc_health *health;
    failing_memory_arm(n);
    health = rpc_health_new();
    failing_memory_pause();
    if (health == NULL)
        return true;
    const struct rpc_service service = rpc_health_service(health);
    wire_pair_open_service(&pair, &service);
    (void)wire_pair_call(&pair, &health_methods[HEALTH_WATCH], 0, "\x0a\x05later", 7, &ends[0]);
    (void)wire_pair_call(&pair, &health_methods[HEALTH_CHECK], 0, NULL, 0, &ends[1]);
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair.client, &len);
    failing_memory_resume();
    rpc_connection_receive(pair.connection, bytes, len, pair.now_ms);
    enum rpc_code code = rpc_health_set(health, "later", true);
    enum rpc_code other = rpc_health_set(health, "other", true);
    failing_memory_pause();
    rpc_session_sent(pair.client, len);
    bool is_closing = (rpc_connection_wants(pair.connection) & RPC_WANTS_CLOSE) != 0;
    assert_true(code == RPC_OK || code == RPC_RESOURCE_EXHAUSTED);
    assert_true(other == RPC_OK || other == RPC_RESOURCE_EXHAUSTED);
    rpc_health_shut(health);
    wire_pair_move(&pair);
    if (!failing_memory_has_failed()) {
        assert_int_equal(ends[0].code, RPC_UNAVAILABLE);
        assert_int_equal(ends[1].code, RPC_OK);
    }
    for (int i = 0; i < 2; i++)
        assert_true(ends[i].has_ended || is_closing);
    wire_pair_close(&pair);
    rpc_health_free(health);
    return failing_memory_has_failed();
}

static void test_health_without_memory_ends_honestly(void **state)
{
    (void)state;
    int n = 0;
    while (watch_with_failure(n))
        n++;
    assert_true(n > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reflection_without_memory_ends_honestly),
        cmocka_unit_test(test_health_without_memory_ends_honestly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
