/* How a call begins: its options, its deadline, its room in the output; and how it is given up. */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/rpc/client_state.h"
#include "common/rpc/ttrpc.h"

/* What one frame may be longer than its message: header, names, metadata, deadline. */
enum { OVERHEAD_BYTES = 64 * 1024 };

/* ---- options ---- */

static bool has_upper_case(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z')
            return true;
    }
    return false;
}

static enum rpc_result check_pair(const struct rpc_pair *pair, struct rpc_error **error)
{
    size_t key_len = strlen(pair->key);
    if (key_len == 0 || has_upper_case(pair->key) ||
        !utf8_is_valid((const uint8_t *)pair->key, key_len))
        return rpc_error_make(
            error, RPC_INVALID_ARGUMENT, 0, "a metadata key is empty, or not lower-case text");
    if (!utf8_is_valid((const uint8_t *)pair->value, strlen(pair->value)))
        return rpc_error_make(
            error, RPC_INVALID_ARGUMENT, 0, "the metadata value of %s is not UTF-8", pair->key);
    return RPC_DONE;
}

/* The bounds of the server, less the pair that the session may add. */
static enum rpc_result check_metadata(const struct rpc_options *options, struct rpc_error **error)
{
    size_t len = strlen(TTRPC_EXTENSION_KEY) + strlen(TTRPC_EXTENSION_CANCEL);
    if (options->n_metadata >= RPC_METADATA_PAIRS_MAX)
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, 0, "more than %d metadata pairs",
            RPC_METADATA_PAIRS_MAX - 1);
    for (size_t i = 0; i < options->n_metadata; i++) {
        if (check_pair(&options->metadata[i], error) != RPC_DONE)
            return RPC_ERROR;
        len += strlen(options->metadata[i].key) + strlen(options->metadata[i].value);
    }
    if (len > RPC_METADATA_BYTES_MAX)
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, 0,
            "%zu bytes of metadata are more than the %d that a server takes", len,
            RPC_METADATA_BYTES_MAX);
    return RPC_DONE;
}

static bool has_one_answer(const struct rpc_method *method)
{
    return method->kind == RPC_UNARY || method->kind == RPC_CLIENT_STREAM;
}

static bool has_one_request(const struct rpc_method *method)
{
    return method->kind == RPC_UNARY || method->kind == RPC_SERVER_STREAM;
}

static void set_deadline(struct client_call *call, const struct rpc_options *options)
{
    call->timeout_ms = options == NULL || options->timeout_ms <= 0 ? 0 : options->timeout_ms;
    if (call->timeout_ms == 0 && has_one_answer(call->method))
        call->timeout_ms = RPC_CLIENT_TIMEOUT_MS;
    call->deadline_at =
        call->timeout_ms == 0 ? CLOCK_NEVER : clock_add_ms(clock_monotonic_ms(), call->timeout_ms);
}

static int64_t server_timeout_nano(int64_t timeout_ms)
{
    int64_t margin_ms = timeout_ms / 8;
    if (margin_ms > RPC_CLIENT_MARGIN_MS)
        margin_ms = RPC_CLIENT_MARGIN_MS;
    int64_t told_ms = timeout_ms - margin_ms;
    return told_ms > INT64_MAX / 1000000 ? 0 : told_ms * 1000000;
}

enum rpc_result client_late(const struct client_call *call, struct rpc_error **error)
{
    return rpc_error_make(error, RPC_DEADLINE_EXCEEDED, 0, "calling %s: no answer within %lld ms",
        call->method->name, (long long)call->timeout_ms);
}

static enum rpc_result refuse_gone(const struct rpc_client *client, struct rpc_error **error)
{
    return rpc_error_make(error, RPC_UNAVAILABLE, client->system_error, "the connection is closed");
}

/* ---- room ---- */

bool client_has_room(const struct rpc_client *client, size_t len)
{
    size_t waiting_len = client_output_length(client);
    return waiting_len == 0 || waiting_len + len + OVERHEAD_BYTES <= RPC_OUTPUT_HARD_BYTES;
}

/* A server that does not read must not cost the connection: what does not fit waits, or is refused
 * where nothing waits. */
