/* Clients that nobody wants, against a running flocksd: says "ready" when all of them are there,
 * and goes on until it is killed.
 *
 *   bench-flood KIND COUNT PATH
 *
 * COUNT clients (leave: a second), spread over processes, because one process is allowed few. A
 * client that was closed comes back after a second. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "rounds.h"
#include "slots.h"

enum {
    PER_PROCESS_MAX = 200,
    BYTES_MAX = 64 * 1024,
    RETURN_AFTER_MS = 1000,
    NS_PER_MS = 1000 * 1000,
    MS_PER_S = 1000,
    /* Requests in one write of those that never stop. */
    REQUESTS_AT_ONCE = 256,
    UNKNOWN_FRAME_TYPE = 0x77
};

struct flood {
    const struct kind *kind;
    struct sockaddr_un address;
    size_t n_clients;
    struct pollfd clients[PER_PROCESS_MAX];
    int64_t back_at_ns[PER_PROCESS_MAX];
    /* What a client sends first, or for ever. */
    uint8_t bytes[BYTES_MAX];
    size_t len;
    /* For those that never stop: how far each is. */
    size_t sent[PER_PROCESS_MAX];
    uint8_t input[BYTES_MAX];
};

struct kind {
    const char *name;
    /* Fills `bytes`. */
    void (*prepare)(struct flood *flood);
    /* What it waits for; 0: to be closed. */
    short events;
    /* It is writable or readable. */
    void (*act)(struct flood *flood, size_t index, short events);
    /* Instead of all that. */
    void (*run)(struct flood *flood);
};

/* ---- what they send ---- */

static size_t put_request(uint8_t *out, uint32_t stream_id)
{
    const struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT("flocks.v1.SupervisorService"),
        .method = RPC_BYTES_OF_TEXT("GetStatus"),
    };
    const struct rpc_frame frame = {.body_len = (uint32_t)rpc_request_size(&request),
        .stream_id = stream_id,
        .type = RPC_FRAME_REQUEST};
    rpc_frame_encode(&frame, out);
    (void)rpc_request_encode(&request, out + RPC_FRAME_HEADER_BYTES);
    return RPC_FRAME_HEADER_BYTES + frame.body_len;
}

static void prepare_nothing(struct flood *flood)
{
    flood->len = 0;
}

/* One call that is answered; then silence. */
static void prepare_call(struct flood *flood)
{
    flood->len = put_request(flood->bytes, 1);
}

static void prepare_half(struct flood *flood)
{
    flood->len = put_request(flood->bytes, 1) / 2;
}

/* Calls without end. The ids are used again, which is allowed once a call is answered. */
static void prepare_calls(struct flood *flood)
{
    flood->len = 0;
    for (uint32_t i = 0; i < REQUESTS_AT_ONCE; i++)
        flood->len += put_request(flood->bytes + flood->len, 2 * i + 1);
}

/* Frames of a type that nobody knows: they have to be read and skipped. */
static void prepare_unknown(struct flood *flood)
{
    const struct rpc_frame frame = {
        .body_len = BYTES_MAX - RPC_FRAME_HEADER_BYTES, .stream_id = 1, .type = UNKNOWN_FRAME_TYPE};
    rpc_frame_encode(&frame, flood->bytes);
    flood->len = BYTES_MAX;
}

/* ---- what they do ---- */

static void leave(struct flood *flood, size_t index)
{
    (void)close(flood->clients[index].fd);
    flood->clients[index].fd = -1;
    flood->back_at_ns[index] = slots_now_ns() + (int64_t)RETURN_AFTER_MS * NS_PER_MS;
}

