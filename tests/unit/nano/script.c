#include "script.h"

#include <pb_encode.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/rpc/wire.h"
#include "unit.h"

int script_set_up(void **state)
{
    static struct script script;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    script.len = 0;
    script.n_seen = 0;
    script.peer = ends[1];
    memset(&script.nano, 0xA5, sizeof script.nano);
    memset(&script.error, 0xA5, sizeof script.error);
    flocks_nano_use(&script.nano, ends[0]);
    *state = &script;
    return 0;
}

int script_tear_down(void **state)
{
    struct script *script = *state;
    int fd = script->nano.fd;
    flocks_nano_close(&script->nano);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    assert_int_equal(close(script->peer), 0);
    return 0;
}

void script_raw(struct script *script, const void *bytes, size_t len)
{
    assert_true(len <= sizeof script->bytes - script->len);
    memcpy(script->bytes + script->len, bytes, len);
    script->len += len;
}

void script_frame(
    struct script *script, uint32_t stream_id, uint8_t type, const uint8_t *body, size_t len)
{
    const struct rpc_frame frame = {
        .body_len = (uint32_t)len, .stream_id = stream_id, .type = type};
    uint8_t header[RPC_FRAME_HEADER_BYTES];
    rpc_frame_encode(&frame, header);
    script_raw(script, header, sizeof header);
    if (len > 0)
        script_raw(script, body, len);
}

void script_response(
    struct script *script, uint32_t stream_id, const struct rpc_response_envelope *response)
{
    static uint8_t body[SCRIPT_BYTES_MAX];
    size_t len = rpc_response_size(response);
    assert_true(len <= sizeof body);
    (void)rpc_response_encode(response, body);
    script_frame(script, stream_id, RPC_FRAME_RESPONSE, body, len);
}

void script_payload(struct script *script, uint32_t stream_id, const uint8_t *payload, size_t len)
{
    const struct rpc_response_envelope response = {.payload = {.data = payload, .len = len}};
    script_response(script, stream_id, &response);
}

static uint8_t *put_message(
    uint8_t *out, uint32_t number, const pb_msgdesc_t *type, const void *message)
{
    uint8_t bytes[2048];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, type, message));
    return rpc_wire_put_bytes(out, number, bytes, stream.bytes_written);
}

static void name_service(flocks_service_status *service, size_t number)
{
    *service = (flocks_service_status)FLOCKS_SERVICE_STATUS_INIT;
    char digits[8];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    service->name[0] = 's';
    for (size_t i = 0; i < n; i++)
        service->name[1 + i] = digits[n - 1 - i];
    service->state = FLOCKS_SERVICE_STATE_HEALTHY;
    memset(service->last_error, 'e', 100);
}

void script_status(struct script *script, uint32_t stream_id, size_t n)
{
    static uint8_t payload[SCRIPT_BYTES_MAX];
    flocks_daemon_status daemon = FLOCKS_DAEMON_STATUS_INIT;
    daemon.pid = 7;
    uint8_t *end = put_message(
        payload, flocks_v1_GetStatusResponse_daemon_tag, &flocks_v1_DaemonStatus_msg, &daemon);
    for (size_t i = 0; i < n; i++) {
        flocks_service_status service;
        name_service(&service, i);
        end = put_message(
            end, flocks_v1_GetStatusResponse_services_tag, &flocks_v1_ServiceStatus_msg, &service);
    }
    end = rpc_wire_put_bytes(
        end, flocks_v1_GetStatusResponse_event_token_tag, (const uint8_t *)"token", 5);
    script_payload(script, stream_id, payload, (size_t)(end - payload));
}

void script_say(const struct script *script, size_t from, size_t to)
{
    if (to > from)
        assert_int_equal(write(script->peer, script->bytes + from, to - from), to - from);
}

void script_end(const struct script *script)
{
    assert_int_equal(shutdown(script->peer, SHUT_WR), 0);
}

static void see_service(void *data, const flocks_service_status *service)
{
    struct script *script = data;
    assert_true(script->n_seen < SCRIPT_SEEN_MAX);
    memcpy(script->seen[script->n_seen++], service->name, sizeof service->name);
}

enum rpc_code script_get_status(struct script *script)
{
    const flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    script->n_seen = 0;
    return flocks_nano_get_status(
        &script->nano, &request, see_service, script, &script->status, &script->error);
}
