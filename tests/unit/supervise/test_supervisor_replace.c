/* ReplaceDaemon as an operation: its way through the keeper's answers, and over a hand-over. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <string.h>

#include "world.h"

static const struct supervisor_replacement truth = {
    .flocksd_path = "/bin/true", .keeper_path = "/bin/false", .expected_version = "2"};

static void begin(
    struct world *world, const struct supervisor_replacement *replacement, char *out_id)
{
    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_turn(world);
    assert_int_equal(supervisor_replace(world->supervisor, replacement, out_id, NULL), 0);
}

static void run_until_prepared(struct world *world)
{
    RUN_UNTIL(&world->loop, world->keeper.prepared_done != NULL);
}

static void assert_ended(
    struct world *world, const char *id, enum flocks_operation_state state, const char *text)
{
    flocks_operation *operation = NULL;
    struct arena arena;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(
        supervisor_get_operation(world->supervisor, id, &arena, &operation, NULL, NULL), 0);
    assert_int_equal(operation->state, state);
    assert_int_equal(operation->kind, FLOCKS_OPERATION_KIND_REPLACE_DAEMON);
    assert_int_equal(operation->error != NULL, text != NULL);
    if (text != NULL && operation->error != NULL)
        assert_non_null(strstr(operation->error->attempted, text));
    arena_deinit(&arena);
}

static void tell_end(struct world *world, const char *id, const char *failure)
{
    const struct keeper_replaced replaced = {
        .operation_id = id, .failure = failure, .keeper_version = "2"};

    world->link.events->replaced(world->link.events_data, &replaced);
    world_turn(world);
}

static void test_replace_gives_place_when_the_keeper_has_tried_both(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    begin(world, &truth, id);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_RUNNING);
    run_until_prepared(world);
    assert_string_equal(world->keeper.prepared, "/bin/true /bin/false 2 2");
    assert_string_equal(world->replaced, "");
    world->keeper.prepared_done(world->keeper.prepared_data, 0, NULL);
    assert_string_equal(world->replaced, id);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_RUNNING);
}

static void test_replace_of_images_that_are_no_good_has_failed(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    begin(world, &truth, id);
    run_until_prepared(world);
    (void)!error_set(&error, STATUS_FAILED_PRECONDITION, "flocksd is version 1, not 2");
    world->keeper.prepared_done(world->keeper.prepared_data, -STATUS_FAILED_PRECONDITION, &error);
    assert_string_equal(world->replaced, "");
    assert_ended(world, id, FLOCKS_OPERATION_STATE_FAILED, "is version 1, not 2");
}

static void test_replace_of_a_file_that_is_not_there_has_failed(void **state)
{
    static const struct supervisor_replacement nowhere = {
        .flocksd_path = "/no/such/program", .keeper_path = "/bin/true", .expected_version = ""};
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    begin(world, &nowhere, id);
    RUN_UNTIL(&world->loop, world_operation_state(world, id) != FLOCKS_OPERATION_STATE_RUNNING);
    assert_ended(world, id, FLOCKS_OPERATION_STATE_FAILED, "ENOENT");
}

static void test_replace_one_at_a_time_and_not_cancelled(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    char other[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    begin(world, &truth, id);
    assert_int_equal(supervisor_replace(world->supervisor, &truth, other, &error), -STATUS_ABORTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_REPLACING);
    assert_int_equal(
        supervisor_cancel_operation(world->supervisor, id, &error), -STATUS_FAILED_PRECONDITION);
    run_until_prepared(world);
}

/* As flocksd was when it gave its place; the next one is told the end. */
static void hand_over(struct world *world, char *id, const char *keeper_says)
{
    begin(world, &truth, id);
    run_until_prepared(world);
    world->keeper.prepared_done(world->keeper.prepared_data, 0, NULL);
    world_drop(world);
    world->replacement = keeper_says != NULL ? keeper_says : id;
    world_open(world, false, false);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_RUNNING);
    fake_link_answer_list(&world->link);
    world_turn(world);
}

static void test_replace_ends_in_the_next_flocksd(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    hand_over(world, id, NULL);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_RUNNING);
    tell_end(world, id, "");
    assert_ended(world, id, FLOCKS_OPERATION_STATE_SUCCEEDED, NULL);
}

static void test_replace_that_was_turned_back_says_why(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    hand_over(world, id, NULL);
    tell_end(world, id, "flocksd 2 was not ready in time; flocksd 1 runs again");
    assert_ended(world, id, FLOCKS_OPERATION_STATE_FAILED, "was not ready in time");
}

static void test_replace_that_the_keeper_knows_nothing_of_was_interrupted(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    hand_over(world, id, "another");
    assert_ended(world, id, FLOCKS_OPERATION_STATE_INTERRUPTED, "the keeper was killed");
}

int main(void)
{
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_replace_gives_place_when_the_keeper_has_tried_both),
        WORLD_TEST(test_replace_of_images_that_are_no_good_has_failed),
        WORLD_TEST(test_replace_of_a_file_that_is_not_there_has_failed),
        WORLD_TEST(test_replace_one_at_a_time_and_not_cancelled),
        WORLD_TEST(test_replace_ends_in_the_next_flocksd),
        WORLD_TEST(test_replace_that_was_turned_back_says_why),
        WORLD_TEST(test_replace_that_the_keeper_knows_nothing_of_was_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
