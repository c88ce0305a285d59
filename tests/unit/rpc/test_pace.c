/* How much is received at once. */
#include "common/rpc/pace.h"
#include "crpc/limits.h"
#include "unit.h"
#include "wire_pair.h"

static struct rpc_pace pace_after(size_t rounds, size_t answered)
{
    struct rpc_pace pace;
    rpc_pace_init(&pace);
    for (size_t i = 0; i < rounds; i++)
        rpc_pace_learn(&pace, rpc_pace_bytes(&pace), answered);
    return pace;
}

static void test_pace_small_answers_receives_the_most(void **state)
{
    (void)state;
    struct rpc_pace pace = pace_after(10, 100);
    assert_int_equal(rpc_pace_bytes(&pace), RPC_RECEIVE_BYTES_MAX);
}

static void test_pace_large_answers_asks_for_no_more_than_a_turn(void **state)
{
    (void)state;
    struct rpc_pace pace = pace_after(10, 100);
    /* 64 bytes a request, 2 KiB an answer: so many requests fit a turn. */
    rpc_pace_learn(&pace, RPC_RECEIVE_BYTES_MAX, (size_t)RPC_RECEIVE_BYTES_MAX / 64 * 2048);
    assert_int_equal(rpc_pace_bytes(&pace) / 64 * 2048, RPC_TURN_ANSWER_BYTES);
}

static void test_pace_huge_answers_still_receives_something(void **state)
{
    (void)state;
    struct rpc_pace pace = pace_after(10, RPC_OUTPUT_STALL_BYTES);
    assert_int_equal(rpc_pace_bytes(&pace), RPC_RECEIVE_BYTES_MIN);
}

static void test_pace_modest_again_grows_again(void **state)
{
    (void)state;
    struct rpc_pace pace = pace_after(10, RPC_OUTPUT_STALL_BYTES);
    for (size_t i = 0; i < 10; i++)
        rpc_pace_learn(&pace, rpc_pace_bytes(&pace), 100);
    assert_int_equal(rpc_pace_bytes(&pace), RPC_RECEIVE_BYTES_MAX);
}

static void test_pace_one_call_at_a_time_changes_nothing(void **state)
{
    (void)state;
    struct rpc_pace pace;
    rpc_pace_init(&pace);
    size_t before = rpc_pace_bytes(&pace);
    for (size_t i = 0; i < 10; i++)
        rpc_pace_learn(&pace, 64, 2048);
    assert_int_equal(rpc_pace_bytes(&pace), before);
}

static void answer_at_length(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    (void)self;
    (void)request;
    static char text[4096];
    memset(text, 'x', sizeof text - 1);
    flocks_daemon_status daemon = FLOCKS_DAEMON_STATUS_INIT;
    daemon.version = text;
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    response.daemon = &daemon;
    flocks_get_status_reply(call, &response);
}

static void test_connection_of_large_answers_reads_less(void **state)
{
    (void)state;
    enum { CALLS = 50 };
    static const struct flocks_supervisor_handlers handlers = {.get_status = answer_at_length};
    struct wire_pair pair;
    struct wire_end ends[CALLS];
    wire_pair_open(&pair, &handlers, NULL);
    size_t before = rpc_connection_read_max(pair.connection);
    for (size_t i = 0; i < CALLS; i++)
        (void)wire_pair_call(
            &pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_STATUS], 0, NULL, 0, &ends[i]);
    wire_pair_move(&pair);
    assert_true(ends[CALLS - 1].has_ended);
    assert_int_equal(before, RPC_RECEIVE_BYTES_FIRST);
    assert_true(rpc_connection_read_max(pair.connection) < before);
    wire_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace_small_answers_receives_the_most),
        cmocka_unit_test(test_pace_large_answers_asks_for_no_more_than_a_turn),
        cmocka_unit_test(test_pace_huge_answers_still_receives_something),
        cmocka_unit_test(test_pace_modest_again_grows_again),
        cmocka_unit_test(test_pace_one_call_at_a_time_changes_nothing),
        cmocka_unit_test(test_connection_of_large_answers_reads_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
