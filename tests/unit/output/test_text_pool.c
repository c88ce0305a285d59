/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "server/output/text_pool.h"

static struct text_pool pool;

static int set_up(void **state)
{
    (void)state;
    memset(&pool, 0, sizeof pool);
    return 0;
}

static void test_text_pool_unset_is_empty(void **state)
{
    (void)state;
    assert_string_equal(text_pool_get(&pool, 0), "");
    text_pool_remove(&pool, 0);
}

static void test_text_pool_replaced_many_times_keeps_the_others(void **state)
{
    (void)state;
    for (size_t id = 0; id < 100; id++) {
        char text[32];
        (void)snprintf(text, sizeof text, "text %zu", id);
        assert_true(text_pool_set(&pool, id, text));
    }
    for (int i = 0; i < 100000; i++)
        assert_true(text_pool_set(&pool, 50, i % 2 == 0 ? "short" : "quite a bit longer"));
    assert_string_equal(text_pool_get(&pool, 50), "quite a bit longer");
    assert_string_equal(text_pool_get(&pool, 49), "text 49");
    assert_string_equal(text_pool_get(&pool, 99), "text 99");
}

static void test_text_pool_full_refuses_and_keeps_the_old_text(void **state)
{
    (void)state;
    static char half[TEXT_POOL_BYTES / 2 - 16];
    memset(half, 'x', sizeof half - 1);
    assert_true(text_pool_set(&pool, 1, half));
    assert_true(text_pool_set(&pool, 2, half));
    assert_false(text_pool_set(&pool, 3, half));
    assert_int_equal(strlen(text_pool_get(&pool, 1)), sizeof half - 1);
    assert_string_equal(text_pool_get(&pool, 3), "");
    assert_true(text_pool_set(&pool, 2, half));
    text_pool_remove(&pool, 1);
    assert_true(text_pool_set(&pool, 3, half));
    assert_int_equal(strlen(text_pool_get(&pool, 2)), sizeof half - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_text_pool_unset_is_empty, set_up),
        cmocka_unit_test_setup(test_text_pool_replaced_many_times_keeps_the_others, set_up),
        cmocka_unit_test_setup(test_text_pool_full_refuses_and_keeps_the_old_text, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
