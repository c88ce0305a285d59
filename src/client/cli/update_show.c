#include "client/cli/update_show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/upgrade.info.h"

#include "client/cli/report.h"
#include "client/cli/terminal.h"
#include "client/cli/update_message.h"
#include "client/cli/update_view.h"
#include "client/cli/wording.h"
#include "common/base/clock.h"
#include "common/schema/message.h"

enum { MS_PER_S = 1000 };

void update_show_begin(struct update_show *show, const struct cli *cli)
{
    *show = (struct update_show){
        .cli = cli, .live = {.fd = STDERR_FILENO}, .began_at = clock_monotonic_ms()};
    show->step_at = show->began_at;
    show->line_at = show->began_at;
    arena_init(&show->arena, UPDATE_SHOW_ARENA_BYTES);
}

static bool is_drawn(const struct update_show *show)
{
    return show->cli->live && !show->cli->json;
}

static struct update_bytes bytes_of(const struct update_show *show)
{
    int64_t now_ms = clock_monotonic_ms();
    return (struct update_bytes){.done = show->now->bytes_done,
        .total = show->now->bytes_total,
        .per_s = transfer_rate_per_s(&show->rate, now_ms),
        .left_s = transfer_rate_left_s(&show->rate, now_ms, show->now->bytes_total)};
}

/* ---- on a terminal ---- */

static void print_picture(const struct update_show *show, FILE *stream)
{
    int64_t passed_s = (clock_monotonic_ms() - show->step_at) / MS_PER_S;
    const struct update_bytes bytes = bytes_of(show);
    bool color = show->cli->color_notes;
    update_view_step(show->now, color, stream);
    if (bytes.done > 0 || bytes.total > 0) {
        fputs("\n      ", stream);
        update_view_bar(&bytes, stream);
        update_view_bytes(&bytes, stream);
    } else if (passed_s > 0) {
        fprintf(stream, "  %s%s%s", terminal_color(TERMINAL_DIM, color), wording_age(passed_s).text,
            terminal_reset(color));
    }
}

static void draw(struct update_show *show)
{
    char *text = NULL;
    size_t len = 0;
    FILE *picture = open_memstream(&text, &len);
    if (!picture)
        return;
    print_picture(show, picture);
    if (fclose(picture) == 0)
        live_draw_block(&show->live, text);
    free(text);
    show->drawn_at = clock_monotonic_ms();
}

static void print_how(const struct update_show *show, enum update_show_how how, FILE *stream)
{
    bool color = show->cli->color_notes;
    if (how == UPDATE_SHOW_FAILED)
        fprintf(stream, "  %sdid not succeed%s", terminal_color(TERMINAL_RED, color),
            terminal_reset(color));
    else if (how == UPDATE_SHOW_LEFT)
        fputs("  goes on", stream);
    else if (show->now->bytes_done > 0)
        fprintf(stream, "  %s", wording_bytes(show->now->bytes_done).text);
}

/* What was drawn becomes a line that stays. */
static void settle(struct update_show *show, enum update_show_how how)
{
    FILE *notes = show->cli->notes;
    int64_t passed_s = (clock_monotonic_ms() - show->step_at) / MS_PER_S;
    if (!is_drawn(show) || !show->now || update_message_is_end(show->now))
        return;
    live_draw_block(&show->live, "");
    update_view_step(show->now, show->cli->color_notes, notes);
    print_how(show, how, notes);
    if (passed_s > 0)
        fprintf(notes, "  %s", wording_age(passed_s).text);
    fputc('\n', notes);
}

/* ---- elsewhere ---- */

static void tell_step(const struct update_show *show)
{
    FILE *notes = show->cli->notes;
    fputs("flocks: ", notes);
    update_view_step(show->now, show->cli->color_notes, notes);
    fputc('\n', notes);
}

