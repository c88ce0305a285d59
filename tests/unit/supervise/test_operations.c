/* Joining, pre-empting, ending and forgetting of operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "server/supervise/operations.h"

enum { SLOTS = 4 };

static const uint32_t all[SLOTS] = {0, 1, 2, 3};

static int set_up(void **state)
{
    static struct operations operations;

    assert_int_equal(operations_init(&operations, SLOTS, 0xabc, NULL), 0);
    *state = &operations;
    return 0;
}

static int tear_down(void **state)
{
    operations_deinit(*state);
    return 0;
}

static struct operation_request request_of(
    enum flocks_operation_kind kind, const uint32_t *slots, size_t n_slots)
{
    return (struct operation_request){.kind = kind,
        .slots = slots,
        .n_slots = n_slots,
        .request_id = "",
        .now = 1000,
        .wall_ns = 5};
}

static struct operation *begin(struct operations *operations, enum flocks_operation_kind kind,
    const uint32_t *slots, size_t n_slots)
{
    const struct operation_request request = request_of(kind, slots, n_slots);
    struct operation *operation = NULL;

    assert_int_equal(operations_begin(operations, &request, &operation, NULL), 0);
    return operation;
}

static void end(struct operation_step *step, enum flocks_operation_state state)
{
    const struct step_outcome outcome = {.state = state, .message = "", .to_generation = 1};

    operation_end_step(step, &outcome, 2000, 6);
}

static void test_operations_identical_start_joins(void **state)
{
    struct operations *operations = *state;
    struct operation *first = begin(operations, FLOCKS_OPERATION_KIND_START, all, 2);
    const struct operation_request again = request_of(FLOCKS_OPERATION_KIND_START, all, 2);
    struct operation *second = NULL;

    assert_int_equal(operations_begin(operations, &again, &second, NULL), OPERATIONS_JOINED);
    assert_ptr_equal(first, second);
    assert_int_equal(first->joined, 1);
}

static void test_operations_other_set_does_not_join(void **state)
{
    struct operations *operations = *state;
    const struct operation *first = begin(operations, FLOCKS_OPERATION_KIND_START, all, 2);

    assert_ptr_not_equal(first, begin(operations, FLOCKS_OPERATION_KIND_START, all, 3));
}

static void test_operations_restart_joins_only_before_launch(void **state)
{
    struct operations *operations = *state;
    struct operation *first = begin(operations, FLOCKS_OPERATION_KIND_RESTART, all, 1);
    const struct operation_request again = request_of(FLOCKS_OPERATION_KIND_RESTART, all, 1);
    struct operation *second = NULL;

    assert_int_equal(operations_begin(operations, &again, &second, NULL), OPERATIONS_JOINED);
    first->steps[0].launched = true;
    assert_int_equal(operations_begin(operations, &again, &second, NULL), 0);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(operations_active_step(operations, 0), &first->steps[0]);
    end(&first->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_ptr_equal(operations_active_step(operations, 0), &second->steps[0]);
}

static void test_operations_request_id_answers_the_same(void **state)
{
    struct operations *operations = *state;
    struct operation_request request = request_of(FLOCKS_OPERATION_KIND_START, all, 1);
    struct operation *first = NULL;
    struct operation *second = NULL;
    struct error error = ERROR_INIT;

    request.request_id = "mine";
    assert_int_equal(operations_begin(operations, &request, &first, NULL), 0);
    end(&first->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(operations_begin(operations, &request, &second, NULL), OPERATIONS_JOINED);
    assert_ptr_equal(first, second);
    request.kind = FLOCKS_OPERATION_KIND_STOP;
    assert_int_equal(
        operations_begin(operations, &request, &second, &error), -STATUS_ALREADY_EXISTS);
}

static void test_operations_stop_preempts_start(void **state)
{
    struct operations *operations = *state;
    struct operation *start = begin(operations, FLOCKS_OPERATION_KIND_START, all, 2);
    struct operation *stop = begin(operations, FLOCKS_OPERATION_KIND_STOP, all, 1);

    assert_int_equal(start->steps[0].state, FLOCKS_OPERATION_STATE_CANCELLED);
    assert_non_null(strstr(start->steps[0].message, stop->id));
    assert_int_equal(start->steps[1].state, FLOCKS_OPERATION_STATE_QUEUED);
    assert_ptr_equal(operations_active_step(operations, 0), &stop->steps[0]);
    assert_false(operation_has_ended(start));
}

static void test_operations_start_waits_behind_stop(void **state)
{
    struct operations *operations = *state;
    struct operation *stop = begin(operations, FLOCKS_OPERATION_KIND_STOP, all, 1);
    struct operation *start = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);

    assert_ptr_equal(operations_active_step(operations, 0), &stop->steps[0]);
    end(&stop->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_ptr_equal(operations_active_step(operations, 0), &start->steps[0]);
}

static void test_operations_end_as_their_worst_step(void **state)
{
    struct operations *operations = *state;
    struct operation *start = begin(operations, FLOCKS_OPERATION_KIND_START, all, 3);

    end(&start->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    end(&start->steps[1], FLOCKS_OPERATION_STATE_FAILED);
    assert_int_equal(start->state, FLOCKS_OPERATION_STATE_RUNNING);
    end(&start->steps[2], FLOCKS_OPERATION_STATE_CANCELLED);
    assert_int_equal(start->state, FLOCKS_OPERATION_STATE_FAILED);
    assert_int_equal(start->ended_at, 2000);
}

static void test_operations_of_nothing_succeed_at_once(void **state)
{
    struct operations *operations = *state;
    const struct operation *start = begin(operations, FLOCKS_OPERATION_KIND_START, all, 0);

    assert_true(operation_has_ended(start));
    assert_int_equal(start->state, FLOCKS_OPERATION_STATE_SUCCEEDED);
}

/* Restarts of one service that can neither be joined nor end. */
static void fill_up(struct operations *operations)
{
    while (operations->count < SUPERVISOR_OPERATIONS_MAX)
        begin(operations, FLOCKS_OPERATION_KIND_RESTART, all + 3, 1)->steps[0].launched = true;
}

