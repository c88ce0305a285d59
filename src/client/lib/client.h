/* One flocks daemon as a client sees it: connects when needed, repeats what may be repeated, turns
 * every failure into a struct error. For programs with one thread and blocking calls. */
#ifndef FLOCKS_CLIENT_H
#define FLOCKS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "flocks/v1/types.names.h"

#include "common/base/error.h"
#include "crpc/crpc.h"

enum {
    /* Waits between attempts: none before the second, as connecting waits in the listener's queue
     * while one flocksd follows another; then this, then twice as long each time ... */
    FLOCKS_CLIENT_FIRST_RETRY_MS = 20,
    /* ... up to this. */
    FLOCKS_CLIENT_MAX_RETRY_MS = 1000
};

/* Positive condition: nobody holds the instance lock, so nobody will answer. */
enum { FLOCKS_CLIENT_NOT_RUNNING = 1 };

struct flocks_client_options {
    /* paths.socket. Copied. */
    const char *socket;
    /* CLOCK_MONOTONIC milliseconds, CLOCK_NEVER for none: after it nothing is tried and nothing
     * waited for. */
    int64_t deadline_at;
    /* Whether a daemon may answer: asked when nobody does, before each repetition. NULL: always. */
    bool (*is_running)(void *data);
    void *data;
};

struct flocks_client;

/* Touches nothing yet: the first call connects. NULL without memory. */
struct flocks_client *flocks_client_new(const struct flocks_client_options *options);
void flocks_client_free(struct flocks_client *client);
/* For the calls that follow. */
void flocks_client_set_deadline(struct flocks_client *client, int64_t deadline_at);

/* One call of `method` (a row of the generated method tables). 0: *out is the caller's, of the type
 * of method->response, freed with rpc_message_free. FLOCKS_CLIENT_NOT_RUNNING: *out is NULL and
 * *error is not written. Negative: *error tells code, reason, service, text and hint as the server
 * gave them.
 *
 * A call that got no answer (UNAVAILABLE) is repeated at once, then after 20, 40, 80 ms ... until
 * the deadline when it was never sent, when the method is idempotent, or when the request carries
 * a request_id. When the deadline ends that, the code is DEADLINE_EXCEEDED and the text says what
 * the last attempt saw. */
NODISCARD int flocks_client_call(struct flocks_client *client, const struct rpc_method *method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error);

/* The typed detail of the last call's error, NULL if it had none. Until the next call. */
const flocks_error_detail *flocks_client_error_detail(const struct flocks_client *client);

#endif
