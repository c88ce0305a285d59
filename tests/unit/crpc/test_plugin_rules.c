/* Options that the plugin was not compiled with, read from unknown fields. */
#include "google/protobuf/descriptor.pb-c.h"
#include "pool_fixture.h"
#include "rules.h"

/* FieldOptions with these pieces as unknown fields; each begins with its length, as protobuf-c
 * keeps it. */
static Google__Protobuf__FieldOptions options_of(ProtobufCMessageUnknownField *pieces, size_t n)
{
    Google__Protobuf__FieldOptions options = GOOGLE__PROTOBUF__FIELD_OPTIONS__INIT;
    options.base.n_unknown_fields = (unsigned)n;
    options.base.unknown_fields = pieces;
    return options;
}

static ProtobufCMessageUnknownField piece_of(uint8_t *data, size_t len)
{
    return (ProtobufCMessageUnknownField){.tag = RULES_EXTENSION,
        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
        .len = len,
        .data = data};
}

static void test_field_rule_pieces_are_merged(void **state)
{
    uint8_t first[] = {3, 2 << 3 | 2, 1, '5'};          /* min = "5" */
    uint8_t second[] = {5, 5 << 3, 0xff, 1, 7 << 3, 1}; /* max_bytes = 255, secret */
    ProtobufCMessageUnknownField pieces[] = {
        piece_of(first, sizeof(first)), piece_of(second, sizeof(second))};
    Google__Protobuf__FieldOptions options = options_of(pieces, 2);
    struct field_rule rule = rules_of_field(&options.base, *state);
    assert_string_equal(rule.min, "5");
    assert_null(rule.max);
    assert_int_equal(rule.max_bytes, 255);
    assert_true(rule.secret);
    assert_false(rule.required);
}

static void test_field_rule_of_no_options_is_empty(void **state)
{
    struct field_rule rule = rules_of_field(NULL, *state);
    assert_null(rule.default_value);
    assert_int_equal(rule.max_items, 0);
}

static void test_field_rule_of_another_extension_is_not_ours(void **state)
{
    uint8_t data[] = {3, 2 << 3 | 2, 1, '5'};
    ProtobufCMessageUnknownField piece = piece_of(data, sizeof(data));
    piece.tag = RULES_EXTENSION + 1;
    Google__Protobuf__FieldOptions options = options_of(&piece, 1);
    assert_null(rules_of_field(&options.base, *state).min);
}

static void test_field_rule_cut_short_ends_quietly(void **state)
{
    uint8_t data[] = {3, 2 << 3 | 2, 9, '5'}; /* a text of 9 bytes, of which one is there */
    ProtobufCMessageUnknownField piece = piece_of(data, sizeof(data));
    Google__Protobuf__FieldOptions options = options_of(&piece, 1);
    assert_null(rules_of_field(&options.base, *state).min);
}

static void test_duration_reads_four_units(void **state)
{
    (void)state;
    assert_int_equal(rules_duration_ms("500ms"), 500);
    assert_int_equal(rules_duration_ms("30s"), 30000);
    assert_int_equal(rules_duration_ms("10m"), 600000);
    assert_int_equal(rules_duration_ms("1h"), 3600000);
    assert_int_equal(rules_duration_ms("1"), -1);
    assert_int_equal(rules_duration_ms("s"), -1);
    assert_int_equal(rules_duration_ms("1 h"), -1);
    assert_int_equal(rules_duration_ms("99999999999s"), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, pool_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_field_rule_pieces_are_merged),
        TEST(test_field_rule_of_no_options_is_empty),
        TEST(test_field_rule_of_another_extension_is_not_ours),
        TEST(test_field_rule_cut_short_ends_quietly),
        TEST(test_duration_reads_four_units),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
