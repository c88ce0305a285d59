#include <string.h>

#include "client/cli/safe_text.h"
#include "common/base/attributes.h"
#include "unit.h"

static void test_safe_text_what_drives_a_terminal_is_shown(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        const char *safe;
    } rows[] = {
        {"plain", "a b~", "a b~"},
        {"other scripts", "\xc3\xa4 \xe6\xbc\xa2", "\xc3\xa4 \xe6\xbc\xa2"},
        {"escape", "\033[2J", "\\x1b[2J"},
        {"newline, tab, delete", "\n\t\177", "\\x0a\\x09\\x7f"},
        {"C1 control",
            "a\xc2\x9b"
            "2J",
            "a\\u009b2J"},
        {"no UTF-8", "\xff\xc3", "\\xff\\xc3"},
        {"overlong", "\xc0\xaf", "\\xc0\\xaf"},
        {"right to left",
            "\xe2\x80\xae"
            "gpj",
            "\\u202egpj"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char out[64];
        safe_text_copy(rows[i].text, out, sizeof(out));
        if (strcmp(out, rows[i].safe) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, out);
    }
}

static void test_safe_text_copy_cuts_whole_characters(void **state)
{
    char out[6];
    (void)state;
    safe_text_copy("abcd\xc3\xa4", out, sizeof(out));
    assert_string_equal(out, "abcd");
    safe_text_copy("ab\033c", out, sizeof(out));
    assert_string_equal(out, "ab");
}

static void test_safe_text_columns(void **state)
{
    static const struct {
        const char *text;
        size_t columns;
    } rows[] = {{"", 0}, {"abc", 3}, {"\xc3\xa4", 1}, {"e\xcc\x81", 1}, {"\xe6\xbc\xa2", 2},
        {"\033[32mok\033[0m", 2}, {"\xff", 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (safe_text_columns(rows[i].text) != rows[i].columns)
            fail_msg("row %zu: %zu", i, safe_text_columns(rows[i].text));
}

static void test_safe_text_cut_keeps_wide_characters_and_sequences_whole(void **state)
{
    static const char wide[] = "a\xe6\xbc\xa2";
    static const char colored[] = "\033[32mab\033[0m";
    (void)state;
    assert_int_equal(safe_text_cut(wide, strlen(wide), 2), 1);
    assert_int_equal(safe_text_cut(wide, strlen(wide), 3), 4);
    assert_int_equal(safe_text_cut(colored, strlen(colored), 1), 6);
    assert_int_equal(safe_text_cut(colored, strlen(colored), 2), strlen(colored));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe_text_what_drives_a_terminal_is_shown),
        cmocka_unit_test(test_safe_text_copy_cuts_whole_characters),
        cmocka_unit_test(test_safe_text_columns),
        cmocka_unit_test(test_safe_text_cut_keeps_wide_characters_and_sequences_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
