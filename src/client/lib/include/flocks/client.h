/* libflocks: a flocks daemon as a program of yours sees it.
 *
 *     struct flocks_client *client = flocks_client_new(NULL, &error);
 *     flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
 *     const flocks_get_status_response *status = NULL;
 *     if (flocks_client_get_status(client, NULL, &request, &status, &error) == RPC_DONE) ...
 *     rpc_message_free(&status->base);
 *     flocks_client_free(client);
 *
 * It connects when it has to, repeats what may be repeated, connects anew when the daemon was
 * replaced, and takes streams up where they broke. Calls are typed in flocks/calls.h; messages, and
 * what each call does, are in flocks/v1/.
 *
 * A client is used in one of two ways. Blocking: functions return when they are answered, at the
 * latest at their deadline. Driven: one descriptor in the caller's own loop, nothing ever blocks,
 * answers are callbacks. A client belongs to one thread at a time; different clients are
 * independent. After fork(2) a client stays the parent's: the child leaves it alone, even when it
 * frees what it has (the descriptors are closed by exec). */
#ifndef FLOCKS_CLIENT_H
#define FLOCKS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "flocks/v1/types.names.h"

#include "crpc/client.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* Waits between attempts: none before the second, as connecting waits in the listener's queue
     * while one flocksd follows another; then this, then twice as long each time ... */
    FLOCKS_CLIENT_FIRST_RETRY_MS = 20,
    /* ... up to this. */
    FLOCKS_CLIENT_MAX_RETRY_MS = 1000,
    /* How long a stream goes on trying when nobody answers; then it ends with RPC_UNAVAILABLE. A
     * connection that lasted FLOCKS_CLIENT_MAX_RETRY_MS was an answer, too. */
    FLOCKS_CLIENT_OUTAGE_MS = 30 * 1000
};

struct flocks_client;
struct flocks_stream;
struct flocks_pending;

/* ---- errors ---- */

/* Why a call failed. */
struct flocks_error {
    enum rpc_code code;
    /* For people; never NULL. */
    const char *message;
    /* False: made on this side, not sent by the daemon. */
    bool is_from_daemon;
    /* Nobody answers, and nobody will: flocks_client_options.is_running said so. The code is
     * RPC_UNAVAILABLE. */
    bool is_not_running;
    /* errno of the failed system call, 0 if none. */
    int system_error;
    /* Reason, service, what was attempted, what to do, the operation's id; NULL: not told. */
    const flocks_error_detail *detail;
};
/* NULL is fine. */
void flocks_error_free(struct flocks_error *error);

/* ---- life ---- */

/* Zeroed is everything's default. */
struct flocks_client_options {
    /* The control socket's path, or "tcp:127.0.0.1:PORT", "tcp:[::1]:PORT", "tcp:localhost:PORT"
     * (this machine's loopback and no other address); NULL: FLOCKS_SOCKET, or that of the root.
     * Copied. */
    const char *socket;
    /* The root; NULL: FLOCKS_ROOT, or ~/.flocks. Of its use with `socket`: the token below. */
    const char *root;
    /* Over TCP: the file with the token that the daemon asks for, which others than its owner must
     * not be able to read; NULL: FLOCKS_TOKEN_FILE, or run/control.token of the root. Copied. */
    const char *token_file;
    /* Whether a daemon may answer: asked when nobody does, before each repetition. NULL: always. */
    bool (*is_running)(void *data);
    void *data;
};

/* Touches nothing yet: the first call connects. `options` may be NULL. NULL and *error without
 * memory, for a root that cannot be resolved, or an address that is no loopback one. */
struct flocks_client *flocks_client_new(
    const struct flocks_client_options *options, struct flocks_error **error);
/* Streams must have been closed before. Pending calls are dropped: their callbacks do not run. Not
 * from inside a callback. NULL is fine. */
void flocks_client_free(struct flocks_client *client);
/* The path or address that it connects to. */
const char *flocks_client_socket(const struct flocks_client *client);

/* ---- blocking; on a driven client RPC_FAILED_PRECONDITION ---- */

