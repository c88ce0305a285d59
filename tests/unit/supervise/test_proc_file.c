/* The texts of /proc that processes are recognised by, honest and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/proc_file.h"

static void test_stat_name_with_parentheses_is_skipped(void **state)
{
    (void)state;
    struct proc_stat stat;
    assert_true(proc_stat_parse(
        "17 (a) S 9 9 9 (x) R 1 40 39 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 8192 10", &stat));
    assert_int_equal(stat.parent, 1);
    assert_int_equal(stat.group, 40);
    assert_int_equal(stat.session, 39);
    assert_int_equal(stat.start_ticks, 777);
    assert_false(stat.is_dead);
    assert_string_equal(stat.comm, "a) S 9 9 9 (x");
}

static void test_stat_zombie_with_threads_lives(void **state)
{
    (void)state;
    struct proc_stat stat;
    assert_true(proc_stat_parse("17 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 5 0 0", &stat));
    assert_false(stat.is_dead);
    assert_true(proc_stat_parse("17 (x) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0", &stat));
    assert_true(stat.is_dead);
}

static void test_stat_cut_short_is_refused(void **state)
{
    (void)state;
    struct proc_stat stat;
    assert_false(proc_stat_parse("", &stat));
    assert_false(proc_stat_parse("17 (x", &stat));
    assert_false(proc_stat_parse("17 x) S 1", &stat));
    assert_false(proc_stat_parse("17 (x) ", &stat));
    assert_false(proc_stat_parse("17 (x) S 1 1 1 0 -1", &stat));
    assert_false(proc_stat_parse(") (", &stat));
}

static void test_rttime_numbers_and_unlimited(void **state)
{
    (void)state;
    uint64_t soft = 0;
    uint64_t hard = 0;
    assert_true(proc_rttime_parse(
        "Limit x\nMax realtime timeout      1152921504606846977 unlimited            us\n", &soft,
        &hard));
    assert_true(soft == UINT64_C(1152921504606846977));
    assert_true(hard == UINT64_MAX);
    assert_false(proc_rttime_parse("Max realtime timeout", &soft, &hard));
    assert_false(proc_rttime_parse("Max cpu time 1 2", &soft, &hard));
}

static void test_socket_link(void **state)
{
    (void)state;
    uint64_t inode = 0;
    assert_true(proc_socket_parse("socket:[4242]", &inode));
    assert_int_equal(inode, 4242);
    assert_false(proc_socket_parse("socket:[]", &inode));
    assert_false(proc_socket_parse("socket:[1", &inode));
    assert_false(proc_socket_parse("pipe:[1]", &inode));
}

static void test_walk_finds_this_process_once(void **state)
{
    (void)state;
    struct proc_walk walk;
    assert_int_equal(proc_walk_open(&walk, "/proc"), 0);
    int pid = 0;
    int found = 0;
    while (proc_walk_next(&walk, &pid))
        found += pid == getpid();
    proc_walk_close(&walk);
    assert_int_equal(found, 1);
    assert_int_equal(proc_walk_open(&walk, "/proc/0/fd"), PROC_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat_name_with_parentheses_is_skipped),
        cmocka_unit_test(test_stat_zombie_with_threads_lives),
        cmocka_unit_test(test_stat_cut_short_is_refused),
        cmocka_unit_test(test_rttime_numbers_and_unlimited),
        cmocka_unit_test(test_socket_link),
        cmocka_unit_test(test_walk_finds_this_process_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
