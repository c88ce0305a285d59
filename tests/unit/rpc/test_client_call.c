/* Blocking unary calls against a scripted peer: cuts, late answers, deadlines, bounds. */
#include <errno.h>
#include <stdlib.h>

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"

#include "common/rpc/client_state.h"
#include "common/rpc/frame.h"
#include "common/rpc/ttrpc.h"
#include "common/rpc/wire.h"
#include "crpc/limits.h"
#include "fake_wire.h"
#include "unit.h"

static struct rpc_client *client;
static struct rpc_error *error;

static int set_up(void **state)
{
    (void)state;
    client = rpc_client_take_fd(fake_wire_open(), &error);
    return client == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpc_error_free(error);
    error = NULL;
    rpc_client_close(client);
    fake_wire_close();
    return 0;
}

static void forget_error(void)
{
    rpc_error_free(error);
    error = NULL;
}

static enum rpc_result ask_with(const struct rpc_options *options, const char *expected)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    request.operation_id = "question";
    const ProtobufCMessage *answer = NULL;
    enum rpc_result result =
        rpc_client_call(client, &TALK_ASK, options, &request.base, &answer, &error);
    assert_int_equal(answer != NULL, result == RPC_DONE);
    assert_int_equal(error != NULL, result == RPC_ERROR);
    if (answer != NULL)
        assert_string_equal(((const flocks_get_operation_request *)answer)->operation_id, expected);
    rpc_message_free(answer);
    return result;
}

static enum rpc_result ask(int64_t timeout_ms, const char *expected)
{
    return ask_with(&(struct rpc_options){.timeout_ms = timeout_ms}, expected);
}

static void test_client_takes_answers_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t cut = 1; cut <= 40; cut++) {
        wire.read_max = cut;
        wire.write_max = cut;
        talk_answer(cut, (unsigned)(2 * cut - 1), "an answer of some length");
        assert_int_equal(ask(0, "an answer of some length"), RPC_DONE);
    }
}

static void test_client_gives_up_at_its_deadline_and_tells_the_server(void **state)
{
    (void)state;
    int64_t began_at = wire.now_ms;
    assert_int_equal(ask(400, NULL), RPC_ERROR);
    assert_int_equal(wire.now_ms - began_at, 400);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_false(error->from_server);
    assert_int_equal(talk_heard(1, RPC_FRAME_CANCEL), 1);
}

static void test_client_drops_the_late_answer_to_a_cancelled_call(void **state)
{
    (void)state;
    assert_int_equal(ask(400, NULL), RPC_ERROR);
    forget_error();
    talk_answer(3, 1, "late");
    talk_answer(3, 3, "second");
    assert_int_equal(ask(400, "second"), RPC_DONE);
}

static void test_client_without_a_timeout_waits_thirty_seconds(void **state)
{
    (void)state;
    int64_t began_at = wire.now_ms;
    assert_int_equal(ask_with(NULL, NULL), RPC_ERROR);
    assert_int_equal(wire.now_ms - began_at, RPC_CLIENT_TIMEOUT_MS);
}

/* The timeout that the server was told by the last of its frames. */
static int64_t told_ms(void)
{
    size_t len = 0;
    const uint8_t *bytes = fake_wire_heard(&len);
    struct rpc_request_envelope request = {0};
    for (size_t at = 0; at < len;) {
        struct rpc_frame frame;
        rpc_frame_decode(bytes + at, &frame);
        at += RPC_FRAME_HEADER_BYTES;
        if (frame.type == RPC_FRAME_REQUEST)
            assert_true(rpc_request_decode(bytes + at, frame.body_len, NULL, 0, &request));
        at += frame.body_len;
    }
    return request.timeout_nano / 1000000;
}

static void test_client_tells_a_deadline_earlier_by_an_eighth_and_a_margin_at_most(void **state)
{
    (void)state;
    static const int TIMEOUTS_MS[] = {8, 8 * (RPC_CLIENT_MARGIN_MS - 1), 8 * RPC_CLIENT_MARGIN_MS,
        8 * (RPC_CLIENT_MARGIN_MS + 1), RPC_CLIENT_TIMEOUT_MS};
    for (size_t i = 0; i < sizeof TIMEOUTS_MS / sizeof TIMEOUTS_MS[0]; i++) {
        int64_t margin_ms = TIMEOUTS_MS[i] / 8;
        if (margin_ms > RPC_CLIENT_MARGIN_MS)
            margin_ms = RPC_CLIENT_MARGIN_MS;
        assert_int_equal(ask(TIMEOUTS_MS[i], NULL), RPC_ERROR);
        forget_error();
        assert_int_equal(told_ms(), TIMEOUTS_MS[i] - margin_ms);
    }
}

