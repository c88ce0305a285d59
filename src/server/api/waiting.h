/* Calls that wait for an operation: answered at its change or end, or shortly before their
 * deadline, or not at all when the caller has gone. The work itself is never touched. */
#ifndef FLOCKS_API_WAITING_H
#define FLOCKS_API_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "crpc/crpc.h"
#include "server/supervise/supervisor.h"

/* Everybody who waits. Embedded in struct api; private. */
struct waiting_room {
    struct supervisor *supervisor;
    struct list calls;
    uv_timer_t *timer;
};

/* How a wait ended. */
enum waiting_end {
    WAITING_READY, /* what was waited for is so */
    WAITING_LATE   /* the deadline is near */
};

/* Answers the call: rpc_call_reply_message or rpc_call_fail, exactly once. `id` lives until it
 * returns. */
typedef void (*waiting_answer_fn)(struct supervisor *supervisor, struct rpc_call *call,
    const char *id, enum waiting_end end, const void *context);

NODISCARD int waiting_room_open(
    struct waiting_room *room, uv_loop_t *loop, struct supervisor *supervisor, struct error *error);
/* Fails every waiting call: UNAVAILABLE, reason SHUTTING_DOWN. */
void waiting_room_close(struct waiting_room *room);

struct waiting_for {
    const char *operation_id;
    enum supervisor_wait_for what;
    uint32_t seen_revision;
    waiting_answer_fn answer;
    /* Given to `answer`; static, or memory of the call. */
    const void *context;
};
/* Sees to the call's answer: from inside this call when it is ready so already, or when it cannot
 * wait (it fails then); else later. */
void waiting_begin(
    struct waiting_room *room, struct rpc_call *call, const struct waiting_for *waiting_for);

/* When a call with this deadline, taken at `now_ms`, has to be answered: API_ANSWER_MARGIN_MS
 * before, or a quarter of its time. CLOCK_NEVER for none. Pure. */
int64_t waiting_due_at(int64_t deadline_at, int64_t now_ms);

#endif
