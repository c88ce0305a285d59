/* Requests to NETLINK_SOCK_DIAG and their answers. Layouts: linux/inet_diag.h, sock_diag(7).
 *
 * An exact request (no NLM_F_DUMP) makes the kernel look the socket up as for an arriving segment:
 * idiag_src is the address connected to, idiag_dst the (here unknown) other end. */
#include "server/supervise/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* What the kernel puts into one dump message at most (NLMSG_GOODSIZE is 8 KiB, 32 KiB at
       large). */
    ANSWER_SIZE = 32 * 1024,
    /* Old answers (of a request that failed half-way) that are skipped before giving up. */
    STALE_ANSWERS_MAX = 1024
};

struct netlink {
    int fd;
    uint32_t sequence;
    _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
};

struct request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

/* Called for each socket of an answer. */
typedef void (*socket_fn)(void *context, const struct inet_diag_msg *socket);

int netlink_new(struct netlink **out, struct error *error)
{
    struct netlink *netlink = calloc(1, sizeof *netlink);
    if (netlink == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the socket diagnosis");
    netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (netlink->fd < 0) {
        int number = errno;
        free(netlink);
        (void)error_set_errno(error, number, "open a NETLINK_SOCK_DIAG socket");
        if (error != NULL)
            error->code = STATUS_UNAVAILABLE;
        return -STATUS_UNAVAILABLE;
    }
    *out = netlink;
    return 0;
}

void netlink_free(struct netlink *netlink)
{
    if (netlink == NULL)
        return;
    fd_close(&netlink->fd);
    free(netlink);
}

static void fill_source(struct inet_diag_sockid *id, const union endpoint_address *address)
{
    if (address->any.sa_family == AF_INET6) {
        memcpy(id->idiag_src, &address->v6.sin6_addr, sizeof address->v6.sin6_addr);
        id->idiag_sport = address->v6.sin6_port;
    } else {
        memcpy(id->idiag_src, &address->v4.sin_addr, sizeof address->v4.sin_addr);
        id->idiag_sport = address->v4.sin_port;
    }
}

static struct request make_request(struct netlink *netlink, sa_family_t family, uint16_t flags)
{
    struct request request = {
        .header =
            {
                .nlmsg_len = sizeof request,
                .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                .nlmsg_seq = ++netlink->sequence,
            },
        .body =
            {
                .sdiag_family = (uint8_t)family,
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = 1U << TCP_LISTEN,
                .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
            },
    };
    return request;
}

/* One message of an answer: 1 when it ends the answer, 0 when more comes, else a negated errno. */
static int take_message(struct nlmsghdr *header, bool is_dump, socket_fn each, void *context)
{
    if (header->nlmsg_type == NLMSG_DONE)
        return 1;
    if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *failure = NLMSG_DATA(header);
        if (header->nlmsg_len < NLMSG_LENGTH(sizeof *failure))
            return -EBADMSG;
        return failure->error == 0 ? 1 : failure->error;
    }
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
        return -EBADMSG;
    each(context, NLMSG_DATA(header));
    return is_dump ? 0 : 1;
}

/* All messages of one datagram; as take_message. */
static int take_datagram(
    struct netlink *netlink, size_t len, bool is_dump, socket_fn each, void *context)
{
    struct nlmsghdr *header = (void *)netlink->answer;
    for (; len >= sizeof *header && header->nlmsg_len >= sizeof *header && header->nlmsg_len <= len;
         len -= NLMSG_ALIGN(header->nlmsg_len),
         header = (void *)((char *)header + NLMSG_ALIGN(header->nlmsg_len))) {
        if (header->nlmsg_seq == netlink->sequence) {
            int result = take_message(header, is_dump, each, context);
            if (result != 0)
                return result;
        }
        if (NLMSG_ALIGN(header->nlmsg_len) >= len)
            break;
    }
    return 0;
}

