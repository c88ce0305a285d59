/* The server's side of one call: what handlers see, and what generated <file>.server.{h,c} stand
 * on.
 *
 * Everything runs on one thread. A call is finished exactly once; what it allocated dies with it.
 * A unary handler replies or fails, now or later. A handler of a streaming method begins a stream,
 * now or later, or fails; from then on the stream's hooks do the work:
 *
 *     kind            the handler gets    messages in     messages out     the end
 *     server stream   the request         -               `next`           `next` answers DONE
 *     client stream   nothing             `message`       -                _reply
 *     bidirectional   nothing             `message`       `next`           `next` answers DONE
 *
 * and rpc_call_fail ends any of them at any time. */
#ifndef CRPC_CALL_H
#define CRPC_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "crpc/code.h"
#include "crpc/method.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One call; every generated typed call handle is one of these underneath. */
struct rpc_call;

/* What a generated `<prefix>_<service>_service()` answers: methods, handlers and their `self`.
 * `invoke[i]` is called for `methods[i]` with the decoded request, which is NULL where the client
 * streams; NULL answers UNIMPLEMENTED. */
typedef void (*rpc_invoke_fn)(
    const void *handlers, void *self, struct rpc_call *call, const ProtobufCMessage *request);
struct rpc_service {
    const char *name;
    size_t n_methods;
    const struct rpc_method *methods;
    const rpc_invoke_fn *invoke;
    const void *handlers;
    void *self;
};

/* ---- facts of a call ---- */

/* Memory that lives until the call is finished, of a stream until `closed` has returned; NULL when
 * the call's cap is reached (then fail it with RPC_RESOURCE_EXHAUSTED). */
void *rpc_call_alloc(struct rpc_call *call, size_t size);
/* Monotonic milliseconds (CLOCK_MONOTONIC); INT64_MAX: none. */
int64_t rpc_call_deadline_ms(const struct rpc_call *call);
/* Who calls, as the kernel says (SO_PEERCRED); pid 0 and uid UINT32_MAX where unknown. */
struct rpc_peer {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);
/* NULL: the call is at the gate (crpc/server.h), and its method is unknown. */
const struct rpc_method *rpc_call_method(const struct rpc_call *call);

/* One pair of the request's metadata. Keys are lower-case; several pairs may share one. Values are
 * text without NUL, or any bytes where the key ends in "-bin"; a NUL follows either. */
struct rpc_metadata {
    const char *key;
    const char *value;
    size_t value_len;
};
/* All pairs in the order they came; valid until the call is finished. */
const struct rpc_metadata *rpc_call_metadata(const struct rpc_call *call, size_t *out_n);
/* The first value of `key` (lower-case), or NULL. */
const char *rpc_call_metadata_value(const struct rpc_call *call, const char *key);

/* What the caller gets before the first message, and with the status. Over gRPC; ttrpc has no place
 * for them and drops them. Keys are lower-case ([0-9a-z_.-], none of the protocol's own such as
 * grpc-*); values are printable ASCII without spaces at the ends, or any bytes where the key ends
 * in "-bin"; both are copied. RPC_OK; RPC_INVALID_ARGUMENT: a key or value that cannot be sent;
 * RPC_RESOURCE_EXHAUSTED: RPC_METADATA_BYTES_MAX or RPC_METADATA_PAIRS_MAX of either, or the memory
 * of the call. A header also RPC_FAILED_PRECONDITION: they have gone already. */
enum rpc_code rpc_call_add_header(
    struct rpc_call *call, const char *key, const void *value, size_t value_len);
enum rpc_code rpc_call_add_trailer(
    struct rpc_call *call, const char *key, const void *value, size_t value_len);
/* Sends the headers now, before the first message. Else they go with it, or with the status. */
void rpc_call_send_headers(struct rpc_call *call);

/* ---- the end of a call ---- */

/* Ends the call with an error. `code` is not RPC_OK. `detail` (packed into
 * google.rpc.Status.details as an Any of its own full name) may be NULL. */
void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* For a call that has not begun a stream. `cancelled` runs once if the caller goes away or the
 * deadline passes before the handler has finished the call; what happened before it was set is not
 * told, so it is set in the handler, before the loop goes on. Either way the handler must still
 * finish it (reply, fail or begin), from inside `cancelled` or later. After a deadline an answer
 * given from inside `cancelled` is still sent; every other one is dropped, and the caller of a call
 * that was not answered gets RPC_DEADLINE_EXCEEDED. */
void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *data), void *data);

/* ---- streams ---- */

/* What a stream's `next` did. */
enum rpc_pull {
    /* It sent one message. `next` is called again as soon as there is room. */
    RPC_PULL_SENT,
    /* It has nothing: `next` is called again after the stream was woken. */
    RPC_PULL_LATER,
    /* No message will follow: the call ends with OK, whether or not the client has half-closed. */
    RPC_PULL_DONE
};

/* The hooks of a stream as generated code hands them to the engine: thunks that know the types.
 * `source` is the typed struct of functions, `state` the handler's own. Each may be NULL where the
 * kind has no use for it. No hook runs inside another one of the same stream, or inside
 * _begin, _send or _wake. A hook may fail the call; what it answers is then ignored. */
struct rpc_stream_hooks {
    /* The connection has room. Sends at most one message. */
    enum rpc_pull (*next)(const void *source, void *state, struct rpc_call *call);
    /* One message has come; borrowed until it returns. */
    enum rpc_take (*message)(
        const void *source, void *state, struct rpc_call *call, const ProtobufCMessage *message);
    /* No further message will come. */
    void (*half_closed)(const void *source, void *state, struct rpc_call *call);
    /* The stream is over: RPC_OK, the code it was failed with (by its handler, or by the engine for
     * a bad message or a bound), RPC_CANCELLED (the caller gave up or went away) or
     * RPC_DEADLINE_EXCEEDED. Exactly once, last, whatever happened, and at once: no later than the
     * hook that runs returns. Frees `state`. The call must not be touched. */
    void (*closed)(const void *source, void *state, enum rpc_code code);
};

/* What generated code stands on. */

/* The handler's answer to a streaming method, once. `hooks` and `source` outlive the stream. When
 * the call is over already, `closed` runs before this returns. */
void rpc_call_begin_stream(
    struct rpc_call *call, const struct rpc_stream_hooks *hooks, const void *source, void *state);
/* Only from `next`, at most once each time. RPC_OK; RPC_RESOURCE_EXHAUSTED: not sent, larger than
 * RPC_MESSAGE_BYTES_MAX or no memory, and the stream goes on. The message is encoded before this
 * returns. */
enum rpc_code rpc_call_send_message(struct rpc_call *call, const ProtobufCMessage *message);
/* What has answered LATER is asked again, soon, but not before this returns. From inside a hook it
 * does not concern what that hook is about to answer: else one that wakes and answers LATER would
 * be asked for ever. */
void rpc_call_wake(struct rpc_call *call);
/* Ends a unary or client-streaming call with its one answer, encoded before this returns. */
void rpc_call_reply_message(struct rpc_call *call, const ProtobufCMessage *response);
/* Ends the call as one without a handler: RPC_UNIMPLEMENTED, with the server's own typed detail. */
void rpc_call_not_implemented(struct rpc_call *call);

#ifdef __cplusplus
}
#endif
#endif
