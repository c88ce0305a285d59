#include "check.h"
#include "common/base/status.h"
#include "common/schema/time_text.h"

/* The two spellings: a time and a duration. */
struct spelling {
    int (*format)(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX]);
    int (*parse)(const char *text, size_t len, int64_t *seconds, int32_t *nanos);
};

static void check_spelling(
    struct spelling spelling, int64_t seconds, int32_t nanos, const char *expected)
{
    char text[TIME_TEXT_MAX];
    assert_int_equal(spelling.format(seconds, nanos, text), 0);
    assert_string_equal(text, expected);
    int64_t read_seconds;
    int32_t read_nanos;
    assert_int_equal(spelling.parse(text, strlen(text), &read_seconds, &read_nanos), 0);
    assert_true(read_seconds == seconds);
    assert_int_equal(read_nanos, nanos);
}

static void check_time(int64_t seconds, int32_t nanos, const char *expected)
{
    const struct spelling spelling = {time_text_format, time_text_parse};
    check_spelling(spelling, seconds, nanos, expected);
}

static void test_time_round_trips(void **state)
{
    (void)state;
    check_time(0, 0, "1970-01-01T00:00:00Z");
    check_time(-1, 999000000, "1969-12-31T23:59:59.999Z");
    check_time(951782400, 1000, "2000-02-29T00:00:00.000001Z");
    check_time(1785000000, 1, "2026-07-25T17:20:00.000000001Z");
    check_time(TIME_TEXT_SECONDS_MIN, 0, "0001-01-01T00:00:00Z");
    check_time(TIME_TEXT_SECONDS_MAX, 0, "9999-12-31T23:59:59Z");
}

static void test_time_outside_the_contract_is_refused(void **state)
{
    (void)state;
    char text[TIME_TEXT_MAX];
    assert_int_equal(time_text_format(TIME_TEXT_SECONDS_MAX + 1, 0, text), -STATUS_OUT_OF_RANGE);
    assert_int_equal(time_text_format(TIME_TEXT_SECONDS_MIN - 1, 0, text), -STATUS_OUT_OF_RANGE);
    assert_int_equal(time_text_format(0, -1, text), -STATUS_OUT_OF_RANGE);
    assert_int_equal(time_text_format(0, 1000000000, text), -STATUS_OUT_OF_RANGE);
}

static void test_time_with_offset_is_moved_to_utc(void **state)
{
    (void)state;
    int64_t seconds;
    int32_t nanos;
    static const char text[] = "2026-01-01T01:30:00.5+02:00";
    assert_int_equal(time_text_parse(text, sizeof(text) - 1, &seconds, &nanos), 0);
    char back[TIME_TEXT_MAX];
    assert_int_equal(time_text_format(seconds, nanos, back), 0);
    assert_string_equal(back, "2025-12-31T23:30:00.500Z");
}

static void test_time_wrong_texts_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "2026", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zz",
        "0000-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567890Z"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t seconds;
        int32_t nanos;
        assert_int_equal(time_text_parse(wrong[i], strlen(wrong[i]), &seconds, &nanos),
            -STATUS_INVALID_ARGUMENT);
    }
}

static void check_duration(int64_t seconds, int32_t nanos, const char *expected)
{
    const struct spelling spelling = {time_text_format_duration, time_text_parse_duration};
    check_spelling(spelling, seconds, nanos, expected);
}

static void test_duration_round_trips(void **state)
{
    (void)state;
    check_duration(0, 0, "0s");
    check_duration(1, 500000000, "1.500s");
    check_duration(0, -1, "-0.000000001s");
    check_duration(-2, -250000, "-2.000250s");
    check_duration(TIME_TEXT_DURATION_MAX, 0, "315576000000s");
}

static void test_duration_wrong_ones_are_refused(void **state)
{
    (void)state;
    char text[TIME_TEXT_MAX];
    assert_int_equal(time_text_format_duration(1, -1, text), -STATUS_OUT_OF_RANGE);
    assert_int_equal(
        time_text_format_duration(TIME_TEXT_DURATION_MAX + 1, 0, text), -STATUS_OUT_OF_RANGE);
    static const char *const wrong[] = {
        "", "s", "1", "1.s", ".5s", "1ms", "--1s", "315576000001s", "1s "};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t seconds;
        int32_t nanos;
        assert_int_equal(time_text_parse_duration(wrong[i], strlen(wrong[i]), &seconds, &nanos),
            -STATUS_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_round_trips),
        cmocka_unit_test(test_time_outside_the_contract_is_refused),
        cmocka_unit_test(test_time_with_offset_is_moved_to_utc),
        cmocka_unit_test(test_time_wrong_texts_are_refused),
        cmocka_unit_test(test_duration_round_trips),
        cmocka_unit_test(test_duration_wrong_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
