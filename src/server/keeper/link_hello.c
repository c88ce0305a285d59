/* Hello: what the keeper hands over, as it answers or, if it was killed before, in advance. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/keeper/link_internal.h"
#include "server/keeper/packet.h"

enum { HELLO_TIMEOUT_MS = 10 * 1000 };

static int wait_readable(int fd, int64_t until, struct error *error)
{
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t left = until - clock_monotonic_ms();
        int n = left > 0 ? poll(&watched, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return error_set(error, STATUS_DEADLINE_EXCEEDED, "the keeper does not answer");
        if (errno != EINTR)
            return error_set_errno(error, errno, "wait for the keeper");
    }
}

static int check_welcome(
    const struct rpc_response_envelope *response, size_t n_fds, struct error *error)
{
    if (response->code > 0 && response->code < STATUS_CODE_COUNT)
        return error_set(error, (enum status_code)response->code, "keeper: %.*s",
            (int)response->message.len, (const char *)response->message.data);
    if (response->code != 0 || n_fds < KEEPER_WELCOME_DESCRIPTORS)
        return error_set(error, STATUS_INTERNAL, "the keeper's answer to Hello is not understood");
    return 0;
}

static uint64_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static int take_welcome(struct keeper_link *link, const struct rpc_response_envelope *response,
    int *fds, size_t n_fds, struct keeper_welcome *out, struct error *error)
{
    keeper_hello_response hello;
    int result = check_welcome(response, n_fds, error);
    if (result != 0)
        return result;
    if (!crpc_nano_decode(&flocks_keeper_v1_HelloResponse_msg, response->payload.data,
            response->payload.len, &hello))
        return error_set(error, STATUS_INTERNAL, "the keeper's answer to Hello is not understood");
    const void *shared = mmap(NULL, sizeof(struct keeper_shared), PROT_READ, MAP_SHARED, fds[1], 0);
    if (shared == MAP_FAILED)
        return error_set_errno(error, errno, "map the keeper's counters");
    link->shared = shared;
    link->shared_id = inode_of(fds[1]);
    link->shared_fd = fd_take(&fds[1]);
    link->lock_fd = fd_take(&fds[4]);
    link->inventory_fd = fd_take(&fds[5]);
    link->daemon_pipes =
        (struct link_pipes){.pipe_fd = fd_take(&fds[6]), .private_fd = fd_take(&fds[7])};
    link->keeper_pid = hello.pid;
    link->protocol = hello.protocol;
    *out = (struct keeper_welcome){
        .keeper_pid = hello.pid,
        .earlier_starts = hello.earlier_starts,
        .was_ready = hello.was_ready,
        .earlier_keepers = hello.earlier_keepers,
        .is_unreachable = hello.unreachable,
        .state_fd = fd_take(&fds[0]),
        .listener_fd = fd_take(&fds[2]),
        .notify_fd = fd_take(&fds[3]),
    };
    memcpy(out->invocation, hello.invocation, sizeof out->invocation);
    memcpy(out->keeper_version, hello.version, sizeof out->keeper_version);
    memcpy(out->replacement, hello.replacement, sizeof out->replacement);
    return 0;
}

/* The packet in `link->in`, with its descriptors; what nobody takes is closed. */
static int take_packet(struct keeper_link *link, size_t len, int *fds, size_t n_fds,
    struct keeper_welcome *out, struct error *error)
{
    uint32_t stream_id = 0;
    struct rpc_response_envelope response;
    int result;
    if (link_decode_response(link, len, &stream_id, &response))
        result = take_welcome(link, &response, fds, n_fds, out, error);
    else
        result = error_set(error, STATUS_INTERNAL, "the keeper does not speak its protocol");
    for (size_t i = 0; i < n_fds; i++)
        fd_close(&fds[i]);
    return result;
}

