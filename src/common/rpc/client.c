/* A client's life, and its bytes: one connection, many calls. Reading never waits for writing, so
 * that two sides which both write cannot wait for each other. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/client_state.h"
#include "common/rpc/connect_code.h"

/* ---- life ---- */

struct rpc_client *rpc_client_take_fd(int fd, struct rpc_error **error)
{
    struct rpc_client *client = malloc(sizeof *client);
    struct rpc_session *session = client == NULL ? NULL : rpc_ttrpc_client_new();
    if (session == NULL) {
        free(client);
        fd_close(&fd);
        (void)rpc_error_make(error, RPC_RESOURCE_EXHAUSTED, ENOMEM, "no memory for a client");
        return NULL;
    }
    /* Not as one value: the input is 64 KiB that nobody reads before it is written. */
    memset(client, 0, offsetof(struct rpc_client, input));
    client->fd = fd;
    client->session = session;
    client->tick_at = CLOCK_NEVER;
    list_init(&client->deadlines);
    list_init(&client->ready);
    list_init(&client->crowded);
    list_init(&client->pending);
    return client;
}

/* connect(2) waits for an answer, or on a unix socket while the backlog is full; the send time-out
 * bounds that. */
static int set_connect_timeout(int fd, int64_t timeout_ms)
{
    struct timeval timeout = {
        .tv_sec = (time_t)(timeout_ms / 1000),
        .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000),
    };
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

static int open_socket(const struct sockaddr *address, socklen_t len, int64_t timeout_ms)
{
    const int on = 1;
    CLEANUP(fd_close) int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* A request is written once it is whole. */
    if (address->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), timeout_ms);
    do {
        if (timeout_ms <= 0) {
            errno = EAGAIN;
            return -1;
        }
        if (set_connect_timeout(fd, timeout_ms) != 0)
            return -1;
        if (connect(fd, address, len) == 0)
            return fd_take(&fd);
        timeout_ms = deadline_at - clock_monotonic_ms();
    } while (errno == EINTR);
    /* What the time-out is called where connecting is a conversation. */
    if (errno == EINPROGRESS)
        errno = EAGAIN;
    return -1;
}

struct rpc_client *rpc_client_connect_address(const struct sockaddr *address, size_t len,
    const char *shown, int64_t timeout_ms, struct rpc_error **error)
{
    int fd =
        open_socket(address, (socklen_t)len, timeout_ms <= 0 ? RPC_CLIENT_TIMEOUT_MS : timeout_ms);
    if (fd < 0) {
        int error_number = errno;
        (void)rpc_error_make(error, rpc_code_of_connect(error_number), error_number,
            "connecting to %s: %s", shown,
            error_number == EAGAIN ? "nobody accepts" : strerrordesc_np(error_number));
        return NULL;
    }
    return rpc_client_take_fd(fd, error);
}

struct rpc_client *rpc_client_connect(
    const char *path, int64_t timeout_ms, struct rpc_error **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0') {
        /* It would be an abstract name, which anybody may listen on. */
        (void)rpc_error_make(error, RPC_INVALID_ARGUMENT, 0, "the path of a socket is empty");
        return NULL;
    }
    if (strlen(path) >= sizeof address.sun_path) {
        (void)rpc_error_make(error, RPC_INVALID_ARGUMENT, ENAMETOOLONG,
            "connecting to %s: longer than the %zu bytes of a socket path", path,
            sizeof address.sun_path - 1);
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path));
    return rpc_client_connect_address(
        (const struct sockaddr *)&address, sizeof address, path, timeout_ms, error);
}

void rpc_client_close(struct rpc_client *client)
{
    if (client == NULL)
        return;
    assert(!client->is_processing);
    client_attached_drop_pending(client);
    rpc_session_free(client->session);
    fd_close(&client->fd);
    free(client);
}

bool rpc_client_is_alive(const struct rpc_client *client)
{
    return !client->is_gone && !client->is_mute && !client->is_used_up;
}

