/* A client of one connection: what generated <file>.client.{h,c} stand on.
 *
 * It is used in one of two ways. Blocking: calls return when they are answered, at the latest at
 * their deadline. Attached: the caller's own loop watches one descriptor, nothing ever blocks, and
 * answers arrive as callbacks from rpc_client_process. A client belongs to one thread at a time,
 * and to one process: a child of fork() connects anew.
 *
 * Many calls and streams share a connection. ttrpc has no flow control: a stream that is not read
 * is kept up to RPC_INBOUND_MESSAGES_MAX messages and RPC_INBOUND_BYTES_MAX bytes, then it is
 * cancelled and ends with RPC_RESOURCE_EXHAUSTED; the others go on. */
#ifndef CRPC_CLIENT_H
#define CRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "crpc/code.h"
#include "crpc/method.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rpc_client;
struct rpc_stream;
struct rpc_pending;

/* ---- results ---- */

enum rpc_result {
    RPC_DONE = 0,
    /* The other side has ended the stream with OK. */
    RPC_END = 1,
    /* Attached clients, sending: the message was taken, and no more should be before `writable`.
     * Blocking streams with a patience: nothing has come of it yet; the stream goes on. */
    RPC_AGAIN = 2,
    RPC_ERROR = -1
};

/* One typed detail of an error, packed. */
struct rpc_error_detail {
    char *type_name; /* "flocks.v1.ErrorDetail" */
    uint8_t *value;
    size_t value_len;
};

/* Why a call failed. Owned by the caller of the call: rpc_error_free. */
struct rpc_error {
    enum rpc_code code;
    char *message;
    /* False: produced on this side (connection, deadline, decoding), not sent by the server. */
    bool from_server;
    /* errno of the failed system call, 0 if none. */
    int system_error;
    size_t n_details;
    struct rpc_error_detail *details;
};
/* NULL is fine. */
void rpc_error_free(struct rpc_error *error);

/* Metadata of a request: text. */
struct rpc_pair {
    const char *key; /* lower-case */
    const char *value;
};
struct rpc_options {
    /* Relative, for the whole call. <= 0: RPC_CLIENT_TIMEOUT_MS for calls with one answer, none for
     * those that stream answers. */
    int64_t timeout_ms;
    /* RPC_METADATA_PAIRS_MAX - 1 pairs and RPC_METADATA_BYTES_MAX bytes at most, UTF-8; else
     * RPC_INVALID_ARGUMENT. */
    const struct rpc_pair *metadata;
    size_t n_metadata;
};

/* Messages that a call handed over. NULL is fine. */
void rpc_message_free(const ProtobufCMessage *message);

/* ---- life ---- */

/* Connects to a unix socket path, blocking for `timeout_ms` at most (<= 0: RPC_CLIENT_TIMEOUT_MS).
 * NULL and *error on failure. */
struct rpc_client *rpc_client_connect(
    const char *path, int64_t timeout_ms, struct rpc_error **error);
struct sockaddr;
/* The same to any stream address of `len` bytes, "shown" so in errors. The protocol has no secrecy
 * and no identity of its own: of TCP only for loopback addresses, and with something in the
 * metadata that says who calls. */
struct rpc_client *rpc_client_connect_address(const struct sockaddr *address, size_t len,
    const char *shown, int64_t timeout_ms, struct rpc_error **error);
/* Speaks on a connected stream socket, which is consumed, also on failure. */
struct rpc_client *rpc_client_take_fd(int fd, struct rpc_error **error);
/* Streams must have been closed before. Pending calls of an attached client are dropped: their
 * callbacks do not run. Not from inside a callback. NULL is fine. */
void rpc_client_close(struct rpc_client *client);
/* False: no call can be begun here any more, each answers RPC_UNAVAILABLE, and a new connection is
 * needed: this one is gone, or its 2^31 call ids are used up. Calls in flight end by themselves. */
bool rpc_client_is_alive(const struct rpc_client *client);

/* ---- blocking calls; on an attached client they fail with RPC_FAILED_PRECONDITION ---- */

/* One unary call. RPC_DONE: `*out` is the caller's, freed with rpc_message_free. RPC_ERROR:
 * `*error` says why and `*out` is NULL. `options` may be NULL, here and below. */
enum rpc_result rpc_client_call(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct rpc_error **error);

/* Begins a call that streams. `request`: of a server stream; NULL for the others. NULL and *error
 * on failure. */
