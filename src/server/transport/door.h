/* Which protocol a connection speaks: its first byte says. The server never speaks first. */
#ifndef FLOCKS_TRANSPORT_DOOR_H
#define FLOCKS_TRANSPORT_DOOR_H

#include <stddef.h>
#include <stdint.h>

enum door {
    DOOR_TTRPC, /* 0x00: the high byte of a frame length of at most 4 MiB */
    DOOR_HTTP2, /* 'P' of the preface (RFC 9113, 3.4); not served by this version */
    DOOR_NONE
};

enum door door_of(uint8_t first_byte);

/* What a client of HTTP/2 is told before it is closed: empty SETTINGS and a GOAWAY that says why.
 */
const uint8_t *door_http2_goodbye(size_t *out_len);

#endif
