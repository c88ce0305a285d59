#include "check.h"
#include "common/base/status.h"
#include "common/schema/json_write.h"
#include "google/protobuf/any.names.h"
#include "zoo.info.h"
#include "zoo.names.h"

static void check_json(const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct json_write_options *options, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_int_equal(json_write(info, message, options, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)buffer_data(&out), expected);
    buffer_deinit(&out);
}

static void test_zero_scalars_and_lists_are_written_messages_are_not(void **state)
{
    (void)state;
    zoo_cage cage = ZOO_CAGE_INIT;
    check_json(&zoo_cage_info, &cage.base, NULL,
        "{\"name\":\"\",\"port\":0,\"nice\":0,\"room\":\"0\",\"mode\":0,"
        "\"colour\":\"COLOUR_UNSPECIFIED\",\"open\":false,\"animals\":[],\"labels\":{},"
        "\"doors\":{},\"windows\":[],\"password\":\"***\",\"stamp\":\"\",\"numbers\":[]}");
}

static void test_indented_and_empty_containers_stay_on_their_line(void **state)
{
    (void)state;
    zoo_door door = ZOO_DOOR_INIT;
    door.width = 3;
    door.kind = "oak";
    struct json_write_options options = {.indent = true};
    check_json(&zoo_door_info, &door.base, &options, "{\n  \"width\": 3,\n  \"kind\": \"oak\"\n}");
}

static void test_secrets_are_masked_unless_revealed(void **state)
{
    (void)state;
    zoo_cage cage = ZOO_CAGE_INIT;
    zoo_cage_labels_entry entry = ZOO_CAGE_LABELS_ENTRY_INIT;
    entry.key = "token";
    entry.value = "hidden";
    zoo_cage_labels_entry *labels[] = {&entry};
    cage.labels = labels;
    cage.n_labels = 1;
    struct buffer out;
    buffer_init(&out, 10000);
    assert_int_equal(json_write(&zoo_cage_info, &cage.base, NULL, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *)buffer_data(&out), "\"labels\":{\"token\":\"***\"}"));
    assert_null(strstr((const char *)buffer_data(&out), "hidden"));
    buffer_consume(&out, buffer_length(&out));
    struct json_write_options options = {.reveal_secrets = true};
    assert_int_equal(json_write(&zoo_cage_info, &cage.base, &options, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *)buffer_data(&out), "\"token\":\"hidden\""));
    buffer_deinit(&out);
}

static void test_texts_are_escaped_and_bad_bytes_replaced(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    static const char text[] = "a\"\\\n\x01\x7f\xc3\xa9\xff\xe2\x82";
    assert_int_equal(json_write_text(text, sizeof(text) - 1, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)buffer_data(&out),
        "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buffer_deinit(&out);
}

static void test_unknown_enum_is_a_number(void **state)
{
    (void)state;
    zoo_zoo zoo = ZOO_ZOO_INIT;
    int number = 17;
    memcpy(&zoo.colour, &number, sizeof(number));
    struct buffer out;
    buffer_init(&out, 10000);
    assert_int_equal(json_write(&zoo_zoo_info, &zoo.base, NULL, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *)buffer_data(&out), "\"colour\":17,"));
    buffer_deinit(&out);
}

static void check_any(const struct json_write_options *options, const char *expected)
{
    zoo_leaf leaf = ZOO_LEAF_INIT;
    leaf.name = "oak";
    uint8_t packed[100];
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = "type.googleapis.com/flocks.test.zoo.v1.Leaf";
    any.value.len = protobuf_c_message_pack(&leaf.base, packed);
    any.value.data = packed;
    zoo_zoo zoo = ZOO_ZOO_INIT;
    zoo.anything = &any;
    struct buffer out;
    buffer_init(&out, 10000);
    assert_int_equal(json_write(&zoo_zoo_info, &zoo.base, options, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    const char *found = strstr((const char *)buffer_data(&out), "\"anything\":");
    assert_non_null(found);
    assert_memory_equal(found + strlen("\"anything\":"), expected, strlen(expected));
    buffer_deinit(&out);
}

static void test_any_of_a_known_type_is_opened(void **state)
{
    (void)state;
    static const struct crpc_message_info *const types[] = {&zoo_leaf_info};
    struct schema_registry registry = {types, 1};
    struct json_write_options options = {.registry = &registry};
    check_any(&options,
        "{\"@type\":\"type.googleapis.com/flocks.test.zoo.v1.Leaf\",\"name\":\"oak\",\"size\":0}");
}

static void test_any_of_an_unknown_type_keeps_its_bytes(void **state)
{
    (void)state;
    check_any(
        NULL, "{\"@type\":\"type.googleapis.com/flocks.test.zoo.v1.Leaf\",\"value\":\"CgNvYWs=\"}");
}

static void test_a_full_buffer_is_told(void **state)
{
    (void)state;
    zoo_cage cage = ZOO_CAGE_INIT;
    struct buffer out;
    buffer_init(&out, 20);
    assert_int_equal(
        json_write(&zoo_cage_info, &cage.base, NULL, &out), -STATUS_RESOURCE_EXHAUSTED);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_scalars_and_lists_are_written_messages_are_not),
        cmocka_unit_test(test_indented_and_empty_containers_stay_on_their_line),
        cmocka_unit_test(test_secrets_are_masked_unless_revealed),
        cmocka_unit_test(test_texts_are_escaped_and_bad_bytes_replaced),
        cmocka_unit_test(test_unknown_enum_is_a_number),
        cmocka_unit_test(test_any_of_a_known_type_is_opened),
        cmocka_unit_test(test_any_of_an_unknown_type_keeps_its_bytes),
        cmocka_unit_test(test_a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
