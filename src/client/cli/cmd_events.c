/* `flocks events`. */
#include <stdio.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/cli.h"
#include "client/cli/daemon.h"
#include "client/cli/event_view.h"
#include "client/cli/interrupt.h"
#include "client/cli/report.h"
#include "client/cli/watch.h"
#include "common/base/clock.h"

/* What is being shown. */
struct show {
    const struct cli *cli;
    struct watch watch;
    struct flocks_stream *stream;
    /* A snapshot after a gap is what people need to go on. */
    bool is_behind_gap;
    bool has_answered;
    bool has_ended;
    bool cannot_write;
    int result; /* of the end */
    struct error error;
};

static void print_item(struct show *show, const flocks_watch_events_response *item)
{
    const struct event_view view = {.now_s = clock_wall_ns() / 1000000000,
        .with_snapshot = show->is_behind_gap || cli_flag(show->cli, OPTION_SNAPSHOT, false),
        .color = show->cli->color};
    event_view_print(&view, item, stdout);
    show->is_behind_gap = item->item_case == FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_GAP;
}

static enum rpc_take take_item(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *item)
{
    (void)stream;
    struct show *show = data;
    show->has_answered = true;
    if (show->cli->json)
        show->cannot_write |= report_message(show->cli, &flocks_watch_events_response_info,
                                  &item->base, OUTCOME_DONE) != OUTCOME_DONE;
    else if (!show->cli->quiet)
        print_item(show, item);
    return RPC_TAKE_DONE;
}

static void take_end(void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    struct show *show = data;
    show->has_ended = true;
    show->result = watch_end_of(failure, &show->error);
}

/* A daemon answers at once, with a snapshot, unless it is asked what comes after something. */
static int64_t answer_due_at(const struct show *show)
{
    if (cli_text(show->cli, OPTION_AFTER))
        return CLOCK_NEVER;
    return clock_add_ms(clock_monotonic_ms(), DAEMON_ANSWER_MS);
}

/* Until the stream ends (its result), or somebody wants the end (0). */
static int follow(struct show *show, struct error *error)
{
    int64_t answer_at = answer_due_at(show);
    while (!show->has_ended && !show->cannot_write) {
        enum watch_wake wake =
            watch_wait(&show->watch, show->has_answered ? CLOCK_NEVER : answer_at);
        if (wake == WATCH_READER_GONE || interrupt_is_pending())
            return 0;
        if (wake == WATCH_DUE)
            return watch_refuse_late(&show->watch, error);
        if (!report_flush())
            show->cannot_write = true;
    }
    *error = show->error;
    return show->result;
}

static enum outcome run_events(const struct cli *cli)
{
    static const struct flocks_client_watch_events_hooks hooks = {
        .message = take_item, .ended = take_end};
    const char *after = cli_text(cli, OPTION_AFTER);
    struct error error = ERROR_INIT;
    struct show show = {.cli = cli, .error = ERROR_INIT};
    sigset_t mask;
    interrupt_set_flag(&mask);
    int result = watch_open(&show.watch, cli, &error);
    show.watch.mask = &mask;
    show.watch.needs_reader = true;
    if (result == 0)
        result = watch_begin_events(&show.watch, cli->options.operands, cli->options.n_operands,
            after ? after : "", &hooks, &show, &show.stream, &error);
    if (result == 0)
        result = follow(&show, &error);
    flocks_stream_close(show.stream);
    watch_close(&show.watch);
    return show.cannot_write ? OUTCOME_FAILED : watch_report_end(cli, result, &error);
}

static const enum option_id events_options[] = {OPTION_AFTER, OPTION_SNAPSHOT, OPTION_END};

const struct command command_events = {
    .name = "events",
    .summary = "show what happens, as it happens",
    .operands = "[SERVICE...]",
    .details = "A line for each change of the named services (none: of all, and of the daemon, "
               "operations and\n"
               "leases) until Ctrl-C. Goes on when flocksd is replaced or killed, without loss or "
               "repetition; what\n"
               "is missed is said. With --json one WatchEventsResponse a line, a snapshot first; "
               "its `token` is what\n"
               "--after takes.",
    .options = events_options,
    .operand = OPERAND_SERVICES,
    .run = run_events,
};
