/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <string.h>

#include "server/keeper/children.h"

static struct children children;

static int set_up(void **state)
{
    (void)state;
    memset(&children, 0, sizeof children);
    children_init(&children);
    return 0;
}

static size_t start(uint32_t slot, uint32_t generation, int32_t pid)
{
    size_t place = KEEPER_CHILDREN;
    assert_int_equal(children_reserve(&children, slot, generation, &place), 0);
    children_set_pid(&children, place, pid, 1);
    children.table[place].state = CHILD_RUNNING;
    return place;
}

static void ignore_place(void *data, size_t place)
{
    (void)data;
    (void)place;
}

static size_t all_exits(struct keeper_exit *out)
{
    return children_exits_after(&children, 0, out, CHILDREN_EXITS);
}

static void test_children_slot_that_lives_is_taken(void **state)
{
    (void)state;
    size_t place;
    start(7, 1, 100);
    assert_true(children_slot_lives(&children, 7));
    assert_int_equal(children_reserve(&children, 7, 2, &place), CHILDREN_TAKEN);
}

static void test_children_generation_not_higher_is_taken(void **state)
{
    (void)state;
    size_t place = start(7, 3, 100);
    children_exited(&children, place, 0, 0);
    assert_int_equal(children_reserve(&children, 7, 3, &place), CHILDREN_TAKEN);
    assert_int_equal(children_reserve(&children, 7, 2, &place), CHILDREN_TAKEN);
    assert_int_equal(children_reserve(&children, 7, 4, &place), 0);
}

static void test_children_exit_is_told_until_acknowledged(void **state)
{
    (void)state;
    struct keeper_exit exits[8];
    children_exited(&children, start(1, 1, 100), 256, 5);
    children_exited(&children, start(2, 1, 101), 9, 6);
    assert_int_equal(children_exits_after(&children, 0, exits, 8), 2);
    assert_int_equal(exits[0].sequence, 1);
    assert_int_equal(exits[0].wait_status, 256);
    assert_int_equal(exits[1].at_ns, 6);
    assert_int_equal(children_exits_after(&children, 1, exits, 8), 1);
    assert_int_equal(exits[0].slot, 2);
    children_acknowledge(&children, 1, ignore_place, NULL);
    assert_int_equal(children_exits_after(&children, 0, exits, 8), 1);
    children_acknowledge(&children, 99, ignore_place, NULL);
    assert_int_equal(children_exits_after(&children, 0, exits, 8), 0);
}

static void test_children_ended_child_is_found_until_its_slot_is_filled(void **state)
{
    (void)state;
    children_exited(&children, start(1, 1, 100), 0, 0);
    children_acknowledge(&children, 1, ignore_place, NULL);
    assert_non_null(children_find(&children, 1, 1));
    assert_null(children_find(&children, 1, 2));
    start(1, 2, 101);
    assert_null(children_find(&children, 1, 1));
    assert_non_null(children_find(&children, 1, 2));
}

