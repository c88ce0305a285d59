/* Hosts as people write them, and the numeric addresses they stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/endpoint.h"

static void expect_text(const char *host, size_t count, const char *first)
{
    struct endpoint endpoint;
    char text[ENDPOINT_TEXT_MAX];
    assert_int_equal(endpoint_resolve(host, 8000, &endpoint, NULL), 0);
    assert_int_equal(endpoint.count, count);
    endpoint_address_text(&endpoint.addresses[0], text);
    assert_string_equal(text, first);
}

static void test_endpoint_numeric_is_kept(void **state)
{
    (void)state;
    expect_text("127.0.0.1", 1, "127.0.0.1:8000");
    expect_text("192.168.7.9", 1, "192.168.7.9:8000");
    expect_text("fe80::1", 1, "[fe80::1]:8000");
    expect_text("[::1]", 1, "[::1]:8000");
}

static void test_endpoint_wildcard_becomes_loopback(void **state)
{
    (void)state;
    expect_text("0.0.0.0", 1, "127.0.0.1:8000");
    expect_text("*", 1, "127.0.0.1:8000");
    expect_text("", 1, "127.0.0.1:8000");
    expect_text("::", 1, "[::1]:8000");
    expect_text("[::]", 1, "[::1]:8000");
}

static void test_endpoint_localhost_has_both_families(void **state)
{
    (void)state;
    struct endpoint endpoint;
    char text[ENDPOINT_TEXT_MAX];
    expect_text("localhost", 2, "127.0.0.1:8000");
    assert_int_equal(endpoint_resolve("localhost", 1, &endpoint, NULL), 0);
    endpoint_address_text(&endpoint.addresses[1], text);
    assert_string_equal(text, "[::1]:1");
}

static void test_endpoint_name_or_port_zero_refused(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct error error = ERROR_INIT;
    assert_int_equal(
        endpoint_resolve("example.org", 80, &endpoint, &error), -STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.text, "host \"example.org\" is not an address");
    assert_int_equal(endpoint_resolve("127.0.0.1", 0, &endpoint, NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(endpoint_resolve("[", 80, &endpoint, NULL), -STATUS_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_numeric_is_kept),
        cmocka_unit_test(test_endpoint_wildcard_becomes_loopback),
        cmocka_unit_test(test_endpoint_localhost_has_both_families),
        cmocka_unit_test(test_endpoint_name_or_port_zero_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
