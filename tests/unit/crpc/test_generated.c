/* Generated names, side tables and server stubs at work, with an engine underneath that only takes
 * notes. */
#include <string.h>

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/upgrade.methods.h"

#include "crpc/nasty/v1/nasty.client.h"
#include "crpc/nasty/v1/nasty.info.h"
#include "crpc/nasty/v1/nasty.server.h"
#include "crpc/nasty/v1/parts.info.h"
#include "fake_engine.h"
#include "unit.h"

/* ---- names ---- */

static void test_enum_from_maps_what_it_does_not_know_to_the_first(void **state)
{
    (void)state;
    assert_int_equal(nasty_mode_from(1), NASTY_MODE_OTHER);
    assert_int_equal(nasty_mode_from(77), NASTY_MODE_UNSPECIFIED);
    assert_int_equal(parts_scattered_from(-5), PARTS_SCATTERED_LOW);
}

static void test_enum_name_is_short_and_the_first_of_aliases(void **state)
{
    (void)state;
    assert_string_equal(
        nasty_everything_inner_kind_name(NASTY_EVERYTHING_INNER_KIND_SMALL), "SMALL");
    assert_string_equal(parts_scattered_name(PARTS_SCATTERED_BOTTOM), "LOW");
}

/* Compiles without -Wswitch-enum only because there is no sentinel. */
static void test_enum_switch_can_be_complete(void **state)
{
    (void)state;
    nasty_everything message = NASTY_EVERYTHING_INIT;
    message.scattered = PARTS_SCATTERED_HIGH;
    bool is_high = false;
    switch (message.scattered) {
    case PARTS_SCATTERED_UNSPECIFIED:
    case PARTS_SCATTERED_LOW:
        break;
    case PARTS_SCATTERED_HIGH:
        is_high = true;
        break;
    }
    assert_true(is_high);
}

/* ---- side tables ---- */

static const struct crpc_field_info *field_of(
    const struct crpc_message_info *message, const char *name)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
    }
    return NULL;
}

static void test_info_carries_rules_maps_and_oneofs(void **state)
{
    (void)state;
    const struct crpc_message_info *info = &nasty_everything_info;
    const struct crpc_field_info *size = field_of(info, "size");
    assert_string_equal(size->min, "1KiB");
    assert_string_equal(size->max, "1MiB");
    assert_int_equal(size->unit, CRPC_UNIT_BYTES);
    assert_null(size->default_value);
    const struct crpc_field_info *raw = field_of(info, "raw");
    assert_true(raw->secret && raw->required && raw->max_bytes == 16);
    assert_string_equal(field_of(info, "default_value")->default_value, "a \"quoted\" text");
    const struct crpc_field_info *inners = field_of(info, "inners");
    assert_true(inners->is_map && inners->max_items == 3);
    assert_ptr_equal(inners->message->fields[1].message, &nasty_everything_inner_info);
    assert_string_equal(info->oneof_names[field_of(info, "text_1")->oneof], "choice");
    assert_int_equal(size->oneof, -1);
    assert_string_equal(field_of(info, "patience")->json_name, "howLong");
    assert_ptr_equal(field_of(info, "modes")->enumeration, &nasty_mode_info);
}

static void test_info_comment_keeps_what_c_would_misread(void **state)
{
    (void)state;
    assert_non_null(
        strstr(nasty_everything_info.comment, "\"quotes\" and a trigraph ?\?/ and a \\"));
    assert_non_null(strstr(nasty_everything_info.comment, "\n - a list stays a list"));
}

static void check_message(const struct crpc_message_info *info);

static void check_field(
    const struct crpc_field_info *field, const ProtobufCFieldDescriptor *descriptor)
{
    assert_int_equal(field->number, descriptor->id);
    assert_string_equal(field->name, descriptor->name);
    if (descriptor->type == PROTOBUF_C_TYPE_MESSAGE) {
        assert_ptr_equal(field->message->descriptor, descriptor->descriptor);
        check_message(field->message);
    } else if (descriptor->type == PROTOBUF_C_TYPE_ENUM) {
        const ProtobufCEnumDescriptor *enumeration = descriptor->descriptor;
        assert_string_equal(field->enumeration->full_name, enumeration->name);
    } else {
        assert_null(field->message);
        assert_null(field->enumeration);
    }
}

static void check_message(const struct crpc_message_info *info)
{
    assert_string_equal(info->full_name, info->descriptor->name);
    assert_int_equal(info->n_fields, info->descriptor->n_fields);
    for (size_t i = 0; i < info->n_fields; i++)
        check_field(&info->fields[i], &info->descriptor->fields[i]);
}

