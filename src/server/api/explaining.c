#include "server/api/explaining.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "server/api/api.h"
#include "server/api/failure.h"
#include "server/api/waiting.h"
#include "server/output/log_tail.h"

/* A log that is being read: its path and its lines are the thread's until it is done. */
struct log_read {
    struct list link;              /* in explaining.reads */
    struct explaining *explaining; /* NULL: closed */
    struct explain_call *asker;    /* NULL: answered */
    uv_work_t work;
    char path[PATH_MAX];
    struct log_tail tail;
};

/* One call that waits. In the call's memory, so it dies with the answer. */
struct explain_call {
    struct list link; /* in explaining.calls */
    struct explaining *explaining;
    struct flocks_explain_service_call *call;
    const char *service; /* the request's */
    struct log_read *read;
    int64_t due_at;
};

static struct explain_call *call_of(struct list *link)
{
    return CONTAINER_OF(link, struct explain_call, link);
}

/* ---- answers ---- */

static void add_tail(
    flocks_explain_service_response *response, const struct log_tail *tail, struct arena *arena)
{
    response->output_tail = arena_calloc(arena, tail->n_lines + 1, sizeof(char *));
    for (size_t i = 0; response->output_tail != NULL && i < tail->n_lines; i++)
        response->output_tail[response->n_output_tail++] = tail->lines[i];
}

/* `tail` NULL: nothing could be read in time. */
static void answer(struct supervisor *supervisor, struct flocks_explain_service_call *call,
    const char *service, const struct log_tail *tail)
{
    flocks_explain_service_response response = FLOCKS_EXPLAIN_SERVICE_RESPONSE_INIT;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_explain(supervisor, service, &arena, &response, &error) < 0) {
        api_fail(flocks_explain_service_base(call), &error, NULL);
    } else {
        if (tail != NULL)
            add_tail(&response, tail, &arena);
        flocks_explain_service_reply(call, &response);
    }
    arena_deinit(&arena);
}

static void leave(struct explain_call *asker)
{
    list_remove(&asker->link);
    asker->explaining->n_calls--;
    if (asker->read != NULL)
        asker->read->asker = NULL;
    asker->read = NULL;
}

static void finish(struct explain_call *asker, const struct log_tail *tail)
{
    leave(asker);
    answer(asker->explaining->supervisor, asker->call, asker->service, tail);
}

/* The caller went away, or its time is up. */
static void on_cancelled(void *data)
{
    finish(data, NULL);
}

/* ---- reading ---- */

static void read_log(uv_work_t *work)
{
    struct log_read *read = CONTAINER_OF(work, struct log_read, work);

    log_tail_read(read->path, &read->tail);
}

static void begin_reads(struct explaining *explaining);

static void on_read(uv_work_t *work, int status)
{
    struct log_read *read = CONTAINER_OF(work, struct log_read, work);
    struct explaining *explaining = read->explaining;

    list_remove(&read->link);
    if (explaining != NULL) {
        explaining->n_reads--;
        if (read->asker != NULL)
            finish(read->asker, status == 0 ? &read->tail : NULL);
        begin_reads(explaining);
    }
    free(read);
}

static bool begin_read(struct explain_call *asker)
{
    struct explaining *explaining = asker->explaining;
    struct log_read *read = calloc(1, sizeof *read);

    if (read == NULL ||
        !supervisor_find_log(
            explaining->supervisor, asker->service, read->path, sizeof read->path) ||
        uv_queue_work(explaining->loop, &read->work, read_log, on_read) != 0) {
        free(read);
        return false;
    }
    read->explaining = explaining;
    read->asker = asker;
    asker->read = read;
    list_append(&explaining->reads, &read->link);
    explaining->n_reads++;
    return true;
}

static struct explain_call *next_asker(struct explaining *explaining)
{
    LIST_FOR_EACH(link, &explaining->calls)
    {
        if (call_of(link)->read == NULL)
            return call_of(link);
    }
    return NULL;
}

static void begin_reads(struct explaining *explaining)
{
    struct explain_call *asker;

    while (explaining->n_reads < EXPLAINING_READS_MAX && (asker = next_asker(explaining)) != NULL) {
        if (!begin_read(asker))
            finish(asker, NULL);
    }
}

