/* The engine's rules: one end for every call, whoever goes away first. */
#include <stdlib.h>

#include "crpc/limits.h"
#include "hex.h"
#include "scripted_supervisor.h"
#include "unit.h"
#include "wire_pair.h"

/* ---- scaffolding ---- */

static struct wire_pair pair;
static struct scripted_supervisor supervisor;

static int set_up(void **state)
{
    (void)state;
    memset(&supervisor, 0, sizeof supervisor);
    wire_pair_open(&pair, &scripted_supervisor_handlers, &supervisor);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    return 0;
}

static struct wire_end ask(enum flocks_supervisor_method method, const char *request)
{
    uint8_t bytes[256];
    return wire_pair_ask(&pair, method, bytes, hex_decode(request, bytes, sizeof bytes));
}

static void begin_waiting(int64_t timeout_ms, struct wire_end *end)
{
    (void)wire_pair_call(&pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_OPERATION],
        timeout_ms, NULL, 0, end);
    wire_pair_move(&pair);
}

/* ---- answers ---- */

static void test_reply_in_the_handler_is_sent_with_the_read(void **state)
{
    (void)state;
    struct wire_end end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "");
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_OK);
    assert_int_equal(end.message_len, 5);
    assert_int_equal(supervisor.peer.pid, 42);
    assert_int_equal(supervisor.peer.uid, 7);
    assert_int_equal(pair.n_output_ready, 0);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_late_reply_says_once_that_there_is_output(void **state)
{
    (void)state;
    struct wire_end ends[2];
    begin_waiting(0, &ends[0]);
    begin_waiting(0, &ends[1]);
    assert_int_equal(rpc_connection_n_calls(pair.connection), 2);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    scripted_supervisor_answer(&supervisor);
    scripted_supervisor_answer(&supervisor);
    assert_int_equal(pair.n_output_ready, 1);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    wire_pair_move(&pair);
    assert_true(ends[0].has_ended && ends[1].has_ended);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_failure_carries_code_and_text(void **state)
{
    (void)state;
    struct wire_end end = ask(FLOCKS_SUPERVISOR_STOP_SERVICES, "0a03'web'");
    assert_int_equal(end.code, RPC_NOT_FOUND);
    assert_string_equal(end.text, "no service web");
    assert_int_equal(end.reason, 0);
}

/* ---- refusals ---- */

static void test_unknown_and_missing_methods_are_unimplemented_with_a_detail(void **state)
{
    (void)state;
    struct rpc_method unknown = {.service = "flocks.v1.SupervisorService", .name = "Nope"};
    struct wire_end end;
    (void)wire_pair_call(&pair, &unknown, 0, NULL, 0, &end);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_UNIMPLEMENTED);
    assert_string_equal(end.text, "unknown method Nope of service flocks.v1.SupervisorService");
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_NOT_IMPLEMENTED);
    struct rpc_method hostile = {.service = "\xFF\n", .name = ""};
    (void)wire_pair_call(&pair, &hostile, 0, NULL, 0, &end);
    wire_pair_move(&pair);
    assert_string_equal(end.text, "unknown method ? of service ?");
    /* A handler that is not there, and a kind that is not served. */
    end = ask(FLOCKS_SUPERVISOR_GET_CONFIG, "");
    assert_int_equal(end.code, RPC_UNIMPLEMENTED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_NOT_IMPLEMENTED);
    end = ask(FLOCKS_SUPERVISOR_WATCH_EVENTS, "");
    assert_int_equal(end.code, RPC_UNIMPLEMENTED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_NOT_IMPLEMENTED);
}

static void test_unknown_field_stops_a_mutation_only(void **state)
{
    (void)state;
    struct wire_end end = ask(FLOCKS_SUPERVISOR_STOP_SERVICES, "fa0103'web'");
    assert_int_equal(end.code, RPC_UNIMPLEMENTED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_UNKNOWN_FIELD);
    assert_string_equal(end.text, "field 31 of flocks.v1.StopServicesRequest is unknown to this "
                                  "server; nothing was done");
    /* Also inside its timeout, a Duration. */
    end = ask(FLOCKS_SUPERVISOR_STOP_SERVICES, "1a02 5001");
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_UNKNOWN_FIELD);
    assert_int_equal(supervisor.n_requests, 0);
    end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "fa0103'web'");
    assert_int_equal(end.code, RPC_OK);
}

static void test_bad_requests_are_invalid_arguments(void **state)
{
    (void)state;
    struct wire_end end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0a02 ff'x'");
    assert_int_equal(end.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_BAD_TEXT);
    end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0a03 'a' 00 'b'");
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_BAD_TEXT);
    end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0a05'x'");
    assert_int_equal(end.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_MALFORMED);
    end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0805");
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_MALFORMED);
    assert_int_equal(supervisor.n_requests, 0);
}

static void test_decoding_that_amplifies_is_refused(void **state)
{
    (void)state;
    size_t len = 400000;
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i += 2)
        memcpy(bytes + i, "\x0a\x00", 2);
    struct wire_end end = wire_pair_ask(&pair, FLOCKS_SUPERVISOR_GET_STATUS, bytes, len);
    free(bytes);
    assert_int_equal(end.code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_LIMIT);
}

