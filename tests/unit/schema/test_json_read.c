#include "check.h"
#include "common/schema/json_read.h"
#include "zoo.info.h"
#include "zoo.names.h"

static const struct crpc_message_info *const types[] = {&zoo_leaf_info};
static const struct schema_registry registry = {types, 1};

static int set_up(void **state)
{
    static struct arena arena;
    arena_init(&arena, 1 << 20);
    *state = &arena;
    return 0;
}

static int tear_down(void **state)
{
    arena_deinit(*state);
    return 0;
}

static zoo_zoo *read_zoo(struct arena *arena, const char *text)
{
    ProtobufCMessage *message;
    struct error error = ERROR_INIT;
    int result =
        json_read(text, strlen(text), &zoo_zoo_info, &registry, arena, &message, NULL, &error);
    if (result != 0)
        fail_msg("%s: %s", text, error.text);
    return (zoo_zoo *)message;
}

static void check_refused(struct arena *arena, const char *text, const char *message)
{
    ProtobufCMessage *out;
    struct error error = ERROR_INIT;
    assert_int_equal(
        json_read(text, strlen(text), &zoo_zoo_info, &registry, arena, &out, NULL, &error),
        -STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.text, message);
}

static void test_both_spellings_of_names_are_read(void **state)
{
    zoo_zoo *zoo = read_zoo(*state, "{\"small_unsigned\":1,\"smallFixed\":2}");
    assert_int_equal(zoo->small_unsigned, 1);
    assert_int_equal(zoo->small_fixed, 2);
}

static void test_large_numbers_come_as_strings_or_numbers(void **state)
{
    zoo_zoo *zoo = read_zoo(*state,
        "{\"large\":\"-9223372036854775808\",\"large_unsigned\":\"18446744073709551615\","
        "\"large_fixed\":7,\"small\":3.0}");
    assert_true(zoo->large == INT64_MIN);
    assert_true(zoo->large_unsigned == UINT64_MAX);
    assert_true(zoo->large_fixed == 7);
    assert_int_equal(zoo->small, 3);
}

static void test_null_means_absent(void **state)
{
    zoo_zoo *zoo = read_zoo(*state, "{\"small\":null,\"leaf\":null}");
    assert_int_equal(zoo->small, 0);
    assert_null(zoo->leaf);
}

static void test_enums_by_name_short_name_and_number(void **state)
{
    zoo_zoo *zoo = read_zoo(*state, "{\"colours\":[\"COLOUR_RED\",\"DARK_BLUE\",99]}");
    assert_int_equal(zoo->n_colours, 3);
    assert_int_equal((int)zoo->colours[0], 1);
    assert_int_equal((int)zoo->colours[1], -2);
    assert_int_equal((int)zoo->colours[2], 99);
}

static void test_maps_take_their_keys_from_strings(void **state)
{
    zoo_zoo *zoo =
        read_zoo(*state, "{\"byNumber\":{\"-3\":{\"size\":4}},\"by_truth\":{\"true\":\"5\"}}");
    assert_int_equal(zoo->n_by_number, 1);
    assert_int_equal(zoo->by_number[0]->key, -3);
    assert_int_equal(zoo->by_number[0]->value->size, 4);
    assert_true(zoo->by_truth[0]->key);
    assert_true(zoo->by_truth[0]->value == 5);
}

static void test_any_is_packed_by_its_type(void **state)
{
    zoo_zoo *zoo = read_zoo(*state, "{\"anything\":{\"@type\":\"type.googleapis.com/"
                                    "flocks.test.zoo.v1.Leaf\",\"name\":\"oak\"}}");
    assert_int_equal(zoo->anything->value.len, 5);
    assert_memory_equal(zoo->anything->value.data, "\n\003oak", 5);
}

static void test_mistakes_name_the_place(void **state)
{
    check_refused(*state, "{\"smal\":1}", "flocks.test.zoo.v1.Zoo has no field \"smal\"");
    check_refused(*state, "{\"leaf\":{\"size\":-1}}",
        "leaf.size: must be a whole number in range, not negative, not a number");
    check_refused(*state, "{\"numbers\":[1,\"x\"]}",
        "numbers[1]: must be a whole number in range, not \"x\"");
    check_refused(
        *state, "{\"small\":1.5}", "small: must be a whole number in range, not a number");
    check_refused(*state, "{\"truth\":1}", "truth: must be true or false, not a number");
    check_refused(
        *state, "{\"lasts\":\"1m\"}", "lasts: must be a duration such as \"1.5s\", not \"1m\"");
    check_refused(*state, "{\"leaf\":[]}", "leaf: must be an object, not a list");
    check_refused(*state, "[]", "the request: must be an object, not a list");
    check_refused(*state, "{\"@type\":\"x\"}", "flocks.test.zoo.v1.Zoo has no field \"@type\"");
    check_refused(*state, "{\"anything\":{\"@type\":\"x.Y\"}}", "anything: unknown type \"x.Y\"");
}

