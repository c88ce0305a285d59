/* The transport as its own files know it; private to these.
 *
 *     transport.c   life
 *     turns.c       whose turn it is on the loop, and for how long
 *     newcomers.c   the doors: who comes in, and who goes for that */
#ifndef FLOCKS_TRANSPORT_PRIVATE_H
#define FLOCKS_TRANSPORT_PRIVATE_H

#include "server/transport/connection.h"
#include "server/transport/listener.h"
#include "server/transport/loopback.h"
#include "server/transport/transport.h"

/* A listening socket. */
struct transport_door {
    struct transport *transport;
    struct listener *listener; /* NULL: closed */
    int tcp_fd;                /* ours; -1: the unix socket, which is not */
};

enum {
    /* The unix socket, then those of TCP. */
    TRANSPORT_DOORS = 1 + LOOPBACK_COUNT
};

struct transport {
    struct connection_shared shared;
    struct transport_door doors[TRANSPORT_DOORS];
    struct complaints complaints;
    /* After the loop has heard of everything: the clients' turns. */
    uv_check_t check;
    /* Before the loop waits: the turns of those noted since. */
    uv_prepare_t prepare;
    /* Runs while a connection is unsettled: what is answered in somebody else's prepare, after ours
     * has run, must not lie until the next event. */
    uv_idle_t idle;
    uv_timer_t timer;
    int64_t timer_at;
    int open_handles;
    /* The last turns took all their time: the others wait until the loop has heard of everything.
     */
    bool is_out_of_time;
    uid_t owner;
    size_t connections_max;
    /* transport_shut: told once, when the last connection has gone. */
    void (*emptied)(void *data);
    void *emptied_data;
};

struct connection *transport_connection_of(struct list *link);

/* ---- turns.c ---- */

void turns_on_check(uv_check_t *check);
void turns_on_prepare(uv_prepare_t *prepare);
/* connection_shared.noted */
void turns_noted(void *data);
/* Everybody's turn, until `end_at`. */
void turns_settle_until(struct transport *transport, int64_t end_at);
/* The timer is due at `at_ms`, or before. */
void turns_wake_at(struct transport *transport, int64_t at_ms, int64_t now_ms);

/* ---- newcomers.c ---- */

/* connection_shared.complain, connection_shared.entered */
void newcomers_complain(
    void *data, enum complaint_kind kind, const struct rpc_peer *peer, const char *text);
void newcomers_entered(void *data, struct connection *connection);
/* Closes a member's connection for the sake of others. */
void newcomers_evict(
    struct transport *transport, struct population_member *member, const char *reason);
/* `fd` as the door's `tcp_fd` (-1) or the unix socket's. */
NODISCARD int newcomers_open_door(
    struct transport *transport, size_t index, int fd, struct error *error);
void newcomers_close_door(struct transport_door *door);

#endif
