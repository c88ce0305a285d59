/* protoc-gen-crpc: without arguments a protoc plugin (CodeGeneratorRequest on stdin, Response on
 * stdout); with --rewrite a filter of descriptor sets for protoc-c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "model.h"
#include "options.h"
#include "pool.h"
#include "refuse.h"
#include "rewrite.h"
#include "rules_file.h"
#include "text.h"

/* ---- input and output ---- */

static void *pool_alloc(void *pool, size_t size)
{
    return pool_calloc(pool, 1, size);
}

static void pool_free(void *pool, void *memory)
{
    (void)pool;
    (void)memory;
}

static bool read_all(FILE *file, struct text *out)
{
    char block[1 << 16];
    size_t len;
    while ((len = fread(block, 1, sizeof(block), file)) > 0)
        text_append(out, block, len);
    return ferror(file) == 0;
}

static int write_message(const ProtobufCMessage *message, struct arena *pool)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = pool_calloc(pool, len + 1, 1);
    protobuf_c_message_pack(message, bytes);
    if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0) {
        perror("protoc-gen-crpc: cannot write");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static ProtobufCMessage *parse(const ProtobufCMessageDescriptor *type, struct arena *pool)
{
    ProtobufCAllocator allocator = {.alloc = pool_alloc, .free = pool_free, .allocator_data = pool};
    struct text input;
    text_init(&input);
    ProtobufCMessage *message = NULL;
    if (read_all(stdin, &input))
        message = protobuf_c_message_unpack(
            type, &allocator, input.length, (const uint8_t *)text_data(&input));
    text_deinit(&input);
    if (message == NULL)
        fprintf(stderr, "protoc-gen-crpc: stdin is not a %s\n", type->name);
    return message;
}

/* ---- the plugin ---- */

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

static void generate_all(const struct model *model, response *answer)
{
    answer->file =
        pool_calloc(model->pool, model->n_files * ARRAY_LENGTH(OUTPUTS) + 1, sizeof(void *));
    if (model->options->rules_path != NULL) {
        struct text text;
        text_init(&text);
        rules_file_print(&text, model);
        add_file(answer, model->pool, model->options->rules_path, &text);
        text_deinit(&text);
        return;
    }
    for (size_t i = 0; i < model->n_files; i++) {
        if (model->files[i].is_generated)
            generate_file(model, &model->files[i], answer);
    }
}

static void answer_request(const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
    response *answer, struct arena *pool)
{
    struct options options;
    const char *mistake =
        options_parse(&options, request->parameter != NULL ? request->parameter : "", pool);
    if (mistake != NULL) {
        answer->error = pool_strdup(pool, mistake);
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

static int run_plugin(struct arena *pool)
{
    const ProtobufCMessage *request =
        parse(&google__protobuf__compiler__code_generator_request__descriptor, pool);
    if (request == NULL)
        return EXIT_FAILURE;
    response answer = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    /* Told so that protoc hands over files with proto3 `optional`, which are then refused with
     * their line and a way out, instead of by protoc without either. */
    answer.has_supported_features = true;
    answer.supported_features =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
    answer_request(
        (const Google__Protobuf__Compiler__CodeGeneratorRequest *)request, &answer, pool);
    return write_message(&answer.base, pool);
}

static int run_rewrite(struct arena *pool)
{
    ProtobufCMessage *set = parse(&google__protobuf__file_descriptor_set__descriptor, pool);
    if (set == NULL)
        return EXIT_FAILURE;
    rewrite_set((Google__Protobuf__FileDescriptorSet *)set, pool);
    return write_message(set, pool);
}

int main(int argc, char **argv)
{
    struct arena pool;
    arena_init(&pool, POOL_BYTES_MAX);
    int result = EXIT_FAILURE;
    if (argc == 1)
        result = run_plugin(&pool);
    else if (argc == 2 && strcmp(argv[1], "--rewrite") == 0)
        result = run_rewrite(&pool);
    else
        fputs("usage: protoc --crpc_out=[prefix=NAME][,...]:DIR FILE.proto\n"
              "       protoc-gen-crpc --rewrite < descriptor-set > descriptor-set\n",
            stderr);
    arena_deinit(&pool);
    return result;
}
