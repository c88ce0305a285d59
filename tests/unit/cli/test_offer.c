#include <stdio.h>
#include <string.h>

#include "client/cli/offer_names.h"
#include "menu.catalog.h"
#include "unit.h"

static const char *offered(
    void (*offer_all)(const struct offer *offer, const struct crpc_catalog *catalog),
    const char *partial)
{
    static char text[8192];
    FILE *stream = fmemopen(text, sizeof(text), "w");
    const struct offer offer = {.out = stream, .prefix = "", .partial = partial};
    assert_non_null(stream);
    text[0] = '\0';
    offer_all(&offer, &menu_catalog);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void test_offer_methods_with_a_service_where_one_is_written(void **state)
{
    (void)state;
    assert_string_equal(offered(offer_methods, ""), "ShowMenu\tShows the menu\nServe\tBrings what "
                                                    "was ordered, course by course\nServe\nTalk\n");
    assert_string_equal(offered(offer_methods, "Sh"), "ShowMenu\tShows the menu\n");
    assert_string_equal(offered(offer_methods, "Bar"), "BarService/Serve\nBarService/Talk\n");
    assert_string_equal(offered(offer_methods, "BarService.T"), "BarService.Talk\n");
    assert_string_equal(offered(offer_methods, "flocks.test.menu.v1.BarService/T"),
        "flocks.test.menu.v1.BarService/Talk\n");
    assert_string_equal(offered(offer_methods, "nothing"), "");
}

static void test_offer_symbols_level_by_level(void **state)
{
    (void)state;
    assert_string_equal(offered(offer_symbols, "Di"), "Dish\tmessage\nDish2\tA side dish\n");
    assert_string_equal(offered(offer_symbols, "Ta"),
        "TableService\tWhere guests eat\nTalk\tmethod\nTaste\tHow it was\n");
    assert_string_equal(offered(offer_symbols, "Dish2."), "Dish2.grams\tfield\n");
    assert_string_equal(
        offered(offer_symbols, "Taste.TASTE_G"), "Taste.TASTE_GOOD\tThe guest comes again\n");
    assert_string_equal(offered(offer_symbols, "flocks.test.menu.v1.Dish"),
        "flocks.test.menu.v1.Dish\tmessage\nflocks.test.menu.v1.Dish2\tA side dish\n");
    assert_string_equal(offered(offer_symbols, "flocks.test.menu.v1.Dish2.g"),
        "flocks.test.menu.v1.Dish2.grams\tfield\n");
}

static void test_offer_tells_a_line_at_most(void **state)
{
    static const struct {
        const char *about;
        const char *told;
    } cases[] = {
        {"One. Two.", "w\tOne\n"},
        {"One.\nTwo.", "w\tOne\n"},
        {"One\ntwo.", "w\tOne two\n"},
        {"A 1.5 second wait.", "w\tA 1.5 second wait\n"},
        {"\033[31m", "w\t [31m\n"},
        {"", "w\n"},
        {".", "w\t\n"},
        {"A sentence that goes on and on, through all that there is to be told about it, and then "
         "more",
            "w\tA sentence that goes on and on, through all that there is to be told ...\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256] = "";
        FILE *stream = fmemopen(text, sizeof(text), "w");
        assert_non_null(stream);
        const struct offer offer = {.out = stream, .prefix = "", .partial = ""};
        offer_word(&offer, "w", cases[i].about);
        assert_int_equal(fclose(stream), 0);
        assert_string_equal(text, cases[i].told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer_methods_with_a_service_where_one_is_written),
        cmocka_unit_test(test_offer_symbols_level_by_level),
        cmocka_unit_test(test_offer_tells_a_line_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
