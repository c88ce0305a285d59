/* The flocks client: connecting, repeating, and translating errors. */
#include "client/lib/client.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

struct flocks_client {
    char *socket;
    int64_t deadline_at;
    bool (*is_running)(void *data);
    void *data;
    /* NULL: not connected. */
    struct rpc_client *rpc;
    flocks_error_detail *detail;
};

struct flocks_client *flocks_client_new(const struct flocks_client_options *options)
{
    struct flocks_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->socket = strdup(options->socket);
    if (client->socket == NULL) {
        free(client);
        return NULL;
    }
    client->deadline_at = options->deadline_at;
    client->is_running = options->is_running;
    client->data = options->data;
    return client;
}

static void drop_detail(struct flocks_client *client)
{
    if (client->detail != NULL)
        protobuf_c_message_free_unpacked(&client->detail->base, NULL);
    client->detail = NULL;
}

static void disconnect(struct flocks_client *client)
{
    rpc_client_close(client->rpc);
    client->rpc = NULL;
}

void flocks_client_free(struct flocks_client *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    drop_detail(client);
    free(client->socket);
    free(client);
}

void flocks_client_set_deadline(struct flocks_client *client, int64_t deadline_at)
{
    client->deadline_at = deadline_at;
}

const flocks_error_detail *flocks_client_error_detail(const struct flocks_client *client)
{
    return client->detail;
}

/* ---- errors ---- */

static flocks_error_detail *unpack_detail(const struct rpc_error *error)
{
    const ProtobufCMessageDescriptor *descriptor = &flocks__v1__error_detail__descriptor;
    for (size_t i = 0; i < error->n_details; i++) {
        const struct rpc_error_detail *detail = &error->details[i];
        if (strcmp(detail->type_name, descriptor->name) == 0)
            return flocks__v1__error_detail__unpack(NULL, detail->value_len, detail->value);
    }
    return NULL;
}

/* Consumes `failure`. Answers -code. */
static int take_failure(
    struct flocks_client *client, struct rpc_error *failure, struct error *error)
{
    int result = error_set(error, (enum status_code)failure->code, "%s", failure->message);
    client->detail = unpack_detail(failure);
    if (error != NULL) {
        error->system_error = failure->system_error;
        if (client->detail != NULL) {
            const char *service = client->detail->service;
            size_t n = utf8_cut(service, strlen(service), sizeof error->subject - 1);
            memcpy(error->subject, service, n);
            error->reason = (uint32_t)client->detail->reason;
            error_set_hint(error, "%s", client->detail->hint);
        }
    }
    rpc_error_free(failure);
    return result;
}

/* ---- one attempt ---- */

static int64_t left_ms(const struct flocks_client *client)
{
    if (client->deadline_at == CLOCK_NEVER)
        return CLOCK_NEVER;
    return client->deadline_at - clock_monotonic_ms();
}

static int refuse_late(const struct flocks_client *client, struct error *error)
{
    return error_set(error, STATUS_DEADLINE_EXCEEDED,
        "talking to the daemon at %s: the deadline has passed", client->socket);
}

/* The connection, made now if need be; the client owns it. */
static int reach(struct flocks_client *client, struct rpc_client **out, struct error *error)
{
    drop_detail(client);
    int64_t timeout_ms = left_ms(client);
    if (timeout_ms <= 0)
        return refuse_late(client, error);
    if (client->rpc == NULL) {
        struct rpc_error *failure = NULL;
        client->rpc = rpc_client_connect(
            client->socket, timeout_ms == CLOCK_NEVER ? 0 : timeout_ms, &failure);
        if (client->rpc == NULL)
            return take_failure(client, failure, error);
    }
    *out = client->rpc;
    return 0;
}

static int attempt(struct flocks_client *client, const struct rpc_method *method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, bool *out_was_sent,
    struct error *error)
{
    *out_was_sent = false;
    struct rpc_client *rpc = NULL;
    int result = reach(client, &rpc, error);
    if (result != 0)
        return result;
    int64_t timeout_ms = left_ms(client);
    if (timeout_ms <= 0)
        return refuse_late(client, error);
    *out_was_sent = true;
    struct rpc_options options = {.timeout_ms = timeout_ms};
    struct rpc_error *failure = NULL;
    if (rpc_client_call(rpc, method, &options, request, out, &failure) == RPC_DONE)
        return 0;
    /* The connection is gone, or about to be: the next attempt makes its own. */
    if (failure->code == RPC_UNAVAILABLE)
        disconnect(client);
    return take_failure(client, failure, error);
}

/* ---- repetition ---- */

static bool has_request_id(const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, "request_id");
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING)
        return false;
    const char *text = NULL;
    memcpy(&text, (const char *)request + field->offset, sizeof text);
    return text != NULL && text[0] != '\0';
}

static void pause_ms(int64_t wait_ms)
{
    if (wait_ms > 0)
        (void)poll(NULL, 0, (int)wait_ms);
}

static int64_t longer_wait_ms(int64_t wait_ms)
{
    if (wait_ms == 0)
        return FLOCKS_CLIENT_FIRST_RETRY_MS;
    return wait_ms * 2 > FLOCKS_CLIENT_MAX_RETRY_MS ? FLOCKS_CLIENT_MAX_RETRY_MS : wait_ms * 2;
}

int flocks_client_call(struct flocks_client *client, const struct rpc_method *method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    *out = NULL;
    bool may_repeat = method->idempotent || has_request_id(request);
    struct error last = ERROR_INIT;
    int64_t wait_ms = 0;
    for (;;) {
        bool was_sent = false;
        int result = attempt(client, method, request, out, &was_sent, &last);
        if (result == 0)
            return 0;
        if (result != -STATUS_UNAVAILABLE || (was_sent && !may_repeat)) {
            if (error != NULL)
                *error = last;
            return result;
        }
        if (client->is_running != NULL && !client->is_running(client->data))
            return FLOCKS_CLIENT_NOT_RUNNING;
        if (left_ms(client) <= wait_ms)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "calling %s: no answer until the deadline; last: %s", method->name, last.text);
        pause_ms(wait_ms);
        wait_ms = longer_wait_ms(wait_ms);
    }
}
