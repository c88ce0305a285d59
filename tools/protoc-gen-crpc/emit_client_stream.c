#include "emit_client_stream.h"

#include "emit.h"
#include "pool.h"

const char EMIT_CLIENT_STREAM_WHAT[] =
    "Blocking streams: the function of the method's name begins one (NULL: *error says why).\n"
    " - _next gives the next message, the caller's. RPC_END: there is none, the call ended well.\n"
    " - _write sends one. RPC_END: not sent, the server has ended the call; _next or _finish say "
    "how.\n"
    " - _half_close: no further message from us. _finish does that and waits for the one answer of "
    "a client stream.\n"
    " - _close cancels what has not ended and frees the stream; always, also after an error. NULL "
    "is fine.\n"
    " - _rpc_stream is the stream itself: rpc_stream_set_patience, rpc_stream_wake.\n"
    "\n"
    "Attached streams: _watch begins one, and its hooks run from rpc_client_process; hooks and "
    "`data` outlive it. `message` (a client stream's one answer too) is borrowed until the hook "
    "returns; RPC_TAKE_LATER: the same one again, after rpc_stream_wake. `writable`: room again "
    "after a _write that answered RPC_AGAIN. `ended`: once, last; `error` is NULL for an end with "
    "OK. Each may be NULL. _write and _half_close do not wait there; _close is legal at any time, "
    "and no hook runs after it.";

/* ---- prototypes, used by both files ---- */

static const char *handle(const struct model *model, const struct model_method *method)
{
    return pool_printf(model->pool, "struct %s_client_stream *", method->client_name);
}

/* `verb` of the handle, and `more` arguments behind it. */
static void put_verb(struct text *text, const struct model *model,
    const struct model_method *method, const char *result, const char *verb, const char *more,
    const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "%s%s_%s", result, method->client_name, verb),
        pool_printf(model->pool, "%sstream%s", handle(model, method), more), tail);
}

static const char *request_parameter(const struct model *model, const struct model_method *method)
{
    if (method->client_streams)
        return "";
    return pool_printf(model->pool, "const %s *request, ", method->input->short_name);
}

static void put_open(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0, pool_printf(model->pool, "%s%s", handle(model, method), method->client_name),
        pool_printf(model->pool,
            "struct rpc_client *client, const struct rpc_options *options, %s"
            "struct rpc_error **error",
            request_parameter(model, method)),
        tail);
}

static void put_watch(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    text_call(text, 0,
        pool_printf(model->pool, "%s%s_watch", handle(model, method), method->client_name),
        pool_printf(model->pool,
            "struct rpc_client *client, const struct rpc_options *options, %s"
            "const struct %s_hooks *hooks, void *data, struct rpc_error **error",
            request_parameter(model, method), method->client_name),
        tail);
}

/* _next or _finish. */
static void put_receive(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    put_verb(text, model, method, "enum rpc_result ", method->server_streams ? "next" : "finish",
        pool_printf(
            model->pool, ", const %s **out, struct rpc_error **error", method->output->short_name),
        tail);
}

static void put_write(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    put_verb(text, model, method, "enum rpc_result ", "write",
        pool_printf(model->pool, ", const %s *message, struct rpc_error **error",
            method->input->short_name),
        tail);
}

static void put_half_close(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    put_verb(
        text, model, method, "enum rpc_result ", "half_close", ", struct rpc_error **error", tail);
}

static void put_close(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    put_verb(text, model, method, "void ", "close", "", tail);
}

static void put_rpc_stream(struct text *text, const struct model *model,
    const struct model_method *method, const char *tail)
{
    put_verb(text, model, method, "struct rpc_stream *", "rpc_stream", "", tail);
}

/* ---- the header ---- */

static void declare_hooks(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *first = pool_printf(model->pool, "void *data, %sstream", handle(model, method));
    text_printf(text, "struct %s_hooks {\n", method->client_name);
    text_call(text, 4, "enum rpc_take (*message)",
        pool_printf(model->pool, "%s, const %s *message", first, method->output->short_name), ";");
    if (method->client_streams)
        text_call(text, 4, "void (*writable)", first, ";");
    text_call(text, 4, "void (*ended)",
        pool_printf(model->pool, "%s, const struct rpc_error *error", first), ";");
    text_put(text, "};\n");
}

void emit_client_stream_declare(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_printf(text, "struct %s_client_stream;\n", method->client_name);
    text_comment(text, 0, method->comment);
    put_open(text, model, method, ";");
    if (method->client_streams) {
        put_write(text, model, method, ";");
        put_half_close(text, model, method, ";");
    }
    put_receive(text, model, method, ";");
    put_close(text, model, method, ";");
    put_rpc_stream(text, model, method, ";");
    text_put(text, "\n");
    declare_hooks(text, model, method);
    put_watch(text, model, method, ";");
}

/* ---- the source ---- */

