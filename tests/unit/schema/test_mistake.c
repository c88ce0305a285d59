#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "common/schema/mistake.h"

static void check_printed(const struct mistakes *mistakes, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    mistakes_print(mistakes, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void test_mistakes_print_like_a_compiler(void **state)
{
    (void)state;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    struct mistake_place in_file = {"a.yaml", 3, 7, "services.web.port"};
    struct mistake_place in_variable = {"FLOCKS_WEBUI_PORT", 0, 0, ""};
    mistake_set_hint(&mistakes, mistakes_add(&mistakes, &in_file, "must be %d", 1), "write %d", 1);
    (void)mistakes_add(&mistakes, &in_variable, "is wrong");
    check_printed(&mistakes, "a.yaml:3:7: services.web.port: must be 1\n"
                             "    hint: write 1\n"
                             "FLOCKS_WEBUI_PORT: is wrong\n");
    mistakes_deinit(&mistakes);
}

static void test_mistakes_sort_by_file_then_place(void **state)
{
    (void)state;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    static const struct mistake_place places[] = {
        {"b", 9, 1, ""}, {"a", 2, 2, ""}, {"b", 1, 5, ""}, {"a", 2, 1, ""}, {"b", 1, 5, ""}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        (void)mistakes_add(&mistakes, &places[i], "%zu", i);
    mistakes_sort(&mistakes);
    check_printed(&mistakes, "b:1:5: 2\nb:1:5: 4\nb:9:1: 0\na:2:1: 3\na:2:2: 1\n");
    mistakes_deinit(&mistakes);
}

static void test_mistakes_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    struct mistake_place place = {"a", 1, 1, ""};
    for (int i = 0; i < MISTAKES_MAX + 3; i++)
        mistake_set_hint(&mistakes, mistakes_add(&mistakes, &place, "x"), "y");
    assert_int_equal(mistakes.n, MISTAKES_MAX);
    assert_int_equal(mistakes.n_dropped, 3);
    mistakes_deinit(&mistakes);
}

static void test_mistakes_control_characters_reach_no_terminal(void **state)
{
    (void)state;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    struct mistake_place place = {"a", 1, 1, ""};
    (void)mistakes_add(&mistakes, &place, "not '%s'", "\x1b[31m\n");
    assert_string_equal(mistakes.items[0].message, "not '?[31m?'");
    mistakes_deinit(&mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes_print_like_a_compiler),
        cmocka_unit_test(test_mistakes_sort_by_file_then_place),
        cmocka_unit_test(test_mistakes_beyond_the_limit_are_counted),
        cmocka_unit_test(test_mistakes_control_characters_reach_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
