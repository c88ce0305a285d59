/* <stem>.client.{h,c}: typed calls. */
#include "emit.h"
#include "pool.h"

static const char WHAT[] =
    "Client side: one blocking function per unary RPC. RPC_DONE: `*out` is the caller's, freed "
    "with rpc_message_free. RPC_ERROR: `*error` says why, freed with rpc_error_free, and `*out` "
    "is NULL. `options` may be NULL.";

static const char *call_head(const struct model *model, const struct model_method *method)
{
    return pool_printf(model->pool, "enum rpc_result %s", method->client_name);
}

static const char *call_arguments(const struct model *model, const struct model_method *method)
{
    return pool_printf(model->pool,
        "struct rpc_client *client, const struct rpc_options *options, const %s *request, "
        "const %s **out, struct rpc_error **error",
        method->input->short_name, method->output->short_name);
}

void emit_client_header(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "client.h", WHAT);
    emit_stub_includes(text, file);
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_services; i++) {
        for (size_t k = 0; k < file->services[i].n_methods; k++) {
            const struct model_method *method = &file->services[i].methods[k];
            if (!method->is_unary)
                continue;
            text_put(text, "\n");
            text_comment(text, 0, method->comment);
            text_call(text, 0, call_head(model, method), call_arguments(model, method), ";");
        }
    }
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "client.h");
}

static void define_call(struct text *text, const struct model *model,
    const struct model_service *service, const struct model_method *method)
{
    text_put(text, "\n");
    text_call(text, 0, call_head(model, method), call_arguments(model, method), "");
    text_put(text, "{\n");
    text_pair(text, 4, "const struct rpc_method *method =",
        pool_printf(model->pool, "&%s_methods[%s]", service->short_name, method->constant), ';');
    text_put(text,
        "    const ProtobufCMessage *response = NULL;\n"
        "    enum rpc_result result =\n"
        "        rpc_client_call(client, method, options, &request->base, &response, error);\n");
    text_printf(text, "    *out = (const %s *)response;\n    return result;\n}\n",
        method->output->short_name);
}

void emit_client_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "client.h", "Client side.");
    for (size_t i = 0; i < file->n_services; i++) {
        const struct model_service *service = &file->services[i];
        for (size_t k = 0; k < service->n_methods; k++) {
            if (service->methods[k].is_unary)
                define_call(text, model, service, &service->methods[k]);
        }
    }
}
