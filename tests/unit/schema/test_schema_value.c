#include "check.h"
#include "common/schema/schema_value.h"
#include "zoo.info.h"
#include "zoo.names.h"

struct fixture {
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena, 1 << 20);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_deinit(&fixture->arena);
    return 0;
}

static struct schema_field cage_field(const char *name)
{
    struct schema_field field;
    assert_true(schema_field_find(&zoo_cage_info, name, strlen(name), false, &field));
    return field;
}

/* Reads `text` and writes it again. */
static void check_text(
    struct fixture *fixture, const char *name, const char *text, const char *back)
{
    struct schema_field field = cage_field(name);
    union schema_value value;
    struct error error = ERROR_INIT;
    int result = schema_value_parse(&field, text, strlen(text), &fixture->arena, &value, &error);
    if (result != 0)
        fail_msg("%s: '%s': %s", name, text, error.text);
    assert_string_equal(schema_value_format(&field, value, &fixture->arena), back);
}

static void check_refused(struct fixture *fixture, const char *name, const char *text,
    const char *message, const char *hint)
{
    struct schema_field field = cage_field(name);
    union schema_value value;
    struct error error = ERROR_INIT;
    assert_int_equal(
        schema_value_parse(&field, text, strlen(text), &fixture->arena, &value, &error),
        -STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.text, message);
    assert_string_equal(error.hint, hint);
}

static void test_numbers_in_range_are_read(void **state)
{
    check_text(*state, "port", "1", "1");
    check_text(*state, "port", "65535", "65535");
    check_text(*state, "nice", "-20", "-20");
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    check_refused(*state, "port", "0", "must be a whole number from 1 to 65535, not '0'", "");
    check_refused(
        *state, "port", "65536", "must be a whole number from 1 to 65535, not '65536'", "");
    check_refused(*state, "port", "-1", "must be a whole number from 1 to 65535, not '-1'", "");
    check_refused(*state, "port", "8 0", "must be a whole number from 1 to 65535, not '8 0'", "");
    check_refused(*state, "port", "99999999999999999999",
        "must be a whole number from 1 to 65535, not '99999999999999999999'", "");
    check_refused(*state, "nice", "20", "must be a whole number from -20 to 19, not '20'", "");
}

static void test_sizes_take_units(void **state)
{
    check_text(*state, "room", "64MiB", "64MiB");
    check_text(*state, "room", "10kB", "10000");
    check_text(*state, "room", "2048", "2KiB");
    check_text(*state, "room", "1TiB", "1TiB");
    check_refused(*state, "room", "64mb",
        "must be a size such as 64MiB, at least 1KiB, at most 1TiB, not '64mb'", "");
    check_refused(*state, "room", "18446744073709551615TiB",
        "must be a size such as 64MiB, at least 1KiB, at most 1TiB, not '18446744073709551615TiB'",
        "");
}

static void test_modes_are_octal(void **state)
{
    check_text(*state, "mode", "0644", "0644");
    check_text(*state, "mode", "22", "0022");
    check_refused(*state, "mode", "0888", "must be an octal mode from 0 to 7777, not '0888'", "");
}

static void test_durations_take_units(void **state)
{
    check_text(*state, "feed_every", "500ms", "500ms");
    check_text(*state, "feed_every", "1.5s", "1500ms");
    check_text(*state, "feed_every", "1m30s", "90s");
    check_text(*state, "feed_every", "1h", "1h");
    check_refused(*state, "feed_every", "10",
        "must be a duration such as 500ms, 2s or 5m, at least 10ms, at most 1h, not '10'",
        "add a unit: 10s");
    check_refused(*state, "feed_every", "61m",
        "must be a duration such as 500ms, 2s or 5m, at least 10ms, at most 1h, not '61m'", "");
    check_refused(*state, "feed_every", "-1s",
        "must be a duration such as 500ms, 2s or 5m, at least 10ms, at most 1h, not '-1s'", "");
}

static void test_duration_parse_limits(void **state)
{
    (void)state;
    int64_t ns;
    assert_int_equal(schema_duration_parse("0", 1, &ns), 0);
    assert_true(ns == 0);
    assert_int_equal(schema_duration_parse("999999999999h", 13, &ns), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(schema_duration_parse("1.s", 3, &ns), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(schema_duration_parse("", 0, &ns), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(schema_duration_parse("0.999999h", 9, &ns), 0);
    assert_true(ns == INT64_C(3599996400000));
}

static void test_enums_with_and_without_prefix(void **state)
{
    check_text(*state, "colour", "RED", "RED");
    check_text(*state, "colour", "COLOUR_DARK_BLUE", "DARK_BLUE");
    check_refused(
        *state, "colour", "red", "must be one of RED, DARK_BLUE, not 'red'", "did you mean RED?");
    check_refused(
        *state, "colour", "UNSPECIFIED", "must be one of RED, DARK_BLUE, not 'UNSPECIFIED'", "");
}

static void test_booleans_are_true_and_false_only(void **state)
{
    check_text(*state, "open", "true", "true");
    check_text(*state, "open", "false", "false");
    check_refused(*state, "open", "yes", "must be true or false, not 'yes'", "write true");
    check_refused(*state, "open", "False", "must be true or false, not 'False'", "write false");
}

static void test_texts_are_bounded(void **state)
{
    check_text(*state, "name", "12345678", "12345678");
    check_refused(
        *state, "name", "123456789", "must be a text of at most 8 bytes, not '123456789'", "");
}

static void test_bytes_are_base64(void **state)
{
    check_text(*state, "stamp", "AAEC", "AAEC");
    check_refused(*state, "stamp", "A", "must be base64 text, not 'A'", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_in_range_are_read),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_sizes_take_units),
        cmocka_unit_test(test_modes_are_octal),
        cmocka_unit_test(test_durations_take_units),
        cmocka_unit_test(test_duration_parse_limits),
        cmocka_unit_test(test_enums_with_and_without_prefix),
        cmocka_unit_test(test_booleans_are_true_and_false_only),
        cmocka_unit_test(test_texts_are_bounded),
        cmocka_unit_test(test_bytes_are_base64),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