static void test_operations_ended_ones_make_room_running_ones_do_not(void **state)
{
    struct operations *operations = *state;
    struct operation *oldest = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);
    const struct operation_request request = request_of(FLOCKS_OPERATION_KIND_START, all, 2);
    const struct operation_request other = request_of(FLOCKS_OPERATION_KIND_START, all, 3);
    struct operation *operation = NULL;
    struct error error = ERROR_INIT;

    fill_up(operations);
    assert_int_equal(
        operations_begin(operations, &request, &operation, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_LIMIT_REACHED);
    end(&oldest->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(operations_begin(operations, &request, &operation, NULL), 0);
    assert_int_equal(
        operations_begin(operations, &other, &operation, NULL), -STATUS_RESOURCE_EXHAUSTED);
    /* What was asked for before is still answered. */
    assert_int_equal(operations_begin(operations, &request, &operation, NULL), OPERATIONS_JOINED);
}

static void test_operations_stop_has_a_place_in_a_flood(void **state)
{
    struct operations *operations = *state;

    fill_up(operations);
    (void)begin(operations, FLOCKS_OPERATION_KIND_SHUTDOWN, all, SLOTS);
}

static void test_operations_are_forgotten_after_an_hour(void **state)
{
    struct operations *operations = *state;
    struct operation *stop = begin(operations, FLOCKS_OPERATION_KIND_STOP, all, 1);
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    memcpy(id, stop->id, sizeof id);
    end(&stop->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(operations_due_at(operations), 0); /* its end is told at once */
    assert_ptr_equal(operations_take_changed(operations, 0), stop);
    assert_int_equal(operations_due_at(operations), 2000 + SUPERVISOR_OPERATION_KEPT_MS);
    operations_forget(operations, 2000 + SUPERVISOR_OPERATION_KEPT_MS - 1);
    assert_non_null(operations_find(operations, id));
    operations_forget(operations, 2000 + SUPERVISOR_OPERATION_KEPT_MS);
    assert_null(operations_find(operations, id));
}

static void test_operations_overdue_is_found(void **state)
{
    struct operations *operations = *state;
    struct operation_request request = request_of(FLOCKS_OPERATION_KIND_START, all, 1);
    struct operation *operation = NULL;

    request.timeout_ms = 500;
    assert_int_equal(operations_begin(operations, &request, &operation, NULL), 0);
    assert_ptr_equal(operations_take_changed(operations, 0), operation);
    assert_int_equal(operations_due_at(operations), 1500);
    assert_null(operations_find_overdue(operations, 1499));
    assert_ptr_equal(operations_find_overdue(operations, 1500), operation);
}

static void test_operations_changes_are_told_once(void **state)
{
    struct operations *operations = *state;
    struct operation *operation = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);

    assert_ptr_equal(operations_take_changed(operations, 0), operation);
    assert_null(operations_take_changed(operations, 0));
    operation_touch(operation);
    assert_ptr_equal(operations_take_changed(operations, 0), operation);
}

/* However many services it has: a thousand of them must not fill the ring of events. */
static void test_operations_progress_is_told_at_a_bounded_rate_and_the_end_at_once(void **state)
{
    struct operations *operations = *state;
    struct operation *operation = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);

    assert_ptr_equal(operations_take_changed(operations, 1000), operation);
    operation_told(operation, (size_t)10 * OPERATION_TOLD_BYTES_PER_MS, 1000);
    assert_ptr_equal(operations_take_told(operations), operation);
    assert_null(operations_take_told(operations));
    operation_touch(operation);
    assert_null(operations_take_changed(operations, 1009));
    assert_int_equal(operations_due_at(operations), 1010);
    assert_ptr_equal(operations_take_changed(operations, 1010), operation);
    operation_told(operation, 1000000, 1010);
    end(&operation->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_ptr_equal(operations_take_changed(operations, 1011), operation);
}

/* A caller that joined, lost its connection and asks again must not begin a second restart. */
static void test_operations_request_id_of_a_caller_that_joined_is_remembered(void **state)
{
    struct operations *operations = *state;
    struct operation_request request = request_of(FLOCKS_OPERATION_KIND_RESTART, all, 1);
    struct operation *first = NULL;
    struct operation *found = NULL;

    request.request_id = "first";
    assert_int_equal(operations_begin(operations, &request, &first, NULL), 0);
    request.request_id = "second";
    assert_int_equal(operations_begin(operations, &request, &found, NULL), OPERATIONS_JOINED);
    end(&first->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    assert_int_equal(operations_begin(operations, &request, &found, NULL), OPERATIONS_JOINED);
    assert_ptr_equal(found, first);
    assert_int_equal(first->n_joined_ids, 1);
    request.request_id = "third";
    assert_int_equal(operations_begin(operations, &request, &found, NULL), 0);
    assert_ptr_not_equal(found, first);
}

static void test_operations_remember_64_request_ids_of_callers_that_joined(void **state)
{
    struct operations *operations = *state;
    struct operation_request request = request_of(FLOCKS_OPERATION_KIND_START, all, 1);
    struct operation *first = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);
    struct operation *found = NULL;
    char ids[OPERATION_JOINED_IDS_MAX + 1][OPERATION_REQUEST_ID_SIZE];

    for (size_t i = 0; i <= OPERATION_JOINED_IDS_MAX; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "caller-%zu", i);
        request.request_id = ids[i];
        assert_int_equal(operations_begin(operations, &request, &found, NULL), OPERATIONS_JOINED);
    }
    assert_int_equal(first->n_joined_ids, OPERATION_JOINED_IDS_MAX);
    end(&first->steps[0], FLOCKS_OPERATION_STATE_SUCCEEDED);
    request.request_id = ids[1];
    assert_int_equal(operations_begin(operations, &request, &found, NULL), OPERATIONS_JOINED);
    request.request_id = ids[0];
    assert_int_equal(operations_begin(operations, &request, &found, NULL), 0);
}

