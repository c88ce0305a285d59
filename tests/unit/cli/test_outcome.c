#include "flocks/v1/types.names.h"

#include "client/cli/outcome.h"
#include "common/base/attributes.h"
#include "unit.h"

/* The table of docs/protocol.md and flocks(1), written down a second time on purpose. */
static void test_outcome_exit_code_of_every_status(void **state)
{
    static const int expected[] = {0, 1, 1, 2, 4, 2, 5, 6, 5, 5, 5, 2, 7, 1, 4, 1, 6};
    (void)state;
    assert_int_equal(ARRAY_LENGTH(expected), STATUS_CODE_COUNT);
    for (int code = 0; code < STATUS_CODE_COUNT; code++)
        assert_int_equal(
            outcome_exit_code(outcome_of_status((enum status_code)code)), expected[code]);
}

static void test_outcome_exit_code_of_every_operation_state(void **state)
{
    static const int expected[] = {1, 1, 1, 0, 1, 1, 4, 1};
    (void)state;
    assert_int_equal(ARRAY_LENGTH(expected), FLOCKS_OPERATION_STATE_COUNT);
    for (int i = 0; i < FLOCKS_OPERATION_STATE_COUNT; i++)
        assert_int_equal(outcome_exit_code(outcome_of_operation(i)), expected[i]);
    assert_int_equal(outcome_of_operation(17), OUTCOME_FAILED);
    assert_int_equal(outcome_of_operation(-1), OUTCOME_FAILED);
}

static void test_outcome_unknown_status_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(outcome_of_status((enum status_code)99), OUTCOME_FAILED);
}

static void test_outcome_worse_follows_the_documented_order(void **state)
{
    static const int order[] = {7, 6, 2, 5, 4, 1, 0};
    (void)state;
    for (int a = 0; a <= OUTCOME_BUSY; a++) {
        for (int b = 0; b <= OUTCOME_BUSY; b++) {
            int worse = outcome_exit_code(outcome_worse((enum outcome)a, (enum outcome)b));
            int code_a = outcome_exit_code((enum outcome)a);
            int code_b = outcome_exit_code((enum outcome)b);
            if (code_a == 3 || code_b == 3)
                continue;
            size_t i = 0;
            while (order[i] != code_a && order[i] != code_b)
                i++;
            assert_int_equal(worse, order[i]);
        }
    }
}

static void test_outcome_every_row_has_a_text(void **state)
{
    (void)state;
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        assert_true(outcome_text((enum outcome)outcome)[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome_exit_code_of_every_status),
        cmocka_unit_test(test_outcome_exit_code_of_every_operation_state),
        cmocka_unit_test(test_outcome_unknown_status_is_a_failure),
        cmocka_unit_test(test_outcome_worse_follows_the_documented_order),
        cmocka_unit_test(test_outcome_every_row_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
