#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "common/base/attributes.h"
#include "server/transport/gate.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
static const struct token token = {.digits = DIGITS};

struct authorization_row {
    const char *authorization;
    enum gate_verdict verdict;
};

static void test_gate_opens_for_the_token_as_a_bearer(void **state)
{
    static const struct authorization_row rows[] = {
        {"Bearer " DIGITS, GATE_OPEN},
        {"bearer " DIGITS, GATE_OPEN},
        {"BEARER   " DIGITS, GATE_OPEN},
        {NULL, GATE_NO_TOKEN},
        {"", GATE_NO_TOKEN},
        {DIGITS, GATE_NO_TOKEN},
        {"Basic " DIGITS, GATE_NO_TOKEN},
        {"Bearer", GATE_NO_TOKEN},
        {"Bearer" DIGITS, GATE_NO_TOKEN},
        {"Bearer ", GATE_WRONG_TOKEN},
        {"Bearer \t" DIGITS, GATE_WRONG_TOKEN},
        {"Bearer " DIGITS " ", GATE_WRONG_TOKEN},
        {"Bearer " DIGITS DIGITS, GATE_WRONG_TOKEN},
        {"Bearer 0", GATE_WRONG_TOKEN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct gate_claim over_ttrpc = {
            .authority = "", .authorization = rows[i].authorization};
        const struct gate_claim over_http2 = {
            .is_http2 = true, .authority = "localhost", .authorization = rows[i].authorization};

        assert_int_equal(gate_judge(&token, &over_ttrpc), rows[i].verdict);
        assert_int_equal(gate_judge(&token, &over_http2), rows[i].verdict);
    }
}

static void test_ttrpc_connection_enters_once_and_http2_with_each_call(void **state)
{
    struct gate_claim claim = {.has_entered = true, .authority = ""};

    (void)state;
    assert_int_equal(gate_judge(&token, &claim), GATE_OPEN);
    claim.authorization = "Bearer 0";
    assert_int_equal(gate_judge(&token, &claim), GATE_OPEN);
    claim.is_http2 = true;
    claim.authority = "localhost";
    assert_int_equal(gate_judge(&token, &claim), GATE_WRONG_TOKEN);
}

static void test_foreign_authority_is_refused_with_and_without_the_token(void **state)
{
    struct gate_claim claim = {
        .is_http2 = true, .authority = "evil.example:48765", .authorization = "Bearer " DIGITS};

    (void)state;
    assert_int_equal(gate_judge(&token, &claim), GATE_FOREIGN);
    claim.authorization = NULL;
    assert_int_equal(gate_judge(&token, &claim), GATE_FOREIGN);
    claim.authority = "";
    assert_int_equal(gate_judge(&token, &claim), GATE_FOREIGN);
}

static void test_loopback_is_three_names_with_any_port(void **state)
{
    static const char *const ours[] = {"127.0.0.1", "127.0.0.1:1", "127.0.0.1:48765", "[::1]",
        "[::1]:48765", "localhost", "LocalHost:80", "localhost:65535"};
    static const char *const foreign[] = {"", ":80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:1x",
        "127.0.0.1:123456", "127.0.0.10", "127.0.0.1.evil.example", "127.0.0.1:80.evil.example",
        "localhost.evil.example", "localhost.", "localhost@evil.example", "evil@localhost",
        "localhost:80@evil.example", "::1", "[::1", "[::1]x", "[::2]", "10.0.0.1", "0.0.0.0",
        "127.1", "2130706433", " localhost", "localhost ", "/run/flocksd.sock",
        "%2Frun%2Fflocksd.sock"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
        if (!gate_is_loopback(ours[i]))
            fail_msg("'%s' is this machine", ours[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(foreign); i++) {
        if (gate_is_loopback(foreign[i]))
            fail_msg("'%s' is not this machine", foreign[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_opens_for_the_token_as_a_bearer),
        cmocka_unit_test(test_ttrpc_connection_enters_once_and_http2_with_each_call),
        cmocka_unit_test(test_foreign_authority_is_refused_with_and_without_the_token),
        cmocka_unit_test(test_loopback_is_three_names_with_any_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
