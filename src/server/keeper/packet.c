#include "server/keeper/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"

union rights {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PACKET_DESCRIPTORS_MAX * sizeof(int))];
};

static int result_of_errno(void)
{
    if (errno == EAGAIN)
        return PACKET_WOULD_BLOCK;
    return errno == EPIPE || errno == ECONNRESET ? PACKET_CLOSED : PACKET_FAILED;
}

int packet_send(int socket, const void *bytes, size_t len, const int *fds, size_t n_fds)
{
    union rights rights = {0};
    /* sendmsg writes nothing through it. */
    union {
        const void *read_only;
        void *writable;
    } base = {.read_only = bytes};
    struct iovec part = {.iov_base = base.writable, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n_fds > PACKET_DESCRIPTORS_MAX) {
        errno = EMSGSIZE;
        return PACKET_FAILED;
    }
    if (n_fds > 0) {
        message.msg_control = rights.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? result_of_errno() : 0;
}

/* Takes what the kernel has given us, so that nothing leaks whatever is decided about the packet.
 */
static size_t take_rights(struct msghdr *message, int *fds)
{
    size_t n_fds = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + n_fds, CMSG_DATA(header), n * sizeof(int));
        n_fds += n;
    }
    return n_fds;
}

int packet_receive(
    int socket, void *bytes, size_t capacity, size_t *out_len, int *fds, size_t *out_n_fds)
{
    union rights rights = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = rights.bytes,
        .msg_controllen = sizeof rights.bytes};
    *out_n_fds = 0;
    ssize_t length;
    do
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return result_of_errno();
    size_t n_fds = take_rights(&message, fds);
    bool has_all = (message.msg_flags & MSG_CTRUNC) == 0;
    for (size_t i = 0; i < n_fds && (!has_all || length == 0 || (message.msg_flags & MSG_TRUNC));
         i++)
        fd_close(&fds[i]);
    if (length > 0 && (message.msg_flags & MSG_TRUNC) == 0) {
        *out_len = (size_t)length;
        *out_n_fds = has_all ? n_fds : 0;
        return 0;
    }
    errno = EMSGSIZE;
    return length == 0 ? PACKET_CLOSED : PACKET_FAILED;
}
