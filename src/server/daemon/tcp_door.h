/* The TCP door as configured: its token, its loopback addresses, and what is in the way. What
 * cannot be served is said in status and log, and tried again; nothing else waits for it. */
#ifndef FLOCKS_DAEMON_TCP_DOOR_H
#define FLOCKS_DAEMON_TCP_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/base/token.h"
#include "crpc/crpc.h"
#include "server/transport/gate.h"
#include "server/transport/loopback.h"

enum {
    /* An address whose port somebody has, or a token that cannot be used, is tried again after
     * this. */
    TCP_DOOR_RETRY_MS = 1000,
    /* As the schema's max_bytes of DaemonStatus.tcp_problem, and the end. */
    TCP_DOOR_PROBLEM_SIZE = 512
};

struct listener_finder;
struct supervisor;
struct transport;

/* Embedded. */
struct tcp_door {
    /* Borrowed until tcp_door_close. */
    struct transport *transport;
    struct supervisor *supervisor;
    const struct paths *paths;

    uv_timer_t timer;
    bool is_wanted;
    uint16_t port;
    bool has_token;
    struct token token;
    bool is_open[LOOPBACK_COUNT];
    /* Who has the port; NULL: nobody is looked for. */
    struct listener_finder *finder;
    bool is_searching;
    char problem[TCP_DOOR_PROBLEM_SIZE]; /* "": none */
    bool is_closed;
};

/* With its pointers set and the rest zero; nothing is served yet. It must stay until the loop has
 * ended. */
void tcp_door_open(struct tcp_door *door, uv_loop_t *loop);
/* What is to be served from now on. Another port: connections to the old one end with their calls.
 */
void tcp_door_configure(struct tcp_door *door, bool is_wanted, uint16_t port);
/* Tries no more; what is served stays the transport's. Idempotent. */
void tcp_door_close(struct tcp_door *door);

/* For the transport. */
const ProtobufCMessage *tcp_door_refusal(enum gate_verdict verdict);

#endif