/* One call of `method` (a row of the tables in flocks/v1/<file>.methods.h). RPC_DONE: `*out` is the
 * caller's, of the type of method->response, freed with rpc_message_free. RPC_ERROR: *error says
 * why, `*out` is NULL. `options` may be NULL: a deadline of RPC_CLIENT_TIMEOUT_MS.
 *
 * A call that got no answer (RPC_UNAVAILABLE) is repeated at once, then after 20, 40, 80 ms ...
 * until the deadline when it was never sent, when the method is idempotent, or when the request
 * carries a request_id. When the deadline ends that, the code is RPC_DEADLINE_EXCEEDED and the
 * message says what the last attempt saw. */
enum rpc_result flocks_client_call(struct flocks_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct flocks_error **error);

/* Begins a call whose answers stream, on a connection of its own: one that is not read holds up
 * nobody else. NULL and *error on failure. Without a timeout it has no deadline.
 *
 * When the connection is lost the stream goes on behind the last message seen, where the method has
 * a token for that (WatchEvents, WatchUpgrade, ReadLogs), or from the beginning when none was seen.
 * Where neither is so (WatchOperation) the end is told, RPC_UNAVAILABLE, and the caller decides. */
struct flocks_stream *flocks_client_open(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, struct flocks_error **error);
/* The longest that flocks_stream_next waits before it answers RPC_AGAIN; <= 0: as long as the
 * stream's own deadline allows. */
void flocks_stream_set_patience(struct flocks_stream *stream, int64_t patience_ms);
/* The next message, the caller's. RPC_END: there is none, the call ended well. RPC_AGAIN: none yet.
 * RPC_ERROR: it did not, or the deadline passed. The end, once seen, is answered again. */
enum rpc_result flocks_stream_next(
    struct flocks_stream *stream, const ProtobufCMessage **out, struct flocks_error **error);
/* Gives up what has not ended, and frees the stream. NULL is fine. Also of a driven client, there
 * at any time, from its own hooks too. */
void flocks_stream_close(struct flocks_stream *stream);

/* ---- driven by the caller's loop ---- */

/* From now on nothing blocks. Once, before the first call. */
enum rpc_result flocks_client_drive(struct flocks_client *client, struct flocks_error **error);
/* The descriptor to watch for reading, always the same one; timers are behind it too. Owned by the
 * client. */
int flocks_client_fd(const struct flocks_client *client);
/* What is due: whenever the descriptor is readable. Runs callbacks, which may begin, cancel and
 * close anything of this client but the client itself. From inside one it does nothing. */
void flocks_client_process(struct flocks_client *client);

/* `typed` is the caller's own function; `deliver` knows its type (flocks/calls.h has both in one).
 */
typedef void (*flocks_deliver_fn)(rpc_typed_fn typed, void *data, const struct flocks_error *error,
    const ProtobufCMessage *response);
/* Begins what flocks_client_call does. `typed` runs once, from flocks_client_process: either
 * `error` or `response` is NULL, both are borrowed. `request` is copied. NULL: not begun, *error
 * says why, nothing will run. What is answered lives until `typed` runs or flocks_pending_cancel.
 */
struct flocks_pending *flocks_client_begin(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, flocks_deliver_fn deliver, rpc_typed_fn typed, void *data,
    struct flocks_error **error);
/* Gives the call up; its callback does not run. */
void flocks_pending_cancel(struct flocks_pending *pending);

/* Each may be NULL. */
struct flocks_stream_hooks {
    /* Borrowed until it returns. RPC_TAKE_LATER: the same one again, after flocks_stream_wake;
     * meanwhile the connection is not read. */
    enum rpc_take (*message)(const void *typed, void *data, struct flocks_stream *stream,
        const ProtobufCMessage *message);
    /* Once, last: NULL for an end with OK. The stream must still be closed, now or later. */
    void (*ended)(const void *typed, void *data, struct flocks_stream *stream,
        const struct flocks_error *error);
};
/* Begins what flocks_client_open does. `hooks`, `typed` and `data` outlive it. */
struct flocks_stream *flocks_client_watch(struct flocks_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, const struct flocks_stream_hooks *hooks, const void *typed,
    void *data, struct flocks_error **error);
void flocks_stream_wake(struct flocks_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