static void test_client_meets_its_deadline_while_it_writes(void **state)
{
    (void)state;
    wire.room = 5;
    int64_t began_at = wire.now_ms;
    assert_int_equal(ask(400, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_int_equal(wire.now_ms - began_at, 400);
}

static void test_client_meets_its_deadline_in_the_middle_of_an_answer(void **state)
{
    (void)state;
    fake_wire_say(1, 10, "00000010 00000001 02 00 120e");
    assert_int_equal(ask(400, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
}

static void test_client_ends_a_connection_with_half_a_frame_for_too_long(void **state)
{
    (void)state;
    fake_wire_say(1, 10, "00000010 00000001 02 00 120e");
    int64_t began_at = wire.now_ms;
    assert_int_equal(ask(60000, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_INTERNAL);
    assert_int_equal(wire.now_ms - began_at, 10 + RPC_FRAME_MS_MAX);
    assert_false(rpc_client_is_alive(client));
}

static void test_client_of_a_server_that_dies_ends_once(void **state)
{
    (void)state;
    fake_wire_hang_up(1, 5, 0);
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    assert_int_equal(error->system_error, 0);
    assert_false(rpc_client_is_alive(client));
    forget_error();
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
}

static void test_client_reads_what_the_server_said_before_writing_failed(void **state)
{
    (void)state;
    wire.failing = FAKE_WRITE;
    wire.fails_after = 1;
    wire.error_number = EPIPE;
    wire.write_max = 4;
    talk_error(0, 1, RPC_UNAVAILABLE, "going down");
    fake_wire_hang_up(0, 0, ECONNRESET);
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    assert_true(error->from_server);
    forget_error();
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->system_error, EPIPE);
    assert_false(rpc_client_is_alive(client));
}

static void test_client_refuses_metadata_that_no_server_takes(void **state)
{
    (void)state;
    struct rpc_pair pairs[RPC_METADATA_PAIRS_MAX];
    for (size_t i = 0; i < RPC_METADATA_PAIRS_MAX; i++)
        pairs[i] = (struct rpc_pair){.key = "k", .value = "v"};
    static char large[RPC_METADATA_BYTES_MAX];
    memset(large, 'x', sizeof large - 1);
    const struct rpc_pair bad[] = {{"", "v"}, {"Key", "v"}, {"k", "\xff"}, {"k", large}};
    struct rpc_options options = {.metadata = pairs, .n_metadata = RPC_METADATA_PAIRS_MAX};
    assert_int_equal(ask_with(&options, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
    forget_error();
    for (size_t i = 0; i < 4; i++) {
        options = (struct rpc_options){.metadata = &bad[i], .n_metadata = 1};
        assert_int_equal(ask_with(&options, NULL), RPC_ERROR);
        assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
        forget_error();
    }
    options = (struct rpc_options){.metadata = pairs, .n_metadata = RPC_METADATA_PAIRS_MAX - 1};
    talk_answer(1, 1, "taken");
    assert_int_equal(ask_with(&options, "taken"), RPC_DONE);
}

static void test_client_without_ids_says_that_a_new_connection_helps(void **state)
{
    (void)state;
    ttrpc_session_of(client->session)->last_id = UINT32_MAX;
    talk_answer(1, UINT32_MAX, "last");
    assert_int_equal(ask(0, "last"), RPC_DONE);
    assert_true(rpc_client_is_alive(client));
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    assert_non_null(strstr(error->message, "a new one"));
    assert_false(rpc_client_is_alive(client));
}

static void test_client_of_a_server_that_never_reads_stays_bounded(void **state)
{
    (void)state;
    wire.room = 100;
    char *large = calloc(1, 3000001);
    memset(large, 'x', 3000000);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    request.operation_id = large;
    const ProtobufCMessage *answer = NULL;
    const struct rpc_options options = {.timeout_ms = 50};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            rpc_client_call(client, &TALK_ASK, &options, &request.base, &answer, &error),
            RPC_ERROR);
        assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
        forget_error();
        assert_true(client_output_length(client) <= RPC_OUTPUT_HARD_BYTES);
    }
    assert_true(rpc_client_is_alive(client));
    free(large);
}

/* Both write and neither reads is how connections die: ours reads while it writes. */
static void test_client_reads_while_writing_is_blocked(void **state)
{
    (void)state;
    wire.room = 20;
    fake_wire_say(0, 10, "00000009 00000001 02 00 1207 0a05'early'");
    int64_t began_at = wire.now_ms;
    assert_int_equal(ask(400, "early"), RPC_DONE);
    assert_int_equal(wire.now_ms - began_at, 10);
}

static void test_client_bounds_what_decoding_takes(void **state)
{
    (void)state;
    /* An answer to StopServices: an Operation of 60,000 empty outcomes, two bytes each on the wire
     * and many times as much in memory. */
    enum { N = 60000, OPERATION_LEN = 2 * N };
    static uint8_t bytes[RPC_FRAME_HEADER_BYTES + 8 + OPERATION_LEN];
    uint8_t *next = bytes + RPC_FRAME_HEADER_BYTES;
    next = rpc_wire_put_bytes_head(next, 2, 4 + OPERATION_LEN);
    next = rpc_wire_put_bytes_head(next, 1, OPERATION_LEN);
    for (int i = 0; i < N; i++) {
        *next++ = 4 << 3 | 2; /* outcomes */
        *next++ = 0;
    }
    size_t len = (size_t)(next - bytes);
    const struct rpc_frame frame = {.body_len = (uint32_t)(len - RPC_FRAME_HEADER_BYTES),
        .stream_id = 1,
        .type = RPC_FRAME_RESPONSE};
    rpc_frame_encode(&frame, bytes);
    fake_wire_say_bytes(1, 0, bytes, len);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(
        rpc_client_call(client, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_STOP_SERVICES], NULL,
            &request.base, &answer, &error),
        RPC_ERROR);
    assert_int_equal(error->code, RPC_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error->message, "too much memory"));
    assert_true(rpc_client_is_alive(client));
}

static void test_client_on_a_loop_or_of_a_stream_is_refused(void **state)
{
    (void)state;
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const ProtobufCMessage *answer = NULL;
    assert_int_equal(
        rpc_client_call(client, &TALK_LISTEN, NULL, &request.base, &answer, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
    forget_error();
    rpc_client_attach(client);
    assert_int_equal(ask(0, NULL), RPC_ERROR);
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
}

static void test_connecting_stops_at_its_timeout_although_interrupted(void **state)
{
    (void)state;
    wire.failing = FAKE_CONNECT;
    for (int n = 0; n < 3; n++) {
        wire.n_done[FAKE_CONNECT] = 0;
        wire.fails_after = n;
        wire.error_number = n == 2 ? EAGAIN : EMFILE;
        struct rpc_error *refused = NULL;
        assert_null(rpc_client_connect("/nowhere", 100, &refused));
        assert_int_equal(refused->code, n == 2 ? RPC_DEADLINE_EXCEEDED : RPC_RESOURCE_EXHAUSTED);
        assert_int_equal(refused->system_error, wire.error_number);
        rpc_error_free(refused);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_client_takes_answers_cut_at_every_byte),
        TEST(test_client_gives_up_at_its_deadline_and_tells_the_server),
        TEST(test_client_drops_the_late_answer_to_a_cancelled_call),
        TEST(test_client_without_a_timeout_waits_thirty_seconds),
        TEST(test_client_tells_a_deadline_earlier_by_an_eighth_and_a_margin_at_most),
        TEST(test_client_meets_its_deadline_while_it_writes),
        TEST(test_client_meets_its_deadline_in_the_middle_of_an_answer),
        TEST(test_client_ends_a_connection_with_half_a_frame_for_too_long),
        TEST(test_client_of_a_server_that_dies_ends_once),
        TEST(test_client_reads_what_the_server_said_before_writing_failed),
        TEST(test_client_refuses_metadata_that_no_server_takes),
        TEST(test_client_without_ids_says_that_a_new_connection_helps),
        TEST(test_client_of_a_server_that_never_reads_stays_bounded),
        TEST(test_client_reads_while_writing_is_blocked),
        TEST(test_client_bounds_what_decoding_takes),
        TEST(test_client_on_a_loop_or_of_a_stream_is_refused),
        TEST(test_connecting_stops_at_its_timeout_although_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
