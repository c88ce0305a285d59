#include <stdio.h>
#include <string.h>

#include "client/cli/symbol.h"
#include "menu.catalog.h"
#include "unit.h"

static void test_symbol_is_found_by_what_people_write(void **state)
{
    static const struct {
        const char *wanted;
        const char *name;
        enum symbol_kind kind;
    } cases[] = {
        {"flocks.test.menu.v1.Dish", "flocks.test.menu.v1.Dish", SYMBOL_MESSAGE},
        {"Dish", "flocks.test.menu.v1.Dish", SYMBOL_MESSAGE},
        {"v1.Dish", "flocks.test.menu.v1.Dish", SYMBOL_MESSAGE},
        /* A message of this name in other letters goes before two fields in the same. */
        {"dish", "flocks.test.menu.v1.Dish", SYMBOL_MESSAGE},
        {"ServeRequest.dish", "flocks.test.menu.v1.ServeRequest.dish", SYMBOL_FIELD},
        {"serverequest.DISH", "flocks.test.menu.v1.ServeRequest.dish", SYMBOL_FIELD},
        {"card", "flocks.test.menu.v1.ServeRequest.card", SYMBOL_FIELD},
        {"ShowMenu", "flocks.test.menu.v1.TableService.ShowMenu", SYMBOL_METHOD},
        {"BarService/Serve", "flocks.test.menu.v1.BarService.Serve", SYMBOL_METHOD},
        {"/flocks.test.menu.v1.BarService/Serve", "flocks.test.menu.v1.BarService.Serve",
            SYMBOL_METHOD},
        {"tableservice", "flocks.test.menu.v1.TableService", SYMBOL_SERVICE},
        {"Taste", "flocks.test.menu.v1.Taste", SYMBOL_ENUM},
        {"TASTE_GOOD", "flocks.test.menu.v1.Taste.TASTE_GOOD", SYMBOL_VALUE},
        {"Taste.GOOD", "flocks.test.menu.v1.Taste.TASTE_GOOD", SYMBOL_VALUE},
        {"Taste.TASTE_GOOD", "flocks.test.menu.v1.Taste.TASTE_GOOD", SYMBOL_VALUE},
        {"flocks.test.menu.v1.TASTE_GOOD", "flocks.test.menu.v1.Taste.TASTE_GOOD", SYMBOL_VALUE},
        /* Parts. */
        {"bar", "flocks.test.menu.v1.BarService", SYMBOL_SERVICE},
        {"grams", "flocks.test.menu.v1.Dish2.grams", SYMBOL_FIELD},
        {"gram", "flocks.test.menu.v1.Dish2.grams", SYMBOL_FIELD},
        {"menu.v1.Show", "flocks.test.menu.v1.ShowMenuRequest", SYMBOL_KIND_COUNT},
        {"Duration", "google.protobuf.Duration", SYMBOL_MESSAGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[SYMBOL_NAME_SIZE];
        struct symbol symbol;
        struct error error = ERROR_INIT;
        int result = symbol_find(&menu_catalog, cases[i].wanted, &symbol, &error);
        if (cases[i].kind == SYMBOL_KIND_COUNT) {
            assert_int_equal(result, -STATUS_INVALID_ARGUMENT);
            assert_non_null(strstr(error.hint, cases[i].name));
            continue;
        }
        if (result != 0)
            fail_msg("%s: %s (%s)", cases[i].wanted, error.text, error.hint);
        symbol_name(&symbol, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(symbol.kind, cases[i].kind);
    }
}

static void test_symbol_that_is_not_or_is_several_is_told(void **state)
{
    static const struct {
        const char *wanted;
        const char *text;
        const char *hint;
    } cases[] = {
        {"Serve", "2 things are called \"Serve\"",
            "say which: flocks.test.menu.v1.TableService.Serve, "
            "flocks.test.menu.v1.BarService.Serve"},
        {"servRequest", "nothing is called \"servRequest\"", "did you mean ServeRequest?"},
        {"Tatse", "nothing is called \"Tatse\"", "did you mean taste?"},
        {"xyzzy", "nothing is called \"xyzzy\"", "`flocks describe` lists services and methods"},
        {"", "nothing is called \"\"", "`flocks describe` lists services and methods"},
        {"/", "nothing is called \"/\"", "`flocks describe` lists services and methods"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct symbol symbol;
        struct error error = ERROR_INIT;
        assert_int_equal(
            symbol_find(&menu_catalog, cases[i].wanted, &symbol, &error), -STATUS_INVALID_ARGUMENT);
        assert_string_equal(error.text, cases[i].text);
        assert_string_equal(error.hint, cases[i].hint);
    }
}

struct count {
    size_t by_kind[SYMBOL_KIND_COUNT];
    size_t not_found;
};

static void look(void *data, const struct symbol *symbol)
{
    struct count *count = data;
    char name[SYMBOL_NAME_SIZE];
    char again[SYMBOL_NAME_SIZE];
    struct symbol found;
    count->by_kind[symbol->kind]++;
    symbol_name(symbol, name);
    if (symbol_find(&menu_catalog, name, &found, NULL) != 0) {
        count->not_found++;
        return;
    }
    symbol_name(&found, again);
    assert_string_equal(again, name);
}

static void test_symbol_full_names_are_found(void **state)
{
    struct count count = {0};
    (void)state;
    symbol_each(&menu_catalog, look, &count);
    assert_int_equal(count.not_found, 0);
    assert_int_equal(count.by_kind[SYMBOL_SERVICE], 2);
    assert_int_equal(count.by_kind[SYMBOL_METHOD], 4);
    assert_int_equal(count.by_kind[SYMBOL_ENUM], 1);
    assert_int_equal(count.by_kind[SYMBOL_VALUE], 3);
    /* Entries of maps are none; protobuf's Duration is one. */
    assert_int_equal(count.by_kind[SYMBOL_MESSAGE], 7);
    assert_int_equal(count.by_kind[SYMBOL_FIELD], 1 + 4 + 2 + 4 + 1 + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbol_is_found_by_what_people_write),
        cmocka_unit_test(test_symbol_that_is_not_or_is_several_is_told),
        cmocka_unit_test(test_symbol_full_names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
