/* A client of flocks in fixed memory: status, restart, stop, progress and explanation of services
 * over ttrpc.
 *
 * No heap, no stdio, no thread, no signal: all memory is the caller's, and an answer of any length
 * is decoded from the socket as it comes, one service at a time, so that the largest flocks needs
 * no more of it than the smallest. A call blocks until its answer or its deadline (poll(2)) and
 * takes less than 8 KiB of stack. One connection carries one call at a time and belongs to one
 * thread.
 *
 * Messages are nanopb's structs under the short names of flocks/v1/supervisor.nano.h and
 * types.nano.h. Link with -lflocks-nano -lprotobuf-nanopb. */
#ifndef FLOCKS_NANO_H
#define FLOCKS_NANO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/supervisor.nano.h"
#include "flocks/v1/types.nano.h"

#include "crpc/code.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#define FLOCKS_NANO_NODISCARD __attribute__((warn_unused_result))
#else
#define FLOCKS_NANO_NODISCARD
#endif

enum {
    /* One read from the socket. */
    FLOCKS_NANO_READ_BYTES = 2048,
    /* Text of a failure; longer ones are cut between characters. */
    FLOCKS_NANO_TEXT_MAX = 511,
    /* A call's time when `timeout_ms` is 0. */
    FLOCKS_NANO_TIMEOUT_MS = 30 * 1000
};

/* Why a call failed. After RPC_OK: no text, no detail. */
struct flocks_nano_error {
    enum rpc_code code;
    /* For people; of the server, or of this library where no answer came. */
    char message[FLOCKS_NANO_TEXT_MAX + 1];
    /* The typed half, if the server sent it: reason, service, what was attempted, what to do, the
     * operation that goes on. */
    bool has_detail;
    flocks_error_detail detail;
};

/* One connection. Started by flocks_nano_connect or flocks_nano_use; may be copied or moved by
 * nobody while a call is in progress. */
struct flocks_nano {
    /* Of each call that follows; 0: FLOCKS_NANO_TIMEOUT_MS. */
    uint32_t timeout_ms;

    /* The library's own from here on. */
    int fd;
    bool is_owner;
    bool is_over;
    uint32_t next_stream_id;
    /* Of the frame whose header was read last, what has not been read yet. */
    uint32_t body_left;
    /* input[input_at] to input[input_end - 1] are read and not yet looked at. */
    size_t input_at;
    size_t input_end;
    uint8_t input[FLOCKS_NANO_READ_BYTES];
};

/* One service of an answer, in the order of their names. `service` is valid during the call of this
 * function only, which must not call back into the same connection. */
typedef void (*flocks_nano_service_fn)(void *data, const flocks_service_status *service);
/* What happened to one service in one operation, likewise. */
typedef void (*flocks_nano_outcome_fn)(void *data, const flocks_service_outcome *outcome);
/* How one generation of a service ended, likewise; the newest first. */
typedef void (*flocks_nano_exit_fn)(void *data, const flocks_exit_record *record);

/* Connects to the socket of a flocks, $FLOCKS_ROOT/run/flocksd.sock, within `timeout_ms` (0:
 * FLOCKS_NANO_TIMEOUT_MS), which then is that of the calls, too. `path` is borrowed. RPC_OK; or,
 * with nothing to close: RPC_INVALID_ARGUMENT, longer than a socket address (107 bytes);
 * RPC_PERMISSION_DENIED; RPC_DEADLINE_EXCEEDED; RPC_RESOURCE_EXHAUSTED, no descriptor;
 * RPC_UNAVAILABLE, nobody listens there. */
FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_connect(struct flocks_nano *nano, const char *path,
    uint32_t timeout_ms, struct flocks_nano_error *error);

/* Speaks over `fd`, a connected stream socket, blocking or not, on which nothing was sent. It stays
 * the caller's, who closes it after flocks_nano_close. */
void flocks_nano_use(struct flocks_nano *nano, int fd);

/* Ends the connection. What the server was asked to do goes on. Twice is harmless. */
void flocks_nano_close(struct flocks_nano *nano);

/* False: the connection broke, or a deadline passed in the middle of a request. Every call would
 * end with RPC_UNAVAILABLE; close and connect again. */
bool flocks_nano_is_usable(const struct flocks_nano *nano);

/* The calls. `request` is borrowed; an *_INIT one asks for all services. `error` is written always.
 * They end with RPC_OK; with the code of the server; or, with a text of this library, with
 *
 *   RPC_DEADLINE_EXCEEDED  the time is over. The connection stays usable, the next call passes over
 *                          what comes late; unless half a request had been sent;
 *   RPC_UNAVAILABLE        the connection ended before the answer did;
 *   RPC_INVALID_ARGUMENT   a text of the request has no end, or there are more services in it than
 *                          it has room for;
 *   RPC_RESOURCE_EXHAUSTED the answer is longer than RPC_MESSAGE_BYTES_MAX (crpc/limits.h);
 *   RPC_INTERNAL           the answer is not one, or a text in it is longer than the schema allows.
 *
 * The server is told a slightly earlier deadline (an eighth, 50 ms at most), so that its own
 * DEADLINE_EXCEEDED, with the operation in its detail, comes first.
 *
 * Services, outcomes and exits are told while the answer is being read, `on_...` NULL: not at all.
 * After any result but RPC_OK those told so far may be some of many. `response` is valid after
 * RPC_OK only; its repeated members are not in it, nor are those that types.options leaves out. */

FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_get_status(struct flocks_nano *nano,
    const flocks_get_status_request *request, flocks_nano_service_fn on_service, void *data,
    flocks_get_status_response *response, struct flocks_nano_error *error);

/* With `request->wait`, answers when the operation has ended; give it the time. Not repeated by
 * this library: a caller who does so sends the same `request_id` again. */
FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_restart_services(struct flocks_nano *nano,
    const flocks_restart_services_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_restart_services_response *response, struct flocks_nano_error *error);

/* As flocks_nano_restart_services; repeating it is harmless. */
FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_stop_services(struct flocks_nano *nano,
    const flocks_stop_services_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_stop_services_response *response, struct flocks_nano_error *error);

/* Progress. With `request->wait`, answers at the next change after `request->seen_revision`, or at
 * once when the operation has ended; else as it is. */
FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_get_operation(struct flocks_nano *nano,
    const flocks_get_operation_request *request, flocks_nano_outcome_fn on_outcome, void *data,
    flocks_get_operation_response *response, struct flocks_nano_error *error);

/* Why a service is in its state: its status, its exits, who holds its port, who asked for what
 * last, what to do. */
FLOCKS_NANO_NODISCARD enum rpc_code flocks_nano_explain_service(struct flocks_nano *nano,
    const flocks_explain_service_request *request, flocks_nano_exit_fn on_exit, void *data,
    flocks_explain_service_response *response, struct flocks_nano_error *error);

#ifdef __cplusplus
}
#endif
#endif
