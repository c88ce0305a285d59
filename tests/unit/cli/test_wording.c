#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/wording.h"
#include "common/base/attributes.h"
#include "unit.h"

static void test_wording_ages(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {{-5, "0s"}, {0, "0s"}, {59, "59s"}, {60, "1m 00s"}, {3599, "59m 59s"},
        {3600, "1h 00m"}, {90000, "1d 01h"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_string_equal(wording_age(rows[i].seconds).text, rows[i].text);
}

static void test_wording_durations(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {{-1, "0s"}, {0, "0.0ms"}, {420000, "0.4ms"}, {9999999, "9.9ms"},
        {250000000, "250ms"}, {1500000000, "1.5s"}, {65000000000, "1m 05s"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_string_equal(wording_duration(rows[i].ns).text, rows[i].text);
}

static void test_wording_times_name_the_day_only_when_it_is_another(void **state)
{
    /* 2023-11-14 22:13:20 UTC */
    const int64_t now = 1700000000;
    (void)state;
    assert_string_equal(wording_time(now - 3600, now).text, "21:13:20");
    assert_string_equal(wording_time(now - 86400, now).text, "Nov 13 22:13:20");
    assert_string_equal(wording_time(now - INT64_C(365) * 86400, now).text, "Nov 14 2022 22:13:20");
    assert_string_equal(wording_exact_time(now, 7000000, now).text, "22:13:20.007");
}

static void test_wording_numbers_of_a_newer_server_are_shown(void **state)
{
    (void)state;
    assert_string_equal(wording_state(17).text, "STATE(17)");
    assert_string_equal(wording_reason(99).text, "REASON(99)");
    assert_string_equal(wording_reason(-1).text, "REASON(-1)");
    assert_string_equal(wording_role(0).text, "ROLE(0)");
    assert_string_equal(wording_kind(77).text, "KIND(77)");
    assert_string_equal(wording_operation(77).text, "STATE(77)");
    assert_string_equal(wording_listener(77).text, "LISTENER(77)");
    assert_string_equal(wording_phase(77).text, "PHASE(77)");
    assert_false(wording_is_well(17));
}

static void test_wording_every_known_reason_has_words(void **state)
{
    (void)state;
    for (int i = 1; i < 64; i++) {
        if (flocks_state_reason_from(i) != FLOCKS_STATE_REASON_UNSPECIFIED)
            assert_null(strchr(wording_reason(i).text, '('));
        if (flocks_operation_kind_from(i) != FLOCKS_OPERATION_KIND_UNSPECIFIED)
            assert_null(strchr(wording_kind(i).text, '('));
        if (flocks_operation_state_from(i) != FLOCKS_OPERATION_STATE_UNSPECIFIED)
            assert_null(strchr(wording_operation(i).text, '('));
        if (flocks_listener_state_from(i) != FLOCKS_LISTENER_STATE_UNSPECIFIED)
            assert_null(strchr(wording_listener(i).text, '('));
        if (flocks_upgrade_phase_from(i) != FLOCKS_UPGRADE_PHASE_UNSPECIFIED)
            assert_null(strchr(wording_phase(i).text, '('));
        if (flocks_probe_role_from(i) != FLOCKS_PROBE_ROLE_UNSPECIFIED)
            assert_null(strchr(wording_role(i).text, '('));
    }
}

static void test_wording_ends(void **state)
{
    flocks_exit_record record = FLOCKS_EXIT_RECORD_INIT;
    (void)state;
    assert_string_equal(wording_exit(&record).text, "ended, nobody knows how");
    record.outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_EXIT_CODE;
    record.exit_code = 3;
    assert_string_equal(wording_exit(&record).text, "exit code 3");
    record.outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_SIGNAL;
    record.signal = "SIGSEGV";
    record.core_dumped = true;
    assert_string_equal(wording_exit(&record).text, "killed by SIGSEGV (core dumped)");
    record.outcome_case = FLOCKS__V1__EXIT_RECORD__OUTCOME_EXEC_ERROR;
    record.exec_error = "ENOENT";
    assert_string_equal(wording_exit(&record).text, "could not be run (ENOENT)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wording_ages),
        cmocka_unit_test(test_wording_durations),
        cmocka_unit_test(test_wording_times_name_the_day_only_when_it_is_another),
        cmocka_unit_test(test_wording_numbers_of_a_newer_server_are_shown),
        cmocka_unit_test(test_wording_every_known_reason_has_words),
        cmocka_unit_test(test_wording_ends),
    };
    /* Before anything else runs. */
    (void)setenv("TZ", "UTC0", 1); // NOLINT(concurrency-mt-unsafe)
    return cmocka_run_group_tests(tests, NULL, NULL);
}
