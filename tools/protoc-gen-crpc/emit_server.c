/* <stem>.server.{h,c}: typed handlers and replies. */
#include "emit.h"
#include "pool.h"

static const char WHAT[] =
    "Server side. A handler finishes its call exactly once, now or later, by its own _reply or by "
    "rpc_call_fail, also after a cancellation. A request lives until then. A response is encoded "
    "before _reply returns, so it may lie on the stack. All of it happens on the loop's thread. A "
    "handler that is NULL answers UNIMPLEMENTED.";

/* Methods that stream have no stub: whoever looks for one is told where they are. */
static bool has_stream(const struct model_file *file)
{
    for (size_t i = 0; i < file->n_services; i++) {
        for (size_t k = 0; k < file->services[i].n_methods; k++) {
            if (!file->services[i].methods[k].is_unary)
                return true;
        }
    }
    return false;
}

static void declare_handles(struct text *text, const struct model_service *service)
{
    text_put(text, "\n/* One handle type per RPC: the wrong answer does not compile. */\n");
    for (size_t i = 0; i < service->n_methods; i++) {
        if (service->methods[i].is_unary)
            text_printf(text, "struct %s_call;\n", service->methods[i].call_name);
    }
}

static void declare_handlers(
    struct text *text, const struct model *model, const struct model_service *service)
{
    text_put(text, "\n");
    text_comment(text, 0, service->comment);
    text_printf(text, "struct %s_handlers {\n", service->short_name);
    bool is_first = true;
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        if (!method->is_unary)
            continue;
        if (!is_first && method->comment[0] != '\0')
            text_put(text, "\n");
        is_first = false;
        text_comment(text, 4, method->comment);
        text_call(text, 4, pool_printf(model->pool, "void (*%s)", method->snake),
            pool_printf(model->pool, "void *self, struct %s_call *call, const %s *request",
                method->call_name, method->input->short_name),
            ";");
    }
    text_put(text, "};\n\n");
    text_comment(
        text, 0, "The service for a server to serve. Both pointers are borrowed and outlive it.");
    text_call(text, 0,
        pool_printf(model->pool, "struct rpc_service %s_service", service->short_name),
        pool_printf(
            model->pool, "const struct %s_handlers *handlers, void *self", service->short_name),
        ";");
}

static void declare_method(
    struct text *text, const struct model *model, const struct model_method *method)
{
    emit_section(text, method->name);
    text_put(text, "/* The call itself: peer, deadline, memory, rpc_call_fail. */\n");
    text_call(text, 0, pool_printf(model->pool, "struct rpc_call *%s_base", method->call_name),
        pool_printf(model->pool, "struct %s_call *call", method->call_name), ";");
    text_call(text, 0, pool_printf(model->pool, "void %s_reply", method->call_name),
        pool_printf(model->pool, "struct %s_call *call, const %s *response", method->call_name,
            method->output->short_name),
        ";");
}

void emit_server_header(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_header_begin(text, model, file, "server.h", WHAT);
    emit_stub_includes(text, file);
    if (has_stream(file))
        text_put(text, "\n/* Here are the unary methods; those that stream have their rows in the "
                       "table. */\n");
    emit_cplusplus_begin(text);
    for (size_t i = 0; i < file->n_services; i++) {
        const struct model_service *service = &file->services[i];
        declare_handles(text, service);
        declare_handlers(text, model, service);
        for (size_t k = 0; k < service->n_methods; k++) {
            if (service->methods[k].is_unary)
                declare_method(text, model, &service->methods[k]);
        }
    }
    emit_cplusplus_end(text);
    emit_header_end(text, model, file, "server.h");
}

static void define_method(struct text *text, const struct model *model,
    const struct model_service *service, const struct model_method *method)
{
    emit_section(text, method->name);
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "struct rpc_call *%s_base", method->call_name),
        pool_printf(model->pool, "struct %s_call *call", method->call_name), "");
    text_put(text, "{\n    return (struct rpc_call *)(void *)call;\n}\n\n");
    text_call(text, 0, pool_printf(model->pool, "void %s_reply", method->call_name),
        pool_printf(model->pool, "struct %s_call *call, const %s *response", method->call_name,
            method->output->short_name),
        "");
    text_printf(text, "{\n    rpc_call_reply_message(%s_base(call), &response->base);\n}\n\n",
        method->call_name);
    text_call(text, 0, pool_printf(model->pool, "static void invoke_%s", method->client_name),
        "const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request",
        "");
    text_printf(text, "{\n    const struct %s_handlers *typed = handlers;\n", service->short_name);
    text_printf(text, "    if (typed->%s == NULL) {\n", method->snake);
    text_put(text, "        rpc_call_not_implemented(call);\n        return;\n    }\n");
    text_call(text, 4, pool_printf(model->pool, "typed->%s", method->snake),
        pool_printf(model->pool, "self, (struct %s_call *)(void *)call, (const %s *)request",
            method->call_name, method->input->short_name),
        ";");
    text_put(text, "}\n");
}

static void define_service(
    struct text *text, const struct model *model, const struct model_service *service)
{
    emit_section(text, service->full_name);
    text_printf(text, "\nstatic const rpc_invoke_fn %s_invoke[%s_METHOD_COUNT] = {\n",
        service->short_name, service->short_upper);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct model_method *method = &service->methods[i];
        const char *invoke =
            method->is_unary ? pool_printf(model->pool, "invoke_%s", method->client_name) : "NULL";
        text_pair(text, 4, pool_printf(model->pool, "[%s] =", method->constant), invoke, ',');
    }
    text_put(text, "};\n\n");
    text_call(text, 0,
        pool_printf(model->pool, "struct rpc_service %s_service", service->short_name),
        pool_printf(
            model->pool, "const struct %s_handlers *handlers, void *self", service->short_name),
        "");
    text_printf(text,
        "{\n    return (struct rpc_service){\n        .name = %s_SERVICE,\n"
        "        .n_methods = %s_METHOD_COUNT,\n        .methods = %s_methods,\n"
        "        .invoke = %s_invoke,\n        .handlers = handlers,\n        .self = self,\n"
        "    };\n}\n",
        service->short_upper, service->short_upper, service->short_name, service->short_name);
}

void emit_server_source(struct text *text, const struct model *model, const struct model_file *file)
{
    emit_source_begin(text, file, "server.h", "Server side.");
    for (size_t i = 0; i < file->n_services; i++) {
        const struct model_service *service = &file->services[i];
        for (size_t k = 0; k < service->n_methods; k++) {
            if (service->methods[k].is_unary)
                define_method(text, model, service, &service->methods[k]);
        }
        define_service(text, model, service);
    }
}