static void test_operations_preempted_step_says_so(void **state)
{
    struct operations *operations = *state;
    struct operation *start = begin(operations, FLOCKS_OPERATION_KIND_START, all, 1);

    (void)begin(operations, FLOCKS_OPERATION_KIND_STOP, all, 1);
    assert_int_equal(start->state, FLOCKS_OPERATION_STATE_CANCELLED);
    assert_true(start->steps[0].preempted);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_operations_identical_start_joins),
        TEST(test_operations_other_set_does_not_join),
        TEST(test_operations_restart_joins_only_before_launch),
        TEST(test_operations_request_id_answers_the_same),
        TEST(test_operations_stop_preempts_start),
        TEST(test_operations_start_waits_behind_stop),
        TEST(test_operations_end_as_their_worst_step),
        TEST(test_operations_of_nothing_succeed_at_once),
        TEST(test_operations_ended_ones_make_room_running_ones_do_not),
        TEST(test_operations_stop_has_a_place_in_a_flood),
        TEST(test_operations_are_forgotten_after_an_hour),
        TEST(test_operations_overdue_is_found),
        TEST(test_operations_changes_are_told_once),
        TEST(test_operations_progress_is_told_at_a_bounded_rate_and_the_end_at_once),
        TEST(test_operations_request_id_of_a_caller_that_joined_is_remembered),
        TEST(test_operations_remember_64_request_ids_of_callers_that_joined),
        TEST(test_operations_preempted_step_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
