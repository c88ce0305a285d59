/* The API behind the real engine, called frame by frame without a socket. */
#ifndef TEST_API_CALLER_H
#define TEST_API_CALLER_H

#include <stdbool.h>
#include <uv.h>

#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/types.info.h"
#include "flocks/v1/upgrade.methods.h"
#include "flocks/v1/upgrade.names.h"

#include "fake_supervisor.h"
#include "server/api/api.h"

struct caller {
    uv_loop_t loop;
    struct supervisor supervisor;
    struct api *api;
    struct rpc_server *server;
    struct rpc_connection *connection;
    uint32_t next_stream;
};

/* One answer, taken apart. Free with answer_free. */
struct answer {
    int code;
    char message[256];
    /* NULL on failure. */
    ProtobufCMessage *response;
    /* NULL when there is none. */
    flocks_error_detail *detail;
};

/* Peer: pid 77, `uid`. */
void caller_open(struct caller *caller, uint32_t uid);
void caller_close(struct caller *caller);
/* timeout_ms 0: no deadline. */
void caller_send(struct caller *caller, const struct rpc_method *method,
    const ProtobufCMessage *request, int64_t timeout_ms);
/* Opens a server stream. */
void caller_open_stream(
    struct caller *caller, const struct rpc_method *method, const ProtobufCMessage *request);
/* False: nothing has been answered yet. */
bool caller_receive(struct caller *caller, const struct rpc_method *method, struct answer *out);
/* Turns the loop until there is an answer; of a stream, a message, a failure, or its good end: then
 * there is no response. */
void caller_await(struct caller *caller, const struct rpc_method *method, struct answer *out);
/* Send and receive at once. */
void caller_call(struct caller *caller, const struct rpc_method *method,
    const ProtobufCMessage *request, struct answer *out);
/* The connection is gone. */
void caller_leave(struct caller *caller);
void answer_free(struct answer *answer);

#endif