static void read_on(struct flood *flood, size_t index)
{
    ssize_t n = recv(flood->clients[index].fd, flood->input, sizeof flood->input, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        leave(flood, index);
}

static void write_on(struct flood *flood, size_t index)
{
    size_t *sent = &flood->sent[index];
    ssize_t n = send(flood->clients[index].fd, flood->bytes + *sent, flood->len - *sent,
        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        leave(flood, index);
    if (n > 0)
        *sent = (*sent + (size_t)n) % flood->len;
}

static void act_idle(struct flood *flood, size_t index, short events)
{
    (void)events;
    read_on(flood, index);
}

static void act_write(struct flood *flood, size_t index, short events)
{
    if ((events & (POLLERR | POLLHUP)) != 0)
        leave(flood, index);
    else
        write_on(flood, index);
}

static void act_both(struct flood *flood, size_t index, short events)
{
    if ((events & (POLLIN | POLLHUP)) != 0)
        read_on(flood, index);
    if ((events & POLLOUT) != 0 && flood->clients[index].fd >= 0)
        write_on(flood, index);
}

/* ---- coming ---- */

static int connect_one(const struct flood *flood)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (const struct sockaddr *)&flood->address, sizeof flood->address) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static void come(struct flood *flood, size_t index)
{
    struct pollfd *client = &flood->clients[index];
    *client = (struct pollfd){.fd = connect_one(flood), .events = flood->kind->events};
    flood->sent[index] = 0;
    if (client->fd < 0)
        leave(flood, index);
    else if (flood->len > 0)
        write_on(flood, index);
}

static void come_back(struct flood *flood)
{
    int64_t now_ns = slots_now_ns();
    for (size_t i = 0; i < flood->n_clients; i++) {
        if (flood->clients[i].fd < 0 && flood->back_at_ns[i] <= now_ns)
            come(flood, i);
    }
}

static void stay(struct flood *flood)
{
    for (;;) {
        (void)poll(flood->clients, flood->n_clients, RETURN_AFTER_MS / 4);
        for (size_t i = 0; i < flood->n_clients; i++) {
            if (flood->clients[i].fd >= 0 && flood->clients[i].revents != 0)
                flood->kind->act(flood, i, flood->clients[i].revents);
        }
        come_back(flood);
    }
}

/* n_clients of them a second, evenly. */
static void connect_and_leave(struct flood *flood)
{
    int64_t began_ns = slots_now_ns();
    const struct timespec pause = {.tv_nsec = NS_PER_MS};
    for (size_t done = 0;;) {
        int64_t passed_ms = (slots_now_ns() - began_ns) / NS_PER_MS;
        size_t due = (size_t)passed_ms * flood->n_clients / MS_PER_S;
        for (; done < due; done++) {
            int fd = connect_one(flood);
            if (fd >= 0)
                (void)close(fd);
        }
        (void)nanosleep(&pause, NULL);
    }
}

static const struct kind KINDS[] = {
    {.name = "idle", .prepare = prepare_call, .events = POLLIN, .act = act_idle},
    {.name = "silent", .prepare = prepare_nothing, .events = POLLIN, .act = act_idle},
    {.name = "half", .prepare = prepare_half, .events = POLLIN, .act = act_idle},
    {.name = "leave", .prepare = prepare_nothing, .run = connect_and_leave},
    {.name = "deaf", .prepare = prepare_calls, .events = POLLOUT, .act = act_write},
    {.name = "caller", .prepare = prepare_calls, .events = POLLIN | POLLOUT, .act = act_both},
    {.name = "writer", .prepare = prepare_unknown, .events = POLLIN | POLLOUT, .act = act_both},
};

/* ---- processes ---- */

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(KINDS[i].name, name) == 0)
            return &KINDS[i];
    }
    (void)fprintf(stderr, "%s is no kind of client\n", name);
    return NULL;
}

static _Noreturn void flood_on(struct flood *flood, size_t n_clients, int ready_fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    flood->n_clients = n_clients;
    flood->kind->prepare(flood);
    for (size_t i = 0; i < n_clients && flood->kind->run == NULL; i++)
        come(flood, i);
    (void)!write(ready_fd, "", 1);
    if (flood->kind->run != NULL)
        flood->kind->run(flood);
    stay(flood);
    _exit(0);
}

/* A byte for each process that has all its clients. */
static void await(int fd, size_t n_processes)
{
    char byte;
    for (size_t i = 0; i < n_processes && read(fd, &byte, 1) == 1; i++)
        ;
}

static int spread(struct flood *flood, size_t count)
{
    int fds[2];
    size_t n_processes = 0;
    size_t share = flood->kind->run != NULL ? count : PER_PROCESS_MAX;
    if (pipe(fds) != 0)
        return 1;
    for (size_t left = count; left > 0; n_processes++) {
        size_t n = left < share ? left : share;
        left -= n;
        pid_t pid = fork();
        if (pid < 0)
            return 1;
        if (pid == 0)
            flood_on(flood, n, fds[1]);
    }
    await(fds[0], n_processes);
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (wait(NULL) > 0)
        ;
    return 1;
}

int main(int argument_count, char **arguments)
{
    static struct flood flood;
    if (argument_count != 4) {
        (void)fprintf(stderr, "usage: %s KIND COUNT PATH\n", arguments[0]);
        return 2;
    }
    size_t count = rounds_number(arguments[2]);
    flood.kind = find_kind(arguments[1]);
    flood.address.sun_family = AF_UNIX;
    if (flood.kind == NULL || count == 0 || strlen(arguments[3]) >= sizeof flood.address.sun_path)
        return 2;
    memcpy(flood.address.sun_path, arguments[3], strlen(arguments[3]));
    return spread(&flood, count);
}
