/* Host and port as people use them. Pure. */
#ifndef FLOCKS_CLI_ENDPOINT_H
#define FLOCKS_CLI_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* "http://[<host of 63 bytes>]:65535/" and room. */
    ENDPOINT_URL_MAX = 96
};

/* "http://127.0.0.1:8000"; IPv6 in brackets; the wildcards 0.0.0.0 and :: as the loopback address
 * one can connect to.
 * "" when there is no port. */
void endpoint_url(const char *host, uint32_t port, char out[ENDPOINT_URL_MAX]);

#endif
