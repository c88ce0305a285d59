#include "listener_host.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/clock.h"
#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "unit.h"

enum { DEADLINE_MS = 10 * 1000 };

/* ---- the service ---- */

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;
    (void)self;
    response.event_token = "token";
    char *text = NULL;
    if (request->n_services > 0) {
        size_t len = strtoul(request->services[0], NULL, 10);
        text = calloc(1, len + 1);
        assert_non_null(text);
        memset(text, 'x', len);
        response.event_token = text;
    }
    flocks_get_status_reply(call, &response);
    free(text);
}

static void on_cancelled(void *data)
{
    struct host *host = data;
    host->cancelled++;
    rpc_call_fail(host->held, RPC_CANCELLED, NULL, "gone");
    host->held = NULL;
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    struct host *host = self;
    (void)request;
    host->held = flocks_get_operation_base(call);
    rpc_call_on_cancel(host->held, on_cancelled, host);
}

/* Asks for the end from inside a handler. */
static void shut_down(
    void *self, struct flocks_shutdown_call *call, const flocks_shutdown_request *request)
{
    struct host *host = self;
    flocks_shutdown_response response = FLOCKS_SHUTDOWN_RESPONSE_INIT;
    (void)request;
    rpc_listener_stop(host->listener);
    flocks_shutdown_reply(call, &response);
}

static const struct flocks_supervisor_handlers HANDLERS = {
    .get_status = get_status, .get_operation = get_operation, .shutdown = shut_down};

void host_release(struct host *host)
{
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
    struct rpc_call *call = host->held;
    host->held = NULL;
    rpc_call_reply_message(call, &response.base);
}

/* ---- the listener ---- */

static bool admit(void *data, const struct rpc_peer *peer)
{
    const struct host *host = data;
    assert_int_equal(peer->pid, getpid());
    assert_int_equal(peer->uid, geteuid());
    return !host->is_nobody_admitted;
}

static void on_refused(void *data, const struct rpc_peer *peer, const char *reason)
{
    struct host *host = data;
    (void)peer;
    host->refusal = reason;
    host->refusals++;
}

void host_new(struct host *host, const struct rpc_listener_options *options)
{
    struct rpc_listener_options ours = {0};
    if (options != NULL)
        ours = *options;
    ours.admit = admit;
    ours.refused = on_refused;
    ours.data = host;
    *host = (struct host){.directory = "/tmp/crpc-listener-XXXXXX"};
    assert_non_null(mkdtemp(host->directory));
    (void)snprintf(host->path, sizeof host->path, "%s/s", host->directory);
    host->listener = rpc_listener_new(&ours, NULL);
    assert_non_null(host->listener);
    struct rpc_service service = flocks_supervisor_service(&HANDLERS, host);
    assert_int_equal(rpc_listener_add(host->listener, &service), RPC_OK);
}

void host_open(struct host *host, const struct rpc_listener_options *options)
{
    host_new(host, options);
    struct rpc_error *error = NULL;
    if (rpc_listener_bind(host->listener, host->path, 0600, &error) != RPC_DONE)
        fail_msg("%s", error->message);
}

void host_close(struct host *host)
{
    rpc_listener_free(host->listener);
    (void)unlink(host->path);
    assert_int_equal(rmdir(host->directory), 0);
}

static void wait_for_turn(const struct host *host, int64_t give_up_at)
{
    struct pollfd pollfd = {.fd = rpc_listener_fd(host->listener), .events = POLLIN};
    int64_t at = rpc_listener_next_at(host->listener);
    int64_t now_ms = clock_monotonic_ms();
    if (at > give_up_at)
        at = give_up_at;
    assert_true(poll(&pollfd, 1, at > now_ms ? (int)(at - now_ms) : 0) >= 0);
}

static bool is_ready(const struct host *host)
{
    struct pollfd pollfd = {.fd = rpc_listener_fd(host->listener), .events = POLLIN};
    return poll(&pollfd, 1, 0) > 0 || rpc_listener_next_at(host->listener) <= clock_monotonic_ms();
}

void host_turn(struct host *host)
{
    wait_for_turn(host, clock_monotonic_ms() + DEADLINE_MS);
    if (!is_ready(host))
        fail_msg("nothing happened in time");
    host->last_turn = rpc_listener_process(host->listener, NULL);
    assert_int_not_equal(host->last_turn, RPC_ERROR);
}

void host_settle(struct host *host)
{
    while (is_ready(host))
        host_turn(host);
}

/* ---- the clients ---- */

int guest_connect(const struct host *host)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, host->path, strlen(host->path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_request(int fd, uint32_t stream, const struct rpc_request_envelope *request)
{
    uint8_t bytes[512];
    const struct rpc_frame frame = {.body_len = (uint32_t)rpc_request_size(request),
        .stream_id = stream,
        .type = RPC_FRAME_REQUEST};
    size_t len = RPC_FRAME_HEADER_BYTES + frame.body_len;
    assert_true(len <= sizeof bytes);
    rpc_frame_encode(&frame, bytes);
    (void)rpc_request_encode(request, bytes + RPC_FRAME_HEADER_BYTES);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

void guest_call(int fd, uint32_t stream, const char *method, int64_t timeout_ms)
{
    const struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT("flocks.v1.SupervisorService"),
        .method = RPC_BYTES_OF_TEXT(method),
        .timeout_nano = timeout_ms * 1000000};
    send_request(fd, stream, &request);
}

void guest_call_large(int fd, uint32_t stream, size_t len)
{
    char services[32] = "\x0a";
    int n = snprintf(services + 2, sizeof services - 2, "%zu", len);
    services[1] = (char)n;
    const struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT("flocks.v1.SupervisorService"),
        .method = RPC_BYTES_OF_TEXT("GetStatus"),
        .payload = RPC_BYTES_OF_TEXT(services)};
    send_request(fd, stream, &request);
}

size_t guest_receive(struct host *host, int fd, uint8_t *out, size_t size)
{
    int64_t give_up_at = clock_monotonic_ms() + DEADLINE_MS;
    for (;;) {
        ssize_t len = recv(fd, out, size, MSG_DONTWAIT);
        if (len >= 0)
            return (size_t)len;
        if (errno == ECONNRESET)
            return 0;
        assert_int_equal(errno, EAGAIN);
        if (clock_monotonic_ms() >= give_up_at)
            fail_msg("nothing was received in time");
        host_turn(host);
    }
}

/* False: closed. */
static bool receive_all(struct host *host, int fd, uint8_t *out, size_t size)
{
    while (size > 0) {
        size_t len = guest_receive(host, fd, out, size);
        if (len == 0)
            return false;
        out += len;
        size -= len;
    }
    return true;
}

int guest_answer(struct host *host, int fd, uint32_t stream)
{
    uint8_t header[RPC_FRAME_HEADER_BYTES];
    struct rpc_frame frame;
    struct rpc_response_envelope response;
    if (!receive_all(host, fd, header, sizeof header))
        return -1;
    rpc_frame_decode(header, &frame);
    assert_int_equal(frame.stream_id, stream);
    assert_int_equal(frame.type, RPC_FRAME_RESPONSE);
    uint8_t *body = malloc(frame.body_len + 1);
    assert_non_null(body);
    assert_true(receive_all(host, fd, body, frame.body_len));
    assert_true(rpc_response_decode(body, frame.body_len, NULL, 0, &response));
    free(body);
    return response.code;
}

bool guest_is_closed(struct host *host, int fd)
{
    uint8_t byte;
    return guest_receive(host, fd, &byte, 1) == 0;
}

size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}
