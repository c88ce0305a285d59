/* The last results of each role, and nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/probe_history.h"

static int set_up(void **state)
{
    static struct probe_history history;

    *state = &history;
    return 0;
}

static int tear_down(void **state)
{
    probe_history_clear(*state);
    return 0;
}

static void test_history_is_empty_at_first(void **state)
{
    size_t n = 7;

    (void)probe_history_of(*state, PROBE_ROLE_ALIVE, &n);
    assert_int_equal(n, 0);
    (void)probe_history_of(NULL, PROBE_ROLE_ALIVE, &n);
    assert_int_equal(n, 0);
}

static void test_history_tells_the_newest_first(void **state)
{
    const struct probe_record *records;
    size_t n;

    probe_history_add(*state, PROBE_ROLE_READY, 1000, 3, false, "connect: refused");
    probe_history_add(*state, PROBE_ROLE_READY, 2000, 4, true, "answered 200");
    records = probe_history_of(*state, PROBE_ROLE_READY, &n);
    assert_int_equal(n, 2);
    assert_true(records[0].passed);
    assert_int_equal(records[0].at_wall_ns, 2000);
    assert_int_equal(records[0].took_ms, 4);
    assert_string_equal(records[0].message, "answered 200");
    assert_false(records[1].passed);
    assert_string_equal(records[1].message, "connect: refused");
}

static void test_history_keeps_roles_apart(void **state)
{
    size_t n;

    for (int i = 0; i < 3 * PROBE_HISTORY_MAX; i++)
        probe_history_add(*state, PROBE_ROLE_ALIVE, i, 1, true, "answered 200");
    probe_history_add(*state, PROBE_ROLE_STARTUP, 5, 1, false, "no connection within 10 ms");
    (void)probe_history_of(*state, PROBE_ROLE_STARTUP, &n);
    assert_int_equal(n, 1);
    (void)probe_history_of(*state, PROBE_ROLE_READY, &n);
    assert_int_equal(n, 0);
}

static void test_history_forgets_the_oldest(void **state)
{
    const struct probe_record *records;
    size_t n;

    for (int i = 0; i < PROBE_HISTORY_MAX + 5; i++)
        probe_history_add(*state, PROBE_ROLE_ALIVE, i, 1, true, "answered 200");
    records = probe_history_of(*state, PROBE_ROLE_ALIVE, &n);
    assert_int_equal(n, PROBE_HISTORY_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(records[i].at_wall_ns, PROBE_HISTORY_MAX + 4 - (int64_t)i);
}

static void test_history_cuts_a_long_message_between_characters(void **state)
{
    const struct probe_record *records;
    char message[400] = "x";
    size_t n;

    for (size_t i = 1; i + 2 < sizeof message; i += 2)
        memcpy(message + i, "\xc3\xa9", 2);
    probe_history_add(*state, PROBE_ROLE_ALIVE, 1, 1, false, message);
    records = probe_history_of(*state, PROBE_ROLE_ALIVE, &n);
    assert_int_equal(strlen(records[0].message), PROBE_HISTORY_MESSAGE_SIZE - 2);
    assert_memory_equal(records[0].message, message, strlen(records[0].message));
}

static void test_history_bounds_a_strange_duration(void **state)
{
    const struct probe_record *records;
    size_t n;

    probe_history_add(*state, PROBE_ROLE_ALIVE, 1, -5, false, "");
    probe_history_add(*state, PROBE_ROLE_ALIVE, 1, INT64_MAX, false, "");
    records = probe_history_of(*state, PROBE_ROLE_ALIVE, &n);
    assert_int_equal(records[1].took_ms, 0);
    assert_true(records[0].took_ms == UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_history_is_empty_at_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_tells_the_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_keeps_roles_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_forgets_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_history_cuts_a_long_message_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_history_bounds_a_strange_duration, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
