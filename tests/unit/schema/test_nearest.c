#include "check.h"
#include "common/schema/nearest.h"

static const char *nearest_of(const char *word)
{
    static const char *const names[] = {"port", "probes", "prepare", "command", "host"};
    struct nearest nearest;
    nearest_init(&nearest, word, strlen(word));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        nearest_offer(&nearest, names[i]);
    return nearest_result(&nearest);
}

static void test_nearest_one_slip_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("prot"), "port");
    assert_string_equal(nearest_of("ports"), "port");
    assert_string_equal(nearest_of("prbes"), "probes");
    assert_string_equal(nearest_of("Comand"), "command");
    assert_string_equal(nearest_of("HOST"), "host");
}

static void test_nearest_beginning_of_a_word_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("prob"), "probes");
    assert_string_equal(nearest_of("comm"), "command");
    assert_null(nearest_of("q"));
}

static void test_nearest_another_word_is_not_guessed(void **state)
{
    (void)state;
    assert_null(nearest_of("environment"));
    assert_null(nearest_of("xyz"));
    assert_null(nearest_of(""));
}

static void test_nearest_long_words_are_not_compared(void **state)
{
    (void)state;
    char word[NEAREST_NAME_MAX + 2];
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_null(nearest_of(word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_one_slip_is_found),
        cmocka_unit_test(test_nearest_beginning_of_a_word_is_found),
        cmocka_unit_test(test_nearest_another_word_is_not_guessed),
        cmocka_unit_test(test_nearest_long_words_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
