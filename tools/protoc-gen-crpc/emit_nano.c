/* <stem>.nano.{h,c}: the nanopb flavour. Short names, method rows,
 * typed handlers and one dispatch function, typed encoders and decoders
 * for the calling side; unary methods only, in the caller's memory.
 * With nano=client nothing of the serving side, which needs to know the
 * longest encoding of every message: a client's may have fields without
 * a bound, decoded by callbacks of its own. */
#include "emit.h"
#include "naming.h"
#include "pool.h"

static const char WHAT[] =
    "Its messages under short names and its services over nanopb, in the caller's memory "
    "(crpc/nano.h).";

/* nanopb joins the pieces of a full name with one underscore and changes no case. */
static const char *nanopb_name(const struct model *model, const char *full_name)
{
    return naming_replace(model->pool, full_name, '.', '_');
}

static void name_message(
    struct text *text, const struct model *model, const struct model_message *message)
{
    struct arena *pool = model->pool;
    const char *type = nanopb_name(model, message->full_name);
    emit_message_name(text, pool, message, type, pool_printf(pool, "%s_init_zero", type));
    for (size_t i = 0; i < message->n_fields; i++) {
        const char *name = emit_case_name(pool, message, &message->fields[i]);
        if (name != NULL)
            text_define(text, pool_printf(pool, "%s_%s", message->short_upper, name),
                pool_printf(pool, "%s_%s_tag", type, message->fields[i].name));
    }
}

static void name_enum(
    struct text *text, const struct model *model, const struct model_enum *enumeration)
{
    const char *type = nanopb_name(model, enumeration->full_name);
    text_put(text, "\n");
    text_comment(text, 0, enumeration->comment);
    text_define(text, enumeration->short_name,
        pool_printf(model->pool, "_%s /* enum %s */", type, enumeration->short_name));
    for (size_t i = 0; i < enumeration->n_values; i++) {
        const struct model_enum_value *value = &enumeration->values[i];
        text_comment(text, 0, value->comment);
        text_define(text, value->constant, pool_printf(model->pool, "%s_%s", type, value->name));
    }
}

/* ---- the service ---- */

static void declare_handlers(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n");
    text_comment(text, 0, service->comment);
    text_printf(text, "struct %s_handlers {\n", service->short_name);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        text_comment(text, 4, method->comment);
        text_call(text, 4, pool_printf(model->pool, "enum rpc_code (*%s)", method->handler),
            pool_printf(model->pool, "void *self, const %s *request, %s *response",
                method->input->short_name, method->output->short_name),
            ";");
    }
    text_put(text, "};\n");
}

static void declare_scratch(struct text *text, const struct model_service *service)
{
    text_put(text, "\n/* Room for any request beside any response; needs no preparation. */\n");
    text_printf(text, "struct %s_scratch {\n    union {\n", service->short_name);
    for (size_t i = 0; i < service->n_methods; i++)
        text_printf(text, "        %s %s;\n", service->methods[i].input->short_name,
            service->methods[i].handler);
    text_put(text, "    } request;\n    union {\n");
    for (size_t i = 0; i < service->n_methods; i++)
        text_printf(text, "        %s %s;\n", service->methods[i].output->short_name,
            service->methods[i].handler);
    text_put(text, "    } response;\n};\n");
}

static const char DISPATCH_CONTRACT[] =
    "Serves one call: method and payload in, payload out. Codes and `*out_len` as "
    "crpc_nano_serve; a handler that is NULL answers RPC_UNIMPLEMENTED, one that answers later "
    "CRPC_NANO_LATER.";

static const char *dispatch_arguments(
    const struct model *model, const struct model_service *service)
{
    return pool_printf(model->pool,
        "const struct %s_handlers *handlers, void *self, struct %s_scratch *scratch, "
        "const char *method, size_t method_len, const uint8_t *payload, size_t payload_len, "
        "uint8_t *out, size_t out_cap, size_t *out_len",
        service->short_name, service->short_name);
}