static void test_children_slot_filled_before_acknowledgement_loses_no_exit(void **state)
{
    (void)state;
    struct keeper_exit exits[8];
    for (uint32_t generation = 1; generation <= 5; generation++)
        children_exited(
            &children, start(1, generation, (int32_t)(100 + generation)), (int)generation, 0);
    assert_int_equal(children_exits_after(&children, 0, exits, 8), 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(exits[i].generation, i + 1);
    size_t n_free = children.n_free;
    children_acknowledge(&children, 5, ignore_place, NULL);
    assert_int_equal(children.n_free, n_free + 4);
}

static void test_children_failed_child_has_no_exit(void **state)
{
    (void)state;
    static struct keeper_exit exits[CHILDREN_EXITS];
    size_t place = start(1, 1, 100);
    children.table[place].state = CHILD_FAILED;
    assert_null(children_find(&children, 1, 1));
    /* Its slot can be filled before it has been reaped. */
    start(1, 2, 101);
    children_exited(&children, place, 127 << 8, 0);
    assert_int_equal(all_exits(exits), 0);
    assert_int_equal(children.n_free, KEEPER_CHILDREN - 1);
    assert_int_equal(children.n_processes, 1);
    assert_non_null(children_find(&children, 1, 2));
}

static void test_children_every_place_used_is_full_and_no_exit_is_lost(void **state)
{
    (void)state;
    static struct keeper_exit exits[CHILDREN_EXITS];
    for (uint32_t slot = 0; slot < KEEPER_SLOTS; slot++)
        children_exited(&children, start(slot, 1, (int32_t)slot + 1000), 0, 0);
    for (uint32_t slot = 0; slot < KEEPER_SLOTS; slot++)
        children_exited(&children, start(slot, 2, (int32_t)slot + 5000), 0, 0);
    for (int32_t stray = 0; stray < KEEPER_STRAYS + 10; stray++)
        children_stray_exited(&children, 20000 + stray, 0, 0);
    size_t place;
    assert_int_equal(children_reserve(&children, 0, 3, &place), CHILDREN_FULL);
    size_t n = all_exits(exits);
    assert_int_equal(n, CHILDREN_EXITS);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(exits[i].sequence, i + 1);
    children_acknowledge(&children, 1, ignore_place, NULL);
    assert_int_equal(children_reserve(&children, 0, 3, &place), 0);
}

static void test_children_stray_room_returns_with_acknowledgement(void **state)
{
    (void)state;
    static struct keeper_exit exits[CHILDREN_EXITS];
    for (int32_t stray = 0; stray < KEEPER_STRAYS + 1; stray++)
        children_stray_exited(&children, 20000 + stray, 0, 0);
    assert_int_equal(all_exits(exits), KEEPER_STRAYS);
    assert_true(exits[0].stray);
    children_acknowledge(&children, KEEPER_STRAYS, ignore_place, NULL);
    children_stray_exited(&children, 7, 0, 0);
    assert_int_equal(all_exits(exits), 1);
}

static void test_children_pid_is_found_while_its_process_lives(void **state)
{
    (void)state;
    size_t place = start(1, 1, 100);
    assert_int_equal(children_find_pid(&children, 100), place);
    children_exited(&children, place, 0, 0);
    assert_int_equal(children_find_pid(&children, 100), KEEPER_CHILDREN);
}

static void test_children_forgotten_slot_begins_again(void **state)
{
    (void)state;
    size_t place;
    children_exited(&children, start(1, 9, 100), 0, 0);
    children_forget_slot(&children, 1);
    assert_int_equal(children_reserve(&children, 1, 1, &place), 0);
    children_acknowledge(&children, 1, ignore_place, NULL);
    assert_int_equal(children.n_free, KEEPER_CHILDREN - 1);
}

static void note_place(void *data, size_t place)
{
    size_t *last = data;
    *last = place;
}

static void test_children_acknowledged_place_is_told(void **state)
{
    (void)state;
    size_t told = KEEPER_CHILDREN;
    size_t place = start(7, 1, 100);
    children_stray_exited(&children, 99, 0, 1);
    children_exited(&children, place, 0, 1);
    children_acknowledge(&children, 1, note_place, &told);
    assert_int_equal(told, KEEPER_CHILDREN);
    children_acknowledge(&children, 2, note_place, &told);
    assert_int_equal(told, place);
}

static struct child inherited(enum child_state state, uint32_t generation, int32_t pid)
{
    return (struct child){.state = state, .slot = 7, .generation = generation, .pid = pid};
}

static void test_children_adopted_child_lives_and_its_place_is_taken(void **state)
{
    (void)state;
    struct child child = inherited(CHILD_RUNNING, 5, 100);
    children_adopt(&children, 3, &child);
    children_adopted(&children, 40);
    assert_true(children_slot_lives(&children, 7));
    assert_int_equal(children_find_pid(&children, 100), 3);
    assert_non_null(children_find(&children, 7, 5));
    assert_int_equal(children.n_processes, 1);
    assert_int_equal(children.n_free, KEEPER_CHILDREN - 1);
    size_t place;
    for (uint32_t slot = 100; slot < 110; slot++) {
        assert_int_equal(children_reserve(&children, slot, 1, &place), 0);
        assert_int_not_equal(place, 3);
    }
}

static void test_children_adopted_exit_has_the_next_number(void **state)
{
    (void)state;
    struct keeper_exit exits[2];
    struct child child = inherited(CHILD_RUNNING, 5, 100);
    children_adopt(&children, 3, &child);
    children_adopted(&children, 40);
    children_exited(&children, 3, KEEPER_STATUS_UNKNOWN, 9);
    assert_int_equal(children_exits_after(&children, 0, exits, 2), 1);
    assert_int_equal(exits[0].sequence, 41);
    assert_true(exits[0].unknown);
    assert_int_equal(children.n_processes, 0);
}

static void test_children_adopted_generations_are_not_used_again(void **state)
{
    (void)state;
    size_t place;
    struct child older = inherited(CHILD_ENDED, 4, 90);
    struct child newer = inherited(CHILD_ENDED, 5, 100);
    children_adopt(&children, 8, &newer);
    children_adopt(&children, 9, &older);
    children_adopted(&children, 0);
    /* Of a slot only the newest is kept, because its group may live. */
    assert_non_null(children_find(&children, 7, 5));
    assert_null(children_find(&children, 7, 4));
    assert_int_equal(children.n_free, KEEPER_CHILDREN - 1);
    assert_int_equal(children_reserve(&children, 7, 5, &place), CHILDREN_TAKEN);
    assert_int_equal(children_reserve(&children, 7, 6, &place), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_children_slot_that_lives_is_taken, set_up),
        cmocka_unit_test_setup(test_children_generation_not_higher_is_taken, set_up),
        cmocka_unit_test_setup(test_children_exit_is_told_until_acknowledged, set_up),
        cmocka_unit_test_setup(test_children_ended_child_is_found_until_its_slot_is_filled, set_up),
        cmocka_unit_test_setup(
            test_children_slot_filled_before_acknowledgement_loses_no_exit, set_up),
        cmocka_unit_test_setup(test_children_failed_child_has_no_exit, set_up),
        cmocka_unit_test_setup(test_children_every_place_used_is_full_and_no_exit_is_lost, set_up),
        cmocka_unit_test_setup(test_children_stray_room_returns_with_acknowledgement, set_up),
        cmocka_unit_test_setup(test_children_pid_is_found_while_its_process_lives, set_up),
        cmocka_unit_test_setup(test_children_forgotten_slot_begins_again, set_up),
        cmocka_unit_test_setup(test_children_acknowledged_place_is_told, set_up),
        cmocka_unit_test_setup(test_children_adopted_child_lives_and_its_place_is_taken, set_up),
        cmocka_unit_test_setup(test_children_adopted_exit_has_the_next_number, set_up),
        cmocka_unit_test_setup(test_children_adopted_generations_are_not_used_again, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
