#include "server/api/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/base/clock.h"
#include "server/api/api.h"
#include "server/api/failure.h"

/* One waiting call. Lives in the call's memory, so it dies with the answer. */
struct waiting {
    struct list link; /* in the room's calls */
    struct waiting_room *room;
    struct rpc_call *call;
    struct supervisor_wait *wait;
    waiting_answer_fn answer;
    const void *context;
    int64_t due_at;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
};

static struct waiting *waiting_of(struct list *link)
{
    return CONTAINER_OF(link, struct waiting, link);
}

int64_t waiting_due_at(int64_t deadline_at, int64_t now_ms)
{
    int64_t left;
    int64_t margin;

    if (deadline_at == CLOCK_NEVER)
        return CLOCK_NEVER;
    left = deadline_at > now_ms ? deadline_at - now_ms : 0;
    margin = left / 4 < API_ANSWER_MARGIN_MS ? left / 4 : API_ANSWER_MARGIN_MS;
    return deadline_at - margin;
}

/* Nothing tells the call any more but whoever is about to finish it. */
static void leave(struct waiting *waiting)
{
    list_remove(&waiting->link);
    supervisor_wait_cancel(waiting->wait);
    waiting->wait = NULL;
}

static void finish(struct waiting *waiting, enum waiting_end end)
{
    struct supervisor *supervisor = waiting->room->supervisor;
    struct rpc_call *call = waiting->call;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    leave(waiting);
    memcpy(id, waiting->id, sizeof(id));
    waiting->answer(supervisor, call, id, end, waiting->context);
}

static void on_ready(void *data)
{
    struct waiting *waiting = data;

    waiting->wait = NULL; /* gone by itself */
    finish(waiting, WAITING_READY);
}

/* The caller went away, or the deadline came before the timer: the call still has to be finished.
 */
static void on_cancelled(void *data)
{
    finish(data, WAITING_LATE);
}

static void arm(struct waiting_room *room);

static void on_timer(uv_timer_t *timer)
{
    struct waiting_room *room = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    struct list due;

    list_init(&due);
    LIST_FOR_EACH_SAFE(link, &room->calls)
    {
        if (waiting_of(link)->due_at <= now_ms) {
            list_remove(link);
            list_append(&due, link);
        }
    }
    while (!list_is_empty(&due))
        finish(waiting_of(due.next), WAITING_LATE);
    arm(room);
}

static void arm(struct waiting_room *room)
{
    int64_t next = CLOCK_NEVER;
    int64_t now_ms = clock_monotonic_ms();

    LIST_FOR_EACH(link, &room->calls)
    {
        if (waiting_of(link)->due_at < next)
            next = waiting_of(link)->due_at;
    }
    if (next == CLOCK_NEVER) {
        (void)uv_timer_stop(room->timer);
        return;
    }
    /* Fails only for a closing timer or a NULL callback. */
    uv_update_time(room->timer->loop);
    (void)uv_timer_start(room->timer, on_timer, next > now_ms ? (uint64_t)(next - now_ms) : 0, 0);
}

int waiting_room_open(
    struct waiting_room *room, uv_loop_t *loop, struct supervisor *supervisor, struct error *error)
{
    int result;

    list_init(&room->calls);
    room->supervisor = supervisor;
    room->timer = calloc(1, sizeof(*room->timer));
    if (!room->timer)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the API's timer");
    result = uv_timer_init(loop, room->timer);
    if (result != 0) {
        free(room->timer);
        return error_set_errno(error, -result, "make the API's timer");
    }
    room->timer->data = room;
    uv_unref((uv_handle_t *)room->timer);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

void waiting_room_close(struct waiting_room *room)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    while (!list_is_empty(&room->calls)) {
        struct waiting *waiting = waiting_of(room->calls.next);
        char id[SUPERVISOR_OPERATION_ID_SIZE];

        leave(waiting);
        memcpy(id, waiting->id, sizeof(id));
        api_fail(waiting->call, &error, id);
    }
    uv_close((uv_handle_t *)room->timer, on_timer_closed);
}

static struct waiting *waiting_new(
    struct waiting_room *room, struct rpc_call *call, const struct waiting_for *waiting_for)
{
    struct waiting *waiting = rpc_call_alloc(call, sizeof(*waiting));

    if (!waiting || strlen(waiting_for->operation_id) >= sizeof(waiting->id))
        return NULL;
    memset(waiting, 0, sizeof(*waiting));
    list_init(&waiting->link);
    waiting->room = room;
    waiting->call = call;
    waiting->answer = waiting_for->answer;
    waiting->context = waiting_for->context;
    waiting->due_at = waiting_due_at(rpc_call_deadline_ms(call), clock_monotonic_ms());
    memcpy(waiting->id, waiting_for->operation_id, strlen(waiting_for->operation_id) + 1);
    return waiting;
}

void waiting_begin(
    struct waiting_room *room, struct rpc_call *call, const struct waiting_for *waiting_for)
{
    struct waiting *waiting = waiting_new(room, call, waiting_for);
    struct error error = ERROR_INIT;
    int result;

    if (!waiting) {
        (void)error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory left for this call");
        api_fail(call, &error, waiting_for->operation_id);
        return;
    }
    result = supervisor_wait(room->supervisor, waiting->id, waiting_for->what,
        waiting_for->seen_revision, on_ready, waiting, &waiting->wait, &error);
    if (result < 0) {
        api_fail(call, &error, waiting->id);
        return;
    }
    if (result == SUPERVISOR_ALREADY) {
        finish(waiting, WAITING_READY);
        return;
    }
    list_append(&room->calls, &waiting->link);
    rpc_call_on_cancel(call, on_cancelled, waiting);
    arm(room);
}
