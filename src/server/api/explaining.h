/* ExplainService: what the supervisor knows, and the last lines of the service's log, read on
 * another thread so that no disk is waited for here. */
#ifndef FLOCKS_API_EXPLAINING_H
#define FLOCKS_API_EXPLAINING_H

#include <uv.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/supervisor.h"

enum {
    /* Logs that are read at the same time: half of libuv's threads, so that a disk that hangs
     * leaves the others to whoever has to write something. */
    EXPLAINING_READS_MAX = 2,
    /* Calls that wait for a log; one more is answered at once, without it. */
    EXPLAINING_CALLS_MAX = 64,
    /* A call is answered without the log when that has not been read by then. */
    EXPLAINING_PATIENCE_MS = 500
};

/* Embedded in struct api; private. */
struct explaining {
    uv_loop_t *loop;
    struct supervisor *supervisor;
    uv_timer_t *timer;
    struct list calls; /* in the order they came */
    size_t n_calls;
    struct list reads; /* that are under way, whether or not anybody waits for them */
    size_t n_reads;
};

NODISCARD int explaining_open(struct explaining *explaining, uv_loop_t *loop,
    struct supervisor *supervisor, struct error *error);
/* Fails every waiting call with UNAVAILABLE, reason SHUTTING_DOWN. */
void explaining_close(struct explaining *explaining);

void explaining_service(struct explaining *explaining, struct flocks_explain_service_call *call,
    const flocks_explain_service_request *request);

#endif
