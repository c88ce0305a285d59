#include "check.h"
#include "common/base/status.h"
#include "common/config/environment_file.h"

struct fixture {
    struct arena arena;
    struct mistakes mistakes;
    struct environment_pairs pairs;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena, 1 << 20);
    mistakes_init(&fixture.mistakes);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    mistakes_deinit(&fixture->mistakes);
    arena_deinit(&fixture->arena);
    return 0;
}

static int parse(struct fixture *fixture, const char *text)
{
    return environment_file_parse(
        text, strlen(text), ".env", &fixture->arena, &fixture->pairs, &fixture->mistakes);
}

static void check_pair(const struct fixture *fixture, size_t i, const char *name, const char *value)
{
    assert_true(i < fixture->pairs.n);
    assert_string_equal(fixture->pairs.items[i].name, name);
    assert_string_equal(fixture->pairs.items[i].value, value);
}

static void check_mistake(
    struct fixture *fixture, const char *text, uint32_t line, uint32_t column, const char *message)
{
    size_t i = fixture->mistakes.n;
    assert_int_equal(parse(fixture, text), ENVIRONMENT_FILE_MISTAKEN);
    assert_int_equal(fixture->mistakes.n, i + 1);
    assert_int_equal(fixture->mistakes.items[i].line, line);
    assert_int_equal(fixture->mistakes.items[i].column, column);
    assert_string_equal(fixture->mistakes.items[i].message, message);
}

static void test_environment_file_forms(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "# comment\n"
                                    "\n"
                                    "  A=plain text # a comment\n"
                                    "export B = 'single $X \\n'\r\n"
                                    "C=\"two\\nlines \\\"q\\\" \\$ \\x\"\n"
                                    "D=\n"
                                    "E=a#b\n"
                                    "F=\"over\ntwo lines\"\n"
                                    "A=again"),
        ENVIRONMENT_FILE_OK);
    assert_int_equal(fixture->pairs.n, 6);
    check_pair(fixture, 0, "A", "again");
    check_pair(fixture, 1, "B", "single $X \\n");
    check_pair(fixture, 2, "C", "two\nlines \"q\" $ \\x");
    check_pair(fixture, 3, "D", "");
    check_pair(fixture, 4, "E", "a#b");
    check_pair(fixture, 5, "F", "over\ntwo lines");
}

static void test_environment_file_mistakes_have_a_place(void **state)
{
    check_mistake(*state, "A=1\nno equals\n", 2, 4, "there is no '='");
    check_mistake(*state, "1A=x\n", 1, 1, "not a variable's name");
    check_mistake(*state, "A=1\nB=\"open\n\n", 2, 3, "the quote is never closed");
    check_mistake(*state, "A='x' y\n", 1, 7, "text follows the closing quote");
}

static void test_environment_file_all_mistakes_are_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "x\nA=1\n=\n"), ENVIRONMENT_FILE_MISTAKEN);
    assert_int_equal(fixture->mistakes.n, 2);
    check_pair(fixture, 0, "A", "1");
}

static void test_environment_file_binary_and_large_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(environment_file_parse(
                         "A=\0", 3, ".env", &fixture->arena, &fixture->pairs, &fixture->mistakes),
        ENVIRONMENT_FILE_MISTAKEN);
    assert_int_equal(environment_file_parse("", ENVIRONMENT_FILE_MAX_BYTES + 1, ".env",
                         &fixture->arena, &fixture->pairs, &fixture->mistakes),
        ENVIRONMENT_FILE_MISTAKEN);
}

static void test_environment_file_small_arena_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct arena small;
    arena_init(&small, 100);
    assert_int_equal(
        environment_file_parse("A=1", 3, ".env", &small, &fixture->pairs, &fixture->mistakes),
        -STATUS_RESOURCE_EXHAUSTED);
    arena_deinit(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_environment_file_forms),
        TEST(test_environment_file_mistakes_have_a_place),
        TEST(test_environment_file_all_mistakes_are_told),
        TEST(test_environment_file_binary_and_large_are_refused),
        TEST(test_environment_file_small_arena_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
