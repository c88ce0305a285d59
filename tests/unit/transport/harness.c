#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
/* cmocka wants setjmp.h, stdarg.h, stddef.h and stdint.h first. */
#include <cmocka.h>

#include "common/base/clock.h"

enum { DEADLINE_MS = 10 * 1000, FRAME_HEADER = 10, RESPONSE_TYPE = 2 };

static void get_status(
    void *self, struct flocks_get_status_call *call, const flocks_get_status_request *request)
{
    flocks_get_status_response response = FLOCKS_GET_STATUS_RESPONSE_INIT;

    (void)self;
    (void)request;
    response.event_token = "token";
    flocks_get_status_reply(call, &response);
}

static void on_cancelled(void *data)
{
    struct harness *harness = data;

    harness->cancelled++;
    rpc_call_fail(harness->held, RPC_CANCELLED, NULL, "gone");
    harness->held = NULL;
}

static void get_operation(
    void *self, struct flocks_get_operation_call *call, const flocks_get_operation_request *request)
{
    struct harness *harness = self;

    (void)request;
    harness->held = flocks_get_operation_base(call);
    rpc_call_on_cancel(harness->held, on_cancelled, harness);
}

static const struct flocks_supervisor_handlers handlers = {
    .get_status = get_status,
    .get_operation = get_operation,
};

void harness_release(struct harness *harness)
{
    flocks_get_operation_response response = FLOCKS_GET_OPERATION_RESPONSE_INIT;
    struct rpc_call *call = harness->held;

    harness->held = NULL;
    rpc_call_reply_message(call, &response.base);
}

static void on_late_prepare(uv_prepare_t *prepare)
{
    struct harness *harness = prepare->data;

    if (!harness->release_in_prepare || !harness->held)
        return;
    harness_release(harness);
}

static void open_late_prepare(struct harness *harness)
{
    (void)uv_prepare_init(&harness->loop, &harness->late_prepare);
    harness->late_prepare.data = harness;
    (void)uv_prepare_start(&harness->late_prepare, on_late_prepare);
    uv_unref((uv_handle_t *)&harness->late_prepare);
}

static struct sockaddr_un address_of(const struct harness *harness)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, harness->path, strlen(harness->path) + 1);
    return address;
}

static void listen_privately(struct harness *harness)
{
    struct sockaddr_un address;

    strcpy(harness->directory, "/tmp/flocks-transport-XXXXXX");
    assert_non_null(mkdtemp(harness->directory));
    /* Reachable for the test of another user: the peer check alone must refuse it. */
    assert_int_equal(chmod(harness->directory, 0755), 0);
    (void)snprintf(harness->path, sizeof(harness->path), "%s/s", harness->directory);
    address = address_of(harness);
    harness->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(harness->listen_fd >= 0);
    assert_int_equal(bind(harness->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(harness->path, 0666), 0);
    assert_int_equal(listen(harness->listen_fd, 128), 0);
}

static void open_transport(struct harness *harness,
    const struct flocks_supervisor_handlers *handlers_used, size_t connections_max)
{
    struct rpc_service service;
    static struct rpc_service kept;
    const struct rpc_service *services[1] = {&kept};
    const struct rpc_server_hooks hooks = {0};
    struct transport_setup setup;
    struct error error = ERROR_INIT;

    memset(harness, 0, sizeof(*harness));
    listen_privately(harness);
    assert_int_equal(uv_loop_init(&harness->loop), 0);
    open_late_prepare(harness);
    service = flocks_supervisor_service(handlers_used, harness);
    kept = service;
    setup = (struct transport_setup){
        .loop = &harness->loop,
        .listen_fd = harness->listen_fd,
        .owner = geteuid(),
        .services = services,
        .n_services = 1,
        .hooks = &hooks,
        .connections_max = connections_max,
    };
    if (transport_open(&setup, &harness->transport, &error) < 0)
        fail_msg("%s", error.text);
}

void harness_open(struct harness *harness, size_t connections_max)
{
    open_transport(harness, &handlers, connections_max);
}

void harness_open_with(
    struct harness *harness, const struct flocks_supervisor_handlers *handlers_used)
{
    open_transport(harness, handlers_used, 0);
}

void harness_close(struct harness *harness)
{
    transport_close(harness->transport);
    uv_close((uv_handle_t *)&harness->late_prepare, NULL);
    assert_int_equal(uv_run(&harness->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&harness->loop), 0);
    (void)close(harness->listen_fd);
    (void)unlink(harness->path);
    (void)rmdir(harness->directory);
}

void harness_turn(struct harness *harness, int64_t deadline_at)
{
    (void)uv_run(&harness->loop, UV_RUN_NOWAIT);
    if (clock_monotonic_ms() > deadline_at)
        fail_msg("nothing happened in time");
}

int64_t harness_deadline(void)
{
    return clock_monotonic_ms() + DEADLINE_MS;
}

void harness_run_until(struct harness *harness, const int *flag)
{
    int64_t deadline_at = harness_deadline();

    while (!*flag)
        harness_turn(harness, deadline_at);
}

int client_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

void client_join(int fd, const struct harness *harness)
{
    struct sockaddr_un address = address_of(harness);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

int client_connect(const struct harness *harness)
{
    int fd = client_socket();

    client_join(fd, harness);
    return fd;
}

static size_t put_text(uint8_t *out, uint8_t tag, const char *text)
{
    size_t len = strlen(text);

    out[0] = tag;
    out[1] = (uint8_t)len;
    memcpy(
        out + 2, text, len); /* NOLINT(bugprone-not-null-terminated-result): as protobuf has it */
    return len + 2;
}

size_t client_frame(uint8_t *out, uint32_t stream, const char *method)
{
    size_t len = put_text(out + FRAME_HEADER, 0x0a, "flocks.v1.SupervisorService");

    len += put_text(out + FRAME_HEADER + len, 0x12, method);
    memset(out, 0, FRAME_HEADER);
    out[3] = (uint8_t)len;
    out[7] = (uint8_t)stream;
    out[8] = 1;
    return FRAME_HEADER + len;
}

void client_send(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

size_t client_receive(struct harness *harness, int fd, uint8_t *out, size_t size)
{
    int64_t deadline_at = harness_deadline();

    for (;;) {
        ssize_t len = recv(fd, out, size, MSG_DONTWAIT);

        if (len >= 0)
            return (size_t)len;
        if (errno == ECONNRESET)
            return 0;
        assert_int_equal(errno, EAGAIN);
        harness_turn(harness, deadline_at);
    }
}

bool client_has_answer(struct harness *harness, int fd, uint32_t stream)
{
    uint8_t bytes[512];
    size_t len = client_receive(harness, fd, bytes, sizeof(bytes));

    return len >= FRAME_HEADER && bytes[3] + (size_t)FRAME_HEADER == len && bytes[7] == stream &&
           bytes[8] == RESPONSE_TYPE;
}

bool client_is_closed(struct harness *harness, int fd)
{
    uint8_t byte;

    return client_receive(harness, fd, &byte, 1) == 0;
}
