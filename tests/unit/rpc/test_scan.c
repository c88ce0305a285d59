/* The scan of a message by its descriptor. */
#include "flocks/v1/config.pb-c.h"
#include "flocks/v1/supervisor.pb-c.h"

#include "common/rpc/scan.h"
#include "crpc/limits.h"
#include "hex.h"
#include "unit.h"

static const struct rpc_scan_rules STRICT = {
    .refuse_unknown_fields = true, .refuse_unknown_values = true};
static const struct rpc_scan_rules LENIENT = {.refuse_unknown_fields = false};

static struct rpc_scan_place place;

static enum rpc_scan_result scan(const ProtobufCMessageDescriptor *descriptor,
    const struct rpc_scan_rules *rules, const char *text)
{
    uint8_t bytes[512];
    size_t len = hex_decode(text, bytes, sizeof bytes);
    return rpc_scan(descriptor, rules, bytes, len, &place);
}

#define STATUS (&flocks__v1__service_status__descriptor)
#define RESPONSE (&flocks__v1__get_status_response__descriptor)

static void test_scan_accepts_good_messages(void **state)
{
    (void)state;
    assert_int_equal(scan(STATUS, &STRICT, ""), RPC_SCAN_GOOD);
    assert_int_equal(scan(STATUS, &STRICT, "0a02 c3a4 1005 5801 6202 0801"), RPC_SCAN_GOOD);
    assert_int_equal(scan(RESPONSE, &STRICT, "1204 0a02'ab' 1200 2203'1-2'"), RPC_SCAN_GOOD);
}

static void test_scan_names_the_bad_text(void **state)
{
    (void)state;
    assert_int_equal(scan(RESPONSE, &LENIENT, "1203 4a01 ff"), RPC_SCAN_BAD_TEXT);
    assert_string_equal(place.message, "flocks.v1.ServiceStatus");
    assert_string_equal(place.field, "last_error");
    assert_int_equal(place.number, 9);
    assert_int_equal(scan(STATUS, &LENIENT, "0a02'a' 00"), RPC_SCAN_BAD_TEXT);
}

static void test_scan_tells_unknown_fields_and_values_only_when_asked(void **state)
{
    (void)state;
    assert_int_equal(scan(RESPONSE, &STRICT, "1203 f80701"), RPC_SCAN_UNKNOWN_FIELD);
    assert_string_equal(place.message, "flocks.v1.ServiceStatus");
    assert_null(place.field);
    assert_int_equal(place.number, 127);
    assert_int_equal(scan(RESPONSE, &LENIENT, "1203 f80701"), RPC_SCAN_GOOD);
    assert_int_equal(scan(STATUS, &STRICT, "1063"), RPC_SCAN_UNKNOWN_VALUE);
    assert_string_equal(place.field, "state");
    assert_int_equal(place.value, 99);
    assert_int_equal(scan(STATUS, &LENIENT, "1063"), RPC_SCAN_GOOD);
}

static void test_scan_names_the_outer_message_after_an_inner_one(void **state)
{
    (void)state;
    assert_int_equal(scan(RESPONSE, &STRICT, "1202 1005 f80701"), RPC_SCAN_UNKNOWN_FIELD);
    assert_string_equal(place.message, "flocks.v1.GetStatusResponse");
}

static void test_scan_refuses_wrong_wire_types_and_cut_messages(void **state)
{
    (void)state;
    static const char *const CASES[] = {"0a05'x'", "0805", "1201'x'", "12", "0b", "62020a", "15"};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_int_equal(scan(STATUS, &LENIENT, CASES[i]), RPC_SCAN_MALFORMED);
}

/* A schema of ours is never recursive; this one stands for what a peer could hope for. */
static const ProtobufCMessageDescriptor RECURSIVE;
static const ProtobufCFieldDescriptor RECURSIVE_FIELDS[] = {
    {.name = "child",
        .id = 1,
        .label = PROTOBUF_C_LABEL_NONE,
        .type = PROTOBUF_C_TYPE_MESSAGE,
        .descriptor = &RECURSIVE},
    {.name = "packed",
        .id = 2,
        .label = PROTOBUF_C_LABEL_REPEATED,
        .type = PROTOBUF_C_TYPE_ENUM,
        .descriptor = &flocks__v1__service_state__descriptor},
    {.name = "fixed", .id = 3, .label = PROTOBUF_C_LABEL_REPEATED, .type = PROTOBUF_C_TYPE_FIXED32},
};
static const ProtobufCIntRange RECURSIVE_RANGES[] = {{1, 0}, {0, 3}};
static const ProtobufCMessageDescriptor RECURSIVE = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "Recursive",
    .n_fields = 3,
    .fields = RECURSIVE_FIELDS,
    .n_field_ranges = 1,
    .field_ranges = RECURSIVE_RANGES,
};

static void test_scan_bounds_the_nesting(void **state)
{
    (void)state;
    for (size_t depth = 1; depth <= RPC_NESTING_MAX + 1; depth++) {
        /* Each level is "0a <length of the rest>"; the innermost message is empty. */
        uint8_t bytes[2 * RPC_NESTING_MAX + 2];
        size_t len = 2 * (depth - 1);
        for (size_t i = 0; i < len; i += 2) {
            bytes[i] = 0x0a;
            bytes[i + 1] = (uint8_t)(len - i - 2);
        }
        assert_int_equal(rpc_scan(&RECURSIVE, &STRICT, bytes, len, &place),
            depth <= RPC_NESTING_MAX ? RPC_SCAN_GOOD : RPC_SCAN_TOO_DEEP);
    }
}

static void test_scan_looks_into_packed_runs(void **state)
{
    (void)state;
    assert_int_equal(scan(&RECURSIVE, &STRICT, "1203 010205"), RPC_SCAN_GOOD);
    assert_int_equal(scan(&RECURSIVE, &STRICT, "1202 0163"), RPC_SCAN_UNKNOWN_VALUE);
    assert_int_equal(scan(&RECURSIVE, &STRICT, "1202 0180"), RPC_SCAN_MALFORMED);
    assert_int_equal(scan(&RECURSIVE, &STRICT, "1a04 01020304"), RPC_SCAN_GOOD);
    assert_int_equal(scan(&RECURSIVE, &STRICT, "1a03 010203"), RPC_SCAN_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_accepts_good_messages),
        cmocka_unit_test(test_scan_names_the_bad_text),
        cmocka_unit_test(test_scan_tells_unknown_fields_and_values_only_when_asked),
        cmocka_unit_test(test_scan_names_the_outer_message_after_an_inner_one),
        cmocka_unit_test(test_scan_refuses_wrong_wire_types_and_cut_messages),
        cmocka_unit_test(test_scan_bounds_the_nesting),
        cmocka_unit_test(test_scan_looks_into_packed_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
