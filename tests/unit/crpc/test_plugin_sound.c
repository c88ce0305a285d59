/* What protoc never sends: refused before anything relies on it. */
#include <string.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "plugin.h"
#include "pool_fixture.h"
#include "sound.h"
#include "unit.h"

/* One file with a message of one field, an enum and a service of one method; tests break it. */
struct fixture {
    Google__Protobuf__FileDescriptorProto file;
    Google__Protobuf__FileDescriptorProto *files[1];
    Google__Protobuf__DescriptorProto message;
    Google__Protobuf__DescriptorProto *messages[1];
    Google__Protobuf__FieldDescriptorProto field;
    Google__Protobuf__FieldDescriptorProto *fields[1];
    Google__Protobuf__EnumDescriptorProto enumeration;
    Google__Protobuf__EnumDescriptorProto *enums[1];
    Google__Protobuf__EnumValueDescriptorProto value;
    Google__Protobuf__EnumValueDescriptorProto *values[1];
    Google__Protobuf__ServiceDescriptorProto service;
    Google__Protobuf__ServiceDescriptorProto *services[1];
    Google__Protobuf__MethodDescriptorProto method;
    Google__Protobuf__MethodDescriptorProto *methods[1];
    char texts[8][24];
};

static char *text(struct fixture *fixture, size_t place, const char *content)
{
    strcpy(fixture->texts[place], content);
    return fixture->texts[place];
}

static void fill(struct fixture *fixture)
{
    google__protobuf__file_descriptor_proto__init(&fixture->file);
    google__protobuf__descriptor_proto__init(&fixture->message);
    google__protobuf__field_descriptor_proto__init(&fixture->field);
    google__protobuf__enum_descriptor_proto__init(&fixture->enumeration);
    google__protobuf__enum_value_descriptor_proto__init(&fixture->value);
    google__protobuf__service_descriptor_proto__init(&fixture->service);
    google__protobuf__method_descriptor_proto__init(&fixture->method);
    fixture->file.name = text(fixture, 0, "a.proto");
    fixture->file.package = text(fixture, 1, "p.v1");
    fixture->message.name = text(fixture, 2, "M");
    fixture->field.name = fixture->field.json_name = text(fixture, 3, "f");
    fixture->field.number = 1;
    fixture->field.has_type = true;
    fixture->field.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM;
    fixture->field.type_name = text(fixture, 4, ".p.v1.E");
    fixture->enumeration.name = text(fixture, 5, "E");
    fixture->value.name = text(fixture, 6, "E_ZERO");
    fixture->service.name = fixture->method.name = fixture->message.name;
    fixture->method.input_type = fixture->method.output_type = text(fixture, 7, ".p.v1.M");
}

static void link_up(struct fixture *fixture)
{
    fixture->files[0] = &fixture->file;
    fixture->messages[0] = &fixture->message;
    fixture->fields[0] = &fixture->field;
    fixture->enums[0] = &fixture->enumeration;
    fixture->values[0] = &fixture->value;
    fixture->services[0] = &fixture->service;
    fixture->methods[0] = &fixture->method;
    fixture->file.message_type = fixture->messages;
    fixture->file.enum_type = fixture->enums;
    fixture->file.service = fixture->services;
    fixture->message.field = fixture->fields;
    fixture->enumeration.value = fixture->values;
    fixture->service.method = fixture->methods;
    fixture->file.n_message_type = fixture->file.n_enum_type = fixture->file.n_service = 1;
    fixture->message.n_field = fixture->enumeration.n_value = fixture->service.n_method = 1;
}

static void fixture_init(struct fixture *fixture)
{
    fill(fixture);
    link_up(fixture);
}

static const char *judge(const struct fixture *fixture)
{
    static char answer[256];
    struct arena pool;
    arena_init(&pool, 1 << 20);
    const char *mistake = sound_files(fixture->files, 1, &pool);
    if (mistake != NULL)
        strncpy(answer, mistake, sizeof answer - 1);
    arena_deinit(&pool);
    return mistake != NULL ? answer : NULL;
}

static void test_sound_whole_file_passes(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_null(judge(&fixture));
}

