#include "check.h"
#include "common/config/address.h"

static void test_address_literals_and_localhost_are_valid(void **state)
{
    (void)state;
    assert_true(address_is_valid("127.0.0.1"));
    assert_true(address_is_valid("::"));
    assert_true(address_is_valid("fe80::1"));
    assert_true(address_is_valid("localhost"));
    assert_false(address_is_valid("example.org"));
    assert_false(address_is_valid("127.1"));
    assert_false(address_is_valid("[::1]"));
    assert_false(address_is_valid(""));
}

static void test_address_wildcards_overlap(void **state)
{
    (void)state;
    assert_true(address_overlaps("127.0.0.1", "127.0.0.1"));
    assert_true(address_overlaps("127.0.0.1", "localhost"));
    assert_true(address_overlaps("0.0.0.0", "127.0.0.1"));
    assert_true(address_overlaps("10.0.0.1", "0.0.0.0"));
    assert_true(address_overlaps("::", "127.0.0.1"));
    assert_true(address_overlaps("::1", "0:0::1"));
    assert_false(address_overlaps("127.0.0.1", "127.0.0.2"));
    assert_false(address_overlaps("0.0.0.0", "::1"));
    assert_false(address_overlaps("127.0.0.1", "::1"));
}

static void test_address_urls_are_for_clients_of_this_machine(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_string_equal(address_url("0.0.0.0", 80, &arena), "http://127.0.0.1:80");
    assert_string_equal(address_url("localhost", 80, &arena), "http://127.0.0.1:80");
    assert_string_equal(address_url("::", 80, &arena), "http://[::1]:80");
    assert_string_equal(address_url("10.1.2.3", 80, &arena), "http://10.1.2.3:80");
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_literals_and_localhost_are_valid),
        cmocka_unit_test(test_address_wildcards_overlap),
        cmocka_unit_test(test_address_urls_are_for_clients_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