static enum rpc_result await_room(struct client_call *call, size_t len, struct rpc_error **error)
{
    struct rpc_client *client = call->client;
    int64_t patience_ms = call->timeout_ms == 0 ? RPC_CLIENT_TIMEOUT_MS : call->timeout_ms;
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), patience_ms);
    while (!client_has_room(client, len)) {
        if (client->is_attached)
            return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0,
                "calling %s: too much waits to be sent already", call->method->name);
        if (!client_step(client, until_at))
            return rpc_error_make(error, RPC_DEADLINE_EXCEEDED, 0,
                "calling %s: the server has not read what was sent before within %lld ms",
                call->method->name, (long long)patience_ms);
    }
    return client->is_gone || client->is_mute ? refuse_gone(client, error) : RPC_DONE;
}

/* ---- beginning ---- */

static enum rpc_result check(const struct client_call *call, const struct rpc_options *options,
    const ProtobufCMessage *request, struct rpc_error **error)
{
    const struct rpc_client *client = call->client;
    if (client->is_gone || client->is_mute)
        return refuse_gone(client, error);
    if (has_one_request(call->method) != (request != NULL))
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, 0, "calling %s: %s", call->method->name,
            request == NULL ? "the method takes a request" : "the method streams its requests");
    return options == NULL ? RPC_DONE : check_metadata(options, error);
}

static void write_message(const void *source, uint8_t *out)
{
    (void)protobuf_c_message_pack(source, out);
}

struct rpc_payload client_payload(const ProtobufCMessage *message)
{
    return (struct rpc_payload){
        .len = protobuf_c_message_get_packed_size(message),
        .write = write_message,
        .source = message,
    };
}

static struct rpc_session_call *open_session_call(const struct client_call *call,
    const struct rpc_options *options, const struct rpc_payload *payload)
{
    struct rpc_envelope_pair pairs[RPC_METADATA_PAIRS_MAX];
    size_t n_pairs = options == NULL ? 0 : options->n_metadata;
    for (size_t i = 0; i < n_pairs; i++) {
        pairs[i].key = RPC_BYTES_OF_TEXT(options->metadata[i].key);
        pairs[i].value = RPC_BYTES_OF_TEXT(options->metadata[i].value);
    }
    return rpc_session_open(call->client->session, call->method,
        server_timeout_nano(call->timeout_ms), pairs, n_pairs, payload);
}

/* The session says only that it could not. */
static enum rpc_result explain_refusal(
    struct client_call *call, size_t payload_len, struct rpc_error **error)
{
    struct rpc_client *client = call->client;
    const char *broken = rpc_session_broken(client->session);
    if (broken != NULL) {
        client_lose(client, RPC_UNAVAILABLE, broken, 0);
        return rpc_error_make(
            error, RPC_RESOURCE_EXHAUSTED, 0, "calling %s: %s", call->method->name, broken);
    }
    if (payload_len + OVERHEAD_BYTES > RPC_MESSAGE_BYTES_MAX)
        return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0,
            "calling %s: the request is larger than %d bytes", call->method->name,
            RPC_MESSAGE_BYTES_MAX);
    client->is_used_up = true;
    return rpc_error_make(error, RPC_UNAVAILABLE, 0,
        "calling %s: this connection has no call ids left; a new one has", call->method->name);
}

/* Soonest first. From the end, because later calls mostly have later deadlines. */
static void await_deadline(struct client_call *call)
{
    struct list *deadlines = &call->client->deadlines;
    struct list *before = deadlines->previous;
    while (before != deadlines &&
           CONTAINER_OF(before, struct client_call, in_deadlines)->deadline_at > call->deadline_at)
        before = before->previous;
    /* list_append puts a link before the one it is given. */
    list_append(before->next, &call->in_deadlines);
}

enum rpc_result client_begin(struct client_call *call, struct rpc_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, struct rpc_error **error)
{
    call->client = client;
    call->method = method;
    list_init(&call->in_deadlines);
    if (check(call, options, request, error) != RPC_DONE)
        return RPC_ERROR;
    set_deadline(call, options);
    struct rpc_payload payload = {.len = 0};
    if (request != NULL)
        payload = client_payload(request);
    if (await_room(call, payload.len, error) != RPC_DONE)
        return RPC_ERROR;
    call->session_call = open_session_call(call, options, request == NULL ? NULL : &payload);
    if (call->session_call == NULL)
        return explain_refusal(call, payload.len, error);
    rpc_session_call_set_owner(call->session_call, call);
    if (client->is_attached && call->deadline_at != CLOCK_NEVER)
        await_deadline(call);
    return RPC_DONE;
}

void client_give_back(struct client_call *call)
{
    list_remove(&call->in_deadlines);
    if (call->session_call == NULL)
        return;
    rpc_session_call_cancel(call->session_call);
    rpc_session_call_release(call->session_call);
    call->session_call = NULL;
}
