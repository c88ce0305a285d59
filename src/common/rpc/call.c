/* One call: its memory, its handler, its one end. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/rpc/engine.h"
#include "common/rpc/scan.h"

static const char TYPE_URL_PREFIX[] = "type.googleapis.com/";

/* ---- life ---- */

struct rpc_call *rpc_call_new(
    struct rpc_connection *connection, struct rpc_session_call *session_call)
{
    struct rpc_call *call = malloc(sizeof *call);
    if (call == NULL)
        return NULL;
    *call = (struct rpc_call){
        .server = connection->server,
        .connection = connection,
        .session_call = session_call,
        .peer = connection->peer,
        .deadline_at = CLOCK_NEVER,
    };
    arena_init(&call->arena, RPC_ARENA_EXTRA_BYTES);
    list_init(&call->in_deadlines);
    list_append(&connection->calls, &call->in_owner);
    connection->n_calls++;
    connection->server->n_calls++;
    rpc_session_call_set_owner(session_call, call);
    return call;
}

static void release_session_call(struct rpc_call *call)
{
    if (call->session_call == NULL)
        return;
    rpc_session_call_set_owner(call->session_call, NULL);
    rpc_session_call_release(call->session_call);
    call->session_call = NULL;
}

static void leave_connection(struct rpc_call *call)
{
    if (call->connection == NULL)
        return;
    list_remove(&call->in_owner);
    call->connection->n_calls--;
    call->connection = NULL;
}

void rpc_call_destroy(struct rpc_call *call)
{
    leave_connection(call);
    list_remove(&call->in_owner);
    list_remove(&call->in_deadlines);
    call->server->n_calls--;
    arena_deinit(&call->arena);
    free(call);
}

/* The one place where a call ends for its handler. */
static void conclude(struct rpc_call *call)
{
    assert(!call->is_finished);
    call->is_finished = true;
    list_remove(&call->in_deadlines);
    release_session_call(call);
    leave_connection(call);
    if (!call->is_held)
        rpc_call_destroy(call);
}

/* ---- ending ---- */

static void write_message(const void *source, uint8_t *out)
{
    (void)protobuf_c_message_pack(source, out);
}

static enum rpc_send_result send_end(
    struct rpc_call *call, const struct rpc_status *status, const struct rpc_payload *answer)
{
    if (call->session_call == NULL)
        return RPC_SEND_GONE;
    size_t len_before = 0;
    (void)rpc_session_output(call->connection->session, &len_before);
    enum rpc_send_result result = rpc_session_call_finish(call->session_call, status, answer);
    rpc_connection_note_output(call->connection, len_before > 0);
    return result;
}

/* Packs the detail into `pair` with memory of the
 * arena; without memory the error goes without it. */
static size_t pack_detail(
    struct arena *arena, const ProtobufCMessage *detail, struct rpc_envelope_pair *pair)
{
    if (detail == NULL)
        return 0;
    size_t len = protobuf_c_message_get_packed_size(detail);
    uint8_t *value = arena_alloc(arena, len);
    const char *url = arena_printf(arena, "%s%s", TYPE_URL_PREFIX, detail->descriptor->name);
    if (value == NULL || url == NULL)
        return 0;
    (void)protobuf_c_message_pack(detail, value);
    *pair = (struct rpc_envelope_pair){
        .key = RPC_BYTES_OF_TEXT(url), .value = {.data = value, .len = len}};
    return 1;
}

/* Sends the error; the call itself stays as it is. */
static void send_error(
    struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail, const char *text)
{
    /* Not the call's arena: that one may be what has run out. Its cap also keeps the detail so
     * small that the error is never too large to be sent. */
    struct arena arena;
    arena_init(&arena, RPC_ARENA_EXTRA_BYTES);
    struct rpc_envelope_pair pair;
    const struct rpc_status status = {
        .code = code,
        .message = {.data = (const uint8_t *)text,
            .len = utf8_cut(text, strlen(text), RPC_STATUS_TEXT_MAX)},
        .details = &pair,
        .n_details = pack_detail(&arena, detail, &pair),
    };
    if (send_end(call, &status, NULL) == RPC_SEND_NO_ROOM)
        rpc_session_lose(call->connection->session, RPC_UNAVAILABLE, "no room for an answer");
    arena_deinit(&arena);
}