static void test_sound_missing_names_are_refused(void **state)
{
    struct fixture fixture;
    (void)state;
    char **names[] = {&fixture.file.name, &fixture.message.name, &fixture.field.name,
        &fixture.field.json_name, &fixture.enumeration.name, &fixture.value.name,
        &fixture.service.name, &fixture.method.name, &fixture.method.input_type,
        &fixture.method.output_type, &fixture.field.type_name};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        fixture_init(&fixture);
        *names[i] = NULL;
        assert_non_null(judge(&fixture));
    }
}

/* What is printed into C must be unable to be anything but a name. */
static void test_sound_names_that_are_code_are_refused(void **state)
{
    static const char *const CODE[] = {
        "a b", "1a", "a;", "a\"", "a\n", "*/", "a-b", "\xc3\xa9", ""};
    struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CODE); i++) {
        fixture_init(&fixture);
        strcpy(fixture.message.name, CODE[i]);
        assert_non_null(judge(&fixture));
        fixture_init(&fixture);
        strcpy(fixture.field.name, CODE[i]);
        assert_non_null(judge(&fixture));
        fixture_init(&fixture);
        strcpy(fixture.value.name, CODE[i]);
        assert_non_null(judge(&fixture));
    }
}

static void test_sound_paths_and_packages_that_cannot_be_printed_are_refused(void **state)
{
    static const char *const PATHS[] = {"", "a\".proto", "a\\.proto", "a*/.proto", "a\n.proto"};
    static const char *const PACKAGES[] = {".", "a.", ".a", "a..b", "a b", "1.a"};
    struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(PATHS); i++) {
        fixture_init(&fixture);
        strcpy(fixture.file.name, PATHS[i]);
        assert_non_null(judge(&fixture));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(PACKAGES); i++) {
        fixture_init(&fixture);
        strcpy(fixture.file.package, PACKAGES[i]);
        assert_non_null(judge(&fixture));
    }
}

static void test_sound_types_that_do_not_fit_are_refused(void **state)
{
    static const char *const TYPES[] = {"p.v1.E", ".p.v1.F", ".p.v1.M", "", "."};
    struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(TYPES); i++) {
        fixture_init(&fixture);
        strcpy(fixture.field.type_name, TYPES[i]);
        assert_non_null(judge(&fixture));
    }
    fixture_init(&fixture);
    fixture.field.has_type = false;
    assert_non_null(judge(&fixture));
    fixture_init(&fixture);
    fixture.method.output_type = fixture.field.type_name;
    assert_non_null(judge(&fixture));
}

static void test_sound_extensions_need_a_name_and_a_message_to_extend(void **state)
{
    char unknown[] = ".p.v1.X";
    char enumeration[] = ".p.v1.E";
    char undotted[] = "p.v1.M";
    char *const WRONG[] = {NULL, undotted, enumeration, unknown};
    struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(WRONG) + 1; i++) {
        Google__Protobuf__FieldDescriptorProto extension =
            GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
        Google__Protobuf__FieldDescriptorProto *extensions[] = {&extension};
        bool is_right = i == ARRAY_LENGTH(WRONG);
        fixture_init(&fixture);
        extension.name = fixture.field.name;
        extension.number = 100;
        extension.extendee = is_right ? fixture.method.input_type : WRONG[i];
        fixture.file.extension = fixture.message.extension = extensions;
        fixture.file.n_extension = 1;
        assert_int_equal(judge(&fixture) == NULL, is_right);
        fixture.file.n_extension = 0;
        fixture.message.n_extension = 1;
        assert_int_equal(judge(&fixture) == NULL, is_right);
        extension.name = NULL;
        assert_non_null(judge(&fixture));
    }
}

static void test_sound_numbers_out_of_range_are_refused(void **state)
{
    static const int32_t NUMBERS[] = {0, -1, 1 << 29, INT32_MAX};
    struct fixture fixture;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(NUMBERS); i++) {
        fixture_init(&fixture);
        fixture.field.number = NUMBERS[i];
        assert_non_null(judge(&fixture));
    }
    fixture_init(&fixture);
    fixture.field.has_oneof_index = true;
    assert_non_null(judge(&fixture));
    fixture.field.oneof_index = -1;
    assert_non_null(judge(&fixture));
}

