/* <stem>.client.{h,c}: typed calls. Streams: emit_client_stream.c. */
#include "emit.h"
#include "emit_client_stream.h"
#include "pool.h"

static const char WHAT[] =
    "Client side (crpc/client.h). `options` may be NULL everywhere: the usual deadline, no "
    "metadata.\n"
    "\n"
    "Blocking, unary: RPC_DONE: `*out` is the caller's, freed with rpc_message_free. RPC_ERROR: "
    "`*error` says why, freed with rpc_error_free, and `*out` is NULL.\n"
    "\n"
    "Attached (rpc_client_attach), unary: _begin. `done` runs once, from rpc_client_process, with "
    "either `error` or `response`, both borrowed. NULL: not begun, *error says why, `done` will "
    "not run. rpc_pending_cancel gives the call up.";

/* ---- unary ---- */

static void put_call(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "enum rpc_result %s", method->client_name),
        pool_printf(model->pool,
            "struct rpc_client *client, const struct rpc_options *options, const %s *request, "
            "const %s **out, struct rpc_error **error",
            method->input->short_name, method->output->short_name),
        tail);
}

static void put_begin(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0,
        pool_printf(model->pool, "struct rpc_pending *%s_begin", method->client_name),
        pool_printf(model->pool,
            "struct rpc_client *client, const struct rpc_options *options, const %s *request, "
            "%s_done_fn done, void *data, struct rpc_error **error",
            method->input->short_name, method->client_name),
        tail);
}

static void declare_unary(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_comment(text, 0, method->comment);
    put_call(text, model, method, ";");
    text_call(text, 0, pool_printf(model->pool, "typedef void (*%s_done_fn)", method->client_name),
        pool_printf(model->pool, "void *data, const struct rpc_error *error, const %s *response",
            method->output->short_name),
        ";");
    put_begin(text, model, method, ";");
}

static void define_call(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    put_call(text, model, method, "");
    text_put(text, "{\n");
    text_pair(text, 4, "const struct rpc_method *method =", method->row, ';');
    text_put(text,
        "    const ProtobufCMessage *response = NULL;\n"
        "    enum rpc_result result =\n"
        "        rpc_client_call(client, method, options, &request->base, &response, error);\n");
    text_pair(text, 4,
        "*out =", pool_printf(model->pool, "(const %s *)response", method->output->short_name),
        ';');
    text_put(text, "    return result;\n}\n");
}

/* The engine keeps a function of no type; it is called as what it is, after a cast back. */
static void define_deliver(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "static void deliver_%s", method->client_name),
        "rpc_typed_fn typed, void *data, const struct rpc_error *error, "
        "const ProtobufCMessage *response",
        "");
    text_put(text, "{\n");
    text_pair(text, 4, pool_printf(model->pool, "%s_done_fn done =", method->client_name),
        pool_printf(model->pool, "(%s_done_fn)typed", method->client_name), ';');
    text_call(text, 4, "done",
        pool_printf(model->pool, "data, error, (const %s *)response", method->output->short_name),
        ";");
    text_put(text, "}\n");
}

static void define_begin(
    struct text *text, const struct model *model, const struct model_method *method)
{
    define_deliver(text, model, method);
    text_put(text, "\n");
    put_begin(text, model, method, "");
    text_put(text, "{\n");
    text_pair(text, 4, "const struct rpc_method *method =", method->row, ';');
    text_call(text, 4, "return rpc_client_begin",
        pool_printf(model->pool,
            "client, method, options, &request->base, deliver_%s, (rpc_typed_fn)done, data, error",
            method->client_name),
        ";");
    text_put(text, "}\n");
}

static void define_unary(
    struct text *text, const struct model *model, const struct model_method *method)
{
    define_call(text, model, method);
    define_begin(text, model, method);
}

/* ---- files ---- */

typedef void (*each_fn)(
    struct text *text, const struct model *model, const struct model_method *method);

static void put_methods(struct text *text, const struct model *model, const struct model_file *file,
    each_fn unary, each_fn stream)
{
    for (size_t i = 0; i < file->n_services; i++) {
        for (size_t k = 0; k < file->services[i].n_methods; k++) {
            const struct model_method *method = &file->services[i].methods[k];
            emit_method_section(text, model, method);
            (method->is_unary ? unary : stream)(text, model, method);
        }
    }
}

void emit_client_header(struct text *text, const struct model *model, const struct model_file *file)
{
    const char *what = WHAT;
    if (emit_has_stream(file))
        what = pool_printf(model->pool, "%s\n\n%s", WHAT, EMIT_CLIENT_STREAM_WHAT);
    emit_header_begin(text, model, file, "client.h", what);
    emit_stub_includes(text, file);
    emit_cplusplus_begin(text);
    put_methods(text, model, file, declare_unary, emit_client_stream_declare);
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "client.h");
}

void emit_client_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "client.h", "Client side.");
    put_methods(text, model, file, define_unary, emit_client_stream_define);
}
