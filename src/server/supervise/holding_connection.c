/* A machine of four steps over one socket. Leaving with a reset, not with a FIN, is what keeps
 * TIME_WAIT off this end (RFC 9293 3.6.1): see holding_page.h. */
#include "server/supervise/holding_connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "server/supervise/holding_page.h"

enum { READ_SIZE = 4096 };

enum step {
    STEP_READING,   /* what is asked is not known yet */
    STEP_ANSWERING, /* the kernel has not taken the whole answer yet */
    STEP_DRAINING,  /* the client has to close; what it still says is thrown away */
    STEP_LEAVING    /* it has, and so have we: its last acknowledgement is awaited */
};

struct holding_connection {
    struct list link; /* in crowd->all */
    struct holding_crowd *crowd;
    uv_poll_t poll;
    int fd;
    enum step step;
    int64_t due_at;
    struct holding_reader *reader;
    struct buffer answer;
    size_t n_drained;
};

static void on_ready(uv_poll_t *poll, int status, int events);

/* ---- beginning and end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct holding_connection *connection = handle->data;

    holding_reader_free(connection->reader);
    buffer_deinit(&connection->answer);
    free(connection);
}

void holding_connection_drop(struct holding_connection *connection)
{
    list_remove(&connection->link);
    connection->crowd->n--;
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    /* Not watched any more since uv_close was called. */
    (void)close(connection->fd);
    connection->fd = -1;
}

static void go_on(struct holding_connection *connection, enum step step, int64_t within_ms)
{
    connection->step = step;
    connection->due_at = clock_add_ms(clock_monotonic_ms(), within_ms);
}

static void watch(struct holding_connection *connection, int events)
{
    (void)uv_poll_start(&connection->poll, events, on_ready);
}

void holding_connection_open(uv_loop_t *loop, int fd, struct holding_crowd *crowd)
{
    struct holding_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL || holding_reader_new(&connection->reader) != 0 ||
        uv_poll_init(loop, &connection->poll, fd) != 0) {
        if (connection != NULL)
            holding_reader_free(connection->reader);
        free(connection);
        (void)close(fd);
        return;
    }
    connection->poll.data = connection;
    connection->fd = fd;
    connection->crowd = crowd;
    buffer_init(&connection->answer, HOLDING_ANSWER_MAX);
    list_append(&crowd->all, &connection->link);
    crowd->n++;
    go_on(connection, STEP_READING, HOLDING_REQUEST_MS);
    watch(connection, UV_READABLE);
}

/* ---- what the socket says ---- */

/* Both ends have closed and the client knows it: nothing of the socket is left in the kernel. */
static bool is_over(int fd)
{
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t length = sizeof info;

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
           info.tcpi_state == TCP_CLOSE;
}

/* The client's kernel has the whole answer: a reset takes nothing from it. */
static bool is_acknowledged(int fd)
{
    int n_left = 0;

    return ioctl(fd, SIOCOUTQ, &n_left) < 0 || n_left == 0;
}

/* The client was first: a FIN is harmless now, and does not take the end of the answer from one
 * that has only said that it asks nothing more. */
static void leave(struct holding_connection *connection)
{
    (void)shutdown(connection->fd, SHUT_WR);
    if (is_over(connection->fd)) {
        holding_connection_drop(connection);
        return;
    }
    /* Readable for ever; the page's ticks look at it. */
    (void)uv_poll_stop(&connection->poll);
    go_on(connection, STEP_LEAVING, HOLDING_LINGER_MS);
}

static void drain(struct holding_connection *connection)
{
    char bytes[READ_SIZE];
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (got == 0) {
        leave(connection);
        return;
    }
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            holding_connection_drop(connection);
        return;
    }
    connection->n_drained += (size_t)got;
    if (connection->n_drained > HOLDING_DRAIN_MAX)
        holding_connection_drop(connection);
}

static void answer(struct holding_connection *connection)
{
    while (buffer_length(&connection->answer) > 0) {
        ssize_t sent = send(connection->fd, buffer_data(&connection->answer),
            buffer_length(&connection->answer), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (errno == EAGAIN)
                watch(connection, UV_WRITABLE);
            else
                holding_connection_drop(connection);
            return;
        }
        buffer_consume(&connection->answer, (size_t)sent);
    }
    go_on(connection, STEP_DRAINING, HOLDING_LINGER_MS);
    watch(connection, UV_READABLE);
}

static void read_request(struct holding_connection *connection)
{
    char bytes[READ_SIZE];
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    struct holding_request request;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        holding_connection_drop(connection);
        return;
    }
    if (!holding_reader_feed(connection->reader, bytes, (size_t)got))
        return;
    request = holding_reader_request(connection->reader);
    if (holding_answer(&request, connection->crowd->notice, &connection->answer) != 0) {
        holding_connection_drop(connection);
        return;
    }
    go_on(connection, STEP_ANSWERING, HOLDING_ANSWER_MS);
    answer(connection);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct holding_connection *connection = poll->data;

    (void)events;
    if (status < 0) {
        holding_connection_drop(connection);
        return;
    }
    switch (connection->step) {
    case STEP_READING:
        read_request(connection);
        return;
    case STEP_ANSWERING:
        answer(connection);
        return;
    case STEP_DRAINING:
        drain(connection);
        return;
    case STEP_LEAVING:
        return;
    }
}

/* ---- all of them ---- */

void holding_crowd_init(struct holding_crowd *crowd)
{
    *crowd = (struct holding_crowd){.notice = HOLDING_UPDATING};
    list_init(&crowd->all);
}

struct holding_connection *holding_crowd_victim(const struct holding_crowd *crowd)
{
    struct holding_connection *oldest = NULL;

    LIST_FOR_EACH(link, &crowd->all)
    {
        struct holding_connection *connection = CONTAINER_OF(link, struct holding_connection, link);

        if (connection->step == STEP_DRAINING || connection->step == STEP_LEAVING)
            return connection;
        if (oldest == NULL)
            oldest = connection;
    }
    return oldest;
}

/* A client whose kernel does not acknowledge the answer gets the time of the answer once more. */
static bool has_to_go(const struct holding_connection *connection, int64_t now)
{
    if (connection->step == STEP_LEAVING && is_over(connection->fd))
        return true;
    if (now < connection->due_at)
        return false;
    return connection->step != STEP_DRAINING || is_acknowledged(connection->fd) ||
           now >= clock_add_ms(connection->due_at, HOLDING_ANSWER_MS);
}

void holding_crowd_tick(struct holding_crowd *crowd, int64_t now)
{
    LIST_FOR_EACH_SAFE(link, &crowd->all)
    {
        struct holding_connection *connection = CONTAINER_OF(link, struct holding_connection, link);

        if (has_to_go(connection, now))
            holding_connection_drop(connection);
    }
}

void holding_crowd_clear(struct holding_crowd *crowd)
{
    LIST_FOR_EACH_SAFE(link, &crowd->all)
    holding_connection_drop(CONTAINER_OF(link, struct holding_connection, link));
}
