/* The screen is given back on every way out: signals only set flags here. */
#include "client/cli/status_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "flocks/v1/supervisor.info.h"

#include "client/cli/board.h"
#include "client/cli/daemon.h"
#include "client/cli/interrupt.h"
#include "client/cli/live.h"
#include "client/cli/present_upgrade.h"
#include "client/cli/report.h"
#include "client/cli/status_view.h"
#include "client/cli/terminal.h"
#include "client/cli/watch.h"
#include "common/base/clock.h"

struct show {
    const struct cli *cli;
    struct watch watch;
    struct board *board;
    struct live live;
    struct present_upgrade upgrade; /* only looked for on a screen */
    bool is_screen;                 /* else one table after the other */
    bool is_changed;
    bool has_ended;
    bool cannot_write;
    size_t n_shown;
    int result; /* of the end */
    struct error error;
};

/* ---- what the stream brings ---- */

static enum rpc_take take_item(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *item)
{
    (void)stream;
    struct show *show = data;
    if (board_apply(show->board, item) < 0)
        show->result =
            error_set(&show->error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
    show->has_ended |= show->result < 0;
    show->is_changed |= board_has_news(show->board);
    return RPC_TAKE_DONE;
}

static void take_end(void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    struct show *show = data;
    show->has_ended = true;
    show->result = watch_end_of(failure, &show->error);
}

/* ---- showing ---- */

static struct status_view make_view(const struct show *show)
{
    return (struct status_view){.status = board_status(show->board),
        .upgrade = show->upgrade.now,
        .paths = &show->cli->paths,
        .now_s = clock_wall_ns() / 1000000000,
        .color = show->cli->color,
        .without_logs = true};
}

static void draw(struct show *show)
{
    const struct status_view view = make_view(show);
    char *text = NULL;
    size_t len = 0;
    FILE *picture = open_memstream(&text, &len);
    if (!picture)
        return;
    bool is_whole = status_view_print(&view, picture);
    if (fclose(picture) == 0 && is_whole)
        live_draw_screen(&show->live, text);
    free(text);
}

static void print(struct show *show)
{
    const struct cli *cli = show->cli;
    const struct status_view view = make_view(show);
    if (cli->json) {
        show->cannot_write |= report_message(cli, &flocks_get_status_response_info,
                                  &view.status->base, OUTCOME_DONE) != OUTCOME_DONE;
        return;
    }
    if (cli->quiet)
        return;
    if (show->n_shown++ > 0)
        fputc('\n', stdout);
    show->cannot_write |= !status_view_print(&view, stdout) || !report_flush();
}

static void present(struct show *show)
{
    if (!board_has_news(show->board))
        return;
    if (show->is_screen) {
        present_upgrade_look(&show->upgrade, &show->watch);
        draw(show);
    } else if (show->is_changed) {
        print(show);
    }
    show->is_changed = false;
}

/* ---- the loop ---- */

static void suspend(struct show *show)
{
    live_close_screen(&show->live);
    interrupt_suspend();
    live_open_screen(&show->live);
}

static int64_t next_due(const struct show *show, int64_t answer_at)
{
    if (!board_has_news(show->board))
        return answer_at;
    if (!show->is_screen)
        return CLOCK_NEVER;
    return clock_add_ms(clock_monotonic_ms(), STATUS_WATCH_REDRAW_MS);
}

static int follow(struct show *show, struct error *error)
{
    int64_t answer_at = clock_add_ms(clock_monotonic_ms(), DAEMON_ANSWER_MS);
    while (!show->has_ended && !show->cannot_write) {
        enum watch_wake wake = watch_wait(&show->watch, next_due(show, answer_at));
        enum interrupt_news news = interrupt_take();
        if (wake == WATCH_READER_GONE || news == INTERRUPT_END)
            return 0;
        if (wake == WATCH_DUE && !board_has_news(show->board))
            return watch_refuse_late(&show->watch, error);
        if (news == INTERRUPT_SUSPEND)
            suspend(show);
        present(show);
    }
    *error = show->error;
    return show->result;
}

static int run(struct show *show, struct error *error)
{
    static const struct flocks_client_watch_events_hooks hooks = {
        .message = take_item, .ended = take_end};
    struct flocks_stream *stream = NULL;
    int result = watch_begin_events(&show->watch, show->cli->options.operands,
        show->cli->options.n_operands, "", &hooks, show, &stream, error);
    if (result < 0)
        return result;
    if (show->is_screen)
        live_open_screen(&show->live);
    result = follow(show, error);
    live_close_screen(&show->live);
    present_upgrade_close(&show->upgrade);
    flocks_stream_close(stream);
    return result;
}

enum outcome status_watch(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct show show = {.cli = cli,
        .board = board_new(),
        .live = {.fd = STDOUT_FILENO},
        .is_screen = !cli->json && !cli->quiet && terminal_is_live(stdout),
        .error = ERROR_INIT};
    sigset_t mask;
    if (show.is_screen)
        interrupt_watch_screen(&mask);
    else
        interrupt_set_flag(&mask);
    int result = watch_open(&show.watch, cli, &error);
    show.watch.mask = &mask;
    show.watch.needs_reader = true;
    if (result == 0 && !show.board)
        result = error_set(&error, STATUS_RESOURCE_EXHAUSTED, "no memory for the status");
    if (result == 0)
        result = run(&show, &error);
    watch_close(&show.watch);
    board_free(show.board);
    return show.cannot_write ? OUTCOME_FAILED : watch_report_end(cli, result, &error);
}
