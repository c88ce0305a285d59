/* Layout of generated code: comments filled, argument lists broken, literals escaped. */
#include <string.h>

#include "text.h"
#include "unit.h"

static int set_up(void **state)
{
    static struct text text;
    text_init(&text);
    *state = &text;
    return 0;
}

static int tear_down(void **state)
{
    text_deinit(*state);
    return 0;
}

static size_t longest_line(const struct text *text)
{
    size_t longest = 0;
    for (const char *line = text_data(text); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        longest = len > longest ? len : longest;
        line += len + (line[len] == '\n');
    }
    return longest;
}

static void test_comment_that_fits_is_one_line(void **state)
{
    text_comment(*state, 4, "Why, not what.");
    assert_string_equal(text_data(*state), "    /* Why, not what. */\n");
}

static void test_comment_empty_prints_nothing(void **state)
{
    text_comment(*state, 4, "");
    assert_string_equal(text_data(*state), "");
}

static void test_comment_paragraphs_and_lists_begin_anew(void **state)
{
    text_comment(*state, 0, "One\ntwo.\n\nThree:\n - four");
    assert_string_equal(text_data(*state), "/* One two.\n *\n * Three:\n * - four */\n");
}

static void test_comment_long_is_filled_to_the_page(void **state)
{
    for (size_t indent = 0; indent <= 8; indent += 4) {
        text_comment(*state, indent,
            "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk llll mmmm nnnn oooo pppp qqqq "
            "rrrr ssss tttt uuuu vvvv wwww xxxx yyyy zzzz aaaa bbbb cccc dddd eeee ffff gggg hhhh");
    }
    assert_in_range(longest_line(*state), 90, TEXT_COLUMNS);
}

static void test_comment_cannot_be_ended_or_begun_by_its_text(void **state)
{
    text_comment(*state, 0, "a */ b /* c");
    assert_string_equal(text_data(*state), "/* a * / b / * c */\n");
}

static void test_comment_loses_trigraphs_controls_and_reordering(void **state)
{
    text_comment(*state, 0, "a?\?/ b\tc\rd \342\200\256e\342\200\254 \303\244");
    assert_string_equal(text_data(*state), "/* a? ?/ b c d e \303\244 */\n");
}

static void test_call_short_stays_on_one_line(void **state)
{
    text_call(*state, 4, "int f", "int a, int b", ";");
    assert_string_equal(text_data(*state), "    int f(int a, int b);\n");
}

static void test_call_that_fits_below_moves_below(void **state)
{
    text_call(*state, 0, "int a_function_with_a_long_name_of_its_own",
        "const struct one *first, const struct two *second, int third", ";");
    assert_string_equal(text_data(*state),
        "int a_function_with_a_long_name_of_its_own(\n"
        "    const struct one *first, const struct two *second, int third);\n");
}

static void test_call_that_fits_nowhere_is_filled(void **state)
{
    text_call(*state, 0, "int f",
        "const struct aaaaaaaaaaaaaaaa *first, const struct bbbbbbbbbbbbbbbbbbbb *second, "
        "const struct cccccccccccccccc *third, int fourth",
        ";");
    assert_string_equal(text_data(*state),
        "int f(const struct aaaaaaaaaaaaaaaa *first, const struct bbbbbbbbbbbbbbbbbbbb *second,\n"
        "    const struct cccccccccccccccc *third, int fourth);\n");
}

static void test_assigned_call_that_fits_below_moves_below_as_a_whole(void **state)
{
    text_assign_call(*state, 4, "struct rpc_stream *stream", "rpc_client_watch",
        "client, method, options, NULL, &hooks_nasty_up, hooks, data, error");
    assert_string_equal(text_data(*state),
        "    struct rpc_stream *stream =\n        rpc_client_watch(client, method, options, NULL, "
        "&hooks_nasty_up, hooks, data, error);\n");
}

static void test_assigned_call_that_is_too_long_breaks_behind_its_name(void **state)
{
    text_assign_call(*state, 4, "struct rpc_stream *stream", "rpc_client_watch",
        "client, method, options, &request->base, &hooks_nasty_down, hooks, data, error");
    assert_string_equal(text_data(*state),
        "    struct rpc_stream *stream = rpc_client_watch(\n        client, method, options, "
        "&request->base, &hooks_nasty_down, hooks, data, error);\n");
}

static void test_literal_escapes_what_c_would_misread(void **state)
{
    text_literal(*state, "a\"b\\c\nd\te?\?/?\342\201\246\303\244");
    assert_string_equal(
        text_data(*state), "\"a\\\"b\\\\c\\nd\\011e\\077?/?\\342\\201\\246\303\244\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_comment_that_fits_is_one_line),
        TEST(test_comment_empty_prints_nothing),
        TEST(test_comment_paragraphs_and_lists_begin_anew),
        TEST(test_comment_long_is_filled_to_the_page),
        TEST(test_comment_cannot_be_ended_or_begun_by_its_text),
        TEST(test_comment_loses_trigraphs_controls_and_reordering),
        TEST(test_call_short_stays_on_one_line),
        TEST(test_call_that_fits_below_moves_below),
        TEST(test_call_that_fits_nowhere_is_filled),
        TEST(test_assigned_call_that_fits_below_moves_below_as_a_whole),
        TEST(test_assigned_call_that_is_too_long_breaks_behind_its_name),
        TEST(test_literal_escapes_what_c_would_misread),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