/* The head of a thunk, down to where "typed" is the caller's struct of hooks. */
static void begin_thunk(struct text *text, const struct model *model,
    const struct model_method *method, const char *head, const char *more)
{
    text_put(text, "\n");
    text_call(text, 0, pool_printf(model->pool, "static %s_%s", head, method->client_name),
        pool_printf(
            model->pool, "const void *source, void *data, struct rpc_stream *stream%s", more),
        "");
    text_put(text, "{\n");
    text_pair(text, 4,
        pool_printf(model->pool, "const struct %s_hooks *typed =", method->client_name), "source",
        ';');
}

static const char *typed_stream(const struct model *model, const struct model_method *method)
{
    return pool_printf(model->pool, "(%s)(void *)stream", handle(model, method));
}

static void define_message(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method, "enum rpc_take message", ", const ProtobufCMessage *message");
    text_put(text, "    if (typed->message == NULL)\n        return RPC_TAKE_DONE;\n");
    text_call(text, 4, "return typed->message",
        pool_printf(model->pool, "data, %s, (const %s *)message", typed_stream(model, method),
            method->output->short_name),
        ";");
    text_put(text, "}\n");
}

static void define_writable(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method, "void writable", "");
    text_put(text, "    if (typed->writable != NULL)\n");
    text_call(text, 8, "typed->writable",
        pool_printf(model->pool, "data, %s", typed_stream(model, method)), ";");
    text_put(text, "}\n");
}

static void define_ended(
    struct text *text, const struct model *model, const struct model_method *method)
{
    begin_thunk(text, model, method, "void ended", ", const struct rpc_error *error");
    text_put(text, "    if (typed->ended != NULL)\n");
    text_call(text, 8, "typed->ended",
        pool_printf(model->pool, "data, %s, error", typed_stream(model, method)), ";");
    text_put(text, "}\n");
}

static void define_hooks(
    struct text *text, const struct model *model, const struct model_method *method)
{
    const char *name = method->client_name;
    define_message(text, model, method);
    if (method->client_streams)
        define_writable(text, model, method);
    define_ended(text, model, method);
    text_printf(text, "\nstatic const struct rpc_watch_hooks hooks_%s = {\n", name);
    text_printf(text, "    .message = message_%s,\n", name);
    if (method->client_streams)
        text_printf(text, "    .writable = writable_%s,\n", name);
    text_printf(text, "    .ended = ended_%s,\n};\n", name);
}

/* "return (struct ... *)(void *)function(...);" behind the method's row. */
static void define_beginning(struct text *text, const struct model *model,
    const struct model_method *method, const char *function, const char *more)
{
    text_put(text, "{\n");
    text_pair(text, 4, "const struct rpc_method *method =", method->row, ';');
    text_assign_call(text, 4, "struct rpc_stream *stream", function,
        pool_printf(model->pool, "client, method, options, %s, %serror",
            method->client_streams ? "NULL" : "&request->base", more));
    text_pair(text, 4, "return", typed_stream(model, method), ';');
    text_put(text, "}\n");
}

static void define_open(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    put_open(text, model, method, "");
    define_beginning(text, model, method, "rpc_client_open", "");
}

static void define_watch(
    struct text *text, const struct model *model, const struct model_method *method)
{
    define_hooks(text, model, method);
    text_put(text, "\n");
    put_watch(text, model, method, "");
    define_beginning(text, model, method, "rpc_client_watch",
        pool_printf(model->pool, "&hooks_%s, hooks, data, ", method->client_name));
}

static void define_rpc_stream(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    put_rpc_stream(text, model, method, "");
    text_put(text, "{\n    return (struct rpc_stream *)(void *)stream;\n}\n");
}

/* "[return ]function(<the untyped stream>more);" */
static void put_forward(struct text *text, const struct model *model,
    const struct model_method *method, const char *function, const char *more)
{
    text_put(text, "{\n");
    text_call(text, 4, function,
        pool_printf(model->pool, "%s_rpc_stream(stream)%s", method->client_name, more), ";");
    text_put(text, "}\n");
}

static void define_sending(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    put_write(text, model, method, "");
    put_forward(text, model, method, "return rpc_stream_send", ", &message->base, error");
    text_put(text, "\n");
    put_half_close(text, model, method, "");
    put_forward(text, model, method, "return rpc_stream_half_close", ", error");
}

static void define_receive(
    struct text *text, const struct model *model, const struct model_method *method)
{
    text_put(text, "\n");
    put_receive(text, model, method, "");
    text_put(text, "{\n    const ProtobufCMessage *message = NULL;\n");
    text_assign_call(text, 4, "enum rpc_result result",
        method->server_streams ? "rpc_stream_next" : "rpc_stream_finish",
        pool_printf(model->pool, "%s_rpc_stream(stream), &message, error", method->client_name));
    text_pair(text, 4,
        "*out =", pool_printf(model->pool, "(const %s *)message", method->output->short_name), ';');
    text_put(text, "    return result;\n}\n");
}

void emit_client_stream_define(
    struct text *text, const struct model *model, const struct model_method *method)
{
    define_rpc_stream(text, model, method);
    define_open(text, model, method);
    if (method->client_streams)
        define_sending(text, model, method);
    define_receive(text, model, method);
    text_put(text, "\n");
    put_close(text, model, method, "");
    put_forward(text, model, method, "rpc_stream_close", "");
    define_watch(text, model, method);
}
