/* Streams to the client: asked in turn while there is room, closed once, whoever ends them. */
#include <stdlib.h>

#include "crpc/limits.h"
#include "scripted_streams.h"
#include "unit.h"
#include "wire_pair.h"

/* ---- scaffolding ---- */

static struct wire_pair pair;
static struct scripted_streams streams;

static int set_up(void **state)
{
    (void)state;
    memset(&streams, 0, sizeof streams);
    streams.message_len = 5;
    streams.then = RPC_PULL_LATER;
    const struct rpc_service service = scripted_service(&streams);
    wire_pair_open_service(&pair, &service);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_pair_close(&pair);
    return 0;
}

static struct scripted_stream *stream_of(size_t i)
{
    assert_true(i < streams.n_calls);
    return &streams.calls[i];
}

static struct rpc_session_call *open_count(int64_t timeout_ms, struct wire_end *end)
{
    struct rpc_session_call *call =
        wire_pair_call(&pair, &scripted_methods[SCRIPTED_COUNT], timeout_ms, NULL, 0, end);
    wire_pair_push(&pair);
    return call;
}

static void assert_closed(const struct scripted_stream *stream, enum rpc_code code)
{
    assert_int_equal(stream->n_closed, 1);
    assert_int_equal(stream->code, code);
}

/* ---- asking ---- */