static enum rpc_code code_of(enum rpc_refusal refusal)
{
    switch (refusal) {
    case RPC_REFUSAL_NOT_IMPLEMENTED:
    case RPC_REFUSAL_UNKNOWN_FIELD:
        return RPC_UNIMPLEMENTED;
    case RPC_REFUSAL_BAD_TEXT:
    case RPC_REFUSAL_MALFORMED:
    case RPC_REFUSAL_UNKNOWN_VALUE:
        return RPC_INVALID_ARGUMENT;
    case RPC_REFUSAL_LIMIT:
        return RPC_RESOURCE_EXHAUSTED;
    case RPC_REFUSAL_DEADLINE:
        return RPC_DEADLINE_EXCEEDED;
    case RPC_REFUSAL_SHUTTING_DOWN:
        return RPC_UNAVAILABLE;
    case RPC_REFUSAL_INTERNAL:
        return RPC_INTERNAL;
    }
    return RPC_INTERNAL;
}

static void send_refusal(struct rpc_call *call, enum rpc_refusal refusal, const char *text)
{
    struct rpc_refusal_facts facts = {
        .refusal = refusal, .code = code_of(refusal), .message = text, .method = call->method};
    const struct rpc_server_hooks *hooks = &call->server->hooks;
    const ProtobufCMessage *detail = NULL;
    if (hooks->refusal_detail != NULL)
        detail = hooks->refusal_detail(hooks->data, &facts);
    send_error(call, facts.code, detail, text);
}

void rpc_call_refuse(struct rpc_call *call, enum rpc_refusal refusal, const char *format, ...)
{
    char text[RPC_STATUS_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    send_refusal(call, refusal, text);
    conclude(call);
}

void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail,
    const char *format, ...)
{
    assert(code != RPC_OK);
    /* One more than is sent, so that a text that was cut here is cut between characters there. */
    char text[RPC_STATUS_TEXT_MAX + 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    send_error(call, code, detail, text);
    conclude(call);
}

void rpc_call_reply_message(struct rpc_call *call, const ProtobufCMessage *response)
{
    assert(call->method == NULL || response->descriptor == call->method->response->descriptor);
    const struct rpc_payload answer = {
        .len = call->session_call == NULL ? 0 : protobuf_c_message_get_packed_size(response),
        .write = write_message,
        .source = response,
    };
    switch (send_end(call, &(struct rpc_status){.code = RPC_OK}, &answer)) {
    case RPC_SEND_TAKEN:
    case RPC_SEND_GONE:
        conclude(call);
        return;
    case RPC_SEND_TOO_LARGE:
        rpc_call_refuse(
            call, RPC_REFUSAL_LIMIT, "the response is larger than %d bytes", RPC_MESSAGE_BYTES_MAX);
        return;
    case RPC_SEND_NO_ROOM:
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "no room for the response");
        return;
    }
}

/* ---- running ---- */

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    /* Dies with the call. */
    (void)arena;
    (void)memory;
}

static const char *shown(const char *name)
{
    return name == NULL ? "?" : name;
}

static void refuse_scanned(
    struct rpc_call *call, enum rpc_scan_result result, const struct rpc_scan_place *place)
{
    const char *message = place->message;
    switch (result) {
    case RPC_SCAN_UNKNOWN_FIELD:
        rpc_call_refuse(call, RPC_REFUSAL_UNKNOWN_FIELD,
            "field %u of %s is unknown to this server; nothing was done", place->number, message);
        return;
    case RPC_SCAN_UNKNOWN_VALUE:
        rpc_call_refuse(call, RPC_REFUSAL_UNKNOWN_VALUE, "value %d of field %s of %s is unknown",
            place->value, shown(place->field), message);
        return;
    case RPC_SCAN_BAD_TEXT:
        rpc_call_refuse(call, RPC_REFUSAL_BAD_TEXT,
            "field %s of %s is not text: not UTF-8, or it has a NUL in it", shown(place->field),
            message);
        return;
    case RPC_SCAN_TOO_DEEP:
        rpc_call_refuse(call, RPC_REFUSAL_MALFORMED, "the request is nested deeper than %d levels",
            RPC_NESTING_MAX);
        return;
    case RPC_SCAN_GOOD:
    case RPC_SCAN_MALFORMED:
        break;
    }
    rpc_call_refuse(call, RPC_REFUSAL_MALFORMED, "the request is not a valid %s", message);
}