struct rpc_stream *rpc_client_open(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, struct rpc_error **error);
/* The longest that one of the functions below waits before it answers RPC_AGAIN; <= 0: as long as
 * the call's own deadline allows. */
void rpc_stream_set_patience(struct rpc_stream *stream, int64_t patience_ms);
/* The next message, the caller's. RPC_END: there is none, the call ended well. RPC_ERROR: it did
 * not, or the deadline passed. What came before the end is given before it; the end, once seen, is
 * answered again. */
enum rpc_result rpc_stream_next(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error);
/* Waits for room, then sends; what the socket does not take at once is written by whatever function
 * of the client follows. RPC_END: not sent, the server has ended the call; rpc_stream_next or
 * rpc_stream_finish say how. RPC_AGAIN: not sent. RPC_ERROR: not sent; a message too large, or one
 * for which there is no room, leaves the stream as it was. */
enum rpc_result rpc_stream_send(
    struct rpc_stream *stream, const ProtobufCMessage *message, struct rpc_error **error);
/* No further message from us. Idempotent. */
enum rpc_result rpc_stream_half_close(struct rpc_stream *stream, struct rpc_error **error);
/* Client streams: half-closes and waits for the one answer. */
enum rpc_result rpc_stream_finish(
    struct rpc_stream *stream, const ProtobufCMessage **out, struct rpc_error **error);
/* Cancels what has not ended, and frees the stream. NULL is fine. */
void rpc_stream_close(struct rpc_stream *stream);

/* ---- attached clients: driven by the caller's loop ---- */

/* From now on nothing blocks. Once, before the first call. */
void rpc_client_attach(struct rpc_client *client);
/* The descriptor to watch. Owned by the client. */
int rpc_client_fd(const struct rpc_client *client);
/* What to watch it for, RPC_WANTS_* together; changes with every function of this client. CLOSE:
 * the connection is gone, and all callbacks have run but those of streams that answered
 * RPC_TAKE_LATER: what these hold can still be had by waking them. */
unsigned rpc_client_wants(const struct rpc_client *client);
/* When rpc_client_process has to be called even if nothing is ready: CLOCK_MONOTONIC milliseconds,
 * INT64_MAX for never. */
int64_t rpc_client_next_at(const struct rpc_client *client);
/* Reads (64 KiB at most), writes and runs the callbacks that are due. Callbacks may begin, cancel,
 * send and close anything of this client but the client itself; from inside one it does nothing. */
void rpc_client_process(struct rpc_client *client);

/* `typed` is the caller's own function; the generated thunk `deliver` knows its type. */
typedef void (*rpc_typed_fn)(void);
typedef void (*rpc_deliver_fn)(rpc_typed_fn typed, void *data, const struct rpc_error *error,
    const ProtobufCMessage *response);
/* Begins a unary call. `typed` runs once, from rpc_client_process: either `error` or `response` is
 * NULL, both are borrowed. The answer is NULL when the call was not begun: *error says why, and
 * nothing will run. What is answered lives until `typed` runs or rpc_pending_cancel. */
struct rpc_pending *rpc_client_begin(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request, rpc_deliver_fn deliver,
    rpc_typed_fn typed, void *data, struct rpc_error **error);
/* Gives the call up; its callback does not run. */
void rpc_pending_cancel(struct rpc_pending *pending);

/* Hooks of an attached stream as generated code hands them over; `typed` is the typed struct of
 * functions, `data` the caller's. Each may be NULL. */
struct rpc_watch_hooks {
    /* Borrowed until it returns. */
    enum rpc_take (*message)(
        const void *typed, void *data, struct rpc_stream *stream, const ProtobufCMessage *message);
    /* After RPC_AGAIN: there is room again. */
    void (*writable)(const void *typed, void *data, struct rpc_stream *stream);
    /* Once, after the last message was taken: NULL for an end with OK. Borrowed. The stream must
     * still be closed, now or later. */
    void (*ended)(
        const void *typed, void *data, struct rpc_stream *stream, const struct rpc_error *error);
};
/* Begins a call that streams. `hooks` and `typed` outlive it. rpc_stream_send and
 * rpc_stream_half_close do not wait on such a stream; rpc_stream_close is legal at any time, from
 * its own hooks too, and no hook runs after it. A client stream's one answer is its `message`. */
struct rpc_stream *rpc_client_watch(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const struct rpc_watch_hooks *hooks, const void *typed, void *data, struct rpc_error **error);
/* A message that was answered RPC_TAKE_LATER is given again, from the next rpc_client_process,
 * which is due at once. */
void rpc_stream_wake(struct rpc_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
