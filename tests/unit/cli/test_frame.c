#include <string.h>

#include "client/cli/frame.h"
#include "unit.h"

/* The bytes as text, in static storage. */
static const char *text_of(struct buffer *buffer)
{
    static char text[512];
    size_t len = buffer_length(buffer);
    assert_true(len < sizeof(text));
    memcpy(text, buffer_data(buffer), len);
    text[len] = '\0';
    buffer_deinit(buffer);
    return text;
}

static const char *screen(const char *text, size_t columns, size_t rows)
{
    struct buffer out;
    buffer_init(&out, 512);
    const struct frame_size size = {.columns = columns, .rows = rows};
    assert_int_equal(frame_append_screen(&out, text, size), 0);
    return text_of(&out);
}

static const char *block(
    const char *text, size_t columns, size_t rows, size_t rows_before, size_t *out_rows)
{
    struct buffer out;
    buffer_init(&out, 512);
    const struct frame_size size = {.columns = columns, .rows = rows};
    assert_int_equal(frame_append_block(&out, text, size, rows_before, out_rows), 0);
    return text_of(&out);
}

static void test_frame_screen_lines_are_cut_to_the_terminal(void **state)
{
    (void)state;
    assert_string_equal(screen("abcdef\n\ngh\n", 4, 10), "\033[?7l\033[H"
                                                         "abcd\033[K\r\n\033[K\r\ngh\033[K"
                                                         "\033[J\033[?7h");
}

static void test_frame_screen_says_how_many_lines_are_below(void **state)
{
    (void)state;
    assert_string_equal(screen("1\n2\n3\n4\n", 80, 3),
        "\033[?7l\033[H1\033[K\r\n2\033[K\r\n... 2 more\033[K\033[J\033[?7h");
    assert_string_equal(screen("1\n2\n", 80, 1), "\033[?7l\033[H... 2 more\033[K\033[J\033[?7h");
}

static void test_frame_a_cut_colour_ends(void **state)
{
    (void)state;
    assert_string_equal(
        screen("\033[32mabc\033[0m", 2, 2), "\033[?7l\033[H\033[32mab\033[0m\033[K\033[J\033[?7h");
}

static void test_frame_block_goes_over_the_one_before(void **state)
{
    size_t rows = 0;
    (void)state;
    assert_string_equal(
        block("a\nb\n", 80, 24, 0, &rows), "\033[?7l\ra\033[K\r\nb\033[K\033[J\033[?7h");
    assert_int_equal(rows, 2);
    assert_string_equal(block("c", 80, 24, rows, &rows), "\033[?7l\r\033[1Ac\033[K\033[J\033[?7h");
    assert_int_equal(rows, 1);
}

static void test_frame_block_leaves_one_row_free(void **state)
{
    size_t rows = 0;
    (void)state;
    assert_string_equal(
        block("a\nb\nc\n", 80, 3, 0, &rows), "\033[?7l\ra\033[K\r\n... 2 more\033[K\033[J\033[?7h");
    assert_int_equal(rows, 2);
    assert_string_equal(
        block("a\nb\n", 80, 1, 0, &rows), "\033[?7l\r... 2 more\033[K\033[J\033[?7h");
    assert_int_equal(rows, 1);
}

static void test_frame_empty_block_removes_it(void **state)
{
    size_t rows = 7;
    (void)state;
    assert_string_equal(block("", 80, 24, 3, &rows), "\033[?7l\r\033[2A\033[J\033[?7h");
    assert_int_equal(rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_screen_lines_are_cut_to_the_terminal),
        cmocka_unit_test(test_frame_screen_says_how_many_lines_are_below),
        cmocka_unit_test(test_frame_a_cut_colour_ends),
        cmocka_unit_test(test_frame_block_goes_over_the_one_before),
        cmocka_unit_test(test_frame_block_leaves_one_row_free),
        cmocka_unit_test(test_frame_empty_block_removes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
