/* WatchOperation decides; WatchEvents is for the eye only, and its failure is nobody's. */
#include "client/cli/operation_watch.h"

#include <stdio.h>

#include "client/cli/board.h"
#include "client/cli/status_view.h"
#include "client/cli/watch.h"
#include "client/cli/wording.h"
#include "common/base/clock.h"

struct follow {
    struct daemon *daemon;
    const char *id;
    struct watch watch;
    struct board *board; /* NULL: services are not shown */
    struct flocks_stream *stream;
    struct flocks_stream *events;
    struct progress *progress;
    struct operation_end *now; /* the latest */
    bool has_news;
    bool events_have_ended;
    bool stream_has_ended;
    int64_t again_at; /* when to begin the stream again; CLOCK_NEVER: it lasts */
    int result;       /* of the stream */
    struct error error;
};

/* ---- hooks ---- */

static enum rpc_take take_operation(
    void *data, struct flocks_stream *stream, const flocks_watch_operation_response *message)
{
    (void)stream;
    struct follow *follow = data;
    if (message->operation && operation_keep(follow->now, message->operation, &follow->error) < 0)
        follow->result = -STATUS_RESOURCE_EXHAUSTED;
    follow->has_news = true;
    return RPC_TAKE_DONE;
}

static void take_operation_end(
    void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    struct follow *follow = data;
    follow->stream_has_ended = true;
    if (follow->result == 0)
        follow->result = watch_end_of(failure, &follow->error);
}

static enum rpc_take take_event(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *item)
{
    (void)stream;
    struct follow *follow = data;
    if (board_apply(follow->board, item) == 0)
        follow->has_news = true;
    return RPC_TAKE_DONE;
}

static void take_events_end(
    void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    (void)failure;
    struct follow *follow = data;
    follow->events_have_ended = true;
}

/* ---- streams ---- */

static int begin(struct follow *follow, struct error *error)
{
    static const struct flocks_client_watch_operation_hooks hooks = {
        .message = take_operation, .ended = take_operation_end};
    struct flocks_error *failure = NULL;
    flocks_watch_operation_request request = FLOCKS_WATCH_OPERATION_REQUEST_INIT;
    request.operation_id = follow->id;
    flocks_stream_close(follow->stream);
    follow->stream_has_ended = false;
    follow->again_at = CLOCK_NEVER;
    follow->result = 0;
    follow->stream = flocks_client_watch_operation_watch(
        follow->watch.client, NULL, &request, &hooks, follow, &failure);
    if (follow->stream)
        return 0;
    int result = daemon_take_failure(failure, error);
    flocks_error_free(failure);
    return result;
}

/* Of the operation's own services; of all where there are many. */
static void begin_events(struct follow *follow)
{
    static const struct flocks_client_watch_events_hooks hooks = {
        .message = take_event, .ended = take_events_end};
    const flocks_operation *operation = follow->now->operation;
    const char *names[PROGRESS_SERVICES];
    size_t n = operation->n_outcomes <= PROGRESS_SERVICES ? operation->n_outcomes : 0;
    for (size_t i = 0; i < n; i++)
        names[i] = operation->outcomes[i]->service;
    follow->board = board_new();
    follow->events_have_ended = !follow->board;
    if (follow->board &&
        watch_begin_events(&follow->watch, names, n, "", &hooks, follow, &follow->events, NULL) < 0)
        follow->events_have_ended = true;
}

/* The stream has ended without the operation. 0: it is to be begun again, because its flocksd has
 * gone. */
static int consider_end(struct follow *follow, struct error *error)
{
    if (follow->result == -STATUS_UNAVAILABLE) {
        follow->again_at = clock_add_ms(clock_monotonic_ms(), FLOCKS_CLIENT_FIRST_RETRY_MS);
        follow->stream_has_ended = false;
        return 0;
    }
    if (follow->result == 0)
        follow->result = error_set(&follow->error, STATUS_INTERNAL,
            "the daemon stopped telling about operation %s before its end", follow->id);
    *error = follow->error;
    return follow->result;
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_due(const struct follow *follow)
{
    int64_t due_at = earlier(follow->daemon->deadline_at, follow->again_at);
    if (follow->daemon->cli->live)
        due_at = earlier(due_at, clock_add_ms(clock_monotonic_ms(), PROGRESS_REDRAW_MS));
    return due_at;
}

static void show(struct follow *follow)
{
    bool knows = follow->board && board_has_news(follow->board);
    /* Lines are not written twice: better once with what the services do. */
    if (knows || follow->events_have_ended || follow->daemon->cli->live)
        progress_show(
            follow->progress, follow->now->operation, knows ? board_status(follow->board) : NULL);
}

/* Whether the events have told the end of every part already. */
static bool has_settled(const struct follow *follow)
{
    const flocks_operation *operation = follow->now->operation;
    for (size_t i = 0; i < operation->n_outcomes; i++) {
        const flocks_service_outcome *outcome = operation->outcomes[i];
        const flocks_service_status *status =
            status_view_find(board_status(follow->board), outcome->service);
        bool is_done = outcome->state != FLOCKS_OPERATION_STATE_SUCCEEDED || !status ||
                       wording_is_well((int)status->state) ||
                       status->state == FLOCKS_SERVICE_STATE_STOPPED;
        if (!is_done)
            return false;
    }
    return true;
}

/* Lines about the end, which comes over another connection than the events; a display is removed
 * anyway. */
static void show_end(struct follow *follow)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), OPERATION_SETTLE_MS);
    if (!follow->board || follow->daemon->cli->live)
        return;
    while (!follow->events_have_ended && !has_settled(follow))
        if (watch_wait(&follow->watch, until_at) == WATCH_DUE)
            break;
    show(follow);
}

/* What is to be done about the stream. */
static int look_after(struct follow *follow, struct error *error)
{
    if (follow->stream_has_ended)
        return consider_end(follow, error);
    return clock_monotonic_ms() >= follow->again_at ? begin(follow, error) : 0;
}

static int run(struct follow *follow, struct error *error)
{
    for (;;) {
        enum watch_wake wake = watch_wait(&follow->watch, next_due(follow));
        if (follow->now->operation && operation_has_ended(follow->now->operation)) {
            show_end(follow);
            return 0;
        }
        if (clock_monotonic_ms() >= follow->daemon->deadline_at)
            return operation_refuse_late(follow->id, error);
        int result = look_after(follow, error);
        if (result != 0)
            return result;
        if (follow->now->operation && !follow->board)
            begin_events(follow);
        if (follow->now->operation && (follow->has_news || wake == WATCH_DUE))
            show(follow);
        follow->has_news = false;
    }
}

int operation_watch(struct daemon *daemon, const char *id, struct progress *progress,
    struct operation_end *out, struct error *error)
{
    struct follow follow = {
        .daemon = daemon, .id = id, .progress = progress, .now = out, .error = ERROR_INIT};
    int result = watch_open(&follow.watch, daemon->cli, error);
    if (result == 0)
        result = begin(&follow, error);
    if (result == 0)
        result = run(&follow, error);
    flocks_stream_close(follow.events);
    flocks_stream_close(follow.stream);
    watch_close(&follow.watch);
    board_free(follow.board);
    return result;
}