/* Sends and reads the whole answer: 0 or a negated errno. */
static int exchange(
    struct netlink *netlink, const struct request *request, socket_fn each, void *context)
{
    bool is_dump = (request->header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent = sendto(netlink->fd, request, sizeof *request, MSG_NOSIGNAL,
        (const struct sockaddr *)&kernel, sizeof kernel);
    if (sent != (ssize_t)sizeof *request)
        return sent < 0 ? -errno : -EMSGSIZE;
    for (int datagrams = 0; datagrams < STALE_ANSWERS_MAX; datagrams++) {
        ssize_t len = recv(netlink->fd, netlink->answer, sizeof netlink->answer, 0);
        if (len < 0)
            return -errno;
        int result = take_datagram(netlink, (size_t)len, is_dump, each, context);
        if (result != 0)
            return result > 0 ? 0 : result;
    }
    return -EBADMSG;
}

static void fill_listener(const struct inet_diag_msg *socket, struct tcp_listener *out)
{
    memset(out, 0, sizeof *out);
    out->inode = socket->idiag_inode;
    out->uid = socket->idiag_uid;
    out->interface = socket->id.idiag_if;
    if (socket->idiag_family == AF_INET6) {
        out->bound.v6.sin6_family = AF_INET6;
        out->bound.v6.sin6_port = socket->id.idiag_sport;
        memcpy(&out->bound.v6.sin6_addr, socket->id.idiag_src, sizeof out->bound.v6.sin6_addr);
    } else {
        out->bound.v4.sin_family = AF_INET;
        out->bound.v4.sin_port = socket->id.idiag_sport;
        memcpy(&out->bound.v4.sin_addr, socket->id.idiag_src, sizeof out->bound.v4.sin_addr);
    }
}

struct found {
    bool is_listener;
    struct tcp_listener *out;
};

static void take_found(void *context, const struct inet_diag_msg *socket)
{
    struct found *found = context;
    found->is_listener = socket->idiag_state == TCP_LISTEN;
    if (found->is_listener)
        fill_listener(socket, found->out);
}

int netlink_find_listener(struct netlink *netlink, const union endpoint_address *address,
    struct tcp_listener *out, struct error *error)
{
    struct request request = make_request(netlink, address->any.sa_family, 0);
    fill_source(&request.body.id, address);
    struct found found = {.out = out};
    int result = exchange(netlink, &request, take_found, &found);
    if (result == -ENOENT || (result == 0 && !found.is_listener))
        return TCP_LISTENER_NONE;
    if (result < 0) {
        char text[ENDPOINT_TEXT_MAX];
        endpoint_address_text(address, text);
        return error_set_errno(error, -result, "look up the listener of %s", text);
    }
    return 0;
}

struct collection {
    const struct tcp_listener *place; /* where they must be; NULL: anywhere on the port */
    struct tcp_listener *out;
    size_t capacity;
    size_t count;
};

static bool is_same_place(const struct tcp_listener *a, const struct tcp_listener *b)
{
    if (a->interface != b->interface || a->bound.any.sa_family != b->bound.any.sa_family)
        return false;
    if (a->bound.any.sa_family == AF_INET)
        return a->bound.v4.sin_addr.s_addr == b->bound.v4.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->bound.v6.sin6_addr, &b->bound.v6.sin6_addr);
}

static void take_member(void *context, const struct inet_diag_msg *socket)
{
    struct collection *collection = context;
    struct tcp_listener listener;
    fill_listener(socket, &listener);
    if (collection->place != NULL && !is_same_place(&listener, collection->place))
        return;
    if (collection->count < collection->capacity)
        collection->out[collection->count] = listener;
    collection->count++;
}

/* A dump compares the port; the address is compared here. */
static int collect(struct netlink *netlink, sa_family_t family, uint16_t port,
    struct collection *collection, struct error *error)
{
    struct request request = make_request(netlink, family, NLM_F_DUMP);
    request.body.id.idiag_sport = htons(port);
    int result = exchange(netlink, &request, take_member, collection);
    if (result < 0)
        return error_set_errno(error, -result, "list the listeners of port %u", (unsigned)port);
    return 0;
}

int netlink_list_group(struct netlink *netlink, const struct tcp_listener *first,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error)
{
    const struct tcp_listener copy = *first;
    struct collection collection = {.place = &copy, .out = out, .capacity = capacity};
    int result = collect(
        netlink, copy.bound.any.sa_family, endpoint_address_port(&copy.bound), &collection, error);
    *out_count = collection.count;
    return result;
}

int netlink_list_port(struct netlink *netlink, sa_family_t family, uint16_t port,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error)
{
    struct collection collection = {.out = out, .capacity = capacity};
    int result = collect(netlink, family, port, &collection, error);
    *out_count = collection.count;
    return result;
}
