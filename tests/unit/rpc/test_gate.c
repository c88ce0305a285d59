/* The gate of a connection, its graceful end, and what handlers add to an answer; here over ttrpc,
 * which cannot say most of it. */
#include <stdio.h>

#include "crpc/limits.h"
#include "scripted_streams.h"
#include "unit.h"
#include "wire_pair.h"

static struct wire_pair pair;
static struct scripted_streams streams;

static struct {
    int n_asked;
    bool is_open;
    bool knows_method;
    char authority[64];
    char token[64];
} gate;

static int set_up(void **state)
{
    (void)state;
    memset(&streams, 0, sizeof streams);
    memset(&gate, 0, sizeof gate);
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

static bool enter(void *data, struct rpc_call *call, const char *authority)
{
    assert_ptr_equal(data, &gate);
    const char *token = rpc_call_metadata_value(call, "token");
    gate.n_asked++;
    gate.knows_method = rpc_call_method(call) != NULL;
    (void)snprintf(gate.authority, sizeof gate.authority, "%s", authority);
    (void)snprintf(gate.token, sizeof gate.token, "%s", token == NULL ? "(none)" : token);
    if (!gate.is_open)
        rpc_call_fail(call, RPC_UNAUTHENTICATED, NULL, "no entry");
    return gate.is_open;
}

#define PAIR(key_text, value_text)                                                                 \
    {                                                                                              \
        .key = {(const uint8_t *)(key_text), sizeof(key_text) - 1}, .value = {                     \
            (const uint8_t *)(value_text),                                                         \
            sizeof(value_text) - 1                                                                 \
        }                                                                                          \
    }

static struct wire_end call_with(
    const struct rpc_method *method, const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    static struct wire_end ends[4];
    static size_t n_ends;
    /* Several may be under way. */
    struct wire_end *end = &ends[n_ends++ % 4];
    memset(end, 0, sizeof *end);
    struct rpc_payload nothing = {.len = 0};
    struct rpc_session_call *call =
        rpc_session_open(pair.client, method, 0, pairs, n_pairs, &nothing);
    assert_non_null(call);
    rpc_session_call_set_owner(call, end);
    wire_pair_move(&pair);
    return *end;
}

static void test_gate_sees_metadata_and_refuses_before_the_handler(void **state)
{
    (void)state;
    const struct rpc_envelope_pair pairs[] = {PAIR("token", "abc")};
    rpc_connection_set_gate(pair.connection, enter, &gate);
    struct wire_end end = call_with(&scripted_methods[SCRIPTED_ASK], pairs, 1);
    assert_int_equal(end.code, RPC_UNAUTHENTICATED);
    assert_string_equal(end.text, "no entry");
    assert_string_equal(gate.token, "abc");
    assert_string_equal(gate.authority, "");
    assert_true(gate.knows_method);
    assert_int_equal(streams.n_calls, 0);
    assert_int_equal(rpc_server_n_calls(pair.server), 0);
}

static void test_gate_is_asked_before_a_method_is_called_unknown(void **state)
{
    static const struct rpc_method unknown = {.service = "no.Service", .name = "No"};
    (void)state;
    rpc_connection_set_gate(pair.connection, enter, &gate);
    assert_int_equal(call_with(&unknown, NULL, 0).code, RPC_UNAUTHENTICATED);
    assert_false(gate.knows_method);
    gate.is_open = true;
    assert_int_equal(call_with(&unknown, NULL, 0).code, RPC_UNIMPLEMENTED);
    assert_int_equal(gate.n_asked, 2);
}

static void test_gate_is_asked_before_bad_metadata_is_refused(void **state)
{
    (void)state;
    const struct rpc_envelope_pair pairs[] = {PAIR("token", "\xFF")};
    rpc_connection_set_gate(pair.connection, enter, &gate);
    assert_int_equal(
        call_with(&scripted_methods[SCRIPTED_ASK], pairs, 1).code, RPC_UNAUTHENTICATED);
    assert_string_equal(gate.token, "(none)");
    gate.is_open = true;
    assert_int_equal(
        call_with(&scripted_methods[SCRIPTED_ASK], pairs, 1).code, RPC_INVALID_ARGUMENT);
}

static void test_open_gate_lets_the_handler_run(void **state)
{
    (void)state;
    gate.is_open = true;
    rpc_connection_set_gate(pair.connection, enter, &gate);
    (void)call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0);
    assert_int_equal(streams.n_calls, 1);
}

