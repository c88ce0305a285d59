/* Who has to go when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "common/rpc/population.h"

enum { PID_A = 100, PID_B = 200 };

static void join_all(
    struct population *population, int32_t pid, struct population_member *members, size_t n_members)
{
    for (size_t i = 0; i < n_members; i++)
        assert_int_equal(population_join(population, pid, &members[i]), 0);
}

static void leave_all(
    struct population *population, struct population_member *members, size_t n_members)
{
    for (size_t i = 0; i < n_members; i++)
        population_leave(population, &members[i]);
}

static void test_victim_is_least_recently_active_of_the_largest(void **state)
{
    struct population population;
    struct population_member a[3];
    struct population_member b[2];

    (void)state;
    population_init(&population);
    join_all(&population, PID_B, b, 2);
    join_all(&population, PID_A, a, 3);
    population_touch(&a[0]);
    assert_ptr_equal(population_victim(&population, PID_B), &a[1]);
    leave_all(&population, a, 3);
    leave_all(&population, b, 2);
    population_deinit(&population);
}

static void test_victim_with_a_call_is_spared_while_others_idle(void **state)
{
    struct population population;
    struct population_member a[3];
    struct population_member b[1];

    (void)state;
    population_init(&population);
    join_all(&population, PID_A, a, 3);
    join_all(&population, PID_B, b, 1);
    for (size_t i = 0; i < 3; i++)
        a[i].is_busy = true;
    assert_ptr_equal(population_victim(&population, PID_A), &b[0]);
    assert_null(population_victim_of(&population, PID_A));
    leave_all(&population, a, 3);
    leave_all(&population, b, 1);
    population_deinit(&population);
}

static void test_victim_when_all_are_busy_is_of_a_larger_process_only(void **state)
{
    struct population population;
    struct population_member a[3];
    struct population_member b[2];

    (void)state;
    population_init(&population);
    join_all(&population, PID_A, a, 3);
    join_all(&population, PID_B, b, 2);
    for (size_t i = 0; i < 3; i++)
        a[i].is_busy = true;
    b[0].is_busy = true;
    b[1].is_busy = true;
    assert_ptr_equal(population_victim(&population, 300), &a[0]);
    assert_null(population_victim(&population, PID_A));
    assert_null(population_victim(&population, PID_B));
    leave_all(&population, a, 3);
    leave_all(&population, b, 2);
    population_deinit(&population);
}

static void test_leave_is_idempotent_and_counts(void **state)
{
    struct population population;
    struct population_member a[2];

    (void)state;
    population_init(&population);
    join_all(&population, PID_A, a, 2);
    assert_int_equal(population_count_of(&population, PID_A), 2);
    assert_int_equal(population_count_of(&population, PID_B), 0);
    population_leave(&population, &a[0]);
    population_leave(&population, &a[0]);
    assert_int_equal(population_count(&population), 1);
    population_leave(&population, &a[1]);
    assert_null(population_victim(&population, PID_A));
    population_deinit(&population);
}

static void test_heaviest_holds_most_of_the_process_that_holds_most(void **state)
{
    struct population population;
    struct population_member a[3];
    struct population_member b[1];

    (void)state;
    population_init(&population);
    assert_null(population_heaviest(&population));
    join_all(&population, PID_A, a, 3);
    join_all(&population, PID_B, b, 1);
    population_hold(&population, &a[0], 30);
    population_hold(&population, &a[1], 40);
    population_hold(&population, &a[2], 20);
    population_hold(&population, &b[0], 60);
    assert_int_equal(population_held(&population), 150);
    assert_ptr_equal(population_heaviest(&population), &a[1]);
    population_hold(&population, &a[1], 0);
    assert_ptr_equal(population_heaviest(&population), &b[0]);
    leave_all(&population, a, 3);
    leave_all(&population, b, 1);
    population_deinit(&population);
}

static void test_leave_and_rejoin_hold_nothing(void **state)
{
    struct population population;
    struct population_member a[1];

    (void)state;
    population_init(&population);
    join_all(&population, PID_A, a, 1);
    population_hold(&population, &a[0], 10);
    population_leave(&population, &a[0]);
    assert_int_equal(population_held(&population), 0);
    population_hold(&population, &a[0], 10);
    assert_int_equal(population_held(&population), 0);
    join_all(&population, PID_A, a, 1);
    population_hold(&population, &a[0], 5);
    assert_int_equal(population_held(&population), 5);
    leave_all(&population, a, 1);
    population_deinit(&population);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_victim_is_least_recently_active_of_the_largest),
        cmocka_unit_test(test_victim_with_a_call_is_spared_while_others_idle),
        cmocka_unit_test(test_victim_when_all_are_busy_is_of_a_larger_process_only),
        cmocka_unit_test(test_leave_is_idempotent_and_counts),
        cmocka_unit_test(test_heaviest_holds_most_of_the_process_that_holds_most),
        cmocka_unit_test(test_leave_and_rejoin_hold_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
