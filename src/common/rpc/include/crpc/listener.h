/* A server's I/O, for programs without a transport of their own: one unix socket, its connections,
 * and the services behind it. It stands on crpc/server.h alone; a program with other needs writes
 * its own around the same functions.
 *
 *     struct rpc_listener *listener = rpc_listener_new(NULL, &error);
 *     struct rpc_service service = demo_store_service(&handlers, self);
 *     code = rpc_listener_add(listener, &service);
 *     rpc_listener_bind(listener, "/run/demo/demo.sock", 0600, &error);
 *     rpc_listener_run(listener, &error);          until rpc_listener_stop
 *     rpc_listener_free(listener);
 *
 * or, instead of _run, inside any loop: watch rpc_listener_fd for reading, keep a timer for
 * rpc_listener_next_at, and call rpc_listener_process when either is due.
 *
 * A listener belongs to one thread at a time; only rpc_listener_stop may be called from anywhere.
 * In a child of fork() it is neither used nor freed: freeing it there removes the parent's socket.
 * No client stops it: every bound below ends a connection or a call, never the listener. */
#ifndef CRPC_LISTENER_H
#define CRPC_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crpc/crpc.h"
#include "crpc/server.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rpc_listener;

/* Zeroed is everything's default. */
struct rpc_listener_options {
    /* Connections in all; 0: RPC_LISTENER_CONNECTIONS_MAX. Never more than the process's soft limit
     * of descriptors less RPC_LISTENER_DESCRIPTORS_RESERVED. */
    size_t connections_max;
    /* Of one peer process; 0: RPC_LISTENER_CONNECTIONS_PER_PID. Peers whose pid cannot be known
     * (another pid namespace) count as one process. */
    size_t connections_per_pid_max;
    /* How long a connection may have neither a call nor a byte; 0: RPC_LISTENER_IDLE_MS. */
    int64_t idle_ms;
    /* How long calls in flight may go on after a stop; 0: RPC_LISTENER_SHUT_MS. */
    int64_t shut_ms;
    /* Who may connect; asked before a byte is read. NULL: processes of our effective user, and
     * root. */
    bool (*admit)(void *data, const struct rpc_peer *peer);
    /* For the log: a connection was refused, or closed for another reason than its own end.
     * `reason` is constant text. A hostile peer can make many: bound what you write. Nothing of the
     * listener may be called from it. NULL: nobody is told. */
    void (*refused)(void *data, const struct rpc_peer *peer, const char *reason);
    /* Of both. */
    void *data;
    /* Of the server (crpc/server.h); NULL: none. */
    const struct rpc_server_hooks *hooks;
};

/* Serves nobody yet. `options` is copied; NULL: all defaults. NULL and *error on failure. */
struct rpc_listener *rpc_listener_new(
    const struct rpc_listener_options *options, struct rpc_error **error);
/* Closes everything at once: cancel hooks of calls in flight run, and calls whose handlers have not
 * finished them die. Removes the socket that rpc_listener_bind made, if it is still ours. Not from
 * inside a handler or a hook. NULL is fine. */
void rpc_listener_free(struct rpc_listener *listener);

/* `service` is copied; its handlers and its `self` outlive the listener. RPC_ALREADY_EXISTS: its
 * name is taken; RPC_RESOURCE_EXHAUSTED: no memory. Only before the first connection. */
__attribute__((warn_unused_result)) enum rpc_code rpc_listener_add(
    struct rpc_listener *listener, const struct rpc_service *service);

/* ---- where it listens: one of these, once ---- */

/* Makes a unix stream socket at `path` (at most RPC_LISTENER_PATH_MAX bytes, in a directory that
 * may be read) with exactly the permissions `mode`, whatever the umask, from the first moment on.
 * A socket that nobody listens on any more is replaced. Errors: RPC_ALREADY_EXISTS (somebody
 * listens there, or it is no socket), RPC_INVALID_ARGUMENT (the path is too long or empty),
 * RPC_FAILED_PRECONDITION (this listener has a socket), RPC_UNAVAILABLE (another process is making
 * a socket in that directory and does not come to an end) and what the system says. */
enum rpc_result rpc_listener_bind(
    struct rpc_listener *listener, const char *path, mode_t mode, struct rpc_error **error);
/* Accepts on a stream socket that listens already (systemd's, say). Consumed, also on failure; made
 * non-blocking. Errors: RPC_INVALID_ARGUMENT (it does not listen), RPC_FAILED_PRECONDITION. */
enum rpc_result rpc_listener_take_listening_fd(
    struct rpc_listener *listener, int fd, struct rpc_error **error);

/* Serves a connected stream socket (one end of a socketpair, say), with or without a socket to
 * listen on, as often as you like. Consumed, also on failure. The caller has admitted it; the
 * bounds hold. RPC_RESOURCE_EXHAUSTED: there is no room. */
enum rpc_result rpc_listener_take_connection(
    struct rpc_listener *listener, int fd, struct rpc_error **error);

/* ---- in a loop of your own ---- */

/* Readable when rpc_listener_process has something to do, a late answer of a handler included.
 * Owned by the listener, the same for its whole life. */
int rpc_listener_fd(const struct rpc_listener *listener);
/* When rpc_listener_process has something to do even if the descriptor is not readable:
 * CLOCK_MONOTONIC milliseconds, INT64_MAX for never. Changes only in rpc_listener_process. */
int64_t rpc_listener_next_at(const struct rpc_listener *listener);
/* One turn: accepts, reads once from every connection that has sent something, runs handlers and
 * due deadlines, and writes once to every connection that has an answer. Never waits. RPC_DONE;
 * RPC_END: stopped, and nothing is left to do; RPC_ERROR: the descriptor itself failed. Not from
 * inside a handler. */
enum rpc_result rpc_listener_process(struct rpc_listener *listener, struct rpc_error **error);

/* ---- as a program's main loop ---- */

/* Turns until stopped. RPC_DONE, or RPC_ERROR as rpc_listener_process. */
enum rpc_result rpc_listener_run(struct rpc_listener *listener, struct rpc_error **error);
/* Ends the service: no further connection is accepted and the socket's path is removed, gRPC
 * clients get GOAWAY, every new call is answered RPC_UNAVAILABLE, calls in flight go on for
 * `shut_ms`, then everything is closed.
 * A second stop closes at once. Takes effect in the next turn, which is due at once.
 * Async-signal-safe, and legal from any thread and from handlers; preserves errno. */
void rpc_listener_stop(struct rpc_listener *listener);

/* Connections now. */
size_t rpc_listener_n_connections(const struct rpc_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
