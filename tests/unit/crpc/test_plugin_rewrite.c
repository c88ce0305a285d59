/* What protoc-c is given: no services, no build-time options, const strings. */

#include "google/protobuf/descriptor.pb-c.h"
#include "pool.h"
#include "rewrite.h"
#include "unit.h"

/* Two files: app.proto imports options.proto, and base.proto if its field names a type of it. */
struct fixture {
    struct arena pool;
    ProtobufCMessageUnknownField rule;
    Google__Protobuf__FieldOptions options;
    Google__Protobuf__FieldDescriptorProto field;
    Google__Protobuf__FieldDescriptorProto *fields[1];
    Google__Protobuf__DescriptorProto message;
    Google__Protobuf__DescriptorProto *messages[1];
    Google__Protobuf__DescriptorProto base_message;
    Google__Protobuf__DescriptorProto *base_messages[1];
    Google__Protobuf__ServiceDescriptorProto service;
    Google__Protobuf__ServiceDescriptorProto *services[1];
    char *dependencies[2];
    Google__Protobuf__FileDescriptorProto app;
    Google__Protobuf__FileDescriptorProto base;
    Google__Protobuf__FileDescriptorProto *files[2];
    Google__Protobuf__FileDescriptorSet set;
};

static char *text_of(struct fixture *fixture, const char *text)
{
    return pool_strdup(&fixture->pool, text);
}

/* base.proto: the message a.base.Thing. */
static void fill_base(struct fixture *f)
{
    google__protobuf__descriptor_proto__init(&f->base_message);
    f->base_message.name = text_of(f, "Thing");
    f->base_messages[0] = &f->base_message;
    google__protobuf__file_descriptor_proto__init(&f->base);
    f->base.name = text_of(f, "base.proto");
    f->base.package = text_of(f, "a.base");
    f->base.n_message_type = 1;
    f->base.message_type = f->base_messages;
}

/* A field with a rule, deprecated, of a type in base.proto. */
static void fill_field(struct fixture *f)
{
    f->rule = (ProtobufCMessageUnknownField){.tag = 52000};
    google__protobuf__field_options__init(&f->options);
    f->options.base.n_unknown_fields = 1;
    f->options.base.unknown_fields = &f->rule;
    f->options.has_deprecated = 1;
    f->options.deprecated = 1;
    google__protobuf__field_descriptor_proto__init(&f->field);
    f->field.options = &f->options;
    f->field.type_name = text_of(f, ".a.base.Thing.Inner");
    f->fields[0] = &f->field;
}

/* app.proto: a message with that field, and a service. */
static void fill_app(struct fixture *f)
{
    google__protobuf__descriptor_proto__init(&f->message);
    f->message.n_field = 1;
    f->message.field = f->fields;
    f->messages[0] = &f->message;
    google__protobuf__service_descriptor_proto__init(&f->service);
    f->services[0] = &f->service;
    google__protobuf__file_descriptor_proto__init(&f->app);
    f->app.name = text_of(f, "app.proto");
    f->dependencies[0] = text_of(f, "options.proto");
    f->dependencies[1] = text_of(f, "base.proto");
    f->app.n_dependency = 2;
    f->app.dependency = f->dependencies;
    f->app.n_message_type = 1;
    f->app.message_type = f->messages;
    f->app.n_service = 1;
    f->app.service = f->services;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    arena_init(&f->pool, POOL_BYTES_MAX);
    fill_base(f);
    fill_field(f);
    fill_app(f);
    f->files[0] = &f->base;
    f->files[1] = &f->app;
    google__protobuf__file_descriptor_set__init(&f->set);
    f->set.n_file = 2;
    f->set.file = f->files;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_deinit(&f->pool);
    return 0;
}

static void test_rewrite_removes_services_options_and_deprecation(void **state)
{
    struct fixture *f = *state;
    rewrite_set(&f->set, &f->pool);
    assert_int_equal(f->app.n_service, 0);
    assert_int_equal(f->options.base.n_unknown_fields, 0);
    assert_false(f->options.has_deprecated);
}

static void test_rewrite_keeps_only_imports_whose_types_are_used(void **state)
{
    struct fixture *f = *state;
    rewrite_set(&f->set, &f->pool);
    assert_int_equal(f->app.n_dependency, 1);
    assert_string_equal(f->app.dependency[0], "base.proto");
}

static void test_rewrite_keeps_a_public_import_under_its_new_number(void **state)
{
    struct fixture *f = *state;
    int32_t public_dependency[] = {1};
    f->app.n_public_dependency = 1;
    f->app.public_dependency = public_dependency;
    f->field.type_name = NULL;
    rewrite_set(&f->set, &f->pool);
    assert_int_equal(f->app.n_dependency, 1);
    assert_string_equal(f->app.dependency[0], "base.proto");
    assert_int_equal(f->app.n_public_dependency, 1);
    assert_int_equal(f->app.public_dependency[0], 0);
}

static void test_rewrite_keeps_an_import_that_lends_a_type_publicly(void **state)
{
    struct fixture *f = *state;
    Google__Protobuf__FileDescriptorProto lender;
    google__protobuf__file_descriptor_proto__init(&lender);
    lender.name = text_of(f, "options.proto");
    char *lent[] = {text_of(f, "base.proto")};
    int32_t public_dependency[] = {0};
    lender.n_dependency = 1;
    lender.dependency = lent;
    lender.n_public_dependency = 1;
    lender.public_dependency = public_dependency;
    Google__Protobuf__FileDescriptorProto *files[] = {&f->base, &lender, &f->app};
    f->set.n_file = 3;
    f->set.file = files;
    f->app.n_dependency = 1;
    rewrite_set(&f->set, &f->pool);
    assert_int_equal(f->app.n_dependency, 1);
    assert_string_equal(f->app.dependency[0], "options.proto");
}

static void test_rewrite_asks_for_const_strings_of_every_file(void **state)
{
    struct fixture *f = *state;
    rewrite_set(&f->set, &f->pool);
    for (size_t i = 0; i < f->set.n_file; i++) {
        const ProtobufCMessage *options = &f->set.file[i]->options->base;
        assert_int_equal(options->n_unknown_fields, 1);
        assert_int_equal(options->unknown_fields[0].tag, 1019);
        static const uint8_t EXPECTED[] = {2, 4 << 3, 1};
        assert_int_equal(options->unknown_fields[0].len, sizeof(EXPECTED));
        assert_memory_equal(options->unknown_fields[0].data, EXPECTED, sizeof(EXPECTED));
    }
}

static void test_rewrite_keeps_names_whatever_is_optimized_for(void **state)
{
    struct fixture *f = *state;
    Google__Protobuf__FileOptions options;
    google__protobuf__file_options__init(&options);
    options.has_optimize_for = 1;
    options.optimize_for = GOOGLE__PROTOBUF__FILE_OPTIONS__OPTIMIZE_MODE__CODE_SIZE;
    f->app.options = &options;
    rewrite_set(&f->set, &f->pool);
    assert_false(options.has_optimize_for);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_rewrite_removes_services_options_and_deprecation),
        TEST(test_rewrite_keeps_only_imports_whose_types_are_used),
        TEST(test_rewrite_keeps_a_public_import_under_its_new_number),
        TEST(test_rewrite_keeps_an_import_that_lends_a_type_publicly),
        TEST(test_rewrite_keeps_names_whatever_is_optimized_for),
        TEST(test_rewrite_asks_for_const_strings_of_every_file),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
