/* Where a service is to be reached: numeric addresses of its host and port. Never asks a resolver.
 */
#ifndef FLOCKS_SUPERVISE_ENDPOINT_H
#define FLOCKS_SUPERVISE_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* "localhost" is the only name with more than one address. */
    ENDPOINT_ADDRESSES_MAX = 2,
    /* "[" address "]:" port NUL. */
    ENDPOINT_TEXT_MAX = INET6_ADDRSTRLEN + 16
};

union endpoint_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Plain value. */
struct endpoint {
    union endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count;
    /* The host stands for every address of the machine; `addresses` says how we reach it. */
    bool is_wildcard;
};

/* `host` as configured: a numeric IPv4 or IPv6 address (brackets allowed); "0.0.0.0", "::", "*" and
 * "" become the loopback address of their family; "localhost" is 127.0.0.1, then ::1. Other names:
 * -STATUS_INVALID_ARGUMENT, because a resolver may block. `port` is in host byte order, not 0. */
NODISCARD int endpoint_resolve(
    const char *host, uint16_t port, struct endpoint *out, struct error *error);

/* sizeof of the member in use. */
socklen_t endpoint_address_length(const union endpoint_address *address);
uint16_t endpoint_address_port(const union endpoint_address *address);
/* "127.0.0.1:8000", "[::1]:8000". */
void endpoint_address_text(const union endpoint_address *address, char out[ENDPOINT_TEXT_MAX]);

#endif