static void test_calls_in_flight_are_bounded(void **state)
{
    (void)state;
    static struct wire_end ends[RPC_CONNECTION_CALLS_MAX + 1];
    for (size_t i = 0; i <= RPC_CONNECTION_CALLS_MAX; i++)
        begin_waiting(0, &ends[i]);
    assert_false(ends[0].has_ended);
    assert_int_equal(ends[RPC_CONNECTION_CALLS_MAX].code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(rpc_connection_n_calls(pair.connection), RPC_CONNECTION_CALLS_MAX);
    scripted_supervisor_answer(&supervisor);
    wire_pair_move(&pair);
    begin_waiting(0, &ends[RPC_CONNECTION_CALLS_MAX]);
    assert_false(ends[RPC_CONNECTION_CALLS_MAX].has_ended);
    while (supervisor.n_waiting > 0)
        scripted_supervisor_answer(&supervisor);
    wire_pair_move(&pair);
    assert_true(ends[0].has_ended);
}

static void test_after_shut_new_calls_are_unavailable(void **state)
{
    (void)state;
    struct wire_end before;
    begin_waiting(0, &before);
    rpc_server_shut(pair.server);
    struct wire_end end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "");
    assert_int_equal(end.code, RPC_UNAVAILABLE);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_SHUTTING_DOWN);
    scripted_supervisor_answer(&supervisor);
    wire_pair_move(&pair);
    assert_int_equal(before.code, RPC_OK);
}

static void test_response_too_large_becomes_an_error(void **state)
{
    (void)state;
    struct wire_end end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0a08'#4194304'");
    assert_int_equal(end.code, RPC_RESOURCE_EXHAUSTED);
    end = ask(FLOCKS_SUPERVISOR_GET_STATUS, "0a08'#4194280'");
    assert_int_equal(end.code, RPC_OK);
}

/* ---- deadlines ---- */

static void test_deadline_answers_the_caller_while_the_work_goes_on(void **state)
{
    (void)state;
    struct wire_end end;
    begin_waiting(500, &end);
    assert_int_equal(rpc_server_next_tick(pair.server), 1500);
    rpc_server_tick(pair.server, 1499);
    assert_int_equal(supervisor.n_cancelled, 0);
    rpc_server_tick(pair.server, 1500);
    assert_int_equal(supervisor.n_cancelled, 1);
    assert_int_equal(pair.n_output_ready, 1);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_DEADLINE);
    assert_int_equal(rpc_connection_n_calls(pair.connection), 0);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
    assert_int_equal(rpc_server_next_tick(pair.server), INT64_MAX);
    scripted_supervisor_answer(&supervisor);
    wire_pair_move(&pair);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_answer_from_the_cancel_hook_is_sent_after_a_deadline(void **state)
{
    (void)state;
    supervisor.answers_when_cancelled = true;
    struct wire_end end;
    begin_waiting(500, &end);
    rpc_server_tick(pair.server, 1500);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_DEADLINE_EXCEEDED);
    assert_string_equal(end.text, "operation 5 goes on");
    assert_int_equal(end.reason, FLOCKS__V1__ERROR_REASON__ERROR_REASON_START_TIMEOUT);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_deadlines_end_in_their_order(void **state)
{
    (void)state;
    struct wire_end ends[3];
    begin_waiting(900, &ends[0]);
    begin_waiting(300, &ends[1]);
    begin_waiting(600, &ends[2]);
    assert_int_equal(rpc_server_next_tick(pair.server), 1300);
    rpc_server_tick(pair.server, 1600);
    wire_pair_move(&pair);
    assert_false(ends[0].has_ended);
    assert_true(ends[1].has_ended && ends[2].has_ended);
    assert_int_equal(rpc_server_next_tick(pair.server), 1900);
}

static void test_deadline_is_clamped_to_the_methods_longest(void **state)
{
    (void)state;
    const struct rpc_method *method = &flocks_supervisor_methods[FLOCKS_SUPERVISOR_STOP_SERVICES];
    assert_true(method->max_deadline_ms > 0);
    struct wire_end end;
    (void)wire_pair_call(&pair, method, method->max_deadline_ms * 2, NULL, 0, &end);
    wire_pair_move(&pair);
    assert_int_equal(supervisor.deadline_at, 1000 + method->max_deadline_ms);
    (void)ask(FLOCKS_SUPERVISOR_STOP_SERVICES, "");
    assert_int_equal(supervisor.deadline_at, 1000 + method->max_deadline_ms);
    (void)wire_pair_call(&pair, method, 50, NULL, 0, &end);
    wire_pair_move(&pair);
    assert_int_equal(supervisor.deadline_at, 1050);
}

/* ---- peers that go away ---- */