/* The whole API: fields of info and descriptor may be walked side by side. */
static void test_info_agrees_with_every_descriptor(void **state)
{
    (void)state;
    check_message(&nasty_everything_info);
    for (size_t i = 0; i < FLOCKS_SUPERVISOR_METHOD_COUNT; i++) {
        check_message(flocks_supervisor_methods[i].request);
        check_message(flocks_supervisor_methods[i].response);
    }
    for (size_t i = 0; i < FLOCKS_UPGRADE_METHOD_COUNT; i++) {
        check_message(flocks_upgrade_methods[i].request);
        check_message(flocks_upgrade_methods[i].response);
    }
}

/* ---- methods and stubs ---- */

static void test_method_rows_say_kind_and_rules(void **state)
{
    (void)state;
    const struct rpc_method *get = &nasty_methods[NASTY_GET_URL];
    assert_string_equal(get->service, "crpc.nasty.v1.Nasty");
    assert_string_equal(get->name, "GetURL");
    assert_true(get->mutates && get->idempotent);
    assert_int_equal(get->max_deadline_ms, 90000);
    assert_string_equal(get->comment, "Rules and a comment.");
    assert_int_equal(nasty_methods[NASTY_DOWN].kind, RPC_SERVER_STREAM);
    assert_int_equal(nasty_methods[NASTY_UP].kind, RPC_CLIENT_STREAM);
    assert_int_equal(nasty_methods[NASTY_BOTH].kind, RPC_BIDI);
}

static void answer_get_url(
    void *self, struct nasty_get_url_call *call, const nasty_everything *request)
{
    double *seen = self;
    *seen = request->first;
    nasty_empty response = NASTY_EMPTY_INIT;
    nasty_get_url_reply(call, &response);
}

static void test_server_invoke_reaches_the_typed_handler(void **state)
{
    (void)state;
    const struct nasty_handlers handlers = {.get_url = answer_get_url};
    double seen = 0;
    struct rpc_service service = nasty_service(&handlers, &seen);
    assert_string_equal(service.name, NASTY_SERVICE);
    assert_int_equal(service.n_methods, NASTY_METHOD_COUNT);
    nasty_everything request = NASTY_EVERYTHING_INIT;
    request.first = 1.5;
    service.invoke[NASTY_GET_URL](service.handlers, service.self, fake_call(), &request.base);
    assert_true(seen > 1.4 && seen < 1.6);
    assert_string_equal(fake_engine.function, "rpc_call_reply_message");
    assert_ptr_equal(fake_engine.call, fake_call());
}

static void test_server_without_handler_answers_unimplemented(void **state)
{
    (void)state;
    const struct nasty_handlers handlers = {0};
    struct rpc_service service = nasty_service(&handlers, NULL);
    nasty_empty request = NASTY_EMPTY_INIT;
    service.invoke[NASTY_NOTHING](service.handlers, service.self, fake_call(), &request.base);
    assert_string_equal(fake_engine.function, "rpc_call_not_implemented");
}

static void test_client_calls_its_own_row(void **state)
{
    (void)state;
    nasty_everything request = NASTY_EVERYTHING_INIT;
    static nasty_empty canned = NASTY_EMPTY_INIT;
    fake_engine.canned = &canned.base;
    const nasty_empty *response = NULL;
    struct rpc_error *error = NULL;
    assert_int_equal(nasty_get_url(NULL, NULL, &request, &response, &error), RPC_DONE);
    assert_ptr_equal(fake_engine.method, &nasty_methods[NASTY_GET_URL]);
    assert_ptr_equal(response, &canned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enum_from_maps_what_it_does_not_know_to_the_first),
        cmocka_unit_test(test_enum_name_is_short_and_the_first_of_aliases),
        cmocka_unit_test(test_enum_switch_can_be_complete),
        cmocka_unit_test(test_info_carries_rules_maps_and_oneofs),
        cmocka_unit_test(test_info_comment_keeps_what_c_would_misread),
        cmocka_unit_test(test_info_agrees_with_every_descriptor),
        cmocka_unit_test(test_method_rows_say_kind_and_rules),
        cmocka_unit_test(test_server_invoke_reaches_the_typed_handler),
        cmocka_unit_test(test_server_without_handler_answers_unimplemented),
        cmocka_unit_test(test_client_calls_its_own_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