static void test_one_field_under_two_names_is_refused(void **state)
{
    check_refused(*state, "{\"small_fixed\":1,\"smallFixed\":2}",
        "the request: \"smallFixed\" is given twice, or beside another choice of the same oneof");
    check_refused(*state, "{\"choice_text\":\"a\",\"choice_number\":2}",
        "the request: \"choice_number\" is given twice, or beside another choice of the same "
        "oneof");
}

struct placed {
    const char *text;
    uint32_t line;
    uint32_t column;
    const char *path;
};

static void check_place(struct arena *arena, const struct placed *placed)
{
    ProtobufCMessage *out;
    struct error error = ERROR_INIT;
    struct json_mistake mistake;
    assert_int_equal(json_read(placed->text, strlen(placed->text), &zoo_zoo_info, &registry, arena,
                         &out, &mistake, &error),
        -STATUS_INVALID_ARGUMENT);
    if (mistake.line != placed->line || mistake.column != placed->column)
        fail_msg("%s: %u:%u %s", placed->text, mistake.line, mistake.column, error.text);
    assert_string_equal(mistake.path, placed->path);
}

static void test_syntax_is_told_with_its_place(void **state)
{
    /* Where the parser gave up. */
    static const struct placed cases[] = {
        {"{\"small\":\n  x}", 2, 3, ""},
        {"{\"small\":}", 1, 10, ""},
        {"", 1, 1, ""},
        {"{\"small\":1", 1, 10, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_place(*state, &cases[i]);
}

static void test_a_wrong_value_is_told_with_its_place(void **state)
{
    static const struct placed cases[] = {
        {"[]", 1, 1, ""},
        {" \n\t{\"smal\": 1}", 2, 3, "smal"},
        {"{\"leaf\": {\"name\": \"}{\\\"\", \"size\": \"x\"}}", 1, 35, "leaf.size"},
        {"{\"leaf\":{\"size\":1},\n\"leaves\":[{},{\"size\":[1]}]}", 2, 22, "leaves[1].size"},
        {"{\"numbers\":[[1,{}],2]}", 1, 13, "numbers[0]"},
        {"{\"numbers\":[1,2,3,4,5,6,7,8,9,10,11,[]]}", 1, 37, "numbers[11]"},
        {"{\"leaves\":[{\"names\":1}]}", 1, 13, "leaves[0].names"},
        {"{\"by_number\":{\"1\":{},\"x\":{}}}", 1, 26, "by_number.x"},
        {"{\"small_fixed\":1, \"smallFixed\":2}", 1, 19, "smallFixed"},
        /* A name with an escape is found as far as what is around it. */
        {"{\"leaf\": {\"na\\u006de\": 1}}", 1, 10, "leaf.name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_place(*state, &cases[i]);
}

static void test_a_text_that_is_too_long_has_no_place(void **state)
{
    static char text[JSON_READ_MAX_BYTES + 1];
    ProtobufCMessage *out;
    struct json_mistake mistake;
    memset(text, ' ', sizeof(text));
    assert_int_equal(
        json_read(text, sizeof(text), &zoo_zoo_info, NULL, *state, &out, &mistake, NULL),
        -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(mistake.line, 0);
}

static void test_a_small_arena_is_told(void **state)
{
    (void)state;
    struct arena small;
    arena_init(&small, 64);
    ProtobufCMessage *out;
    assert_int_equal(json_read("{}", 2, &zoo_zoo_info, NULL, &small, &out, NULL, NULL),
        -STATUS_RESOURCE_EXHAUSTED);
    arena_deinit(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_spellings_of_names_are_read),
        cmocka_unit_test(test_large_numbers_come_as_strings_or_numbers),
        cmocka_unit_test(test_null_means_absent),
        cmocka_unit_test(test_enums_by_name_short_name_and_number),
        cmocka_unit_test(test_maps_take_their_keys_from_strings),
        cmocka_unit_test(test_any_is_packed_by_its_type),
        cmocka_unit_test(test_mistakes_name_the_place),
        cmocka_unit_test(test_one_field_under_two_names_is_refused),
        cmocka_unit_test(test_syntax_is_told_with_its_place),
        cmocka_unit_test(test_a_wrong_value_is_told_with_its_place),
        cmocka_unit_test(test_a_text_that_is_too_long_has_no_place),
        cmocka_unit_test(test_a_small_arena_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