static void test_cancel_frame_runs_the_hook_and_drops_the_answer(void **state)
{
    (void)state;
    struct wire_end end;
    struct rpc_session_call *call = wire_pair_call(
        &pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_OPERATION], 0, NULL, 0, &end);
    wire_pair_move(&pair);
    rpc_session_call_cancel(call);
    wire_pair_move(&pair);
    assert_int_equal(supervisor.n_cancelled, 1);
    assert_int_equal(rpc_connection_n_calls(pair.connection), 0);
    scripted_supervisor_answer(&supervisor);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_lost_connection_cancels_and_leaves_orphans(void **state)
{
    (void)state;
    struct wire_end ends[2];
    begin_waiting(500, &ends[0]);
    begin_waiting(0, &ends[1]);
    rpc_connection_free(pair.connection);
    pair.connection = NULL;
    assert_int_equal(supervisor.n_cancelled, 2);
    assert_int_equal(rpc_server_n_calls(pair.server), 2);
    assert_int_equal(rpc_server_next_tick(pair.server), INT64_MAX);
    scripted_supervisor_answer(&supervisor);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
    /* The other one dies with the server. */
}

static void test_hook_of_a_lost_connection_may_finish_any_call(void **state)
{
    (void)state;
    supervisor.answers_when_cancelled = true;
    struct wire_end ends[5];
    for (int i = 0; i < 5; i++)
        begin_waiting(0, &ends[i]);
    rpc_connection_free(pair.connection);
    pair.connection = NULL;
    /* Hooks 0, 1 and 2 have finished 4, 3 and 2: the first two wait for nobody. */
    assert_int_equal(supervisor.n_cancelled, 3);
    assert_int_equal(supervisor.n_waiting, 2);
    assert_int_equal(rpc_server_n_calls(pair.server), 2);
}

static void test_end_of_input_closes_after_the_output(void **state)
{
    (void)state;
    struct wire_end end;
    begin_waiting(0, &end);
    rpc_connection_receive_end(pair.connection);
    assert_int_equal(supervisor.n_cancelled, 1);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
    scripted_supervisor_answer(&supervisor);
}

/* ---- output ---- */

/* The requests arrive together, at 1000 ms; no answer is read yet. */
static void ask_for_two_mebibytes_each(struct wire_end *ends, size_t n)
{
    static const char request[] = "\x0a\x08#2097152";
    for (size_t i = 0; i < n; i++)
        (void)wire_pair_call(&pair, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_STATUS], 0,
            request, sizeof request - 1, &ends[i]);
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair.client, &len);
    rpc_connection_receive(pair.connection, bytes, len, 1000);
    rpc_session_sent(pair.client, len);
}

static void test_output_beyond_the_stall_bound_stops_reading_then_goes_on(void **state)
{
    (void)state;
    static struct wire_end ends[4];
    ask_for_two_mebibytes_each(ends, 4);
    assert_int_equal(supervisor.n_requests, 2);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_WRITE);
    assert_int_equal(rpc_connection_tick(pair.connection, 1000), 1000 + RPC_OUTPUT_STALL_MS);
    wire_pair_move(&pair);
    assert_int_equal(supervisor.n_requests, 4);
    assert_true(ends[3].has_ended);
    assert_int_equal(rpc_connection_tick(pair.connection, 99999), INT64_MAX);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
}

static void test_peer_that_does_not_read_is_closed(void **state)
{
    (void)state;
    static struct wire_end ends[2];
    ask_for_two_mebibytes_each(ends, 2);
    (void)rpc_connection_tick(pair.connection, 1000 + RPC_OUTPUT_STALL_MS);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
    assert_string_equal(
        rpc_connection_close_reason(pair.connection), "the peer does not read its answers");
}

static void test_services_have_one_name_each(void **state)
{
    (void)state;
    assert_true(rpc_server_add(pair.server, &pair.service) == RPC_ALREADY_EXISTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reply_in_the_handler_is_sent_with_the_read),
        TEST(test_late_reply_says_once_that_there_is_output),
        TEST(test_failure_carries_code_and_text),
        TEST(test_unknown_and_missing_methods_are_unimplemented_with_a_detail),
        TEST(test_unknown_field_stops_a_mutation_only),
        TEST(test_bad_requests_are_invalid_arguments),
        TEST(test_decoding_that_amplifies_is_refused),
        TEST(test_calls_in_flight_are_bounded),
        TEST(test_after_shut_new_calls_are_unavailable),
        TEST(test_response_too_large_becomes_an_error),
        TEST(test_deadline_answers_the_caller_while_the_work_goes_on),
        TEST(test_answer_from_the_cancel_hook_is_sent_after_a_deadline),
        TEST(test_deadlines_end_in_their_order),
        TEST(test_deadline_is_clamped_to_the_methods_longest),
        TEST(test_cancel_frame_runs_the_hook_and_drops_the_answer),
        TEST(test_lost_connection_cancels_and_leaves_orphans),
        TEST(test_hook_of_a_lost_connection_may_finish_any_call),
        TEST(test_end_of_input_closes_after_the_output),
        TEST(test_output_beyond_the_stall_bound_stops_reading_then_goes_on),
        TEST(test_peer_that_does_not_read_is_closed),
        TEST(test_services_have_one_name_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
