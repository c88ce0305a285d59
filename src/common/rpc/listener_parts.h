/* The listener, its socket and its connections as they know each other; private to the files of
 * these names.
 *
 *     listener.c             life
 *     listener_accept.c      newcomers
 *     listener_turn.c        one turn of the loop, and the end
 *     listener_connection.c  one connection
 *     listener_socket.c      the socket's path */
#ifndef CRPC_LISTENER_PARTS_H
#define CRPC_LISTENER_PARTS_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "common/base/list.h"
#include "common/rpc/population.h"
#include "crpc/limits.h"
#include "crpc/listener.h"

/* A socket that we have made, to be removed with us. */
struct listener_path {
    /* NULL: none. */
    char *text;
    dev_t device;
    ino_t inode;
};

struct rpc_listener {
    /* With the defaults filled in. */
    struct rpc_listener_options options;
    struct rpc_server *server;
    struct list services; /* listener_service.link */
    int epoll_fd;
    /* Always watched, edge-triggered and never read: a write makes epoll_fd readable once. */
    int wake_fd;
    /* -1: none. */
    int listen_fd;
    /* Given up for a moment when there is no other descriptor to accept with. */
    int reserve_fd;
    struct listener_path path;
    struct population population;
    struct list connections; /* listener_connection.link */
    struct list unsettled;   /* listener_connection.unsettled: to be looked at in this turn */
    struct list closed;      /* listener_connection.link: freed when the turn's events are gone */
    uint8_t *read_buffer;    /* RPC_RECEIVE_BYTES_MAX */
    /* How often rpc_listener_stop was called. */
    atomic_uint stops;
    bool is_in_turn;
    /* wake_fd has been written since the last turn began. */
    bool is_woken;
    bool is_shut;
    /* The time for calls in flight is over, and everything has been closed. */
    bool is_over;
    int64_t shut_at;   /* when that is; INT64_MAX until it is shut */
    int64_t accept_at; /* accepting pauses until then; INT64_MAX: it does not pause */
    int64_t timer_at;
};

struct listener_connection {
    struct list link;
    struct list unsettled;
    struct population_member member;
    struct rpc_listener *listener;
    int fd;
    uint32_t watched; /* EPOLL* */
    bool is_closed;
    /* The peer sends no more: closing is what it wants. */
    bool has_ended;
    /* After a stop the peer has been told. */
    bool has_begun_end;
    struct rpc_peer peer;
    /* NULL until the first byte. */
    struct rpc_connection *rpc;
    int64_t active_at;
};

/* ---- listener.c ---- */

/* "<attempt> <subject>: <what errno says>". `subject` may be NULL. Answers RPC_ERROR. */
enum rpc_result listener_fail(
    struct rpc_error **error, int system_error, const char *attempt, const char *subject);
void listener_refuse(
    const struct rpc_listener *listener, const struct rpc_peer *peer, const char *reason);
/* No further connection, and the path is gone. Idempotent. */
void listener_close_socket(struct rpc_listener *listener);
/* A descriptor without use; -1: none left. */
int listener_open_reserve(void);

/* ---- listener_accept.c ---- */

/* Everything that waits to be accepted, up to the bound of a turn. */
void listener_accept(struct rpc_listener *listener, int64_t now_ms);
/* Closes connections while all of them hold more than RPC_HELD_BYTES_MAX. */
void listener_lighten(struct rpc_listener *listener);

/* ---- listener_turn.c ---- */

/* The next turn is due at once. */
void listener_wake(struct rpc_listener *listener);

/* ---- listener_connection.c ---- */

/* In the listener's lists; `fd` is consumed, also on failure. False: no memory, or it cannot be
 * watched. */
bool listener_connection_open(
    struct rpc_listener *listener, int fd, const struct rpc_peer *peer, int64_t now_ms);
/* The socket is closed and the calls are cancelled; the memory waits in listener->closed. */
void listener_connection_close(struct listener_connection *connection);
void listener_connection_free_closed(struct rpc_listener *listener);
/* To be settled in this turn, or in the next, which then is due at once. */
void listener_connection_note(struct listener_connection *connection);
void listener_connection_on_event(
    struct listener_connection *connection, uint32_t events, int64_t now_ms);
/* Writes what waits, reads on or not, closes if that is due. Answers when to come again. */
int64_t listener_connection_settle(struct listener_connection *connection, int64_t now_ms);

/* ---- listener_socket.c ---- */

/* A listening, non-blocking socket at `path`. */
enum rpc_result listener_path_bind(struct listener_path *out_path, const char *path, mode_t mode,
    int *out_fd, struct rpc_error **error);
/* Removes the socket if it is still the one that was made, and forgets it. */
void listener_path_remove(struct listener_path *path);

#endif