/* The decoded request in the call's arena; NULL: refused. */
static const ProtobufCMessage *decode(struct rpc_call *call, struct rpc_bytes message)
{
    const ProtobufCMessageDescriptor *descriptor = call->method->request->descriptor;
    const struct rpc_scan_rules rules = {
        .refuse_unknown_fields = call->method->mutates, .refuse_unknown_values = true};
    struct rpc_scan_place place;
    enum rpc_scan_result result = rpc_scan(descriptor, &rules, message.data, message.len, &place);
    if (result != RPC_SCAN_GOOD) {
        refuse_scanned(call, result, &place);
        return NULL;
    }
    arena_init(&call->arena, message.len * RPC_ARENA_FACTOR + RPC_ARENA_EXTRA_BYTES);
    ProtobufCAllocator allocator = {
        .alloc = allocate, .free = release, .allocator_data = &call->arena};
    const ProtobufCMessage *request =
        protobuf_c_message_unpack(descriptor, &allocator, message.len, message.data);
    if (request == NULL && arena_is_exhausted(&call->arena))
        rpc_call_refuse(call, RPC_REFUSAL_LIMIT, "decoding the request takes too much memory");
    else if (request == NULL)
        rpc_call_refuse(
            call, RPC_REFUSAL_MALFORMED, "the request is not a valid %s", descriptor->name);
    return request;
}

void rpc_call_not_implemented(struct rpc_call *call)
{
    rpc_call_refuse(call, RPC_REFUSAL_NOT_IMPLEMENTED,
        "method %s of service %s is not implemented by this server", call->method->name,
        call->method->service);
}

static void invoke(struct rpc_call *call, struct rpc_bytes message)
{
    const struct rpc_service *service = call->service;
    rpc_invoke_fn handler = service->invoke[call->method - service->methods];
    if (handler == NULL || call->method->kind != RPC_UNARY) {
        rpc_call_not_implemented(call);
        return;
    }
    const ProtobufCMessage *request = decode(call, message);
    if (request == NULL)
        return;
    const struct rpc_server_hooks *hooks = &call->server->hooks;
    if (hooks->admit == NULL || hooks->admit(hooks->data, call, request))
        handler(service->handlers, service->self, call, request);
}

/* Soonest first. From the end, because later calls mostly have later deadlines. */
static void await_deadline(struct rpc_call *call)
{
    if (call->deadline_at == CLOCK_NEVER)
        return;
    struct list *before = call->server->deadlines.previous;
    while (before != &call->server->deadlines &&
           CONTAINER_OF(before, struct rpc_call, in_deadlines)->deadline_at > call->deadline_at)
        before = before->previous;
    /* list_append puts a link before the one it is given. */
    list_append(before->next, &call->in_deadlines);
}

void rpc_call_run(struct rpc_call *call, struct rpc_bytes message)
{
    call->is_held = true;
    invoke(call, message);
    call->is_held = false;
    if (call->is_finished)
        rpc_call_destroy(call);
    else
        await_deadline(call);
}

/* ---- cancellation ---- */

static void run_cancel_hook(struct rpc_call *call)
{
    void (*cancelled)(void *data) = call->cancelled;
    call->cancelled = NULL;
    if (cancelled != NULL)
        cancelled(call->cancelled_data);
}

/* Nobody waits for the answer any more; the handler goes on. */
static void let_go(struct rpc_call *call)
{
    list_remove(&call->in_deadlines);
    release_session_call(call);
    leave_connection(call);
    list_append(&call->server->orphans, &call->in_owner);
}

void rpc_call_abandon(struct rpc_call *call)
{
    let_go(call);
    run_cancel_hook(call);
}

void rpc_call_expire(struct rpc_call *call)
{
    call->is_held = true;
    run_cancel_hook(call);
    call->is_held = false;
    if (call->is_finished) {
        rpc_call_destroy(call);
        return;
    }
    send_refusal(
        call, RPC_REFUSAL_DEADLINE, "the deadline passed while the server worked on the request");
    let_go(call);
}

/* ---- what handlers ask ---- */

void *rpc_call_alloc(struct rpc_call *call, size_t size)
{
    return arena_alloc(&call->arena, size);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *data), void *data)
{
    call->cancelled = cancelled;
    call->cancelled_data = data;
}

int64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
    return call->deadline_at;
}

const struct rpc_peer *rpc_call_peer(const struct rpc_call *call)
{
    return &call->peer;
}

const struct rpc_method *rpc_call_method(const struct rpc_call *call)
{
    return call->method;
}
