/* The last lines of a log, whatever was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/utf8.h"
#include "server/output/log_tail.h"

static struct log_tail tail;

static void cut(const char *bytes, size_t len, bool begins_whole)
{
    memset(&tail, 0x55, sizeof tail);
    log_tail_cut((const uint8_t *)bytes, len, begins_whole, &tail);
}

static void cut_text(const char *text)
{
    cut(text, strlen(text), true);
}

static void test_log_tail_of_nothing_is_empty(void **state)
{
    (void)state;
    cut_text("");
    assert_int_equal(tail.n_lines, 0);
}

static void test_log_tail_has_lines_in_order_and_the_unfinished_one(void **state)
{
    (void)state;
    cut_text("one\n\r\ntwo\r\n\nthree");
    assert_int_equal(tail.n_lines, 5);
    assert_string_equal(tail.lines[0], "one");
    assert_string_equal(tail.lines[1], "");
    assert_string_equal(tail.lines[2], "two");
    assert_string_equal(tail.lines[3], "");
    assert_string_equal(tail.lines[4], "three");
}

static void test_log_tail_of_one_empty_line(void **state)
{
    (void)state;
    cut_text("\n");
    assert_int_equal(tail.n_lines, 1);
    assert_string_equal(tail.lines[0], "");
}

static void test_log_tail_limit_of_50_lines_keeps_the_last(void **state)
{
    char text[1024];
    size_t length = 0;

    (void)state;
    for (int i = 0; i < 60; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "line %d\n", i);
    cut(text, length, true);
    assert_int_equal(tail.n_lines, LOG_TAIL_LINES_MAX);
    assert_string_equal(tail.lines[0], "line 10");
    assert_string_equal(tail.lines[49], "line 59");
}

static void test_log_tail_leaves_out_a_line_whose_beginning_is_missing(void **state)
{
    (void)state;
    cut("rest\nnext\n", 10, false);
    assert_int_equal(tail.n_lines, 1);
    assert_string_equal(tail.lines[0], "next");
    cut("only the rest of one", 20, false);
    assert_int_equal(tail.n_lines, 1);
    assert_string_equal(tail.lines[0], "only the rest of one");
}

static void test_log_tail_limit_of_1023_bytes_does_not_split_a_character(void **state)
{
    char text[2048];

    (void)state;
    memset(text, 'x', 1022);
    memcpy(text + 1022, "\xC3\xA4\xC3\xA4\n", 5);
    cut(text, 1027, true);
    assert_int_equal(strlen(tail.lines[0]), 1022);
    memset(text, 'x', sizeof text);
    cut(text, sizeof text, true);
    assert_int_equal(strlen(tail.lines[0]), LOG_TAIL_LINE_BYTES_MAX);
}

static void test_log_tail_is_utf8_without_nul_whatever_was_written(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    cut(text, sizeof text, true);
    assert_int_equal(tail.n_lines, 2);
    for (size_t i = 0; i < tail.n_lines; i++)
        assert_true(utf8_is_valid((const uint8_t *)tail.lines[i], strlen(tail.lines[i])));
    cut("a\0b\xFF", 4, true);
    assert_string_equal(tail.lines[0], "a\xEF\xBF\xBD"
                                       "b\xEF\xBF\xBD");
}

/* ---- files ---- */

static char directory[64];
static char path[128];
static char rotated[128];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/flocks-tail-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/x.log", directory);
    (void)snprintf(rotated, sizeof rotated, "%s/x.log.1", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(rotated);
    return rmdir(directory);
}

static void write_file(const char *name, const char *text, int times)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    for (int i = 0; i < times; i++)
        assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_log_tail_of_a_missing_file_is_empty(void **state)
{
    (void)state;
    log_tail_read(path, &tail);
    assert_int_equal(tail.n_lines, 0);
}

/* Opening a pipe to read waits for a writer: never here. */
static void test_log_tail_of_a_pipe_is_empty_at_once(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    log_tail_read(path, &tail);
    assert_int_equal(tail.n_lines, 0);
}

static void test_log_tail_goes_back_into_the_rotated_file(void **state)
{
    (void)state;
    write_file(rotated, "old\n", 100);
    write_file(path, "new\n", 3);
    log_tail_read(path, &tail);
    assert_int_equal(tail.n_lines, LOG_TAIL_LINES_MAX);
    assert_string_equal(tail.lines[46], "old");
    assert_string_equal(tail.lines[47], "new");
}

static void test_log_tail_joins_a_line_that_was_rotated_in_the_middle(void **state)
{
    (void)state;
    write_file(rotated, "begin", 1);
    write_file(path, "end\n", 1);
    log_tail_read(path, &tail);
    assert_int_equal(tail.n_lines, 1);
    assert_string_equal(tail.lines[0], "beginend");
}

static void test_log_tail_of_a_large_file_reads_its_end(void **state)
{
    (void)state;
    write_file(path, "a line of some bytes that is repeated\n", 10000);
    log_tail_read(path, &tail);
    assert_int_equal(tail.n_lines, LOG_TAIL_LINES_MAX);
    assert_string_equal(tail.lines[0], "a line of some bytes that is repeated");
}

#define FILE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_tail_of_nothing_is_empty),
        cmocka_unit_test(test_log_tail_has_lines_in_order_and_the_unfinished_one),
        cmocka_unit_test(test_log_tail_of_one_empty_line),
        cmocka_unit_test(test_log_tail_limit_of_50_lines_keeps_the_last),
        cmocka_unit_test(test_log_tail_leaves_out_a_line_whose_beginning_is_missing),
        cmocka_unit_test(test_log_tail_limit_of_1023_bytes_does_not_split_a_character),
        cmocka_unit_test(test_log_tail_is_utf8_without_nul_whatever_was_written),
        FILE_TEST(test_log_tail_of_a_missing_file_is_empty),
        FILE_TEST(test_log_tail_of_a_pipe_is_empty_at_once),
        FILE_TEST(test_log_tail_goes_back_into_the_rotated_file),
        FILE_TEST(test_log_tail_joins_a_line_that_was_rotated_in_the_middle),
        FILE_TEST(test_log_tail_of_a_large_file_reads_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
