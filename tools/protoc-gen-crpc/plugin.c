#include "plugin.h"

#include "emit.h"
#include "emit_catalog.h"
#include "emit_index.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "index.h"
#include "model.h"
#include "options.h"
#include "pool.h"
#include "refuse.h"
#include "rewrite.h"
#include "rules_file.h"
#include "select.h"
#include "sound.h"
#include "text.h"

/* Field numbers of the files in both inputs. */
enum { REQUEST_PROTO_FILE = 15, SET_FILE = 1 };

/* ---- messages ---- */

static void *pool_alloc(void *pool, size_t size)
{
    return pool_calloc(pool, 1, size);
}

static void pool_free(void *pool, void *memory)
{
    (void)pool;
    (void)memory;
}

static ProtobufCMessage *unpack(
    const ProtobufCMessageDescriptor *type, struct arena *pool, const uint8_t *bytes, size_t len)
{
    ProtobufCAllocator allocator = {.alloc = pool_alloc, .free = pool_free, .allocator_data = pool};
    return protobuf_c_message_unpack(type, &allocator, len, bytes);
}

static void pack(
    const ProtobufCMessage *message, struct arena *pool, const uint8_t **out, size_t *out_len)
{
    *out_len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = pool_calloc(pool, *out_len + 1, 1);
    protobuf_c_message_pack(message, bytes);
    *out = bytes;
}

/* ---- code ---- */

typedef Google__Protobuf__Compiler__CodeGeneratorResponse response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File response_file;

static void add_file(
    response *answer, struct arena *pool, const char *name, const struct text *content)
{
    response_file *file = pool_calloc(pool, 1, sizeof(*file));
    google__protobuf__compiler__code_generator_response__file__init(file);
    file->name = pool_strdup(pool, name);
    file->content = pool_strndup(pool, text_data(content), content->length);
    answer->file[answer->n_file++] = file;
}

/* One row per generated file; `needs_service` files are left out where there is none. */
struct output {
    const char *suffix;
    bool is_nano;
    bool needs_service;
    void (*emit)(struct text *text, const struct model *model, const struct model_file *file);
};

static const struct output OUTPUTS[] = {
    {"names.h", false, false, emit_names_header},
    {"names.c", false, false, emit_names_source},
    {"info.h", false, false, emit_info_header},
    {"info.c", false, false, emit_info_source},
    {"methods.h", false, true, emit_methods_header},
    {"methods.c", false, true, emit_methods_source},
    {"server.h", false, true, emit_server_header},
    {"server.c", false, true, emit_server_source},
    {"client.h", false, true, emit_client_header},
    {"client.c", false, true, emit_client_source},
    {"nano.h", true, false, emit_nano_header},
    {"nano.c", true, false, emit_nano_source},
};

static void generate_file(
    const struct model *model, const struct model_file *file, response *answer)
{
    for (size_t i = 0; i < ARRAY_LENGTH(OUTPUTS); i++) {
        const struct output *output = &OUTPUTS[i];
        bool is_wanted = output->is_nano == model->options->nano &&
                         (!output->needs_service || file->n_services > 0);
        if (!is_wanted)
            continue;
        struct text text;
        text_init(&text);
        output->emit(&text, model, file);
        add_file(answer, model->pool, pool_printf(model->pool, "%s.%s", file->stem, output->suffix),
            &text);
        text_deinit(&text);
    }
}

static void add_catalog(const struct model *model, response *answer)
{
    static const struct {
        const char *suffix;
        void (*emit)(struct text *text, const struct model *model, const char *path);
    } HALVES[] = {{"h", emit_catalog_header}, {"c", emit_catalog_source}};
    const char *path = model->options->catalog_path;
    for (size_t i = 0; i < ARRAY_LENGTH(HALVES); i++) {
        struct text text;
        text_init(&text);
        HALVES[i].emit(&text, model, path);
        add_file(answer, model->pool,
            pool_printf(model->pool, "%s.catalog.%s", path, HALVES[i].suffix), &text);
        text_deinit(&text);
    }
}

static void generate_all(const struct model *model, response *answer)
{
    answer->file =
        pool_calloc(model->pool, model->n_files * ARRAY_LENGTH(OUTPUTS) + 2, sizeof(void *));
    if (model->options->rules_path != NULL) {
        struct text text;
        text_init(&text);
        rules_file_print(&text, model);
        add_file(answer, model->pool, model->options->rules_path, &text);
        text_deinit(&text);
        return;
    }
    if (model->options->catalog_path != NULL) {
        add_catalog(model, answer);
        return;
    }
    for (size_t i = 0; i < model->n_files; i++) {
        if (model->files[i].is_generated)
            generate_file(model, &model->files[i], answer);
    }
}

