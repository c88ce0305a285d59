/* The blocking client: one connection, one call at a time, one deadline for all of it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/client_error.h"
#include "common/rpc/scan.h"

enum { READ_BYTES = 64 * 1024 };

struct rpc_client {
    int fd;
    struct rpc_session *session;
    /* errno of what ended the connection; 0: the server closed it, or it is alive. */
    int system_error;
    bool is_gone;
    uint8_t input[READ_BYTES];
};

/* ---- life ---- */

struct rpc_client *rpc_client_take_fd(int fd, struct rpc_error **error)
{
    struct rpc_client *client = malloc(sizeof *client);
    struct rpc_session *session = rpc_ttrpc_client_new();
    if (client == NULL || session == NULL) {
        free(client);
        rpc_session_free(session);
        fd_close(&fd);
        (void)rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, ENOMEM, "no memory for a client");
        return NULL;
    }
    client->fd = fd;
    client->session = session;
    client->system_error = 0;
    client->is_gone = false;
    return client;
}

static enum rpc_code code_of_connect(int error_number)
{
    switch (error_number) {
    case EACCES:
    case EPERM:
        return RPC_PERMISSION_DENIED;
    case EAGAIN:
        return RPC_DEADLINE_EXCEEDED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return RPC_RESOURCE_EXHAUSTED;
    default:
        return RPC_UNAVAILABLE;
    }
}

/* connect(2) on a unix socket waits while the backlog is full; the send time-out bounds that. */
static int set_connect_timeout(int fd, int64_t timeout_ms)
{
    struct timeval timeout = {
        .tv_sec = (time_t)(timeout_ms / 1000),
        .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000),
    };
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

static int open_socket(const struct sockaddr_un *address, int64_t timeout_ms)
{
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || set_connect_timeout(fd, timeout_ms) != 0)
        return -1;
    int result;
    do {
        result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? fd_take(&fd) : -1;
}

struct rpc_client *rpc_client_connect(
    const char *path, int64_t timeout_ms, struct rpc_error **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        (void)rpc_error_make(error, RPC_INVALID_ARGUMENT, ENAMETOOLONG,
            "connecting to %s: longer than the %zu bytes of a socket path", path,
            sizeof address.sun_path - 1);
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (timeout_ms <= 0)
        timeout_ms = RPC_CLIENT_TIMEOUT_MS;
    int fd = open_socket(&address, timeout_ms);
    if (fd < 0) {
        int error_number = errno;
        (void)rpc_error_make(error, code_of_connect(error_number), error_number,
            "connecting to %s: %s", path, strerrordesc_np(error_number));
        return NULL;
    }
    return rpc_client_take_fd(fd, error);
}

void rpc_client_close(struct rpc_client *client)
{
    if (client == NULL)
        return;
    rpc_session_free(client->session);
    fd_close(&client->fd);
    free(client);
}

/* ---- bytes ---- */

static void lose(struct rpc_client *client, int error_number)
{
    client->is_gone = true;
    client->system_error = error_number;
    rpc_session_lose(client->session, RPC_UNAVAILABLE,
        error_number == 0 ? "the server closed the connection"
                          : "the connection to the server broke");
}

static bool would_block(int error_number)
{
    return error_number == EAGAIN || error_number == EINTR;
}

static void send_output(struct rpc_client *client)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(client->session, &len);
    while (len > 0 && !client->is_gone) {
        ssize_t n = send(client->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && would_block(errno))
            return;
        if (n < 0) {
            /* What the server said before it went away may still wait to be read. */
            int error_number = errno;
            rpc_session_sent(client->session, len);
            if (error_number != EPIPE && error_number != ECONNRESET)
                lose(client, error_number);
            return;
        }
        rpc_session_sent(client->session, (size_t)n);
        bytes = rpc_session_output(client->session, &len);
    }
}

static void read_input(struct rpc_client *client)
{
    ssize_t n = recv(client->fd, client->input, sizeof client->input, MSG_DONTWAIT);
    if (n > 0)
        rpc_session_receive(client->session, client->input, (size_t)n, clock_monotonic_ms());
    else if (n == 0)
        lose(client, 0);
    else if (!would_block(errno))
        lose(client, errno);
}

/* Waits until there is something to read, or to write if output waits. False: the deadline. */
static bool wait_ready(struct rpc_client *client, int64_t deadline_at)
{
    size_t output_len = 0;
    (void)rpc_session_output(client->session, &output_len);
    struct pollfd ready = {
        .fd = client->fd, .events = (short)(output_len > 0 ? POLLIN | POLLOUT : POLLIN)};
    int64_t left_ms = deadline_at - clock_monotonic_ms();
    if (left_ms <= 0)
        return false;
    int timeout = left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
    /* Interrupted or early: the caller looks at everything again. */
    (void)poll(&ready, 1, timeout);
    return true;
}

/* ---- one call ---- */

static void write_message(const void *source, uint8_t *out)
{
    (void)protobuf_c_message_pack(source, out);
}

