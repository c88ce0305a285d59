#include "client/cli/update_run.h"

#include <stdio.h>
#include <string.h>

#include "flocks/v1/upgrade.info.h"

#include "client/cli/interrupt.h"
#include "client/cli/report.h"
#include "client/cli/update_message.h"
#include "client/cli/update_view.h"
#include "common/base/clock.h"
#include "common/schema/message.h"

enum { MS_PER_S = 1000 };

void update_run_begin(struct update_run *run, const struct cli *cli, const char *upgrade_id)
{
    int64_t limit_ms = cli_timeout_ms(cli, 0);
    *run = (struct update_run){.cli = cli, .deadline_at = CLOCK_NEVER, .left = OUTCOME_DONE};
    if (limit_ms > 0)
        run->deadline_at = clock_add_ms(clock_monotonic_ms(), limit_ms);
    if (upgrade_id)
        (void)snprintf(run->upgrade_id, sizeof(run->upgrade_id), "%s", upgrade_id);
    else
        operation_new_request_id(run->upgrade_id);
    arena_init(&run->arena, UPDATE_MESSAGE_ARENA_BYTES);
    interrupt_count(&run->mask);
    update_show_begin(&run->show, cli);
}

void update_run_take(struct update_run *run, const flocks_upgrade_progress *progress)
{
    if (update_run_is_over(run))
        return;
    update_show_take(&run->show, progress);
    if (update_message_is_end(progress))
        run->end = (const flocks_upgrade_progress *)schema_message_copy(
            &flocks_upgrade_progress_info, &progress->base, &run->arena);
}

void update_run_fail(struct update_run *run, const struct error *failure)
{
    if (update_run_is_over(run))
        return;
    run->has_failed = true;
    run->failure = *failure;
}

bool update_run_is_over(const struct update_run *run)
{
    return run->end || run->has_failed;
}

int64_t update_run_due_at(const struct update_run *run)
{
    int64_t due_at = clock_add_ms(clock_monotonic_ms(), UPDATE_SHOW_REDRAW_MS);
    if (!run->cli->live)
        due_at = CLOCK_NEVER;
    return due_at < run->deadline_at ? due_at : run->deadline_at;
}

/* ---- what the person wants ---- */

static enum update_wish leave(struct update_run *run, enum outcome outcome)
{
    run->left = outcome;
    return UPDATE_LEAVE;
}

enum update_wish update_run_look(struct update_run *run)
{
    const struct interrupt_counts counts = interrupt_counts();
    if (counts.n_terminations > 0)
        return leave(run, OUTCOME_TERMINATED);
    if (counts.n_interrupts > (run->only_watches ? 0 : 1))
        return leave(run, OUTCOME_INTERRUPTED);
    if (clock_monotonic_ms() >= run->deadline_at)
        return leave(run, OUTCOME_DEADLINE);
    if (counts.n_interrupts == 1 && !run->asked_to_abort) {
        run->asked_to_abort = true;
        update_show_note(&run->show, "interrupted; undoing the upgrade in order (Ctrl-C again "
                                     "leaves it to end by itself)");
        return UPDATE_ABORT;
    }
    update_show_tick(&run->show);
    return UPDATE_GO_ON;
}

/* ---- the end told ---- */

static enum outcome tell_left(const struct update_run *run)
{
    struct error error = ERROR_INIT;
    bool is_late = run->left == OUTCOME_DEADLINE;
    error_set(&error, is_late ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED,
        "%s; upgrade %s %s by itself", is_late ? "the deadline passed" : "interrupted",
        run->upgrade_id, run->asked_to_abort ? "is being undone" : "goes on");
    error_set_hint(&error, "`flocks status` shows it, `flocks update --abort` ends it");
    (void)report_error(run->cli, &error);
    return run->left;
}

static enum outcome tell_failure(const struct update_run *run)
{
    struct error error = ERROR_INIT;
    (void)update_message_failure(run->end, &error);
    enum outcome outcome = outcome_of_status(error.code);
    /* The last object of the stream has said it already. */
    return run->cli->json ? outcome : report_failure(run->cli, &error, run->end->error);
}

static enum outcome tell_success(const struct update_run *run, int64_t took_s)
{
    FILE *notes = run->cli->notes;
    if (run->cli->json || !notes)
        return OUTCOME_DONE;
    fputs("flocks: ", notes);
    update_view_end(run->end, took_s, notes);
    fputc('\n', notes);
    return OUTCOME_DONE;
}

static enum outcome tell(const struct update_run *run, const struct error *error, int64_t took_s)
{
    if (run->end && update_message_failure(run->end, NULL) < 0)
        return tell_failure(run);
    if (run->end) {
        enum outcome outcome = tell_success(run, took_s);
        return error ? outcome_worse(outcome, report_error(run->cli, error)) : outcome;
    }
    if (run->has_failed)
        return report_error(run->cli, &run->failure);
    return error ? report_error(run->cli, error) : tell_left(run);
}

enum outcome update_run_finish(struct update_run *run, const struct error *error)
{
    int64_t took_s = (clock_monotonic_ms() - run->show.began_at) / MS_PER_S;
    bool is_failed =
        error || run->has_failed || (run->end && update_message_failure(run->end, NULL) < 0);
    bool is_left = !update_run_is_over(run) && !error;
    update_show_end(&run->show, is_left     ? UPDATE_SHOW_LEFT
                                : is_failed ? UPDATE_SHOW_FAILED
                                            : UPDATE_SHOW_WELL);
    enum outcome outcome = tell(run, error, took_s);
    if (run->show.cannot_write)
        outcome = outcome_worse(outcome, OUTCOME_FAILED);
    update_run_close(run);
    return outcome;
}

void update_run_close(struct update_run *run)
{
    update_show_clear(&run->show);
    arena_deinit(&run->arena);
    run->end = NULL;
    interrupt_count_no_more(&run->mask);
}
