#include "client/cli/table.h"
#include "temporary.h"
#include "unit.h"

static const char *const headings[] = {"A", "LONG", "C"};

static void print_plain(FILE *stream, const void *table)
{
    assert_true(table_print(table, stream, false));
}

static void print_colored(FILE *stream, const void *table)
{
    assert_true(table_print(table, stream, true));
}

static void test_table_columns_line_up_without_trailing_blanks(void **state)
{
    struct table *table = table_new(headings, 3);
    (void)state;
    table_cell(table, TERMINAL_PLAIN, "%s", "wider");
    table_cell(table, TERMINAL_PLAIN, "%d", 7);
    table_cell(table, TERMINAL_PLAIN, "%s", "");
    table_cell(table, TERMINAL_PLAIN, "%s", "\xc3\xa4");
    table_cell(table, TERMINAL_PLAIN, "%s", "");
    table_cell(table, TERMINAL_PLAIN, "%s", "end");
    assert_string_equal(temporary_printed(print_plain, table), "A      LONG  C\n"
                                                               "wider  7\n"
                                                               "\xc3\xa4            end\n");
    table_free(table);
}

static void test_table_colours_do_not_move_columns(void **state)
{
    struct table *table = table_new(headings, 3);
    (void)state;
    table_cell(table, TERMINAL_GREEN, "%s", "ok");
    table_cell(table, TERMINAL_PLAIN, "%s", "b");
    table_cell(table, TERMINAL_PLAIN, "%s", "c");
    assert_string_equal(temporary_printed(print_colored, table),
        "\033[1mA\033[0m   \033[1mLONG\033[0m  \033[1mC\033[0m\n"
        "\033[32mok\033[0m  b     c\n");
    table_free(table);
}

static void test_table_cell_cannot_drive_the_terminal(void **state)
{
    struct table *table = table_new(headings, 1);
    (void)state;
    table_cell(table, TERMINAL_PLAIN, "%s", "a\033[2Jb\nc");
    assert_string_equal(temporary_printed(print_plain, table), "A\na\\x1b[2Jb\\x0ac\n");
    table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_columns_line_up_without_trailing_blanks),
        cmocka_unit_test(test_table_colours_do_not_move_columns),
        cmocka_unit_test(test_table_cell_cannot_drive_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
