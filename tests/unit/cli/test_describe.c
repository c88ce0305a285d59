/* Against golden texts. After a wanted change: FLOCKS_GOLDEN_UPDATE=1
 * build/dev/tests/test_cli_describe, then read the difference. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/describe_json.h"
#include "client/cli/describe_text.h"
#include "menu.catalog.h"
#include "temporary.h"
#include "unit.h"

enum { GOLDEN_MAX = 64 * 1024 };

static void check_golden(const char *name, const char *text)
{
    static char expected[GOLDEN_MAX];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", CLI_GOLDEN_DIR, name);
    /* One thread, and nobody sets a variable. */
    bool updates = getenv("FLOCKS_GOLDEN_UPDATE") != NULL; // NOLINT(concurrency-mt-unsafe)
    FILE *file = fopen(path, updates ? "w" : "r");
    if (!file)
        fail_msg("%s cannot be opened", path);
    if (updates)
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    else
        expected[fread(expected, 1, sizeof(expected) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    if (!updates)
        assert_string_equal(text, expected);
}

static void find(
    const char *name, struct arena *arena, struct symbol *symbol, struct definitions *definitions)
{
    arena_init(arena, GOLDEN_MAX);
    if (name)
        assert_int_equal(symbol_find(&menu_catalog, name, symbol, NULL), 0);
    assert_int_equal(
        definitions_of(&menu_catalog, name ? symbol : NULL, arena, definitions, NULL), 0);
}

static void print_overview(FILE *out, const void *data)
{
    (void)data;
    describe_text_overview(&menu_catalog, false, out);
}

static void print_symbol(FILE *out, const void *data)
{
    struct arena arena;
    struct symbol symbol;
    struct definitions definitions;
    find(data, &arena, &symbol, &definitions);
    describe_text_symbol(&symbol, &definitions, false, out);
    arena_deinit(&arena);
}

static void test_describe_without_a_symbol_lists_methods(void **state)
{
    (void)state;
    check_golden("describe.txt", temporary_printed(print_overview, NULL));
}

static void test_describe_reads_like_the_proto(void **state)
{
    static const char *const symbols[] = {"TableService", "TableService.Serve", "BarService.Talk",
        "ServeRequest", "Dish", "ServeRequest.coins", "Dish.guests", "Dish.sides", "Taste",
        "TASTE_BAD", "ShowMenu"};
    (void)state;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "describe_%s.txt", symbols[i]);
        check_golden(name, temporary_printed(print_symbol, symbols[i]));
    }
}

static json_t *as_json(const char *name)
{
    struct arena arena;
    struct symbol symbol;
    struct definitions definitions;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    find(name, &arena, &symbol, &definitions);
    assert_int_equal(describe_json(&definitions, &text), 0);
    json_error_t trouble;
    json_t *json = json_loadb(
        (const char *)buffer_data(&text), buffer_length(&text), JSON_REJECT_DUPLICATES, &trouble);
    if (!json)
        fail_msg("%s: %s", name ? name : "all", trouble.text);
    buffer_deinit(&text);
    arena_deinit(&arena);
    return json;
}

static void check_json(const char *name, const char *file)
{
    json_t *json = as_json(name);
    char *text = json_dumps(json, JSON_INDENT(2));
    assert_non_null(text);
    check_golden(file, text);
    free(text);
    json_decref(json);
}

static void test_describe_tells_programs_the_same(void **state)
{
    (void)state;
    check_json(NULL, "describe.json");
    check_json("ServeRequest.coins", "describe_ServeRequest.coins.json");
    check_json("TASTE_GOOD", "describe_TASTE_GOOD.json");
    check_json("BarService.Serve", "describe_BarService.Serve.json");
}

static void test_describe_json_has_a_largest_length(void **state)
{
    struct arena arena;
    struct symbol symbol;
    struct definitions definitions;
    (void)state;
    find(NULL, &arena, &symbol, &definitions);
    for (size_t max = 0; max < 2048; max++) {
        struct buffer text;
        buffer_init(&text, max);
        assert_int_equal(describe_json(&definitions, &text), -STATUS_RESOURCE_EXHAUSTED);
        buffer_deinit(&text);
    }
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe_without_a_symbol_lists_methods),
        cmocka_unit_test(test_describe_reads_like_the_proto),
        cmocka_unit_test(test_describe_tells_programs_the_same),
        cmocka_unit_test(test_describe_json_has_a_largest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
