/* flocks/nano.h: connecting and the calls. */
#include "flocks/nano.h"

#include <errno.h>
#include <pb_decode.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/nano/answer.h"
#include "client/nano/failure.h"
#include "client/nano/link.h"
#include "common/rpc/connect_code.h"
#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "crpc/limits.h"

_Static_assert(
    (int)FLOCKS_NANO_TIMEOUT_MS == (int)RPC_CLIENT_TIMEOUT_MS, "one default for all clients");

enum {
    NO_DESCRIPTOR = -1,
    FIRST_STREAM_ID = 1,
    /* A Request besides its payload: two texts, a number of ten bytes, tags and lengths. */
    ENVELOPE_BYTES =
        sizeof FLOCKS_SUPERVISOR_SERVICE + sizeof FLOCKS_SUPERVISOR_RESTART_SERVICES_METHOD + 32
};

/* ---- connecting ---- */

static uint32_t or_default(uint32_t timeout_ms)
{
    return timeout_ms == 0 ? (uint32_t)FLOCKS_NANO_TIMEOUT_MS : timeout_ms;
}

/* connect(2) on a unix socket waits while the backlog is full; the send time-out bounds that. */
static bool set_connect_timeout(int fd, int64_t timeout_ms)
{
    const struct timeval timeout = {
        .tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0;
}

static bool connect_to(int fd, const struct sockaddr_un *address, uint32_t timeout_ms)
{
    int64_t deadline_at = nano_clock_ms() + timeout_ms;
    int64_t left_ms = timeout_ms;
    do {
        if (!set_connect_timeout(fd, left_ms))
            return false;
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
            return true;
        if (errno != EINTR)
            return false;
        /* Signals do not lengthen it. */
        left_ms = deadline_at - nano_clock_ms();
    } while (left_ms > 0);
    errno = EAGAIN;
    return false;
}

static enum rpc_code fail_to_connect(
    struct flocks_nano_error *error, const char *path, enum rpc_code code, const char *why)
{
    nano_error_clear(error);
    error->code = code;
    nano_error_append(error, "connecting to ", strlen("connecting to "));
    nano_error_append(error, path, strlen(path));
    nano_error_append(error, ": ", 2);
    nano_error_append(error, why, strlen(why));
    return code;
}

enum rpc_code flocks_nano_connect(struct flocks_nano *nano, const char *path, uint32_t timeout_ms,
    struct flocks_nano_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    flocks_nano_use(nano, NO_DESCRIPTOR);
    nano->is_over = true;
    if (strlen(path) >= sizeof address.sun_path)
        return fail_to_connect(
            error, path, RPC_INVALID_ARGUMENT, "longer than the 107 bytes of a socket's path");
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_to_connect(error, path, rpc_code_of_connect(errno), strerrordesc_np(errno));
    if (!connect_to(fd, &address, or_default(timeout_ms))) {
        enum rpc_code code =
            fail_to_connect(error, path, rpc_code_of_connect(errno), strerrordesc_np(errno));
        (void)close(fd);
        return code;
    }
    flocks_nano_use(nano, fd);
    nano->is_owner = true;
    nano->timeout_ms = timeout_ms;
    nano_error_clear(error);
    return RPC_OK;
}

void flocks_nano_use(struct flocks_nano *nano, int fd)
{
    nano->timeout_ms = 0;
    nano->fd = fd;
    nano->is_owner = false;
    nano->is_over = false;
    nano->next_stream_id = FIRST_STREAM_ID;
    nano->body_left = 0;
    nano->input_at = 0;
    nano->input_end = 0;
}

void flocks_nano_close(struct flocks_nano *nano)
{
    if (nano->is_owner)
        (void)close(nano->fd);
    nano->fd = NO_DESCRIPTOR;
    nano->is_owner = false;
    nano->is_over = true;
}

bool flocks_nano_is_usable(const struct flocks_nano *nano)
{
    return !nano->is_over;
}

/* ---- one call ---- */

struct call {
    const char *method;
    const uint8_t *payload;
    size_t payload_len;
    const pb_msgdesc_t *type;
    void *response;
};

static int64_t server_timeout_nano(uint32_t timeout_ms)
{
    uint32_t margin_ms = timeout_ms / 8;
    if (margin_ms > RPC_CLIENT_MARGIN_MS)
        margin_ms = RPC_CLIENT_MARGIN_MS;
    return (int64_t)(timeout_ms - margin_ms) * 1000000;
}

/* The larger of the two requests that have most. */
#define PAYLOAD_BYTES flocks_v1_RestartServicesRequest_size
_Static_assert(PAYLOAD_BYTES >= flocks_v1_StopServicesRequest_size &&
                   PAYLOAD_BYTES >= flocks_v1_GetStatusRequest_size &&
                   PAYLOAD_BYTES >= flocks_v1_GetOperationRequest_size &&
                   PAYLOAD_BYTES >= flocks_v1_ExplainServiceRequest_size,
    "room for every request");

static bool send_request(struct nano_link *link, const struct call *call, uint32_t timeout_ms)
{
    const struct rpc_request_envelope envelope = {
        .service = RPC_BYTES_OF_TEXT(FLOCKS_SUPERVISOR_SERVICE),
        .method = RPC_BYTES_OF_TEXT(call->method),
        .payload = {.data = call->payload, .len = call->payload_len},
        .timeout_nano = server_timeout_nano(timeout_ms),
    };
    uint8_t bytes[RPC_FRAME_HEADER_BYTES + ENVELOPE_BYTES + PAYLOAD_BYTES];
    const struct rpc_frame frame = {
        .body_len = (uint32_t)rpc_request_size(&envelope),
        .stream_id = link->stream_id,
        .type = RPC_FRAME_REQUEST,
    };
    rpc_frame_encode(&frame, bytes);
    (void)rpc_request_encode(&envelope, bytes + RPC_FRAME_HEADER_BYTES);
    return nano_link_send(link, bytes, RPC_FRAME_HEADER_BYTES + (size_t)frame.body_len);
}

static enum rpc_code run(
    struct flocks_nano *nano, const struct call *call, struct flocks_nano_error *error)
{
    uint32_t timeout_ms = or_default(nano->timeout_ms);
    struct nano_link link;
    size_t len = 0;
    if (!nano_link_open(&link, nano, nano_clock_ms() + timeout_ms) ||
        !send_request(&link, call, timeout_ms) || !nano_link_await(&link, &len))
        return nano_answer_missing(&link, error);
    return nano_answer_read(&link, len, call->type, call->response, error);
}

static enum rpc_code refuse_request(struct flocks_nano_error *error)
{
    return nano_error_set(error, RPC_INVALID_ARGUMENT,
        "the request has more services, or a longer text, than there is room for", NULL);
}

/* ---- what is told one by one ---- */

struct service_sink {
    flocks_nano_service_fn tell;
    void *data;
};

static bool decode_service(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    const struct service_sink *sink = *arg;
    flocks_service_status service;
    if (!pb_decode(stream, &flocks_v1_ServiceStatus_msg, &service))
        return false;
    sink->tell(sink->data, &service);
    return true;
}

struct outcome_sink {
    flocks_nano_outcome_fn tell;
    void *data;
};

static bool decode_outcome(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    const struct outcome_sink *sink = *arg;
    flocks_service_outcome outcome;
    if (!pb_decode(stream, &flocks_v1_ServiceOutcome_msg, &outcome))
        return false;
    sink->tell(sink->data, &outcome);
    return true;
}

struct exit_sink {
    flocks_nano_exit_fn tell;
    void *data;
};

static bool decode_exit(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)field;
    const struct exit_sink *sink = *arg;
    flocks_exit_record record;
    if (!pb_decode(stream, &flocks_v1_ExitRecord_msg, &record))
        return false;
    sink->tell(sink->data, &record);
    return true;
}