static int64_t server_timeout_nano(int64_t timeout_ms)
{
    int64_t margin_ms = timeout_ms / 8;
    if (margin_ms > RPC_CLIENT_MARGIN_MS)
        margin_ms = RPC_CLIENT_MARGIN_MS;
    int64_t told_ms = timeout_ms - margin_ms;
    return told_ms > INT64_MAX / 1000000 ? 0 : told_ms * 1000000;
}

static struct rpc_session_call *open_call(struct rpc_client *client,
    const struct rpc_method *method, const struct rpc_options *options, int64_t timeout_ms,
    const ProtobufCMessage *request)
{
    struct rpc_envelope_pair pairs[RPC_METADATA_PAIRS_MAX];
    size_t n_pairs = options == NULL ? 0 : options->n_metadata;
    for (size_t i = 0; i < n_pairs; i++) {
        pairs[i].key = RPC_BYTES_OF_TEXT(options->metadata[i].key);
        pairs[i].value = RPC_BYTES_OF_TEXT(options->metadata[i].value);
    }
    const struct rpc_payload payload = {
        .len = protobuf_c_message_get_packed_size(request),
        .write = write_message,
        .source = request,
    };
    return rpc_session_open(
        client->session, method, server_timeout_nano(timeout_ms), pairs, n_pairs, &payload);
}

static enum rpc_result decode(const struct rpc_method *method, struct rpc_bytes message,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    const ProtobufCMessageDescriptor *descriptor = method->response->descriptor;
    const struct rpc_scan_rules rules = {.refuse_unknown_fields = false};
    struct rpc_scan_place place;
    if (rpc_scan(descriptor, &rules, message.data, message.len, &place) == RPC_SCAN_GOOD)
        *out = protobuf_c_message_unpack(descriptor, NULL, message.len, message.data);
    if (*out == NULL)
        return rpc_error_make(error, RPC_INTERNAL, 0, "the server's answer to %s is not a valid %s",
            method->name, descriptor->name);
    return RPC_DONE;
}

/* What the session has to tell about the one call. True: it is over, with *result. */
static bool take_events(struct rpc_client *client, const struct rpc_method *method,
    const ProtobufCMessage **out, struct rpc_error **error, enum rpc_result *result)
{
    struct rpc_session_event event;
    while (rpc_session_next(client->session, &event)) {
        if (event.kind == RPC_EVENT_MESSAGE)
            *result = decode(method, event.message, out, error);
        else if (event.status.code != RPC_OK)
            *result = rpc_error_from_status(error, &event.status, client->system_error);
        if (event.kind == RPC_EVENT_ENDED)
            return true;
    }
    const char *broken = rpc_session_broken(client->session);
    if (broken != NULL && !client->is_gone) {
        client->is_gone = true;
        rpc_session_lose(client->session, RPC_INTERNAL, broken);
        return take_events(client, method, out, error, result);
    }
    return false;
}

static enum rpc_result give_up(struct rpc_client *client, struct rpc_session_call *call,
    const struct rpc_method *method, int64_t timeout_ms, struct rpc_error **error)
{
    rpc_session_call_cancel(call);
    send_output(client);
    rpc_session_call_release(call);
    return rpc_error_make(error, RPC_DEADLINE_EXCEEDED, 0, "calling %s: no answer within %lld ms",
        method->name, (long long)timeout_ms);
}

static enum rpc_result check_call(
    const struct rpc_client *client, const struct rpc_options *options, struct rpc_error **error)
{
    if (client->is_gone)
        return rpc_error_make(
            error, RPC_UNAVAILABLE, client->system_error, "the connection is closed");
    if (options != NULL && options->n_metadata >= RPC_METADATA_PAIRS_MAX)
        return rpc_error_make(error, RPC_INVALID_ARGUMENT, 0, "more than %d metadata pairs",
            RPC_METADATA_PAIRS_MAX - 1);
    return RPC_DONE;
}

enum rpc_result rpc_client_call(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct rpc_error **error)
{
    *out = NULL;
    enum rpc_result result = check_call(client, options, error);
    if (result != RPC_DONE)
        return result;
    int64_t timeout_ms =
        options == NULL || options->timeout_ms <= 0 ? RPC_CLIENT_TIMEOUT_MS : options->timeout_ms;
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), timeout_ms);
    struct rpc_session_call *call = open_call(client, method, options, timeout_ms, request);
    if (call == NULL)
        return rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, 0,
            "calling %s: the request is larger than %d bytes, or this connection is used up",
            method->name, RPC_MESSAGE_BYTES_MAX);
    for (;;) {
        send_output(client);
        if (!client->is_gone && !wait_ready(client, deadline_at))
            return give_up(client, call, method, timeout_ms, error);
        if (!client->is_gone)
            read_input(client);
        if (take_events(client, method, out, error, &result))
            break;
    }
    rpc_session_call_release(call);
    return result;
}

void rpc_message_free(const ProtobufCMessage *message)
{
    union {
        const ProtobufCMessage *read_only;
        ProtobufCMessage *owned;
    } both = {.read_only = message};
    if (message != NULL)
        protobuf_c_message_free_unpacked(both.owned, NULL);
}
