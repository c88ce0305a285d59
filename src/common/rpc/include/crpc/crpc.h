/* crpc: the run-time part that generated stubs name, and all that a program needs to serve or to
 * call.
 *
 * Server handlers run on one thread. A call is finished exactly once; everything it allocated dies
 * with it. Client calls block with a deadline, or are driven by the caller's own loop. */
#ifndef CRPC_CRPC_H
#define CRPC_CRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "crpc/code.h"
#include "crpc/info.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rpc_kind { RPC_UNARY, RPC_SERVER_STREAM, RPC_CLIENT_STREAM, RPC_BIDI };

/* One row of the generated method table. */
struct rpc_method {
    const char *service; /* "flocks.v1.SupervisorService" */
    const char *name;    /* "GetStatus" */
    enum rpc_kind kind;
    bool mutates;            /* (method).mutates: requests with unknown fields are refused */
    bool idempotent;         /* (method).idempotent: a client may repeat it */
    int64_t max_deadline_ms; /* (method).max_deadline; 0: no rule */
    const char *comment;
    const struct crpc_message_info *request;
    const struct crpc_message_info *response;
};

/* ---- server ---- */

/* One call; every generated typed call handle is one of these underneath. */
struct rpc_call;

/* What a generated `<prefix>_<service>_service()` answers: methods, handlers and their `self`.
 * `invoke[i]` is called for `methods[i]` with the decoded request; NULL answers UNIMPLEMENTED. */
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

/* Memory that lives until the call is finished; NULL when the call's cap is reached (then fail it
 * with RPC_RESOURCE_EXHAUSTED). */
void *rpc_call_alloc(struct rpc_call *call, size_t size);
/* Ends the call with an error. `detail` (packed into google.rpc.Status.details as an Any of its own
 * full name) may be NULL. */
void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const ProtobufCMessage *detail,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* `cancelled` runs once if the caller goes away or the deadline passes before
 * the handler has finished the call. Either way the handler must still finish it
 * (reply or fail), from inside `cancelled` or later. After a deadline an answer
 * given from inside `cancelled` is still sent; every other one is dropped, and
 * the caller of a call that was not answered gets RPC_DEADLINE_EXCEEDED. */
void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *data), void *data);
/* Monotonic milliseconds (CLOCK_MONOTONIC); INT64_MAX: none. */
int64_t rpc_call_deadline_ms(const struct rpc_call *call);
/* Who calls, as the kernel says (SO_PEERCRED); pid 0 and uid UINT32_MAX where unknown. */
struct rpc_peer {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};
const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);
const struct rpc_method *rpc_call_method(const struct rpc_call *call);

/* What generated code stands on. */
void rpc_call_reply_message(struct rpc_call *call, const ProtobufCMessage *response);
/* Ends the call as one without a handler: RPC_UNIMPLEMENTED, with the server's own typed detail. */
void rpc_call_not_implemented(struct rpc_call *call);

/* ---- client ---- */

struct rpc_client;

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
void rpc_error_free(struct rpc_error *error);

struct rpc_pair {
    const char *key;
    const char *value;
};
struct rpc_options {
    /* Relative; <= 0: the client's default. */
    int64_t timeout_ms;
    const struct rpc_pair *metadata;
    size_t n_metadata;
};

enum rpc_result { RPC_DONE = 0, RPC_END = 1, RPC_ERROR = -1 };

/* Connects to a unix socket path. NULL and *error on failure. */
struct rpc_client *rpc_client_connect(
    const char *path, int64_t timeout_ms, struct rpc_error **error);
/* Speaks on a connected stream socket, which is consumed, also on failure. */
struct rpc_client *rpc_client_take_fd(int fd, struct rpc_error **error);
void rpc_client_close(struct rpc_client *client);

/* One unary call, blocking until the answer or the deadline. RPC_DONE:
 * `*out` is the caller's, freed with rpc_message_free. RPC_ERROR:
 * `*error` says why and `*out` is NULL. `options` may be NULL. */
enum rpc_result rpc_client_call(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const ProtobufCMessage **out, struct rpc_error **error);
void rpc_message_free(const ProtobufCMessage *message);

#ifdef __cplusplus
}
#endif
#endif
