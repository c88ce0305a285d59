/* <stem>.methods.{h,c}: one row per RPC, shared by server and client. */
#include <inttypes.h>

#include "emit.h"

static const char WHAT[] =
    "Its methods: names, kinds, message types and rules, as both sides need them.";

static void declare_service(struct text *text, const struct model_service *service)
{
    text_put(text, "\n");
    text_comment(text, 0, service->comment);
    text_printf(text, "enum %s_method {\n", service->short_name);
    for (size_t i = 0; i < service->n_methods; i++) {
        text_comment(text, 4, service->methods[i].comment);
        text_printf(text, "    %s,\n", service->methods[i].constant);
    }
    text_printf(text, "    %s_METHOD_COUNT\n};\n", service->short_upper);
    text_printf(text, "#define %s_SERVICE \"%s\"\n", service->short_upper, service->full_name);
    if (service->n_methods == 0)
        return;
    text_printf(text, "/* By enum %s_method. */\n", service->short_name);
    text_printf(text, "extern const struct rpc_method %s_methods[%s_METHOD_COUNT];\n",
        service->short_name, service->short_upper);
}

void emit_methods_header(
    struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "methods.h", WHAT);
    text_put(text, "#include \"crpc/crpc.h\"\n");
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_services; i++)
        declare_service(text, &file->services[i]);
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "methods.h");
}

static const char *kind_of(const struct model_method *method)
{
    if (method->client_streams)
        return method->server_streams ? "RPC_BIDI" : "RPC_CLIENT_STREAM";
    return method->server_streams ? "RPC_SERVER_STREAM" : "RPC_UNARY";
}

static void put_row(
    struct text *text, const struct model_service *service, const struct model_method *method)
{
    text_printf(text, "    [%s] = {\n", method->constant);
    text_printf(text, "        .service = %s_SERVICE,\n", service->short_upper);
    text_printf(text, "        .name = \"%s\",\n", method->name);
    text_printf(text, "        .kind = %s,\n", kind_of(method));
    if (method->rule.mutates)
        text_put(text, "        .mutates = true,\n");
    if (method->rule.idempotent)
        text_put(text, "        .idempotent = true,\n");
    if (method->rule.max_deadline != NULL)
        text_printf(text, "        .max_deadline_ms = %" PRId64 ", /* %s */\n",
            rules_duration_ms(method->rule.max_deadline), method->rule.max_deadline);
    text_put(text, "        .comment = ");
    text_literal(text, method->comment);
    text_printf(text, ",\n        .request = &%s,\n", method->input->info_name);
    text_printf(text, "        .response = &%s,\n    },\n", method->output->info_name);
}

static bool has_long_comment(const struct model_file *file)
{
    for (size_t i = 0; i < file->n_services; i++) {
        for (size_t k = 0; k < file->services[i].n_methods; k++) {
            if (emit_is_long(file->services[i].methods[k].comment))
                return true;
        }
    }
    return false;
}

static void define_table(struct text *text, const struct model_service *service)
{
    if (service->n_methods == 0)
        return;
    text_printf(text, "\nconst struct rpc_method %s_methods[%s_METHOD_COUNT] = {\n",
        service->short_name, service->short_upper);
    for (size_t i = 0; i < service->n_methods; i++)
        put_row(text, service, &service->methods[i]);
    text_put(text, "};\n");
}

void emit_methods_source(
    struct text *text, const struct model *model, const struct model_file *file)
{
    (void)model;
    emit_source_begin(text, file, "methods.h", WHAT);
    text_put(text, "\n");
    emit_includes(text, file, "info.h", "info.h");
    if (has_long_comment(file))
        emit_allow_long_literals(text);
    text_put(text, "\n/* clang-format off */\n");
    for (size_t i = 0; i < file->n_services; i++)
        define_table(text, &file->services[i]);
    text_put(text, "\n/* clang-format on */\n");
}