/* Nothing of the caller's, or of our stack, stays behind in an answer. */
static const pb_callback_t NOTHING;

/* ---- the calls ---- */

enum rpc_code flocks_nano_get_status(struct flocks_nano *nano,
    const flocks_get_status_request *request, flocks_nano_service_fn on_service, void *data,
    flocks_get_status_response *response, struct flocks_nano_error *error)
{
    uint8_t payload[flocks_v1_GetStatusRequest_size];
    struct call call = {
        .method = FLOCKS_SUPERVISOR_GET_STATUS_METHOD,
        .payload = payload,
        .type = &flocks_v1_GetStatusResponse_msg,
        .response = response,
    };
    if (!flocks_supervisor_get_status_encode_request(
            request, payload, sizeof payload, &call.payload_len))
        return refuse_request(error);
    struct service_sink sink = {.tell = on_service, .data = data};
    response->services = NOTHING;
    if (on_service != NULL)
        response->services = (pb_callback_t){.funcs.decode = decode_service, .arg = &sink};
    enum rpc_code code = run(nano, &call, error);
    response->services = NOTHING;
    return code;
}

/* `outcomes` lies in `call->response`. */
static enum rpc_code run_operation(struct flocks_nano *nano, const struct call *call,
    flocks_nano_outcome_fn on_outcome, void *data, pb_callback_t *outcomes,
    struct flocks_nano_error *error)
{
    struct outcome_sink sink = {.tell = on_outcome, .data = data};
    *outcomes = NOTHING;
    if (on_outcome != NULL)
        *outcomes = (pb_callback_t){.funcs.decode = decode_outcome, .arg = &sink};
    enum rpc_code code = run(nano, call, error);
    *outcomes = NOTHING;
    return code;
}

