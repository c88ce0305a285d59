#include <string.h>

#include "client/cli/options.h"
#include "unit.h"

static const enum option_id accepted[] = {
    OPTION_FOLLOW, OPTION_LINES, OPTION_SERVER_PORT, OPTION_END};

struct line {
    const char *name;
    const char *words[6];
    int result;
    const char *text; /* part of the error, or of the hint */
};

static int count(const char *const *words)
{
    int n = 0;
    while (words[n])
        n++;
    return n;
}

static int parse(const char *const *words, struct options *options, struct error *error)
{
    const union {
        const char *const *constant;
        char *const *items;
    } argv = {.constant = words};
    memset(options, 0, sizeof(*options));
    return options_parse(accepted, count(words), argv.items, NULL, options, error);
}

static void test_options_refused_lines_say_what_is_wrong(void **state)
{
    static const struct line lines[] = {
        {"unknown", {"--server-prot"}, -STATUS_INVALID_ARGUMENT, "--server-port"},
        {"another command's", {"--foreground"}, -STATUS_INVALID_ARGUMENT, "unknown option"},
        {"letter", {"-x"}, -STATUS_INVALID_ARGUMENT, "unknown option -x"},
        {"missing value", {"--lines"}, -STATUS_INVALID_ARGUMENT, "--lines N"},
        {"flag with value", {"--json=yes"}, -STATUS_INVALID_ARGUMENT, "takes no value"},
        {"no number", {"-n", "many"}, -STATUS_INVALID_ARGUMENT, "not \"many\""},
        {"negative number", {"-n-1"}, -STATUS_INVALID_ARGUMENT, "not \"-1\""},
        {"large number", {"-n", "1000001"}, -STATUS_INVALID_ARGUMENT, "1000000"},
        {"no duration", {"--timeout", "soon"}, -STATUS_INVALID_ARGUMENT, "not \"soon\""},
        {"no time", {"--timeout=0"}, -STATUS_INVALID_ARGUMENT, "1ms"},
        {"flag negated", {"--no-json"}, -STATUS_INVALID_ARGUMENT, "unknown option"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        static struct options options;
        struct error error = ERROR_INIT;
        int result = parse(lines[i].words, &options, &error);
        if (result != lines[i].result ||
            (!strstr(error.text, lines[i].text) && !strstr(error.hint, lines[i].text)))
            fail_msg("%s: %d \"%s\" \"%s\"", lines[i].name, result, error.text, error.hint);
    }
}

static void test_options_values_in_every_spelling(void **state)
{
    static const char *const spellings[][4] = {
        {"-n", "7"}, {"-n7"}, {"--lines", "7"}, {"--lines=7"}, {"-fn", "7"}, {"-qfn7"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++) {
        static struct options options;
        assert_int_equal(parse(spellings[i], &options, NULL), 0);
        assert_true(options.values[OPTION_LINES].given);
        assert_int_equal(options.values[OPTION_LINES].number, 7);
    }
}

static void test_options_switch_later_wins(void **state)
{
    static struct options options;
    static const char *const words[] = {"--no-follow", "--follow", "--no-follow", NULL};
    (void)state;
    assert_int_equal(parse(words, &options, NULL), 0);
    assert_true(options.values[OPTION_FOLLOW].given);
    assert_false(options.values[OPTION_FOLLOW].on);
}

static void test_options_operands_between_and_after_dashes(void **state)
{
    static struct options options;
    static const char *const words[] = {"web", "--json", "-", "--", "--json", NULL};
    (void)state;
    assert_int_equal(parse(words, &options, NULL), 0);
    assert_int_equal(options.n_operands, 3);
    assert_string_equal(options.operands[0], "web");
    assert_string_equal(options.operands[1], "-");
    assert_string_equal(options.operands[2], "--json");
}

static void test_options_stop_at_the_command(void **state)
{
    static struct options options;
    char root[] = "--root";
    char path[] = "/r";
    char command[] = "status";
    char json[] = "--json";
    char *argv[] = {root, path, command, json};
    int used = -1;
    (void)state;
    memset(&options, 0, sizeof(options));
    assert_int_equal(options_parse(accepted, 4, argv, &used, &options, NULL), 0);
    assert_int_equal(used, 2);
    assert_string_equal(options.values[OPTION_ROOT].text, "/r");
    assert_false(options.values[OPTION_JSON].given);
}

static void test_options_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {{"1ms", 1}, {"2s", 2000}, {"30", 30000}, {"1.5s", 1500}, {"5m", 300000},
        {"1h", 3600000}, {"61m", -1}, {"0", -1}, {"", -1}, {"s", -1}, {"-1s", -1}, {"1 s", -1},
        {"99999999999999999999", -1}, {"0.1ms", -1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t ms = -1;
        int result = options_parse_duration(rows[i].text, &ms);
        if ((result == 0) != (rows[i].ms >= 0) || (result == 0 && ms != rows[i].ms))
            fail_msg("\"%s\": %d, %lld", rows[i].text, result, (long long)ms);
    }
}

static void test_options_too_many_operands_are_refused(void **state)
{
    static struct options options;
    static char name[] = "a";
    static char *argv[OPTIONS_OPERANDS_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(argv); i++)
        argv[i] = name;
    memset(&options, 0, sizeof(options));
    assert_int_equal(options_parse(accepted, OPTIONS_OPERANDS_MAX, argv, NULL, &options, NULL), 0);
    memset(&options, 0, sizeof(options));
    assert_int_equal(options_parse(accepted, OPTIONS_OPERANDS_MAX + 1, argv, NULL, &options, NULL),
        -STATUS_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_refused_lines_say_what_is_wrong),
        cmocka_unit_test(test_options_values_in_every_spelling),
        cmocka_unit_test(test_options_switch_later_wins),
        cmocka_unit_test(test_options_operands_between_and_after_dashes),
        cmocka_unit_test(test_options_stop_at_the_command),
        cmocka_unit_test(test_options_durations),
        cmocka_unit_test(test_options_too_many_operands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