/* Whatever the files declare: nothing is refused of what C takes no part in. */
static void generate_index(
    const char *path, const struct index *index, response *answer, struct arena *pool)
{
    static const struct {
        const char *suffix;
        void (*emit)(
            struct text *text, const struct index *index, const char *path, struct arena *pool);
    } HALVES[] = {{"h", emit_index_header}, {"c", emit_index_source}};
    answer->file = pool_calloc(pool, ARRAY_LENGTH(HALVES), sizeof(void *));
    for (size_t i = 0; i < ARRAY_LENGTH(HALVES); i++) {
        struct text text;
        text_init(&text);
        HALVES[i].emit(&text, index, path, pool);
        add_file(answer, pool, pool_printf(pool, "%s.index.%s", path, HALVES[i].suffix), &text);
        text_deinit(&text);
    }
}

/* `bytes` are what `request` was unpacked from. */
static void answer_request(const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
    const uint8_t *bytes, size_t len, response *answer, struct arena *pool)
{
    struct options options;
    const char *mistake =
        options_parse(&options, request->parameter != NULL ? request->parameter : "", pool);
    if (mistake != NULL) {
        answer->error = pool_strdup(pool, mistake);
        return;
    }
    if (options.index_path != NULL) {
        const struct index *index = index_new(
            pool, request->proto_file, request->n_proto_file, bytes, len, REQUEST_PROTO_FILE);
        generate_index(options.index_path, index, answer, pool);
        return;
    }
    const struct model *model = model_new(request, &options, pool);
    struct text mistakes;
    text_init(&mistakes);
    refuse_model(model, &mistakes);
    if (mistakes.length > 0)
        answer->error = pool_strdup(pool, text_data(&mistakes));
    else
        generate_all(model, answer);
    text_deinit(&mistakes);
}

const char *plugin_generate(
    struct arena *pool, const uint8_t *request, size_t len, const uint8_t **out, size_t *out_len)
{
    const char *mistake = sound_bytes(request, len, REQUEST_PROTO_FILE);
    if (mistake != NULL)
        return mistake;
    const Google__Protobuf__Compiler__CodeGeneratorRequest *message =
        (const Google__Protobuf__Compiler__CodeGeneratorRequest *)unpack(
            &google__protobuf__compiler__code_generator_request__descriptor, pool, request, len);
    if (message == NULL)
        return "not a CodeGeneratorRequest";
    mistake = sound_files(message->proto_file, message->n_proto_file, pool);
    if (mistake != NULL)
        return mistake;
    response answer = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    /* Told so that protoc hands over files with proto3 `optional`, which are then refused with
     * their line and a way out, instead of by protoc without either. */
    answer.has_supported_features = true;
    answer.supported_features =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
    answer_request(message, request, len, &answer, pool);
    pack(&answer.base, pool, out, out_len);
    return NULL;
}

/* ---- descriptor sets ---- */

/* NULL, or what is wrong with `bytes`. */
static const char *parse_set(
    struct arena *pool, const uint8_t *bytes, size_t len, Google__Protobuf__FileDescriptorSet **out)
{
    const char *mistake = sound_bytes(bytes, len, SET_FILE);
    if (mistake != NULL)
        return mistake;
    *out = (Google__Protobuf__FileDescriptorSet *)unpack(
        &google__protobuf__file_descriptor_set__descriptor, pool, bytes, len);
    if (*out == NULL)
        return "not a FileDescriptorSet";
    return sound_files((*out)->file, (*out)->n_file, pool);
}

const char *plugin_rewrite(
    struct arena *pool, const uint8_t *set, size_t len, const uint8_t **out, size_t *out_len)
{
    Google__Protobuf__FileDescriptorSet *message = NULL;
    const char *mistake = parse_set(pool, set, len, &message);
    if (mistake != NULL)
        return mistake;
    rewrite_set(message, pool);
    pack(&message->base, pool, out, out_len);
    return NULL;
}

const char *plugin_select(struct arena *pool, const char *const *methods, size_t n_methods,
    const uint8_t *set, size_t len, const uint8_t **out, size_t *out_len)
{
    Google__Protobuf__FileDescriptorSet *message = NULL;
    const char *mistake = parse_set(pool, set, len, &message);
    if (mistake != NULL)
        return mistake;
    const char *unknown = select_methods(message, methods, n_methods, pool);
    if (unknown != NULL)
        return pool_printf(pool, "there is no method %s", unknown);
    pack(&message->base, pool, out, out_len);
    return NULL;
}
