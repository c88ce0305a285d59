/* Metadata of a call: what handlers see of it, and what is refused. */
#include "crpc/limits.h"
#include "scripted_streams.h"
#include "unit.h"
#include "wire_pair.h"

static struct wire_pair pair;
static struct scripted_streams streams;

static int set_up(void **state)
{
    (void)state;
    memset(&streams, 0, sizeof streams);
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

#define PAIR(key_text, value_text)                                                                 \
    {                                                                                              \
        .key = {(const uint8_t *)(key_text), sizeof(key_text) - 1}, .value = {                     \
            (const uint8_t *)(value_text),                                                         \
            sizeof(value_text) - 1                                                                 \
        }                                                                                          \
    }

static struct wire_end call_with(const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    static struct wire_end end;
    memset(&end, 0, sizeof end);
    struct rpc_payload nothing = {.len = 0};
    struct rpc_session_call *call =
        rpc_session_open(pair.client, &scripted_methods[SCRIPTED_ASK], 0, pairs, n_pairs, &nothing);
    assert_non_null(call);
    rpc_session_call_set_owner(call, &end);
    wire_pair_move(&pair);
    return end;
}

static void test_handlers_see_every_pair_but_the_engines_own(void **state)
{
    (void)state;
    const struct rpc_envelope_pair pairs[] = {
        PAIR("Who", "me"), PAIR("who", "you"), PAIR("empty", ""), PAIR("raw-Bin", "\0\xFF")};
    (void)call_with(pairs, 4);
    assert_int_equal(streams.n_calls, 1);
    struct rpc_call *call = streams.calls[0].call;
    size_t n = 0;
    const struct rpc_metadata *seen = rpc_call_metadata(call, &n);
    assert_int_equal(n, 4);
    assert_string_equal(seen[0].key, "who");
    assert_string_equal(seen[1].value, "you");
    assert_string_equal(seen[3].key, "raw-bin");
    assert_int_equal(seen[3].value_len, 2);
    assert_memory_equal(seen[3].value, "\0\xFF", 3);
    assert_string_equal(rpc_call_metadata_value(call, "who"), "me");
    assert_string_equal(rpc_call_metadata_value(call, "empty"), "");
    assert_null(rpc_call_metadata_value(call, "Who"));
    assert_null(rpc_call_metadata_value(call, "crpc-ext"));
    scripted_answer(&streams.calls[0], "");
}

static void test_call_without_metadata_has_none(void **state)
{
    (void)state;
    (void)call_with(NULL, 0);
    size_t n = 1;
    assert_null(rpc_call_metadata(streams.calls[0].call, &n));
    assert_int_equal(n, 0);
    assert_null(rpc_call_metadata_value(streams.calls[0].call, "who"));
    scripted_answer(&streams.calls[0], "");
}

static void test_metadata_counts_as_held_until_the_call_ends(void **state)
{
    (void)state;
    static char value[5000];
    memset(value, 'v', sizeof value);
    const struct rpc_envelope_pair large = {.key = RPC_BYTES_OF_TEXT("k"),
        .value = {.data = (const uint8_t *)value, .len = sizeof value}};
    /* What the session keeps for itself is there before and after. */
    (void)call_with(NULL, 0);
    size_t before = rpc_connection_held_bytes(pair.connection);
    (void)call_with(&large, 1);
    assert_true(rpc_connection_held_bytes(pair.connection) >= before + sizeof value);
    scripted_answer(&streams.calls[1], "");
    wire_pair_move(&pair);
    assert_true(rpc_connection_held_bytes(pair.connection) < before + sizeof value);
    scripted_answer(&streams.calls[0], "");
}

static void test_metadata_that_is_not_text_is_refused(void **state)
{
    (void)state;
    const struct rpc_envelope_pair bad[] = {PAIR("k", "a\0b"), PAIR("k", "\xFF"), PAIR("k\0", "v"),
        PAIR("\xC0\x80", "v"), PAIR("\xFF-bin", "v")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wire_end end = call_with(&bad[i], 1);
        assert_int_equal(end.code, RPC_INVALID_ARGUMENT);
        assert_int_equal(end.reason, 1 + RPC_REFUSAL_BAD_TEXT);
    }
    assert_int_equal(streams.n_calls, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_handlers_see_every_pair_but_the_engines_own),
        TEST(test_call_without_metadata_has_none),
        TEST(test_metadata_counts_as_held_until_the_call_ends),
        TEST(test_metadata_that_is_not_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