/* ---- bytes ---- */

void client_lose(struct rpc_client *client, enum rpc_code code, const char *text, int system_error)
{
    if (client->is_gone)
        return;
    client->is_gone = true;
    client->is_due = true;
    client->system_error = system_error;
    rpc_session_lose(client->session, code, text);
}

static void lose_connection(struct rpc_client *client, int error_number)
{
    client_lose(client, RPC_UNAVAILABLE,
        error_number == 0 ? "the server closed the connection"
                          : "the connection to the server broke",
        error_number);
}

static bool would_block(int error_number)
{
    return error_number == EAGAIN || error_number == EINTR;
}

/* What the server said before it went away may still wait to be read: only reading ends that. */
static bool is_peer_gone(int error_number)
{
    return error_number == EPIPE || error_number == ECONNRESET;
}

size_t client_output_length(const struct rpc_client *client)
{
    size_t len = 0;
    (void)rpc_session_output(client->session, &len);
    return len;
}

void client_send(struct rpc_client *client)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(client->session, &len);
    while (len > 0 && !client->is_gone && !client->is_mute) {
        ssize_t n = send(client->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && would_block(errno))
            return;
        if (n < 0 && is_peer_gone(errno)) {
            client->is_mute = true;
            client->system_error = errno;
            break;
        }
        if (n < 0) {
            lose_connection(client, errno);
            break;
        }
        rpc_session_sent(client->session, (size_t)n);
        bytes = rpc_session_output(client->session, &len);
    }
    if (len > 0)
        rpc_session_sent(client->session, len);
}

void client_read(struct rpc_client *client)
{
    if (client->is_gone)
        return;
    ssize_t n = recv(client->fd, client->input, sizeof client->input, MSG_DONTWAIT);
    if (n < 0 && !would_block(errno)) {
        lose_connection(client, errno);
        return;
    }
    if (n == 0) {
        lose_connection(client, 0);
        return;
    }
    if (n > 0)
        rpc_session_receive(client->session, client->input, (size_t)n, clock_monotonic_ms());
}

/* ---- events ---- */

static void dispatch(const struct rpc_session_event *event)
{
    struct client_call *call = rpc_session_call_owner(event->call);
    switch (event->kind) {
    case RPC_EVENT_MESSAGE:
        call->kind->message(call, event->message);
        return;
    case RPC_EVENT_ENDED:
        call->kind->ended(call, &event->status);
        return;
    case RPC_EVENT_OPENED:
    case RPC_EVENT_HALF_CLOSED:
        return;
    }
}

bool client_tell(struct rpc_client *client)
{
    struct rpc_session_event event;
    bool is_told = rpc_session_next(client->session, &event);
    if (!is_told && !client->is_gone) {
        const char *broken = rpc_session_broken(client->session);
        if (broken == NULL)
            return false;
        client_lose(client, RPC_INTERNAL, broken, 0);
        is_told = rpc_session_next(client->session, &event);
    }
    if (is_told)
        dispatch(&event);
    return is_told;
}

/* Until there is something to read, or to write if output waits, or `until`. */
static void wait_ready(struct rpc_client *client, int64_t left_ms)
{
    bool has_output = client_output_length(client) > 0;
    struct pollfd ready = {
        .fd = client->fd, .events = (short)(has_output ? POLLIN | POLLOUT : POLLIN)};
    /* Interrupted or early: the caller looks at everything again. */
    (void)poll(&ready, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
}

bool client_step(struct rpc_client *client, int64_t until_at)
{
    if (client_tell(client))
        return true;
    client_send(client);
    if (client->is_gone)
        return client_tell(client);
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= until_at)
        return false;
    int64_t tick_at = rpc_session_tick(client->session, now_ms);
    if (rpc_session_broken(client->session) != NULL)
        return client_tell(client);
    wait_ready(client, (tick_at < until_at ? tick_at : until_at) - now_ms);
    client_read(client);
    return true;
}
