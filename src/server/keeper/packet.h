/* One packet of a SOCK_SEQPACKET socket with the descriptors that travel beside it. No heap. */
#ifndef FLOCKS_KEEPER_PACKET_H
#define FLOCKS_KEEPER_PACKET_H

#include <stddef.h>

#include "common/base/attributes.h"

enum {
    /* Descriptors with one packet; the kernel takes 253. */
    PACKET_DESCRIPTORS_MAX = 32
};

enum packet_result {
    /* The socket is non-blocking and not ready. */
    PACKET_WOULD_BLOCK = 1,
    /* The peer has closed its end. */
    PACKET_CLOSED = 2,
    /* errno says why; a packet that was longer than the room for it, or came with more descriptors,
       is EMSGSIZE. */
    PACKET_FAILED = 3
};

/* Sends all or nothing; the descriptors stay the caller's. 0 or enum packet_result. */
NODISCARD int packet_send(int socket, const void *bytes, size_t len, const int *fds, size_t n_fds);

/* Receives one packet. `fds` has room for PACKET_DESCRIPTORS_MAX; the caller owns *out_n_fds of
 * them (close-on-exec), also none on any other result than 0. */
NODISCARD int packet_receive(
    int socket, void *bytes, size_t capacity, size_t *out_len, int *fds, size_t *out_n_fds);

#endif
