#include <string.h>

#include "client/cli/launch.h"
#include "unit.h"

static void test_launch_word_means_what_the_keeper_says(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    assert_int_equal(launch_word("ready", &error), LAUNCH_READY);
    assert_int_equal(launch_word("busy", &error), LAUNCH_BUSY);
    assert_int_equal(launch_word("error no room", &error), -STATUS_FAILED_PRECONDITION);
    assert_string_equal(error.text, "the daemon did not start: no room");
    assert_int_equal(launch_word("hello", &error), -STATUS_INTERNAL);
    assert_non_null(strstr(error.text, "hello"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch_word_means_what_the_keeper_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
