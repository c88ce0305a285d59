#include "wire_pair.h"

#include <stdio.h>

#include "unit.h"

static const ProtobufCMessage *describe(void *data, const struct rpc_refusal_facts *facts)
{
    (void)data;
    static flocks_error_detail detail;
    detail = (flocks_error_detail)FLOCKS_ERROR_DETAIL_INIT;
    detail.reason = (Flocks__V1__ErrorReason)(facts->refusal + 1);
    return &detail.base;
}

static bool admit(void *data, struct rpc_call *call, const ProtobufCMessage *request)
{
    const struct wire_pair *pair = data;
    return pair->admit == NULL || pair->admit(pair->admit_data, call, request);
}

static void note_output(void *data)
{
    struct wire_pair *pair = data;
    pair->n_output_ready++;
}

static void join(struct wire_pair *pair, const struct rpc_service *services, size_t n_services)
{
    const struct rpc_server_hooks hooks = {
        .data = pair, .refusal_detail = describe, .admit = admit};
    pair->now_ms = 1000;
    pair->server = rpc_server_new(&hooks);
    assert_non_null(pair->server);
    for (size_t i = 0; i < n_services; i++)
        assert_int_equal(rpc_server_add(pair->server, &services[i]), 0);
    pair->connection =
        rpc_connection_new(pair->server, &(struct rpc_peer){.pid = 42, .uid = 7, .gid = 8});
    assert_non_null(pair->connection);
    rpc_connection_on_output(pair->connection, note_output, pair);
    pair->client = rpc_ttrpc_client_new();
    assert_non_null(pair->client);
}

void wire_pair_open_service(struct wire_pair *pair, const struct rpc_service *service)
{
    memset(pair, 0, sizeof *pair);
    pair->service = *service;
    join(pair, &pair->service, 1);
}

void wire_pair_open(
    struct wire_pair *pair, const struct flocks_supervisor_handlers *handlers, void *self)
{
    const struct rpc_service service = flocks_supervisor_service(handlers, self);
    wire_pair_open_service(pair, &service);
}

void wire_pair_open_services(
    struct wire_pair *pair, const struct rpc_service *services, size_t n_services)
{
    memset(pair, 0, sizeof *pair);
    join(pair, services, n_services);
}

void wire_pair_close(struct wire_pair *pair)
{
    rpc_connection_free(pair->connection);
    static struct rpc_session_event event;
    rpc_session_lose(pair->client, RPC_UNAVAILABLE, "closed");
    while (rpc_session_next(pair->client, &event)) {
        if (event.kind == RPC_EVENT_ENDED)
            rpc_session_call_release(event.call);
    }
    rpc_session_free(pair->client);
    rpc_server_free(pair->server);
}

static void write_bytes(const void *source, uint8_t *out)
{
    const struct rpc_bytes *bytes = source;
    memcpy(out, bytes->data, bytes->len);
}

struct rpc_session_call *wire_pair_call(struct wire_pair *pair, const struct rpc_method *method,
    int64_t timeout_ms, const void *bytes, size_t len, struct wire_end *end)
{
    memset(end, 0, sizeof *end);
    struct rpc_bytes message = {.data = bytes, .len = len};
    struct rpc_payload payload = {.len = len, .write = write_bytes, .source = &message};
    bool is_client_stream = method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
    struct rpc_session_call *call = rpc_session_open(
        pair->client, method, timeout_ms * 1000000, NULL, 0, is_client_stream ? NULL : &payload);
    assert_non_null(call);
    rpc_session_call_set_owner(call, end);
    return call;
}

void wire_pair_send(struct rpc_session_call *call, const void *bytes, size_t len)
{
    struct rpc_bytes message = {.data = bytes, .len = len};
    struct rpc_payload payload = {.len = len, .write = write_bytes, .source = &message};
    assert_int_equal(rpc_session_call_send(call, &payload), RPC_SEND_TAKEN);
}

static void take_end(struct wire_end *end, const struct rpc_status *status)
{
    assert_false(end->has_ended);
    end->has_ended = true;
    end->code = status->code;
    (void)snprintf(end->text, sizeof end->text, "%.*s", (int)status->message.len,
        (const char *)status->message.data);
    if (status->n_details == 0)
        return;
    flocks_error_detail *detail = flocks__v1__error_detail__unpack(
        NULL, status->details[0].value.len, status->details[0].value.data);
    assert_non_null(detail);
    end->reason = (int)detail->reason;
    flocks__v1__error_detail__free_unpacked(detail, NULL);
}

static void take_answers(struct wire_pair *pair)
{
    static struct rpc_session_event event;
    while (rpc_session_next(pair->client, &event)) {
        struct wire_end *end = rpc_session_call_owner(event.call);
        if (event.kind == RPC_EVENT_MESSAGE) {
            end->message_len = event.message.len;
            end->n_messages++;
            if (pair->on_message != NULL)
                pair->on_message(pair->on_message_data, event.call, event.message);
            rpc_session_call_taken(event.call, event.message.len);
        }
        if (event.kind != RPC_EVENT_ENDED)
            continue;
        take_end(end, &event.status);
        rpc_session_call_release(event.call);
    }
}

void wire_pair_push(struct wire_pair *pair)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(pair->client, &len);
    if (len > 0)
        rpc_connection_receive(pair->connection, bytes, len, pair->now_ms);
    rpc_session_sent(pair->client, len);
}

size_t wire_pair_pull(struct wire_pair *pair, size_t max_len)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(pair->connection, &len);
    len = len < max_len ? len : max_len;
    if (len == 0)
        return 0;
    rpc_session_receive(pair->client, bytes, len, pair->now_ms);
    take_answers(pair);
    rpc_connection_sent(pair->connection, len, pair->now_ms);
    return len;
}

void wire_pair_move(struct wire_pair *pair)
{
    for (bool has_moved = true; has_moved;) {
        size_t len = 0;
        (void)rpc_session_output(pair->client, &len);
        wire_pair_push(pair);
        has_moved = wire_pair_pull(pair, SIZE_MAX) > 0 || len > 0;
    }
}

struct wire_end wire_pair_ask(
    struct wire_pair *pair, enum flocks_supervisor_method method, const void *bytes, size_t len)
{
    struct wire_end end;
    (void)wire_pair_call(pair, &flocks_supervisor_methods[method], 0, bytes, len, &end);
    wire_pair_move(pair);
    return end;
}