static void tell_bytes(struct update_show *show)
{
    FILE *notes = show->cli->notes;
    const struct update_bytes bytes = bytes_of(show);
    int64_t now_ms = clock_monotonic_ms();
    if (bytes.done == 0 || now_ms - show->line_at < UPDATE_SHOW_LINE_MS)
        return;
    show->line_at = now_ms;
    fputs("flocks: ", notes);
    update_view_bytes(&bytes, notes);
    fputc('\n', notes);
}

/* ---- news ---- */

static bool is_same_step(const flocks_upgrade_progress *a, const flocks_upgrade_progress *b)
{
    return a && a->step == b->step && a->step_number == b->step_number;
}

static bool is_same_message(const flocks_upgrade_progress *a, const flocks_upgrade_progress *b)
{
    return is_same_step(a, b) && strcmp(a->message, b->message) == 0;
}

/* How the present step went, by what comes next. */
static enum update_show_how how_it_went(
    const flocks_upgrade_progress *now, const flocks_upgrade_progress *next)
{
    /* What failed is the upgrade; going back is judged by itself. */
    if (now && now->step == FLOCKS_UPGRADE_STEP_ROLLING_BACK)
        return next->phase == FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED ? UPDATE_SHOW_FAILED
                                                                   : UPDATE_SHOW_WELL;
    bool is_bad = next->step == FLOCKS_UPGRADE_STEP_ROLLING_BACK || next->code != 0 || next->error;
    return is_bad ? UPDATE_SHOW_FAILED : UPDATE_SHOW_WELL;
}

/* False: no memory; then nothing is there. */
static bool keep(struct update_show *show, const flocks_upgrade_progress *progress)
{
    arena_deinit(&show->arena);
    arena_init(&show->arena, UPDATE_SHOW_ARENA_BYTES);
    show->now = (const flocks_upgrade_progress *)schema_message_copy(
        &flocks_upgrade_progress_info, &progress->base, &show->arena);
    return show->now != NULL;
}

static void show_news(struct update_show *show, bool is_same)
{
    int64_t now_ms = clock_monotonic_ms();
    if (update_message_is_end(show->now))
        return;
    if (!is_drawn(show) && !is_same)
        tell_step(show);
    else if (!is_drawn(show))
        tell_bytes(show);
    else if (!is_same || now_ms - show->drawn_at >= UPDATE_SHOW_REDRAW_MS)
        draw(show);
}

void update_show_take(struct update_show *show, const flocks_upgrade_progress *progress)
{
    bool is_same = is_same_message(show->now, progress);
    int64_t now_ms = clock_monotonic_ms();
    if (show->cli->json)
        show->cannot_write |= report_message(show->cli, &flocks_upgrade_progress_info,
                                  &progress->base, OUTCOME_DONE) != OUTCOME_DONE;
    if (show->cli->json || !show->cli->notes)
        return;
    if (!is_same_step(show->now, progress)) {
        settle(show, how_it_went(show->now, progress));
        show->step_at = now_ms;
    }
    if (!is_same)
        show->rate = (struct transfer_rate){.n = 0};
    if (!keep(show, progress))
        return;
    transfer_rate_add(&show->rate, now_ms, progress->bytes_done);
    show_news(show, is_same);
}

void update_show_tick(struct update_show *show)
{
    int64_t now_ms = clock_monotonic_ms();
    if (is_drawn(show) && show->now && !update_message_is_end(show->now) &&
        now_ms - show->drawn_at >= UPDATE_SHOW_REDRAW_MS)
        draw(show);
}

void update_show_note(struct update_show *show, const char *text)
{
    if (!show->cli->notes)
        return;
    live_draw_block(&show->live, "");
    fputs("flocks: ", show->cli->notes);
    terminal_print_escaped(show->cli->notes, text);
    fputc('\n', show->cli->notes);
    show->drawn_at = 0;
    update_show_tick(show);
}

void update_show_clear(struct update_show *show)
{
    live_draw_block(&show->live, "");
    show->now = NULL;
    arena_deinit(&show->arena);
}

void update_show_end(struct update_show *show, enum update_show_how how)
{
    if (show->cli->notes)
        settle(show, how);
    update_show_clear(show);
}
