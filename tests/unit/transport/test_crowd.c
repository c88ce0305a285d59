#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "crpc/limits.h"
#include "server/transport/crowd.h"
#include "server/transport/limits.h"

enum { MOST = 1024, PID = 17 };

struct people {
    struct population population;
    struct population_member members[2 * MOST];
    size_t n;
};

static struct people people;

static void open_people(void)
{
    people.n = 0;
    population_init(&people.population);
}

static void close_people(void)
{
    for (size_t i = 0; i < people.n; i++)
        population_leave(&people.population, &people.members[i]);
    population_deinit(&people.population);
}

static struct population_member *add(int32_t pid, size_t n)
{
    struct population_member *first = &people.members[people.n];

    for (size_t i = 0; i < n; i++) {
        struct population_member *member = &people.members[people.n++];

        assert_int_equal(population_join(&people.population, pid, member), 0);
    }
    return first;
}

static struct population_member *victim_for(int32_t pid, size_t most)
{
    struct population_member *victim = NULL;

    assert_true(crowd_admits(&people.population, pid, most, &victim));
    return victim;
}

static void test_a_process_and_each_crowd_have_a_bound(void **state)
{
    static const struct {
        int32_t pid;
        size_t bound;
    } rows[] = {{PID, TRANSPORT_CONNECTIONS_PER_PID}, {CROWD_TCP, TRANSPORT_TCP_CONNECTIONS_MAX},
        {CROWD_STRANGERS, TRANSPORT_STRANGERS_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct population_member *oldest;

        open_people();
        (void)add(PID + 1, 1);
        oldest = add(rows[i].pid, rows[i].bound - 1);
        assert_null(victim_for(rows[i].pid, MOST));
        (void)add(rows[i].pid, 1);
        assert_ptr_equal(victim_for(rows[i].pid, MOST), oldest);
        close_people();
    }
}

static void test_nobody_at_the_socket_goes_for_tcp(void **state)
{
    struct population_member *victim;
    struct population_member *stranger;

    (void)state;
    open_people();
    (void)add(PID, MOST);
    assert_false(crowd_admits(&people.population, CROWD_STRANGERS, MOST, &victim));
    assert_false(crowd_admits(&people.population, CROWD_TCP, MOST, &victim));
    /* There is one of them: it goes. */
    stranger = add(CROWD_STRANGERS, 1);
    assert_ptr_equal(victim_for(CROWD_STRANGERS, MOST), stranger);
    assert_false(crowd_admits(&people.population, CROWD_TCP, MOST, &victim));
    close_people();
}

static void test_strangers_do_not_push_out_who_has_shown_the_token(void **state)
{
    struct population_member *stranger;

    (void)state;
    open_people();
    (void)add(CROWD_TCP, TRANSPORT_TCP_CONNECTIONS_MAX);
    stranger = add(CROWD_STRANGERS, TRANSPORT_STRANGERS_MAX);
    assert_ptr_equal(victim_for(CROWD_STRANGERS, MOST), stranger);
    close_people();
}

static void test_with_few_places_tcp_gets_a_part_of_them(void **state)
{
    enum { FEW = 8 };

    (void)state;
    open_people();
    (void)add(CROWD_STRANGERS, FEW / TRANSPORT_TCP_SHARE);
    assert_non_null(victim_for(CROWD_STRANGERS, FEW));
    assert_null(victim_for(CROWD_TCP, FEW));
    (void)add(CROWD_TCP, FEW / TRANSPORT_TCP_SHARE);
    assert_non_null(victim_for(CROWD_TCP, FEW));
    assert_null(victim_for(PID, FEW));
    close_people();
    /* However few: one each. */
    open_people();
    assert_null(victim_for(CROWD_TCP, 1));
    close_people();
}

static void test_busy_members_stay_and_the_newcomer_goes(void **state)
{
    struct population_member *victim;
    struct population_member *first;

    (void)state;
    open_people();
    first = add(CROWD_TCP, TRANSPORT_TCP_CONNECTIONS_MAX);
    for (size_t i = 0; i < TRANSPORT_TCP_CONNECTIONS_MAX; i++)
        first[i].is_busy = true;
    assert_false(crowd_admits(&people.population, CROWD_TCP, MOST, &victim));
    close_people();
}

static void test_who_holds_too_much_over_tcp_goes_before_anybody_else(void **state)
{
    struct population_member *local;
    struct population_member *tcp;
    struct population_member *stranger;

    (void)state;
    open_people();
    local = add(PID, 2);
    tcp = add(CROWD_TCP, 2);
    stranger = add(CROWD_STRANGERS, 2);
    population_hold(&people.population, &local[0], (size_t)TRANSPORT_TCP_HELD_MAX * 2);
    population_hold(&people.population, &tcp[1], TRANSPORT_TCP_HELD_MAX);
    population_hold(&people.population, &stranger[1], TRANSPORT_STRANGERS_HELD_MAX);
    assert_null(crowd_too_heavy(&people.population));
    population_hold(&people.population, &tcp[0], 1);
    assert_ptr_equal(crowd_too_heavy(&people.population), &tcp[1]);
    population_hold(&people.population, &stranger[0], 1);
    assert_ptr_equal(crowd_too_heavy(&people.population), &stranger[1]);
    population_hold(&people.population, &stranger[1], 0);
    population_hold(&people.population, &tcp[1], 0);
    assert_null(crowd_too_heavy(&people.population));
    population_hold(&people.population, &local[1], RPC_HELD_BYTES_MAX);
    assert_ptr_equal(crowd_too_heavy(&people.population), &local[1]);
    close_people();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_and_each_crowd_have_a_bound),
        cmocka_unit_test(test_nobody_at_the_socket_goes_for_tcp),
        cmocka_unit_test(test_strangers_do_not_push_out_who_has_shown_the_token),
        cmocka_unit_test(test_with_few_places_tcp_gets_a_part_of_them),
        cmocka_unit_test(test_busy_members_stay_and_the_newcomer_goes),
        cmocka_unit_test(test_who_holds_too_much_over_tcp_goes_before_anybody_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
