/* Messages are struct inet_diag_msg behind a struct nlmsghdr, as for a request; the classic BPF
 * program loads from the same place. */
#include "server/supervise/port_events.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"

enum {
    LOCAL_PORT_AT = NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id.idiag_sport),
    REMOTE_PORT_AT = NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id.idiag_dport),
    /* Comparisons that share one way out: a jump reaches 255 instructions. */
    CHUNK_PORTS = 128,
    /* Besides one comparison a port: what leads in, the way out of each chunk and the refusal. */
    PROGRAM_MAX = PORT_EVENTS_FILTERED_MAX + 2 * (PORT_EVENTS_FILTERED_MAX / CHUNK_PORTS + 1) + 8,
    MESSAGE_SIZE = 8192,
    /* Messages of no interest that one call skips; the loop comes back for the rest. */
    SKIPPED_MAX = 64,
    WORD_BITS = 64
};

/* How much of a message the filter lets through. */
#define WHOLE UINT32_MAX

struct port_set {
    size_t count;
    uint64_t words[PORT_EVENTS_PORTS / WORD_BITS];
};

struct port_events {
    int fd;
    struct port_set watched;
    _Alignas(struct nlmsghdr) char message[MESSAGE_SIZE];
};

struct program {
    unsigned short len;
    struct sock_filter code[PROGRAM_MAX];
};

/* ---- the ports ---- */

static bool set_has(const struct port_set *set, unsigned port)
{
    return (set->words[port / WORD_BITS] >> (port % WORD_BITS) & 1) != 0;
}

static void set_add(struct port_set *set, uint16_t port)
{
    if (set_has(set, port))
        return;
    set->words[port / WORD_BITS] |= (uint64_t)1 << (port % WORD_BITS);
    set->count++;
}

/* ---- the filter ---- */

static void append(struct program *program, struct sock_filter instruction)
{
    program->code[program->len++] = instruction;
}

static void append_load(struct program *program, uint32_t offset)
{
    append(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offset));
}

static void append_return(struct program *program, uint32_t length)
{
    append(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, length));
}

/* One comparison a port; those of a chunk jump to the acceptance behind it, which the rest goes
 * around. */
static void append_ports(struct program *program, const struct port_set *set)
{
    unsigned port = 0;

    for (size_t left = set->count; left > 0;) {
        size_t chunk = left < CHUNK_PORTS ? left : CHUNK_PORTS;

        for (size_t i = 0; i < chunk; i++, port++) {
            while (!set_has(set, port))
                port++;
            append(program, (struct sock_filter)BPF_JUMP(
                                BPF_JMP | BPF_JEQ | BPF_K, port, (uint8_t)(chunk - i), 0));
        }
        append(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
        append_return(program, WHOLE);
        left -= chunk;
    }
}

static int attach(int fd, const struct port_set *set)
{
    struct program program = {.len = 0};
    struct sock_fprog attached = {.filter = program.code};

    append_load(&program, REMOTE_PORT_AT);
    append(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
    append_return(&program, 0);
    if (set->count > PORT_EVENTS_FILTERED_MAX) {
        append_return(&program, WHOLE);
    } else {
        append_load(&program, LOCAL_PORT_AT);
        append_ports(&program, set);
        append_return(&program, 0);
    }
    attached.len = program.len;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0 ? 0
                                                                                         : errno;
}

int port_events_watch(
    struct port_events *events, const uint16_t *ports, size_t n, struct error *error)
{
    struct port_set set = {.count = 0};
    int failed;

    for (size_t i = 0; i < n; i++)
        set_add(&set, ports[i]);
    failed = attach(events->fd, &set);
    if (failed != 0)
        return error_set_errno(error, failed, "filter the messages about %zu ports", set.count);
    events->watched = set;
    return 0;
}

/* ---- the socket ---- */

static int join(int fd, int group)
{
    return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0 ? 0
                                                                                          : errno;
}

/* 0 or an errno. Filtered before it is joined, so that nothing else ever gets in. */
static int open_socket(struct port_events *events)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int failed;

    events->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (events->fd < 0)
        return errno;
    if (bind(events->fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return errno;
    failed = attach(events->fd, &events->watched);
    if (failed == 0)
        failed = join(events->fd, SKNLGRP_INET_TCP_DESTROY);
    if (failed == 0)
        failed = join(events->fd, SKNLGRP_INET6_TCP_DESTROY);
    return failed;
}

int port_events_new(struct port_events **out, struct error *error)
{
    struct port_events *events = calloc(1, sizeof *events);
    int failed;

    if (events == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for news of sockets");
    failed = open_socket(events);
    if (failed != 0) {
        port_events_free(events);
        (void)error_set_errno(error, failed, "be told of sockets that are gone");
        if (error != NULL)
            error->code = STATUS_UNAVAILABLE;
        return -STATUS_UNAVAILABLE;
    }
    *out = events;
    return 0;
}

void port_events_free(struct port_events *events)
{
    if (events == NULL)
        return;
    fd_close(&events->fd);
    free(events);
}

int port_events_fd(const struct port_events *events)
{
    return events->fd;
}

/* ---- messages ---- */

/* Only the kernel's word counts; the rest is skipped. */
static bool take_port(
    struct port_events *events, const struct sockaddr_nl *sender, size_t len, uint16_t *out_port)
{
    struct nlmsghdr *header = (void *)events->message;
    const struct inet_diag_msg *gone = NLMSG_DATA(header);

    if (sender->nl_pid != 0 || len < NLMSG_LENGTH(sizeof *gone) ||
        header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return false;
    *out_port = ntohs(gone->id.idiag_sport);
    return gone->id.idiag_dport == 0 && set_has(&events->watched, *out_port);
}

int port_events_next(struct port_events *events, uint16_t *out_port, struct error *error)
{
    for (int skipped = 0; skipped < SKIPPED_MAX; skipped++) {
        struct sockaddr_nl sender = {.nl_family = AF_NETLINK};
        socklen_t length = sizeof sender;
        ssize_t len = recvfrom(events->fd, events->message, sizeof events->message, 0,
            (struct sockaddr *)&sender, &length);

        if (len >= 0 && take_port(events, &sender, (size_t)len, out_port))
            return 0;
        if (len >= 0 || errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return PORT_EVENTS_NONE;
        if (errno == ENOBUFS)
            return PORT_EVENTS_OVERRUN;
        return error_set_errno(error, errno, "hear of sockets that are gone");
    }
    return PORT_EVENTS_NONE;
}
