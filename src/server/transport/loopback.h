/* Listening sockets on this machine's loopback addresses, and on no other: no function here takes
 * an address. */
#ifndef FLOCKS_TRANSPORT_LOOPBACK_H
#define FLOCKS_TRANSPORT_LOOPBACK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum loopback { LOOPBACK_IPV4, LOOPBACK_IPV6, LOOPBACK_COUNT };

enum {
    /* "[::1]:65535" and its NUL. */
    LOOPBACK_TEXT_MAX = 16
};

enum loopback_condition {
    /* The system has no such address. */
    LOOPBACK_ABSENT = 1,
    /* Somebody else has the port. */
    LOOPBACK_TAKEN = 2
};

/* "127.0.0.1" or "::1". */
const char *loopback_host(enum loopback which);
/* "127.0.0.1:48765". */
void loopback_text(enum loopback which, uint16_t port, char out[LOOPBACK_TEXT_MAX]);

/* A listening socket, non-blocking, close-on-exec. 0, a condition, or negative. */
NODISCARD int loopback_listen(enum loopback which, uint16_t port, int *out_fd, struct error *error);

#endif
