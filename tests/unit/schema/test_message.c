#include "check.h"
#include "common/schema/message.h"
#include "zoo.info.h"
#include "zoo.names.h"

static struct schema_field field_named(const struct crpc_message_info *info, const char *name)
{
    struct schema_field field;
    assert_true(schema_field_find(info, name, strlen(name), false, &field));
    return field;
}

static void test_field_find_takes_json_names_only_when_asked(void **state)
{
    (void)state;
    struct schema_field field;
    assert_true(schema_field_find(&zoo_zoo_info, "smallUnsigned", 13, true, &field));
    assert_string_equal(field.info->name, "small_unsigned");
    assert_false(schema_field_find(&zoo_zoo_info, "smallUnsigned", 13, false, &field));
    assert_false(schema_field_find(&zoo_zoo_info, "smal", 4, true, &field));
}

static void test_set_switches_the_oneof(void **state)
{
    (void)state;
    zoo_zoo zoo = ZOO_ZOO_INIT;
    struct schema_field text = field_named(&zoo_zoo_info, "choice_text");
    struct schema_field number = field_named(&zoo_zoo_info, "choice_number");
    assert_int_equal(schema_count(&zoo.base, &text), 0);
    schema_set(&zoo.base, &text, (union schema_value){.text = "x"});
    assert_int_equal(schema_count(&zoo.base, &text), 1);
    schema_set(&zoo.base, &number, (union schema_value){.unsigned_number = 7});
    assert_int_equal(schema_count(&zoo.base, &text), 0);
    assert_int_equal(zoo.choice_number, 7);
}

static void test_get_and_set_every_width(void **state)
{
    (void)state;
    zoo_zoo zoo = ZOO_ZOO_INIT;
    struct schema_field small = field_named(&zoo_zoo_info, "small");
    struct schema_field large = field_named(&zoo_zoo_info, "large_unsigned");
    struct schema_field ratio = field_named(&zoo_zoo_info, "ratio");
    struct schema_field truth = field_named(&zoo_zoo_info, "truth");
    schema_set(&zoo.base, &small, (union schema_value){.signed_number = INT32_MIN});
    schema_set(&zoo.base, &large, (union schema_value){.unsigned_number = UINT64_MAX});
    schema_set(&zoo.base, &ratio, (union schema_value){.real = 0.5});
    schema_set(&zoo.base, &truth, (union schema_value){.boolean = true});
    assert_int_equal(zoo.small, INT32_MIN);
    assert_true(zoo.large_unsigned == UINT64_MAX);
    assert_true((double)zoo.ratio == 0.5);
    assert_true(schema_get(&zoo.base, &small, 0).signed_number == INT32_MIN);
    assert_true(schema_get(&zoo.base, &truth, 0).boolean);
}

static void test_copy_is_deep_and_equal(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100000);
    char text[] = "text";
    zoo_leaf leaf = ZOO_LEAF_INIT;
    leaf.name = text;
    zoo_leaf *leaves[] = {&leaf};
    zoo_zoo zoo = ZOO_ZOO_INIT;
    zoo.n_leaves = 1;
    zoo.leaves = leaves;
    zoo.large = -5;
    ProtobufCMessage *copy = schema_message_copy(&zoo_zoo_info, &zoo.base, &arena);
    assert_non_null(copy);
    uint8_t before[200];
    uint8_t after[200];
    size_t len = protobuf_c_message_pack(&zoo.base, before);
    text[0] = 'X';
    assert_int_equal(protobuf_c_message_pack(copy, after), len);
    assert_memory_equal(before, after, len);
    arena_deinit(&arena);
}

static void test_sort_maps_by_key_at_any_depth(void **state)
{
    (void)state;
    zoo_zoo_pairs_entry b = ZOO_ZOO_PAIRS_ENTRY_INIT;
    zoo_zoo_pairs_entry a = ZOO_ZOO_PAIRS_ENTRY_INIT;
    zoo_zoo_by_number_entry two = ZOO_ZOO_BY_NUMBER_ENTRY_INIT;
    zoo_zoo_by_number_entry minus = ZOO_ZOO_BY_NUMBER_ENTRY_INIT;
    zoo_leaf leaf = ZOO_LEAF_INIT;
    b.key = "b";
    a.key = "a";
    two.key = 2;
    minus.key = -1;
    two.value = &leaf;
    minus.value = &leaf;
    zoo_zoo_pairs_entry *pairs[] = {&b, &a};
    zoo_zoo_by_number_entry *numbers[] = {&two, &minus};
    zoo_zoo zoo = ZOO_ZOO_INIT;
    zoo.n_pairs = 2;
    zoo.pairs = pairs;
    zoo.n_by_number = 2;
    zoo.by_number = numbers;
    schema_sort_maps(&zoo_zoo_info, &zoo.base);
    assert_ptr_equal(zoo.pairs[0], &a);
    assert_ptr_equal(zoo.by_number[0], &minus);
}

static void test_registry_takes_urls_and_names(void **state)
{
    (void)state;
    static const struct crpc_message_info *const types[] = {&zoo_leaf_info};
    struct schema_registry registry = {types, 1};
    assert_ptr_equal(schema_registry_find(&registry, "type.googleapis.com/flocks.test.zoo.v1.Leaf"),
        &zoo_leaf_info);
    assert_ptr_equal(schema_registry_find(&registry, "flocks.test.zoo.v1.Leaf"), &zoo_leaf_info);
    assert_null(schema_registry_find(&registry, "flocks.test.zoo.v1.Zoo"));
    assert_null(schema_registry_find(NULL, "flocks.test.zoo.v1.Leaf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_find_takes_json_names_only_when_asked),
        cmocka_unit_test(test_set_switches_the_oneof),
        cmocka_unit_test(test_get_and_set_every_width),
        cmocka_unit_test(test_copy_is_deep_and_equal),
        cmocka_unit_test(test_sort_maps_by_key_at_any_depth),
        cmocka_unit_test(test_registry_takes_urls_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