/* ---- time ---- */

static void arm(struct explaining *explaining);

static void on_timer(uv_timer_t *timer)
{
    struct explaining *explaining = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    struct list due;

    list_init(&due);
    LIST_FOR_EACH_SAFE(link, &explaining->calls)
    {
        if (call_of(link)->due_at <= now_ms) {
            list_remove(link);
            list_append(&due, link);
        }
    }
    while (!list_is_empty(&due))
        finish(call_of(due.next), NULL);
    arm(explaining);
}

static void arm(struct explaining *explaining)
{
    int64_t next = CLOCK_NEVER;
    int64_t now_ms = clock_monotonic_ms();

    LIST_FOR_EACH(link, &explaining->calls)
    {
        if (call_of(link)->due_at < next)
            next = call_of(link)->due_at;
    }
    if (next == CLOCK_NEVER) {
        (void)uv_timer_stop(explaining->timer);
        return;
    }
    uv_update_time(explaining->loop);
    (void)uv_timer_start(
        explaining->timer, on_timer, next > now_ms ? (uint64_t)(next - now_ms) : 0, 0);
}

/* ---- calls ---- */

static struct explain_call *new_call(struct explaining *explaining,
    struct flocks_explain_service_call *call, const flocks_explain_service_request *request)
{
    struct rpc_call *base = flocks_explain_service_base(call);
    int64_t now_ms = clock_monotonic_ms();
    int64_t patience_at = clock_add_ms(now_ms, EXPLAINING_PATIENCE_MS);
    struct explain_call *asker;

    if (explaining->n_calls >= EXPLAINING_CALLS_MAX)
        return NULL;
    asker = rpc_call_alloc(base, sizeof *asker);
    if (asker == NULL)
        return NULL;
    *asker = (struct explain_call){.explaining = explaining,
        .call = call,
        .service = request->service,
        .due_at = waiting_due_at(rpc_call_deadline_ms(base), now_ms)};
    if (patience_at < asker->due_at)
        asker->due_at = patience_at;
    list_init(&asker->link);
    return asker;
}

void explaining_service(struct explaining *explaining, struct flocks_explain_service_call *call,
    const flocks_explain_service_request *request)
{
    char path[PATH_MAX];
    struct explain_call *asker = NULL;

    if (supervisor_find_log(explaining->supervisor, request->service, path, sizeof path))
        asker = new_call(explaining, call, request);
    if (asker == NULL) {
        answer(explaining->supervisor, call, request->service, NULL);
        return;
    }
    list_append(&explaining->calls, &asker->link);
    explaining->n_calls++;
    rpc_call_on_cancel(flocks_explain_service_base(call), on_cancelled, asker);
    arm(explaining);
    begin_reads(explaining);
}

/* ---- life ---- */

int explaining_open(struct explaining *explaining, uv_loop_t *loop, struct supervisor *supervisor,
    struct error *error)
{
    int result;

    *explaining = (struct explaining){.loop = loop, .supervisor = supervisor};
    list_init(&explaining->calls);
    list_init(&explaining->reads);
    explaining->timer = calloc(1, sizeof(*explaining->timer));
    if (explaining->timer == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the API's timer");
    result = uv_timer_init(loop, explaining->timer);
    if (result != 0) {
        free(explaining->timer);
        return error_set_errno(error, -result, "make the API's timer");
    }
    explaining->timer->data = explaining;
    uv_unref((uv_handle_t *)explaining->timer);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

void explaining_close(struct explaining *explaining)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    while (!list_is_empty(&explaining->calls)) {
        struct explain_call *asker = call_of(explaining->calls.next);

        leave(asker);
        api_fail(flocks_explain_service_base(asker->call), &error, NULL);
    }
    LIST_FOR_EACH_SAFE(link, &explaining->reads)
    {
        CONTAINER_OF(link, struct log_read, link)->explaining = NULL;
        list_remove(link);
    }
    uv_close((uv_handle_t *)explaining->timer, on_timer_closed);
}
