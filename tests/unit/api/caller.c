#include "caller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants setjmp.h, stdarg.h, stddef.h and stdint.h first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/rpc/envelope.h"

enum {
    FRAME_HEADER = 10,
    REQUEST_TYPE = 1,
    RESPONSE_TYPE = 2,
    DATA_TYPE = 3,
    REMOTE_CLOSED = 1,
    WITHOUT_MESSAGE = 4,
    DEADLINE_MS = 10 * 1000
};

static void put_number(uint8_t *out, size_t number)
{
    for (int i = 3; i >= 0; i--) {
        out[i] = (uint8_t)number;
        number >>= 8;
    }
}

static size_t take_number(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

void caller_open(struct caller *caller, uint32_t uid)
{
    const struct rpc_peer peer = {.pid = 77, .uid = uid};
    struct rpc_server_hooks hooks;

    memset(caller, 0, sizeof(*caller));
    caller->supervisor.state = FLOCKS_OPERATION_STATE_RUNNING;
    caller->supervisor.revision = 1;
    assert_int_equal(uv_loop_init(&caller->loop), 0);
    assert_int_equal(api_new(&caller->loop, &caller->supervisor, &caller->api, NULL), 0);
    hooks = api_hooks(caller->api);
    caller->server = rpc_server_new(&hooks);
    assert_non_null(caller->server);
    for (size_t i = 0; i < API_SERVICES; i++)
        assert_int_equal(rpc_server_add(caller->server, api_service(caller->api, i)), 0);
    caller->connection = rpc_connection_new(caller->server, &peer);
    assert_non_null(caller->connection);
    caller->next_stream = 1;
}

void caller_leave(struct caller *caller)
{
    rpc_connection_free(caller->connection);
    caller->connection = NULL;
}

void caller_close(struct caller *caller)
{
    api_close(caller->api);
    caller_leave(caller);
    rpc_server_free(caller->server);
    assert_int_equal(uv_run(&caller->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&caller->loop), 0);
}

static void send_request(struct caller *caller, const struct rpc_method *method,
    const ProtobufCMessage *request, int64_t timeout_ms, uint8_t flags)
{
    size_t payload_len = protobuf_c_message_get_packed_size(request);
    struct rpc_request_envelope envelope = {
        .service = RPC_BYTES_OF_TEXT(method->service),
        .method = RPC_BYTES_OF_TEXT(method->name),
        .payload = {.data = NULL, .len = payload_len},
        .timeout_nano = timeout_ms * 1000 * 1000,
    };
    size_t len = rpc_request_size(&envelope);
    uint8_t *frame = calloc(1, FRAME_HEADER + len);

    assert_non_null(frame);
    put_number(frame, len);
    put_number(frame + 4, caller->next_stream);
    frame[8] = REQUEST_TYPE;
    frame[9] = flags;
    (void)protobuf_c_message_pack(request, rpc_request_encode(&envelope, frame + FRAME_HEADER));
    caller->next_stream += 2;
    rpc_connection_receive(caller->connection, frame, FRAME_HEADER + len, clock_monotonic_ms());
    free(frame);
}

void caller_send(struct caller *caller, const struct rpc_method *method,
    const ProtobufCMessage *request, int64_t timeout_ms)
{
    send_request(caller, method, request, timeout_ms, 0);
}

void caller_open_stream(
    struct caller *caller, const struct rpc_method *method, const ProtobufCMessage *request)
{
    send_request(caller, method, request, 0, REMOTE_CLOSED);
}

static void take_detail(const struct rpc_envelope_pair *pair, struct answer *out)
{
    const char *type = "type.googleapis.com/flocks.v1.ErrorDetail";

    assert_int_equal(pair->key.len, strlen(type));
    assert_memory_equal(pair->key.data, type, strlen(type));
    out->detail = (flocks_error_detail *)(void *)protobuf_c_message_unpack(
        flocks_error_detail_info.descriptor, NULL, pair->value.len, pair->value.data);
    assert_non_null(out->detail);
}

static void take_response(
    const struct rpc_method *method, const uint8_t *bytes, size_t len, struct answer *out)
{
    struct rpc_response_envelope envelope;
    struct rpc_envelope_pair details[1];

    assert_true(rpc_response_decode(bytes, len, details, 1, &envelope));
    out->code = envelope.code;
    assert_true(envelope.message.len < sizeof(out->message));
    if (envelope.message.len > 0)
        memcpy(out->message, envelope.message.data, envelope.message.len);
    if (envelope.n_details > 0)
        take_detail(&details[0], out);
    if (out->code == 0) {
        out->response = protobuf_c_message_unpack(
            method->response->descriptor, NULL, envelope.payload.len, envelope.payload.data);
        assert_non_null(out->response);
    }
}

bool caller_receive(struct caller *caller, const struct rpc_method *method, struct answer *out)
{
    size_t output_len;
    const uint8_t *bytes = rpc_connection_output(caller->connection, &output_len);
    size_t len;

    memset(out, 0, sizeof(*out));
    if (output_len == 0)
        return false;
    assert_true(output_len >= FRAME_HEADER);
    len = take_number(bytes);
    if (bytes[8] == RESPONSE_TYPE) {
        take_response(method, bytes + FRAME_HEADER, len, out);
    } else if ((bytes[9] & WITHOUT_MESSAGE) == 0) {
        assert_int_equal(bytes[8], DATA_TYPE);
        out->response = protobuf_c_message_unpack(
            method->response->descriptor, NULL, len, bytes + FRAME_HEADER);
        assert_non_null(out->response);
    }
    rpc_connection_sent(caller->connection, FRAME_HEADER + len, clock_monotonic_ms());
    return true;
}

void caller_await(struct caller *caller, const struct rpc_method *method, struct answer *out)
{
    int64_t deadline_at = clock_monotonic_ms() + DEADLINE_MS;

    while (!caller_receive(caller, method, out)) {
        (void)uv_run(&caller->loop, UV_RUN_NOWAIT);
        rpc_server_tick(caller->server, clock_monotonic_ms());
        assert_true(clock_monotonic_ms() < deadline_at);
    }
}

void caller_call(struct caller *caller, const struct rpc_method *method,
    const ProtobufCMessage *request, struct answer *out)
{
    caller_send(caller, method, request, 0);
    assert_true(caller_receive(caller, method, out));
}

void answer_free(struct answer *answer)
{
    if (answer->response)
        protobuf_c_message_free_unpacked(answer->response, NULL);
    if (answer->detail)
        protobuf_c_message_free_unpacked(&answer->detail->base, NULL);
}