/* KEEPER_LINK_ORPHANED: nobody has answered, and nobody will. */
static int say_hello(struct keeper_link *link, struct keeper_welcome *out, struct error *error)
{
    keeper_hello_request request = {
        .protocol = KEEPER_PROTOCOL, .lowest_protocol = KEEPER_PROTOCOL_LOWEST};
    (void)snprintf(request.version, sizeof request.version, "%s", FLOCKS_VERSION);
    const struct crpc_nano_method *row = crpc_nano_find(&keeper_service, "Hello", 5);
    size_t len = link_encode_request(link, row, &request, link->next_stream_id);
    link->next_stream_id += 2;
    int result = packet_send(link->fd, link->out, len, NULL, 0);
    if (result == PACKET_CLOSED)
        return KEEPER_LINK_ORPHANED;
    if (len == 0 || result != 0)
        return error_set_errno(error, errno, "greet the keeper");
    result = wait_readable(link->fd, clock_monotonic_ms() + HELLO_TIMEOUT_MS, error);
    if (result != 0)
        return result;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    result = packet_receive(link->fd, link->in, sizeof link->in, &len, fds, &n_fds);
    if (result == PACKET_CLOSED)
        return KEEPER_LINK_ORPHANED;
    if (result != 0)
        return error_set_errno(error, errno, "hear the keeper");
    return take_packet(link, len, fds, n_fds, out, error);
}

/* The packet left in advance, in `link->in`, and the image of the keeper that left it. Once. False:
 * there is none. */
static bool receive_advance(
    struct keeper_link *link, int advance_fd, size_t *out_len, int *fds, size_t *out_n_fds)
{
    *out_n_fds = 0;
    if (advance_fd < 0 ||
        packet_receive(advance_fd, link->in, sizeof link->in, out_len, fds, out_n_fds) != 0)
        return false;
    /* The last; a newer keeper may leave more before it. */
    if (*out_n_fds >= KEEPER_ADVANCE_DESCRIPTORS)
        link->image_fd = fd_take(&fds[*out_n_fds - 1]);
    return true;
}

static int take_advance(
    struct keeper_link *link, int advance_fd, struct keeper_welcome *out, struct error *error)
{
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    if (!receive_advance(link, advance_fd, &len, fds, &n_fds))
        return error_set(error, STATUS_UNAVAILABLE, "the keeper has closed the link");
    link->is_lost = true;
    int result = take_packet(link, len, fds, n_fds, out, error);
    return result == 0 ? KEEPER_LINK_ORPHANED : result;
}

/* To end one that hangs, and to be its successor; without them both are done without. What is left
 * in advance is the keeper's for certain; a pid is another's when the keeper has been killed. */
static void find_keeper(struct keeper_link *link, int advance_fd)
{
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    link->keeper_pidfd = (int)syscall(SYS_pidfd_open, link->keeper_pid, 0);
    if (!receive_advance(link, advance_fd, &len, fds, &n_fds))
        link_renewed(link);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(&fds[i]);
}

void link_renewed(struct keeper_link *link)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/exe", link->keeper_pid);
    CLEANUP(fd_close) int image_fd = open(path, O_PATH | O_CLOEXEC);
    /* Had it ended, this could be anybody's. */
    bool lives = syscall(SYS_pidfd_send_signal, link->keeper_pidfd, 0, NULL, 0) == 0;
    if (image_fd < 0 || !lives)
        return;
    fd_close(&link->image_fd);
    link->image_fd = fd_take(&image_fd);
}

int keeper_link_find_advance(int fd)
{
    int advance_fd = fd + 1;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(advance_fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET ||
        fcntl(advance_fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    return advance_fd;
}

int link_greet(
    struct keeper_link *link, int advance_fd, struct keeper_welcome *out, struct error *error)
{
    int result = fd_set_cloexec(link->fd, true, error);
    if (result == 0)
        result = fd_set_nonblocking(link->fd, true, error);
    if (result == 0)
        result = say_hello(link, out, error);
    if (result == KEEPER_LINK_ORPHANED)
        return take_advance(link, advance_fd, out, error);
    if (result == 0)
        find_keeper(link, advance_fd);
    return result;
}