static void test_shut_connection_without_calls_wants_to_close(void **state)
{
    (void)state;
    rpc_connection_shut(pair.connection, 0);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
    assert_string_equal(rpc_connection_close_reason(pair.connection), "the connection was shut");
}

static void test_shut_connection_refuses_new_calls_and_waits_for_the_old(void **state)
{
    (void)state;
    (void)call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0);
    rpc_connection_shut(pair.connection, 0);
    rpc_connection_shut(pair.connection, 0);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    assert_int_equal(call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0).code, RPC_UNAVAILABLE);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ);
    rpc_call_fail(streams.calls[0].call, RPC_ABORTED, NULL, "enough");
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_READ | RPC_WANTS_WRITE);
    wire_pair_move(&pair);
    assert_int_equal(rpc_connection_wants(pair.connection), RPC_WANTS_CLOSE);
}

static enum rpc_code add(struct rpc_call *call, const char *key, const char *value)
{
    enum rpc_code code = rpc_call_add_header(call, key, value, strlen(value));
    assert_int_equal(rpc_call_add_trailer(call, key, value, strlen(value)), code);
    return code;
}

static void test_headers_and_trailers_are_checked(void **state)
{
    (void)state;
    (void)call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0);
    struct rpc_call *call = streams.calls[0].call;
    static const char *const bad_keys[] = {
        "", "Key", "a b", ":path", "k\xC3\xA4", "grpc-status", "te", "content-type", "connection"};
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++)
        assert_int_equal(add(call, bad_keys[i], "value"), RPC_INVALID_ARGUMENT);
    static const char *const bad_values[] = {"\n", "a\x7F", "\xC3\xA4", " a", "a "};
    for (size_t i = 0; i < sizeof bad_values / sizeof bad_values[0]; i++)
        assert_int_equal(add(call, "key", bad_values[i]), RPC_INVALID_ARGUMENT);
    assert_int_equal(add(call, "key", ""), RPC_OK);
    assert_int_equal(add(call, "key", "a b~"), RPC_OK);
    assert_int_equal(add(call, "x_y-z.1-bin", "\xFF\n"), RPC_OK);
    rpc_call_fail(call, RPC_ABORTED, NULL, "enough");
}

static void test_headers_and_trailers_are_bounded(void **state)
{
    static const char long_value[RPC_METADATA_BYTES_MAX];
    (void)state;
    (void)call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0);
    struct rpc_call *call = streams.calls[0].call;
    size_t most = sizeof long_value - strlen("k-bin");
    assert_int_equal(
        rpc_call_add_header(call, "k-bin", long_value, most + 1), RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(rpc_call_add_header(call, "k-bin", long_value, most), RPC_OK);
    assert_int_equal(rpc_call_add_header(call, "k", "", 0), RPC_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < RPC_METADATA_PAIRS_MAX; i++)
        assert_int_equal(rpc_call_add_trailer(call, "k", "v", 1), RPC_OK);
    assert_int_equal(rpc_call_add_trailer(call, "k", "v", 1), RPC_RESOURCE_EXHAUSTED);
    rpc_call_fail(call, RPC_ABORTED, NULL, "enough");
}

static void test_headers_that_have_gone_cannot_be_added_to(void **state)
{
    (void)state;
    (void)call_with(&scripted_methods[SCRIPTED_ASK], NULL, 0);
    struct rpc_call *call = streams.calls[0].call;
    assert_int_equal(rpc_call_add_header(call, "k", "v", 1), RPC_OK);
    rpc_call_send_headers(call);
    rpc_call_send_headers(call);
    assert_int_equal(rpc_call_add_header(call, "k", "v", 1), RPC_FAILED_PRECONDITION);
    assert_int_equal(rpc_call_add_trailer(call, "k", "v", 1), RPC_OK);
    rpc_call_fail(call, RPC_ABORTED, NULL, "enough");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gate_sees_metadata_and_refuses_before_the_handler),
        TEST(test_gate_is_asked_before_a_method_is_called_unknown),
        TEST(test_gate_is_asked_before_bad_metadata_is_refused),
        TEST(test_open_gate_lets_the_handler_run),
        TEST(test_shut_connection_without_calls_wants_to_close),
        TEST(test_shut_connection_refuses_new_calls_and_waits_for_the_old),
        TEST(test_headers_and_trailers_are_checked),
        TEST(test_headers_and_trailers_are_bounded),
        TEST(test_headers_that_have_gone_cannot_be_added_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
