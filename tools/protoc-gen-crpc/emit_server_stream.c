#include "emit_server_stream.h"

#include "emit.h"
#include "pool.h"

const char EMIT_SERVER_STREAM_WHAT[] =
    "A handler of a method that streams answers with _begin, now or later, or with rpc_call_fail. "
    "_begin hands over hooks and their state; from then on the engine asks the hooks, one at a "
    "time, each as long as the call lives:\n"
    " - `next`: the connection has room. It sends one message with _send and answers "
    "RPC_PULL_SENT; or has none now and answers RPC_PULL_LATER, to be asked again after _wake; or "
    "ends the call well with RPC_PULL_DONE.\n"
    " - `message`: one message has come, borrowed until the hook returns. RPC_TAKE_DONE; or "
    "RPC_TAKE_LATER, to be given the same one again after _wake.\n"
    " - `half_closed`: the client sends no more. May be NULL.\n"
    " - `closed`: the stream is over, whoever ended it: exactly once, last. Frees the state; the "
    "call is gone. May be NULL.\n"
    "\n"
    "Where the client streams and the server does not, _reply ends the call with its one answer, "
    "which may be given before the client has half-closed. rpc_call_fail ends any stream. Hooks "
    "and state outlive the stream.";

/* ---- the header ---- */

static void declare_hook(
    struct text *text, const struct model *model, const char *head, const char *arguments)
{
    text_call(text, 4, head, pool_printf(model->pool, "void *state, %s", arguments), ";");
}

static void declare_hooks(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *call = emit_server_call(model, method);
    text_printf(text, "struct %s_stream {\n", method->call_name);
    if (method->server_streams)
        declare_hook(text, model, "enum rpc_pull (*next)", call);
    if (method->client_streams) {
        declare_hook(text, model, "enum rpc_take (*message)",
            pool_printf(model->pool, "%s, const %s *message", call, method->input->short_name));
        declare_hook(text, model, "void (*half_closed)", call);
    }
    declare_hook(text, model, "void (*closed)", "enum rpc_code code");
    text_put(text, "};\n");
}

static void put_begin(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "void %s_begin", method->call_name),
        pool_printf(model->pool, "%s, const struct %s_stream *stream, void *state",
            emit_server_call(model, method), method->call_name),
        tail);
}

static void put_send(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "enum rpc_code %s_send", method->call_name),
        pool_printf(model->pool, "%s, const %s *message", emit_server_call(model, method),
            method->output->short_name),
        tail);
}

static void put_wake(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "void %s_wake", method->call_name),
        emit_server_call(model, method), tail);
}

void emit_server_stream_declare(
    struct text *text, const struct model *model, const struct model_method *method)
{
    declare_hooks(text, model, method);
    text_comment(text, 0,
        "The handler's answer. When the call is over already, `closed` runs before this returns.");
    put_begin(text, model, method, ";");
    if (method->server_streams) {
        text_comment(text, 0,
            "Only from `next`, at most once each time; encoded before it returns. RPC_OK; "
            "RPC_RESOURCE_EXHAUSTED: not sent (larger than 4 MiB, or no memory), and the stream "
            "goes on.");
        put_send(text, model, method, ";");
    }
    text_comment(text, 0, "What answered LATER is asked again, soon, but not before this returns.");
    put_wake(text, model, method, ";");
    if (!method->server_streams)
        text_comment(text, 0, "The one answer, and the end.");
}

/* ---- the source ---- */

/* "typed" is the handler's struct of hooks, and the call has its type back. */
static void begin_thunk(struct text *text, const struct model *model,
    const struct model_method *method, const char *head, const char *arguments)
{
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "static %s", head),
        pool_printf(model->pool, "const void *source, void *state, %s", arguments), "");
    text_put(text, "{\n");
    text_pair(text, 4,
        pool_printf(model->pool, "const struct %s_stream *typed =", method->call_name), "source",
        ';');
}

static void define_next(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method,
        pool_printf(model->pool, "enum rpc_pull next_%s", method->client_name),
        "struct rpc_call *call");
    text_call(text, 4, "return typed->next",
        pool_printf(model->pool, "state, (struct %s_call *)(void *)call", method->call_name), ";");
    text_put(text, "}\n");
}

static void define_message(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method,
        pool_printf(model->pool, "enum rpc_take message_%s", method->client_name),
        "struct rpc_call *call, const ProtobufCMessage *message");
    text_call(text, 4, "return typed->message",
        pool_printf(model->pool, "state, (struct %s_call *)(void *)call, (const %s *)message",
            method->call_name, method->input->short_name),
        ";");
    text_put(text, "}\n");
}

static void define_half_closed(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method,
        pool_printf(model->pool, "void half_closed_%s", method->client_name),
        "struct rpc_call *call");
    text_put(text, "    if (typed->half_closed != NULL)\n");
    text_call(text, 8, "typed->half_closed",
        pool_printf(model->pool, "state, (struct %s_call *)(void *)call", method->call_name), ";");
    text_put(text, "}\n");
}

static void define_closed(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method,
        pool_printf(model->pool, "void closed_%s", method->client_name), "enum rpc_code code");
    text_put(text, "    if (typed->closed != NULL)\n        typed->closed(state, code);\n}\n");
}

static void define_hooks(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *name = method->client_name;
    if (method->server_streams)
        define_next(text, model, method);
    if (method->client_streams) {
        define_message(text, model, method);
        define_half_closed(text, model, method);
    }
    define_closed(text, model, method);
    text_printf(text, "\nstatic const struct rpc_stream_hooks hooks_%s = {\n", name);
    if (method->server_streams)
        text_printf(text, "    .next = next_%s,\n", name);
    if (method->client_streams)
        text_printf(
            text, "    .message = message_%s,\n    .half_closed = half_closed_%s,\n", name, name);
    text_printf(text, "    .closed = closed_%s,\n};\n", name);
}

void emit_server_stream_define(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *call_name = method->call_name;
    define_hooks(text, model, method);
    text_put(text, "\n");
    put_begin(text, model, method, "");
    text_put(text, "{\n");
    text_call(text, 4, "rpc_call_begin_stream",
        pool_printf(
            model->pool, "%s_base(call), &hooks_%s, stream, state", call_name, method->client_name),
        ";");
    text_put(text, "}\n");
    if (method->server_streams) {
        text_put(text, "\n");
        put_send(text, model, method, "");
        text_put(text, "{\n");
        text_call(text, 4, "return rpc_call_send_message",
            pool_printf(model->pool, "%s_base(call), &message->base", call_name), ";");
        text_put(text, "}\n");
    }
    text_put(text, "\n");
    put_wake(text, model, method, "");
    text_printf(text, "{\n    rpc_call_wake(%s_base(call));\n}\n", call_name);
}
