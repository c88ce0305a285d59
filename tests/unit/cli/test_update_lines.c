#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/update_lines.h"
#include "unit.h"

struct told {
    char text[256];
    size_t n;
};

static void take(void *data, const char *line, size_t len)
{
    struct told *told = data;
    size_t at = strlen(told->text);
    told->n++;
    (void)snprintf(told->text + at, sizeof(told->text) - at, "%.*s|", (int)len, line);
}

static void feed(struct update_lines *lines, struct told *told, const char *text)
{
    update_lines_feed(lines, text, strlen(text), take, told);
}

static void test_update_lines_are_whole_however_they_come(void **state)
{
    struct told told = {.n = 0};
    struct update_lines lines;
    (void)state;
    update_lines_init(&lines);
    feed(&lines, &told, "a\nb");
    feed(&lines, &told, "");
    feed(&lines, &told, "c\n\n\nd");
    assert_string_equal(told.text, "a|bc|");
    feed(&lines, &told, "\ne");
    assert_string_equal(told.text, "a|bc|d|");
    assert_int_equal(lines.n_dropped, 0);
    update_lines_deinit(&lines);
}

static void test_update_lines_too_long_is_left_out_and_counted(void **state)
{
    struct told told = {.n = 0};
    struct update_lines lines;
    (void)state;
    char *long_text = malloc(UPDATE_LINE_MAX + 1);
    assert_non_null(long_text);
    memset(long_text, 'x', UPDATE_LINE_MAX + 1);
    update_lines_init(&lines);
    update_lines_feed(&lines, long_text, UPDATE_LINE_MAX, take, &told);
    feed(&lines, &told, "y");
    update_lines_feed(&lines, long_text, UPDATE_LINE_MAX, take, &told);
    assert_int_equal(lines.n_dropped, 1);
    feed(&lines, &told, "z\na\n");
    assert_string_equal(told.text, "a|");
    update_lines_feed(&lines, long_text, UPDATE_LINE_MAX + 1, take, &told);
    feed(&lines, &told, "\nb\n");
    assert_int_equal(lines.n_dropped, 2);
    assert_string_equal(told.text, "a|b|");
    told.n = 0;
    update_lines_feed(&lines, long_text, UPDATE_LINE_MAX, take, &told);
    feed(&lines, &told, "\n");
    assert_int_equal(told.n, 1);
    update_lines_deinit(&lines);
    free(long_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update_lines_are_whole_however_they_come),
        cmocka_unit_test(test_update_lines_too_long_is_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