static void declare_sizes(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n/* Longest payloads: those of the messages below that are largest. */\n");
    static const char *const SIDES[] = {"REQUEST", "RESPONSE"};
    for (size_t side = 0; side < ARRAY_LENGTH(SIDES); side++) {
        text_printf(text, "union %s_%s_payload {\n", service->short_name,
            side == 0 ? "request" : "response");
        for (size_t i = 0; i < service->n_methods; i++) {
            const struct model_method *method = &service->methods[i];
            const struct model_message *message = side == 0 ? method->input : method->output;
            text_printf(text, "    uint8_t %s[%s_size + 1];\n", method->handler,
                nanopb_name(model, message->full_name));
        }
        text_put(text, "};\n");
    }
    for (size_t side = 0; side < ARRAY_LENGTH(SIDES); side++)
        text_printf(text, "#define %s_%s_MAX (sizeof(union %s_%s_payload) - 1)\n",
            service->short_upper, SIDES[side], service->short_name,
            side == 0 ? "request" : "response");
}

/* The four typed converters of one method. */
struct converter {
    const char *name; /* behind the method's: "encode_request" */
    bool encodes;
    bool is_request;
    bool is_clients;
};

static const struct converter CONVERTERS[] = {
    {"encode_request", true, true, true},
    {"decode_request", false, true, false},
    {"encode_response", true, false, false},
    {"decode_response", false, false, true},
};

static bool is_emitted(const struct model *model, const struct converter *converter)
{
    return converter->is_clients || !model->options->nano_client;
}

static const struct model_message *converted(
    const struct model_method *method, const struct converter *converter)
{
    return converter->is_request ? method->input : method->output;
}

/* The prototype, with `tail` behind it. */
static void put_converter(struct text *text, struct arena *pool, const struct model_method *method,
    const struct converter *converter, const char *tail)
{
    const char *type = converted(method, converter)->short_name;
    const char *arguments =
        converter->encodes
            ? pool_printf(
                  pool, "const %s *message, uint8_t *out, size_t out_cap, size_t *out_len", type)
            : pool_printf(pool, "const uint8_t *bytes, size_t len, %s *message", type);
    text_call(text, 0, pool_printf(pool, "bool %s_%s", method->client_name, converter->name),
        arguments, tail);
}

static void declare_converters(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n");
    text_comment(text, 0,
        model->options->nano_client
            ? "Requests to payloads, payloads to responses. False as crpc_nano_encode and "
              "crpc_nano_decode."
            : "Messages to payloads and back, for the calling side and for answers given later. "
              "False as crpc_nano_encode and crpc_nano_decode.");
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        if (i > 0 || model->options->nano_client)
            text_put(text, "\n");
        if (model->options->nano_client)
            text_comment(text, 0, method->comment);
        text_printf(text, "#define %s_METHOD \"%s\"\n", method->constant, method->name);
        for (size_t k = 0; k < ARRAY_LENGTH(CONVERTERS); k++) {
            if (is_emitted(model, &CONVERTERS[k]))
                put_converter(text, model->pool, method, &CONVERTERS[k], ";");
        }
    }
}

static void declare_server(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_printf(text, "extern const struct crpc_nano_service %s_service;\n", service->short_name);
    declare_handlers(text, model, service);
    declare_scratch(text, service);
    declare_sizes(text, model, service);
    text_put(text, "\n");
    text_comment(text, 0, DISPATCH_CONTRACT);
    text_call(text, 0, pool_printf(model->pool, "enum rpc_code %s_dispatch", service->short_name),
        dispatch_arguments(model, service), ";");
}

static void declare_service(
    struct text *text, const struct model *model, const struct model_service *service)
{
    emit_section(text, service->full_name);
    text_printf(text, "\n#define %s_SERVICE \"%s\"\n", service->short_upper, service->full_name);
    if (service->left_out[0] != '\0')
        text_comment(text, 0,
            pool_printf(model->pool, "Left out, because there are no streams without a heap: %s.",
                service->left_out));
    if (service->n_methods == 0)
        return;
    if (!model->options->nano_client)
        declare_server(text, model, service);
    declare_converters(text, model, service);
}

void emit_nano_header(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "nano.h", WHAT);
    emit_includes(text, file, "pb.h", "nano.h");
    text_put(text, "\n#include \"crpc/nano.h\"\n");
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_enums; i++)
        name_enum(text, model, &file->enums[i]);
    for (size_t i = 0; i < file->n_messages; i++)
        name_message(text, model, &file->messages[i]);
    for (size_t i = 0; i < file->n_services; i++)
        declare_service(text, model, &file->services[i]);
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "nano.h");
}

