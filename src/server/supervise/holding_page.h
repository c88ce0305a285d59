/* The holding page: a listener of flocksd's own on the host and port of a service that an upgrade
 * has stopped, answering every request with 503 (holding_page_http.h). It lives on the loop and is
 * bounded in connections, bytes and time; it knows no service and no lease: supervisor_page.c says
 * when.
 *
 * The port is given back at once. A service that binds without SO_REUSEADDR is refused as long as a
 * socket of ours is bound to the port, TIME_WAIT included. So this end never sends a FIN before the
 * client has: the client closes first, else the connection is reset once everything is
 * acknowledged. Sockets carry SO_LINGER with no time from the listener on (accept(2) hands it
 * down), so the death of the process resets them as well. */
#ifndef FLOCKS_SUPERVISE_HOLDING_PAGE_H
#define FLOCKS_SUPERVISE_HOLDING_PAGE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/holding_page_http.h"

enum {
    /* Connections at one time. One more takes the place of the oldest that has its answer, else of
     * the oldest: who says nothing keeps nobody out. */
    HOLDING_CONNECTIONS_MAX = 64,
    /* Connections that wait for their turn in the kernel, and those accepted between two ticks; a
     * flood waits there and costs flocksd no more. */
    HOLDING_BACKLOG = 128,
    HOLDING_ACCEPTS_MAX = 200,
    /* A tick: deadlines are looked at, and accepting goes on where it was interrupted. */
    HOLDING_TICK_MS = 100,
    /* A client has this long to say its request, then to take the answer. */
    HOLDING_REQUEST_MS = 5000,
    HOLDING_ANSWER_MS = 5000,
    /* ... and to close when everything is acknowledged; then it is reset. */
    HOLDING_LINGER_MS = 2000,
    /* Bytes after the headers (an upload) that are thrown away while the client reads its answer;
     * more: it is reset. */
    HOLDING_DRAIN_MAX = 256 * 1024
};

struct holding_page;

/* Somebody has the port: try again later. */
enum holding_page_condition { HOLDING_PAGE_BUSY = 1 };

/* Listens as a service configured with `host` and `port` would: on an address; on both of localhost
 * (one that the machine does not have is left out); on a wildcard as such, "::", "*" and "" with
 * IPv4 as well. Never shares: whoever listens there already makes it HOLDING_PAGE_BUSY. Negative:
 * it cannot be (no such address, not allowed, no descriptors). */
NODISCARD int holding_page_open(uv_loop_t *loop, const char *host, uint16_t port,
    struct holding_page **out, struct error *error);
/* The port is free, with no socket of ours left on it, when this returns; the memory goes when the
 * loop has run its close callbacks. *page becomes NULL; NULL is accepted. */
void holding_page_close(struct holding_page **page);

/* What it says from now on; HOLDING_UPDATING at first. */
void holding_page_say(struct holding_page *page, enum holding_notice notice);
/* Where it answers: the first address, a wildcard as the loopback address that reaches it. */
const union endpoint_address *holding_page_address(const struct holding_page *page);
size_t holding_page_connections(const struct holding_page *page);

#endif