static void test_sound_enum_without_value_is_refused(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture.enumeration.n_value = 0;
    assert_non_null(judge(&fixture));
}

static void test_sound_map_entry_with_one_field_is_refused(void **state)
{
    struct fixture fixture;
    Google__Protobuf__MessageOptions options = GOOGLE__PROTOBUF__MESSAGE_OPTIONS__INIT;
    (void)state;
    fixture_init(&fixture);
    options.map_entry = true;
    fixture.message.options = &options;
    assert_non_null(judge(&fixture));
}

/* A CodeGeneratorRequest whose one file has messages within messages, `depth` levels in all. */
static size_t nest(uint8_t *out, size_t depth)
{
    static const uint8_t NAME[] = {0x0a, 1, 'M'};
    size_t len = 0;
    for (size_t i = 0; i < depth; i++) {
        uint8_t inner[512];
        memcpy(inner, out, len);
        size_t head = 0;
        memcpy(out, NAME, sizeof NAME);
        head += sizeof NAME;
        if (len > 0) {
            out[head++] = 3 << 3 | 2;
            if (len >= 0x80)
                out[head++] = (uint8_t)(len | 0x80);
            out[head++] = (uint8_t)(len >= 0x80 ? len >> 7 : len);
        }
        memcpy(out + head, inner, len);
        len += head;
    }
    return len;
}

static const char *generate(size_t depth)
{
    static uint8_t request[1024];
    uint8_t message[512];
    size_t len = nest(message, depth);
    size_t at = 0;
    const size_t file_len = 3 + 3 + len;
    request[at++] = 15 << 3 | 2;
    request[at++] = (uint8_t)(file_len | 0x80);
    request[at++] = (uint8_t)(file_len >> 7);
    memcpy(request + at,
        (uint8_t[]){0x0a, 1, 'a', 4 << 3 | 2, (uint8_t)(len | 0x80), (uint8_t)(len >> 7)}, 6);
    memcpy(request + at + 6, message, len);
    struct arena pool;
    const uint8_t *out = NULL;
    size_t out_len = 0;
    arena_init(&pool, 16 << 20);
    const char *mistake = plugin_generate(&pool, request, at + 6 + len, &out, &out_len);
    arena_deinit(&pool);
    return mistake;
}

static void test_sound_nesting_to_the_limit_passes_and_one_more_is_refused(void **state)
{
    (void)state;
    assert_null(generate(SOUND_NESTING_MAX));
    assert_string_equal(generate(SOUND_NESTING_MAX + 1), "messages are nested too deep");
}

static void test_plugin_garbage_is_refused_with_a_text(void **state)
{
    static const uint8_t GARBAGE[] = {0xff, 0xff, 0xff};
    struct arena pool;
    const uint8_t *out = NULL;
    size_t len = 0;
    (void)state;
    arena_init(&pool, 1 << 20);
    assert_non_null(plugin_generate(&pool, GARBAGE, sizeof GARBAGE, &out, &len));
    assert_non_null(plugin_rewrite(&pool, GARBAGE, sizeof GARBAGE, &out, &len));
    arena_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_whole_file_passes),
        cmocka_unit_test(test_sound_missing_names_are_refused),
        cmocka_unit_test(test_sound_names_that_are_code_are_refused),
        cmocka_unit_test(test_sound_paths_and_packages_that_cannot_be_printed_are_refused),
        cmocka_unit_test(test_sound_types_that_do_not_fit_are_refused),
        cmocka_unit_test(test_sound_extensions_need_a_name_and_a_message_to_extend),
        cmocka_unit_test(test_sound_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_sound_enum_without_value_is_refused),
        cmocka_unit_test(test_sound_map_entry_with_one_field_is_refused),
        cmocka_unit_test(test_sound_nesting_to_the_limit_passes_and_one_more_is_refused),
        cmocka_unit_test(test_plugin_garbage_is_refused_with_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
