#include <string.h>

#include "client/cli/candidates.h"
#include "client/cli/complete.h"
#include "common/base/log.h"
#include "unit.h"

struct line {
    const char *words[6];
    enum complete_what what;
    const char *command; /* NULL: none */
    enum option_id option;
    const char *prefix;
    const char *partial;
};

static void check(const struct line *line)
{
    static struct complete complete;
    size_t n = 0;
    while (line->words[n])
        n++;
    complete_look(line->words, n, &complete);
    if (complete.what != line->what)
        fail_msg("\"%s\" ...: %d", line->words[0], (int)complete.what);
    if (line->command)
        assert_ptr_equal(complete.command, command_find(line->command));
    else
        assert_null(complete.command);
    assert_int_equal(complete.option, line->option);
    assert_int_equal(complete.prefix_len, strlen(line->prefix));
    assert_memory_equal(complete.prefix, line->prefix, complete.prefix_len);
    assert_string_equal(complete.partial, line->partial);
}

static void test_complete_tells_what_is_being_written(void **state)
{
    static const struct line lines[] = {
        {{""}, COMPLETE_COMMAND, NULL, OPTION_END, "", ""},
        {{"st"}, COMPLETE_COMMAND, NULL, OPTION_END, "", "st"},
        {{"-"}, COMPLETE_OPTION, NULL, OPTION_END, "", "-"},
        {{"--root"}, COMPLETE_OPTION, NULL, OPTION_END, "", "--root"},
        {{"--root", ""}, COMPLETE_VALUE, NULL, OPTION_ROOT, "", ""},
        {{"--root", "--x"}, COMPLETE_VALUE, NULL, OPTION_ROOT, "", "--x"},
        {{"--root=/t"}, COMPLETE_VALUE, NULL, OPTION_ROOT, "--root=", "/t"},
        {{"--root="}, COMPLETE_VALUE, NULL, OPTION_ROOT, "--root=", ""},
        {{"--json=x"}, COMPLETE_NOTHING, NULL, OPTION_END, "--json=", "x"},
        {{"--nope=x"}, COMPLETE_NOTHING, NULL, OPTION_END, "--nope=", "x"},
        {{"--root", "/x", "s"}, COMPLETE_COMMAND, NULL, OPTION_END, "", "s"},
        {{"--root=/x", "-q", "s"}, COMPLETE_COMMAND, NULL, OPTION_END, "", "s"},
        {{"logs", "w"}, COMPLETE_OPERAND, "logs", OPTION_END, "", "w"},
        {{"logs", "-n", "1"}, COMPLETE_VALUE, "logs", OPTION_LINES, "", "1"},
        {{"logs", "-n1", "w"}, COMPLETE_OPERAND, "logs", OPTION_END, "", "w"},
        {{"logs", "-fn", "1"}, COMPLETE_VALUE, "logs", OPTION_LINES, "", "1"},
        {{"logs", "-x", "w"}, COMPLETE_OPERAND, "logs", OPTION_END, "", "w"},
        {{"logs", "--unknown", "w"}, COMPLETE_OPERAND, "logs", OPTION_END, "", "w"},
        {{"logs", "--", "-n"}, COMPLETE_OPERAND, "logs", OPTION_END, "", "-n"},
        /* An option of another command is none of this one. */
        {{"stop", "-n", "x"}, COMPLETE_OPERAND, "stop", OPTION_END, "", "x"},
        {{"nope", "x"}, COMPLETE_NOTHING, NULL, OPTION_END, "", "x"},
        {{"nope", "stop", "--x"}, COMPLETE_NOTHING, NULL, OPTION_END, "", "--x"},
        {{NULL}, COMPLETE_NOTHING, NULL, OPTION_END, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        check(&lines[i]);
}

static void test_complete_remembers_what_was_said(void **state)
{
    static const char *const words[] = {
        "--root", "/r", "status", "--json", "--config=/c", "web", "db", ""};
    static struct complete complete;
    (void)state;
    complete_look(words, sizeof(words) / sizeof(words[0]), &complete);
    assert_string_equal(complete.options.values[OPTION_ROOT].text, "/r");
    assert_string_equal(complete.options.values[OPTION_CONFIG].text, "/c");
    assert_true(complete.options.values[OPTION_JSON].given);
    assert_false(complete.options.values[OPTION_QUIET].given);
    assert_int_equal(complete.options.n_operands, 2);
    assert_string_equal(complete.options.operands[1], "db");
}

/* Whoever adds an option with a value says what it is. */
static void test_complete_knows_every_value(void **state)
{
    (void)state;
    for (int id = 0; id < OPTION_COUNT; id++) {
        enum option_kind kind = option_row((enum option_id)id)->kind;
        bool takes_value = kind != OPTION_KIND_FLAG && kind != OPTION_KIND_SWITCH;
        bool is_known = candidates_value_of((enum option_id)id) != CANDIDATES_UNKNOWN;
        if (takes_value != is_known)
            fail_msg("candidates_value_of(--%s)", option_row((enum option_id)id)->name);
    }
}

static void print_levels(const char *const *words, size_t n_words, char *out, size_t size)
{
    static const struct crpc_catalog none;
    static struct complete complete;
    static const struct cli cli;
    FILE *stream = fmemopen(out, size, "w");
    assert_non_null(stream);
    complete_look(words, n_words, &complete);
    candidates_print(&cli, &complete, &none, stream);
    assert_int_equal(fclose(stream), 0);
}

static void test_complete_offers_levels_that_the_daemon_takes(void **state)
{
    static const char *const words[] = {"start", "--log-level="};
    char text[256];
    size_t n = 0;
    (void)state;
    print_levels(words, 2, text, sizeof(text));
    for (const char *line = text; *line; n++) {
        enum log_level level;
        char name[32];
        size_t len = strcspn(line, "\n");
        assert_memory_equal(line, "--log-level=", 12);
        (void)snprintf(name, sizeof(name), "%.*s", (int)len - 12, line + 12);
        assert_int_equal(log_level_from_text(name, &level), 0);
        line += len + 1;
    }
    assert_int_equal(n, LOG_LEVEL_ERROR + 1);
}

/* A command that takes something tells what, or that nobody can. */
static void test_complete_of_operands_agrees_with_the_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        const char *operands = commands[i]->operands ? commands[i]->operands : "";
        bool has_words =
            commands[i]->operand == OPERAND_WORD || commands[i]->operand == OPERAND_WORDS_AND_FILE;
        assert_int_equal(has_words, commands[i]->words != NULL);
        if (!operands[0])
            assert_int_equal(commands[i]->operand, OPERAND_OTHER);
        for (const char *const *word = commands[i]->words; word && *word; word++)
            assert_non_null(strstr(operands, *word));
        if (strstr(operands, "SERVICE"))
            assert_int_not_equal(commands[i]->operand, OPERAND_OTHER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_tells_what_is_being_written),
        cmocka_unit_test(test_complete_remembers_what_was_said),
        cmocka_unit_test(test_complete_knows_every_value),
        cmocka_unit_test(test_complete_offers_levels_that_the_daemon_takes),
        cmocka_unit_test(test_complete_of_operands_agrees_with_the_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