enum rpc_code flocks_nano_restart_services(struct flocks_nano *nano,
    const flocks_restart_services_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_restart_services_response *response, struct flocks_nano_error *error)
{
    uint8_t payload[flocks_v1_RestartServicesRequest_size];
    struct call call = {
        .method = FLOCKS_SUPERVISOR_RESTART_SERVICES_METHOD,
        .payload = payload,
        .type = &flocks_v1_RestartServicesResponse_msg,
        .response = response,
    };
    if (!flocks_supervisor_restart_services_encode_request(
            request, payload, sizeof payload, &call.payload_len))
        return refuse_request(error);
    return run_operation(nano, &call, on_outcome, data, &response->operation.outcomes, error);
}

enum rpc_code flocks_nano_stop_services(struct flocks_nano *nano,
    const flocks_stop_services_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_stop_services_response *response, struct flocks_nano_error *error)
{
    uint8_t payload[flocks_v1_StopServicesRequest_size];
    struct call call = {
        .method = FLOCKS_SUPERVISOR_STOP_SERVICES_METHOD,
        .payload = payload,
        .type = &flocks_v1_StopServicesResponse_msg,
        .response = response,
    };
    if (!flocks_supervisor_stop_services_encode_request(
            request, payload, sizeof payload, &call.payload_len))
        return refuse_request(error);
    return run_operation(nano, &call, on_outcome, data, &response->operation.outcomes, error);
}

enum rpc_code flocks_nano_get_operation(struct flocks_nano *nano,
    const flocks_get_operation_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_get_operation_response *response, struct flocks_nano_error *error)
{
    uint8_t payload[flocks_v1_GetOperationRequest_size];
    struct call call = {
        .method = FLOCKS_SUPERVISOR_GET_OPERATION_METHOD,
        .payload = payload,
        .type = &flocks_v1_GetOperationResponse_msg,
        .response = response,
    };
    if (!flocks_supervisor_get_operation_encode_request(
            request, payload, sizeof payload, &call.payload_len))
        return refuse_request(error);
    return run_operation(nano, &call, on_outcome, data, &response->operation.outcomes, error);
}

enum rpc_code flocks_nano_explain_service(struct flocks_nano *nano,
    const flocks_explain_service_request *request, flocks_nano_exit_fn on_exit, void *data,
    flocks_explain_service_response *response, struct flocks_nano_error *error)
{
    uint8_t payload[flocks_v1_ExplainServiceRequest_size];
    struct call call = {
        .method = FLOCKS_SUPERVISOR_EXPLAIN_SERVICE_METHOD,
        .payload = payload,
        .type = &flocks_v1_ExplainServiceResponse_msg,
        .response = response,
    };
    if (!flocks_supervisor_explain_service_encode_request(
            request, payload, sizeof payload, &call.payload_len))
        return refuse_request(error);
    struct exit_sink sink = {.tell = on_exit, .data = data};
    response->exits = NOTHING;
    response->last_operation.outcomes = NOTHING;
    if (on_exit != NULL)
        response->exits = (pb_callback_t){.funcs.decode = decode_exit, .arg = &sink};
    enum rpc_code code = run(nano, &call, error);
    response->exits = NOTHING;
    return code;
}
