#include "client/cli/transfer_rate.h"
#include "unit.h"

static void test_transfer_rate_says_nothing_before_a_second(void **state)
{
    struct transfer_rate rate = {.n = 0};
    (void)state;
    assert_int_equal(transfer_rate_per_s(&rate, 0), -1);
    transfer_rate_add(&rate, 1000, 0);
    transfer_rate_add(&rate, 1900, 900);
    assert_int_equal(transfer_rate_per_s(&rate, 1999), -1);
    assert_int_equal(transfer_rate_left_s(&rate, 1999, 5000), -1);
    transfer_rate_add(&rate, 2200, 1200);
    assert_int_equal(transfer_rate_per_s(&rate, 2200), 1000);
    assert_int_equal(transfer_rate_left_s(&rate, 2200, 5000), 4);
    assert_int_equal(transfer_rate_left_s(&rate, 2200, 1000), 0);
}

static void test_transfer_rate_of_a_resumed_file_counts_what_came(void **state)
{
    struct transfer_rate rate = {.n = 0};
    (void)state;
    transfer_rate_add(&rate, 0, 1000000);
    transfer_rate_add(&rate, 2000, 1000200);
    assert_int_equal(transfer_rate_per_s(&rate, 2000), 100);
}

static void test_transfer_rate_is_of_the_last_seconds(void **state)
{
    struct transfer_rate rate = {.n = 0};
    uint64_t bytes = 0;
    int64_t now_ms = 0;
    (void)state;
    for (; now_ms < 60000; now_ms += 100)
        transfer_rate_add(&rate, now_ms, bytes += 1000);
    assert_in_range(transfer_rate_per_s(&rate, now_ms), 9000, 10000);
    for (; now_ms < 80000; now_ms += 100)
        transfer_rate_add(&rate, now_ms, bytes += 10);
    assert_in_range(transfer_rate_per_s(&rate, now_ms), 80, 100);
}

static void test_transfer_rate_sinks_while_nothing_comes(void **state)
{
    struct transfer_rate rate = {.n = 0};
    (void)state;
    transfer_rate_add(&rate, 0, 0);
    transfer_rate_add(&rate, 1000, 100000);
    assert_int_equal(transfer_rate_per_s(&rate, 1000), 100000);
    assert_int_equal(transfer_rate_per_s(&rate, 10000), 10000);
    transfer_rate_add(&rate, 200000000, 100000);
    assert_int_equal(transfer_rate_per_s(&rate, 200000000), 0);
    assert_int_equal(transfer_rate_left_s(&rate, 200000000, 1 << 30), -1);
}

static void test_transfer_rate_begins_anew_with_another_file(void **state)
{
    struct transfer_rate rate = {.n = 0};
    (void)state;
    transfer_rate_add(&rate, 0, 0);
    transfer_rate_add(&rate, 5000, 500000);
    transfer_rate_add(&rate, 5010, 10);
    assert_int_equal(transfer_rate_per_s(&rate, 5500), -1);
    transfer_rate_add(&rate, 6010, 60);
    assert_int_equal(transfer_rate_per_s(&rate, 6010), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfer_rate_says_nothing_before_a_second),
        cmocka_unit_test(test_transfer_rate_of_a_resumed_file_counts_what_came),
        cmocka_unit_test(test_transfer_rate_is_of_the_last_seconds),
        cmocka_unit_test(test_transfer_rate_sinks_while_nothing_comes),
        cmocka_unit_test(test_transfer_rate_begins_anew_with_another_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
