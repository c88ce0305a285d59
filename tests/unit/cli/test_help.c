#include <string.h>

#include "client/cli/help.h"
#include "temporary.h"
#include "unit.h"

static void print_program(FILE *stream, const void *data)
{
    (void)data;
    help_print_program(stream);
}

static void print_command(FILE *stream, const void *data)
{
    help_print_command(data, stream);
}

static void test_help_of_the_program_names_every_command(void **state)
{
    const char *text = temporary_printed(print_program, NULL);
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        assert_non_null(strstr(text, commands[i]->name));
        assert_non_null(strstr(text, commands[i]->summary));
        assert_ptr_equal(command_find(commands[i]->name), commands[i]);
    }
    assert_null(command_find("serve"));
}

static void test_help_fits_a_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        const char *line = temporary_printed(print_command, commands[i]);
        while (*line) {
            size_t len = strcspn(line, "\n");
            if (len > 100)
                fail_msg("%s: \"%.*s\"", commands[i]->name, (int)len, line);
            line += len + (line[len] != '\0');
        }
    }
}

static void test_help_of_a_command_names_its_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        const char *text = temporary_printed(print_command, commands[i]);
        for (const enum option_id *id = commands[i]->options; *id != OPTION_END; id++)
            assert_non_null(strstr(text, option_row(*id)->name));
        for (const enum option_id *id = options_common; *id != OPTION_END; id++)
            assert_non_null(strstr(text, option_row(*id)->help));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_of_the_program_names_every_command),
        cmocka_unit_test(test_help_fits_a_terminal),
        cmocka_unit_test(test_help_of_a_command_names_its_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
