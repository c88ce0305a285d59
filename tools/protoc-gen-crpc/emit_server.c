/* <stem>.server.{h,c}: typed handlers and replies. What streams have besides: emit_server_stream.c.
 */
#include "emit.h"
#include "emit_server_stream.h"
#include "pool.h"

static const char WHAT[] =
    "Server side (crpc/call.h). A handler finishes its call exactly once, now or later, by its own "
    "_reply or by rpc_call_fail, also after a cancellation. A request lives until then. A response "
    "is encoded before _reply returns, so it may lie on the stack. All of it happens on the loop's "
    "thread. A handler that is NULL answers UNIMPLEMENTED.";

const char *emit_server_call(const struct model *model, const struct model_method *method)
{
    return pool_printf(model->pool, "struct %s_call *call", method->call_name);
}

/* ---- the header ---- */

static void declare_handles(struct text *text, const struct model_service *service)
{
    if (service->n_methods == 0)
        return;
    text_put(text, "\n/* One handle type per RPC: the wrong answer does not compile. */\n");
    for (size_t i = 0; i < service->n_methods; i++)
        text_printf(text, "struct %s_call;\n", service->methods[i].call_name);
}

static void declare_handler(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *call = emit_server_call(model, method);
    const char *arguments = pool_printf(model->pool, "void *self, %s", call);
    if (!method->client_streams)
        arguments =
            pool_printf(model->pool, "%s, const %s *request", arguments, method->input->short_name);
    text_comment(text, 4, method->comment);
    text_call(text, 4, pool_printf(model->pool, "void (*%s)", method->handler), arguments, ";");
}

static void declare_handlers(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n");
    text_comment(text, 0, service->comment);
    text_printf(text, "struct %s_handlers {\n", service->short_name);
    for (size_t i = 0; i < service->n_methods; i++) {
        if (i > 0 && service->methods[i].comment[0] != '\0')
            text_put(text, "\n");
        declare_handler(text, model, &service->methods[i]);
    }
    if (service->n_methods == 0)
        text_put(text, "    char no_method; /* C has no empty struct */\n");
    text_put(text, "};\n\n");
    text_comment(
        text, 0, "The service for a server to serve. Both pointers are borrowed and outlive it.");
    text_call(text, 0,
        pool_printf(model->pool, "struct rpc_service %s_service", service->short_name),
        pool_printf(
            model->pool, "const struct %s_handlers *handlers, void *self", service->short_name),
        ";");
}

static void put_base(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "struct rpc_call *%s_base", method->call_name),
        emit_server_call(model, method), tail);
}

static void put_reply(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "void %s_reply", method->call_name),
        pool_printf(model->pool, "%s, const %s *response", emit_server_call(model, method),
            method->output->short_name),
        tail);
}

static void declare_method(
    struct text *text, const struct model *model, const struct model_method *method)
{
    emit_method_section(text, model, method);
    text_put(text, "/* The call itself: peer, metadata, deadline, memory, rpc_call_fail. */\n");
    put_base(text, model, method, ";");
    if (!method->is_unary)
        emit_server_stream_declare(text, model, method);
    if (!method->server_streams)
        put_reply(text, model, method, ";");
}

void emit_server_header(struct text *text, const struct model *model, const struct model_file *file)
{
    const char *what = WHAT;
    if (emit_has_stream(file))
        what = pool_printf(model->pool, "%s\n\n%s", WHAT, EMIT_SERVER_STREAM_WHAT);
    emit_header_begin(text, model, file, "server.h", what);
    emit_stub_includes(text, file);
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_services; i++) {
        const struct model_service *service = &file->services[i];
        declare_handles(text, service);
        declare_handlers(text, model, service);
        for (size_t k = 0; k < service->n_methods; k++)
            declare_method(text, model, &service->methods[k]);
    }
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "server.h");
}

/* ---- the source ---- */

static void define_invoke(struct text *text, const struct model *model,
    const struct model_service *service, const struct model_method *method)
{
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "static void invoke_%s", method->client_name),
        "const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request",
        "");
    text_put(text, "{\n");
    text_pair(text, 4,
        pool_printf(model->pool, "const struct %s_handlers *typed =", service->short_name),
        "handlers", ';');
    if (method->client_streams)
        text_put(text, "    (void)request;\n");
    text_printf(text, "    if (typed->%s == NULL) {\n", method->handler);
    text_put(text, "        rpc_call_not_implemented(call);\n        return;\n    }\n");
    const char *arguments =
        pool_printf(model->pool, "self, (struct %s_call *)(void *)call", method->call_name);
    if (!method->client_streams)
        arguments = pool_printf(
            model->pool, "%s, (const %s *)request", arguments, method->input->short_name);
    text_call(text, 4, pool_printf(model->pool, "typed->%s", method->handler), arguments, ";");
    text_put(text, "}\n");
}

static void define_method(struct text *text, const struct model *model,
    const struct model_service *service, const struct model_method *method)
{
    emit_method_section(text, model, method);
    text_put(text, "\n");
    put_base(text, model, method, "");
    text_put(text, "{\n    return (struct rpc_call *)(void *)call;\n}\n");
    if (!method->is_unary)
        emit_server_stream_define(text, model, method);
    if (!method->server_streams) {
        text_put(text, "\n");
        put_reply(text, model, method, "");
        text_put(text, "{\n");
        text_call(text, 4, "rpc_call_reply_message",
            pool_printf(model->pool, "%s_base(call), &response->base", method->call_name), ";");
        text_put(text, "}\n");
    }
    define_invoke(text, model, service, method);
}

static void define_table(
    struct text *text, const struct model *model, const struct model_service *service)
{
    if (service->n_methods == 0)
        return;
    text_printf(text, "\nstatic const rpc_invoke_fn %s_invoke[%s_METHOD_COUNT] = {\n",
        service->short_name, service->short_upper);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        text_pair(text, 4, pool_printf(model->pool, "[%s] =", method->constant),
            pool_printf(model->pool, "invoke_%s", method->client_name), ',');
    }
    text_put(text, "};\n");
}

static void define_service(
    struct text *text, const struct model *model, const struct model_service *service)
{
    emit_section(text, service->full_name);
    define_table(text, model, service);
    text_put(text, "\n");
    text_call(text, 0,
        pool_printf(model->pool, "struct rpc_service %s_service", service->short_name),
        pool_printf(
            model->pool, "const struct %s_handlers *handlers, void *self", service->short_name),
        "");
    text_printf(text, "{\n    return (struct rpc_service){\n        .name = %s_SERVICE,\n",
        service->short_upper);
    if (service->n_methods > 0)
        text_printf(text,
            "        .n_methods = %s_METHOD_COUNT,\n        .methods = %s_methods,\n"
            "        .invoke = %s_invoke,\n",
            service->short_upper, service->short_name, service->short_name);
    text_put(text, "        .handlers = handlers,\n        .self = self,\n    };\n}\n");
}

void emit_server_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "server.h", "Server side.");
    for (size_t i = 0; i < file->n_services; i++) {
        const struct model_service *service = &file->services[i];
        for (size_t k = 0; k < service->n_methods; k++)
            define_method(text, model, service, &service->methods[k]);
        define_service(text, model, service);
    }
}