static void test_messages_and_the_end_go_with_one_output(void **state)
{
    (void)state;
    streams.n_to_send = 3;
    streams.then = RPC_PULL_DONE;
    struct wire_end end;
    (void)open_count(0, &end);
    /* Not from begin, not from the read. */
    assert_string_equal(stream_of(0)->log, "open ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    assert_true(wire_pair_pull(&pair, SIZE_MAX) > 0);
    assert_string_equal(stream_of(0)->log, "open next next next next closed:0 ");
    assert_int_equal(end.n_messages, 3);
    assert_int_equal(end.message_len, 7);
    assert_true(end.has_ended);
    assert_int_equal(end.code, RPC_OK);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
}

static void test_late_begin_says_that_there_is_a_stream_to_ask(void **state)
{
    (void)state;
    streams.begins_later = true;
    streams.n_to_send = 1;
    struct wire_end end;
    (void)open_count(0, &end);
    assert_int_equal(wire_pair_pull(&pair, SIZE_MAX), 0);
    scripted_begin(stream_of(0));
    assert_int_equal(pair.n_output_ready, 1);
    assert_string_equal(stream_of(0)->log, "open ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    wire_pair_move(&pair);
    assert_int_equal(end.n_messages, 1);
}

static void test_later_is_asked_again_after_a_wake_only(void **state)
{
    (void)state;
    struct wire_end ends[2];
    (void)open_count(0, &ends[0]);
    (void)open_count(0, &ends[1]);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open next ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    assert_int_equal(wire_pair_pull(&pair, SIZE_MAX), 0);
    assert_string_equal(stream_of(0)->log, "open next ");
    stream_of(0)->n_to_send = 1;
    rpc_call_wake(stream_of(0)->call);
    rpc_call_wake(stream_of(0)->call);
    rpc_call_wake(stream_of(1)->call);
    assert_int_equal(pair.n_output_ready, 1);
    assert_string_equal(stream_of(0)->log, "open next ");
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open next next next ");
    assert_string_equal(stream_of(1)->log, "open next next ");
    assert_int_equal(ends[0].n_messages, 1);
    rpc_call_wake(stream_of(1)->call);
    assert_int_equal(pair.n_output_ready, 2);
}

static void wake_itself(struct scripted_stream *stream, const char *hook)
{
    if (strcmp(hook, "next") == 0)
        rpc_call_wake(stream->call);
}

static void test_wake_inside_next_does_not_undo_its_later(void **state)
{
    (void)state;
    streams.inside = wake_itself;
    struct wire_end end;
    (void)open_count(0, &end);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open next ");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
}

static void test_streams_are_asked_in_turn(void **state)
{
    (void)state;
    streams.n_to_send = 3;
    struct wire_end ends[3];
    for (int i = 0; i < 3; i++)
        (void)wire_pair_call(&pair, &scripted_methods[SCRIPTED_COUNT], 0, NULL, 0, &ends[i]);
    wire_pair_move(&pair);
    assert_string_equal(streams.turns, "abcabcabcabc");
}

static void test_one_output_costs_a_bounded_number_of_messages(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    struct wire_end ends[2];
    (void)open_count(0, &ends[0]);
    (void)open_count(0, &ends[1]);
    (void)wire_pair_pull(&pair, SIZE_MAX);
    assert_int_equal(stream_of(0)->n_sent, RPC_TURN_MESSAGES_MAX / 2);
    assert_int_equal(stream_of(1)->n_sent, RPC_TURN_MESSAGES_MAX / 2);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    (void)wire_pair_pull(&pair, SIZE_MAX);
    assert_int_equal(ends[1].n_messages, RPC_TURN_MESSAGES_MAX);
}

static void test_message_too_large_is_not_sent_and_the_stream_goes_on(void **state)
{
    (void)state;
    streams.message_len = RPC_MESSAGE_BYTES_MAX;
    streams.n_to_send = 1;
    struct wire_end end;
    (void)open_count(0, &end);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open next unsent next ");
    assert_false(end.has_ended);
    streams.message_len = 100;
    stream_of(0)->n_to_send = 1;
    rpc_call_wake(stream_of(0)->call);
    wire_pair_move(&pair);
    assert_int_equal(end.n_messages, 1);
}

/* ---- readers that do not read ---- */

static void test_stalled_reader_holds_the_soft_bound_and_one_message(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    streams.message_len = 10000;
    struct wire_end end;
    (void)open_count(0, &end);
    size_t len = 0;
    for (int i = 0; i < 100; i++)
        (void)rpc_connection_output(pair.connection, &len);
    assert_true(len >= RPC_OUTPUT_SOFT_BYTES);
    assert_true(len < RPC_OUTPUT_SOFT_BYTES + streams.message_len + 20);
    int n_sent = stream_of(0)->n_sent;
    rpc_call_wake(stream_of(0)->call);
    (void)rpc_connection_output(pair.connection, &len);
    assert_int_equal(stream_of(0)->n_sent, n_sent);
    /* Reading goes on, a stall is none, and as soon as there is room it goes on. */
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    assert_int_equal(rpc_connection_tick(pair.connection, 999999), INT64_MAX);
    (void)wire_pair_pull(&pair, 30000);
    (void)rpc_connection_output(pair.connection, &len);
    assert_int_equal(stream_of(0)->n_sent, n_sent + 3);
}

static void test_stalled_reader_gets_unary_answers_behind_what_waits(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    streams.message_len = 10000;
    struct wire_end ends[2];
    (void)open_count(0, &ends[0]);
    size_t len = 0;
    (void)rpc_connection_output(pair.connection, &len);
    (void)wire_pair_call(&pair, &scripted_methods[SCRIPTED_ASK], 0, NULL, 0, &ends[1]);
    wire_pair_push(&pair);
    scripted_answer(stream_of(1), "now");
    streams.calls[0].n_to_send = 0;
    wire_pair_move(&pair);
    assert_int_equal(ends[1].code, RPC_OK);
    assert_true(ends[1].has_ended);
}

static void test_cancel_of_a_stalled_stream_frees_what_it_queued(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    streams.message_len = 10000;
    struct wire_end end;
    struct rpc_session_call *call = open_count(0, &end);
    size_t len = 0;
    (void)rpc_connection_output(pair.connection, &len);
    assert_true(len > RPC_OUTPUT_SOFT_BYTES);
    rpc_session_call_cancel(call);
    wire_pair_push(&pair);
    assert_closed(stream_of(0), RPC_CANCELLED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    (void)rpc_connection_output(pair.connection, &len);
    assert_true(len < 1000);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_CANCELLED);
}

/* ---- ends ---- */

static void fail_itself(struct scripted_stream *stream, const char *hook)
{
    if (strcmp(hook, "next") != 0)
        return;
    rpc_call_fail(stream->call, RPC_DATA_LOSS, NULL, "rotated away");
    assert_int_equal(stream->n_closed, 0);
}

static void test_failing_inside_next_closes_after_it(void **state)
{
    (void)state;
    streams.inside = fail_itself;
    streams.n_to_send = 1;
    struct wire_end end;
    (void)open_count(0, &end);
    wire_pair_move(&pair);
    assert_string_equal(stream_of(0)->log, "open next closed:15 ");
    assert_int_equal(end.n_messages, 0);
    assert_int_equal(end.code, RPC_DATA_LOSS);
    assert_string_equal(end.text, "rotated away");
}

static void test_failing_from_outside_closes_at_once(void **state)
{
    (void)state;
    struct wire_end end;
    (void)open_count(0, &end);
    wire_pair_move(&pair);
    rpc_call_fail(stream_of(0)->call, RPC_ABORTED, NULL, "enough");
    assert_closed(stream_of(0), RPC_ABORTED);
    assert_int_equal(pair.n_output_ready, 1);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_ABORTED);
}

static void fail_the_other(struct scripted_stream *stream, const char *hook)
{
    struct scripted_stream *other = &streams.calls[1 - (stream - streams.calls)];
    if (strcmp(hook, "next") == 0 && other->call != NULL)
        rpc_call_fail(other->call, RPC_ABORTED, NULL, "not you");
}

static void test_one_stream_may_end_another(void **state)
{
    (void)state;
    streams.inside = fail_the_other;
    streams.n_to_send = 2;
    struct wire_end ends[2];
    for (int i = 0; i < 2; i++)
        (void)wire_pair_call(&pair, &scripted_methods[SCRIPTED_COUNT], 0, NULL, 0, &ends[i]);
    wire_pair_move(&pair);
    assert_int_equal(ends[0].n_messages, 2);
    assert_int_equal(ends[1].code, RPC_ABORTED);
    assert_string_equal(stream_of(1)->log, "open closed:10 ");
}

static void test_deadline_ends_a_stream_at_once(void **state)
{
    (void)state;
    streams.n_to_send = 1;
    struct wire_end end;
    (void)open_count(500, &end);
    wire_pair_move(&pair);
    assert_int_equal(rpc_server_next_tick(pair.server), 1500);
    rpc_server_tick(pair.server, 1500);
    assert_closed(stream_of(0), RPC_DEADLINE_EXCEEDED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    assert_int_equal(rpc_server_next_tick(pair.server), INT64_MAX);
    assert_int_equal(pair.n_output_ready, 1);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(end.reason, 1 + RPC_REFUSAL_DEADLINE);
    assert_int_equal(stream_of(0)->n_cancelled, 0);
}

static void test_disconnect_ends_every_stream_at_once(void **state)
{
    (void)state;
    struct wire_end ends[3];
    for (int i = 0; i < 3; i++)
        (void)open_count(0, &ends[i]);
    rpc_connection_receive_end(pair.connection);
    for (size_t i = 0; i < 3; i++)
        assert_closed(stream_of(i), RPC_CANCELLED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
}

static void test_freed_connection_ends_every_stream_at_once(void **state)
{
    (void)state;
    streams.n_to_send = 1000000;
    struct wire_end ends[3];
    for (int i = 0; i < 3; i++)
        (void)open_count(0, &ends[i]);
    (void)wire_pair_pull(&pair, 10);
    rpc_connection_free(pair.connection);
    pair.connection = NULL;
    for (size_t i = 0; i < 3; i++)
        assert_closed(stream_of(i), RPC_CANCELLED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void fail_all_others(struct scripted_stream *stream, const char *hook)
{
    if (strcmp(hook, "closed") != 0)
        return;
    for (size_t i = 0; i < streams.n_calls; i++) {
        if (&streams.calls[i] != stream && streams.calls[i].call != NULL)
            rpc_call_fail(streams.calls[i].call, RPC_ABORTED, NULL, "with the first");
    }
}

static void test_closed_may_end_all_others_of_a_lost_connection(void **state)
{
    (void)state;
    streams.inside = fail_all_others;
    struct wire_end ends[4];
    for (int i = 0; i < 4; i++)
        (void)open_count(0, &ends[i]);
    rpc_connection_free(pair.connection);
    pair.connection = NULL;
    assert_closed(stream_of(0), RPC_CANCELLED);
    for (size_t i = 1; i < 4; i++)
        assert_closed(stream_of(i), RPC_ABORTED);
}

/* ---- streams that were not begun in time ---- */

static void test_stream_begun_after_its_call_ended_is_closed_at_once(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct wire_end end;
    struct rpc_session_call *call = open_count(0, &end);
    rpc_session_call_cancel(call);
    wire_pair_push(&pair);
    assert_int_equal(stream_of(0)->n_cancelled, 1);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
    scripted_begin(stream_of(0));
    assert_closed(stream_of(0), RPC_CANCELLED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    wire_pair_move(&pair);
}

static void test_stream_begun_when_cancelled_is_closed_at_once(void **state)
{
    (void)state;
    streams.begins_later = true;
    streams.begins_when_cancelled = true;
    struct wire_end ends[2];
    struct rpc_session_call *call = open_count(0, &ends[0]);
    rpc_session_call_cancel(call);
    (void)open_count(500, &ends[1]);
    assert_closed(stream_of(0), RPC_CANCELLED);
    rpc_server_tick(pair.server, 1500);
    assert_closed(stream_of(1), RPC_DEADLINE_EXCEEDED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
    wire_pair_move(&pair);
    assert_int_equal(ends[1].code, RPC_DEADLINE_EXCEEDED);
}

static void test_stream_begun_after_its_deadline_is_closed_at_once(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct wire_end end;
    (void)open_count(500, &end);
    rpc_server_tick(pair.server, 1500);
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
    scripted_begin(stream_of(0));
    assert_closed(stream_of(0), RPC_DEADLINE_EXCEEDED);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_stream_never_begun_dies_with_the_server(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct wire_end end;
    (void)open_count(0, &end);
    rpc_connection_free(pair.connection);
    pair.connection = NULL;
    assert_int_equal(stream_of(0)->n_cancelled, 1);
    assert_int_equal(stream_of(0)->n_closed, 0);
    assert_int_equal(rpc_server_n_calls(pair.server), 1);
}

static void test_stream_may_be_failed_instead_of_begun(void **state)
{
    (void)state;
    streams.begins_later = true;
    struct wire_end end;
    (void)open_count(0, &end);
    rpc_call_fail(stream_of(0)->call, RPC_NOT_FOUND, NULL, "nothing to count");
    wire_pair_move(&pair);
    assert_int_equal(end.code, RPC_NOT_FOUND);
    assert_int_equal(stream_of(0)->n_closed, 0);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages_and_the_end_go_with_one_output),
        TEST(test_late_begin_says_that_there_is_a_stream_to_ask),
        TEST(test_later_is_asked_again_after_a_wake_only),
        TEST(test_wake_inside_next_does_not_undo_its_later),
        TEST(test_streams_are_asked_in_turn),
        TEST(test_one_output_costs_a_bounded_number_of_messages),
        TEST(test_message_too_large_is_not_sent_and_the_stream_goes_on),
        TEST(test_stalled_reader_holds_the_soft_bound_and_one_message),
        TEST(test_stalled_reader_gets_unary_answers_behind_what_waits),
        TEST(test_cancel_of_a_stalled_stream_frees_what_it_queued),
        TEST(test_failing_inside_next_closes_after_it),
        TEST(test_failing_from_outside_closes_at_once),
        TEST(test_one_stream_may_end_another),
        TEST(test_deadline_ends_a_stream_at_once),
        TEST(test_disconnect_ends_every_stream_at_once),
        TEST(test_freed_connection_ends_every_stream_at_once),
        TEST(test_closed_may_end_all_others_of_a_lost_connection),
        TEST(test_stream_begun_after_its_call_ended_is_closed_at_once),
        TEST(test_stream_begun_when_cancelled_is_closed_at_once),
        TEST(test_stream_begun_after_its_deadline_is_closed_at_once),
        TEST(test_stream_never_begun_dies_with_the_server),
        TEST(test_stream_may_be_failed_instead_of_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