static void define_invoke(struct text *text, const struct model *model,
    const struct model_service *service, const struct model_method *method)
{
    text_put(text, "\n");
    text_call(text, 0,
        pool_printf(model->pool, "static enum rpc_code invoke_%s", method->client_name),
        "const void *handlers, void *self, const void *request, void *response", "");
    text_printf(text, "{\n    const struct %s_handlers *typed = handlers;\n", service->short_name);
    text_printf(
        text, "    if (typed->%s == NULL)\n        return RPC_UNIMPLEMENTED;\n", method->handler);
    text_printf(text, "    return typed->%s(self, request, response);\n}\n", method->handler);
}

static void define_table(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n/* clang-format off */\n");
    text_printf(
        text, "static const struct crpc_nano_method %s_methods[] = {\n", service->short_name);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        const char *input = nanopb_name(model, method->input->full_name);
        const char *output = nanopb_name(model, method->output->full_name);
        text_printf(text, "    {\n        .name = \"%s\",\n", method->name);
        text_printf(
            text, "        .request = &%s_msg,\n        .response = &%s_msg,\n", input, output);
        text_printf(text,
            "        .request_size = sizeof(%s),\n        .response_size = sizeof(%s),\n", input,
            output);
        text_printf(text, "        .request_max = %s_size,\n        .response_max = %s_size,\n",
            input, output);
        text_printf(text, "        .invoke = invoke_%s,\n    },\n", method->client_name);
    }
    text_printf(text,
        "};\n/* clang-format on */\n\nconst struct crpc_nano_service %s_service = {\n",
        service->short_name);
    text_printf(text,
        "    .name = %s_SERVICE,\n    .n_methods = %zu,\n    .methods = %s_methods,\n};\n",
        service->short_upper, service->n_methods, service->short_name);
}

static void define_dispatch(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "enum rpc_code %s_dispatch", service->short_name),
        dispatch_arguments(model, service), "");
    text_printf(text,
        "{\n    const struct crpc_nano_call call = {\n        .method = method,\n"
        "        .method_len = method_len,\n        .payload = payload,\n"
        "        .payload_len = payload_len,\n        .request = &scratch->request,\n"
        "        .response = &scratch->response,\n        .out = out,\n"
        "        .out_cap = out_cap,\n    };\n"
        "    return crpc_nano_serve(&%s_service, handlers, self, &call, out_len);\n}\n",
        service->short_name);
}

static void define_converter(struct text *text, const struct model *model,
    const struct model_method *method, const struct converter *converter)
{
    const char *type = nanopb_name(model, converted(method, converter)->full_name);
    text_put(text, "\n");
    put_converter(text, model->pool, method, converter, "");
    text_put(text, "{\n");
    if (converter->encodes)
        text_call(text, 4, "return crpc_nano_encode",
            pool_printf(model->pool, "&%s_msg, message, out, out_cap, out_len", type), ";");
    else
        text_call(text, 4, "return crpc_nano_decode",
            pool_printf(model->pool, "&%s_msg, bytes, len, message", type), ";");
    text_put(text, "}\n");
}

static void define_server(
    struct text *text, const struct model *model, const struct model_service *service)
{
    for (size_t i = 0; i < service->n_methods; i++)
        define_invoke(text, model, service, &service->methods[i]);
    define_table(text, model, service);
    define_dispatch(text, model, service);
}

static void define_converters(
    struct text *text, const struct model *model, const struct model_service *service)
{
    for (size_t i = 0; i < service->n_methods; i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(CONVERTERS); k++) {
            if (is_emitted(model, &CONVERTERS[k]))
                define_converter(text, model, &service->methods[i], &CONVERTERS[k]);
        }
    }
}

void emit_nano_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "nano.h", WHAT);
    for (size_t i = 0; i < file->n_services; i++) {
        if (!model->options->nano_client && file->services[i].n_methods > 0)
            define_server(text, model, &file->services[i]);
        define_converters(text, model, &file->services[i]);
    }
}
