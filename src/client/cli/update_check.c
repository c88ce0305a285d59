#include "client/cli/update_check.h"

#include <signal.h>
#include <unistd.h>

#include "client/cli/interrupt.h"
#include "client/cli/update_child.h"
#include "client/cli/update_message.h"
#include "client/cli/update_show.h"
#include "common/base/clock.h"

struct check {
    const struct cli *cli;
    struct arena *arena;
    struct update_child child;
    struct update_show show;
    sigset_t mask;
    int64_t deadline_at;
    const flocks_update_check *answer;
    bool has_failed;
    struct error failure; /* what it said of it, or of a line that could not be read */
};

/* ---- what it says ---- */

static void take_progress(struct check *check, const flocks_upgrade_progress *progress)
{
    if (update_message_failure(progress, &check->failure) < 0)
        check->has_failed = true;
    else if (check->cli->live && !check->cli->json)
        update_show_take(&check->show, progress);
}

static void take_failure(struct check *check, const struct update_message *message)
{
    check->has_failed = true;
    check->failure = message->failure;
}

static void take_line(void *data, const char *line, size_t len)
{
    struct check *check = data;
    struct update_message message;
    if (check->answer || check->has_failed)
        return;
    int result = update_message_read(line, len, check->arena, &message, &check->failure);
    if (result < 0)
        (void)error_add_context(&check->failure, result, "a line of flocks-update is left out");
    else if (message.check)
        check->answer = message.check;
    else if (message.is_failure)
        take_failure(check, &message);
    else
        take_progress(check, message.progress);
}

/* ---- the loop ---- */

/* Ctrl-C: it need not go on either. */
static void end_by_signal(struct check *check)
{
    const struct interrupt_counts counts = interrupt_counts();
    if (counts.n_interrupts == 0 && counts.n_terminations == 0)
        return;
    update_child_signal(&check->child, SIGKILL);
    update_show_clear(&check->show);
    interrupt_count_no_more(&check->mask);
    (void)raise(counts.n_interrupts > 0 ? SIGINT : SIGTERM);
}

static int wait_for_answer(struct check *check, struct error *error)
{
    for (;;) {
        int64_t due_at = clock_add_ms(clock_monotonic_ms(), UPDATE_SHOW_REDRAW_MS);
        enum update_child_news news = update_child_wait(
            &check->child, due_at < check->deadline_at ? due_at : check->deadline_at, &check->mask);
        end_by_signal(check);
        if (check->answer || check->has_failed || news == UPDATE_CHILD_ENDED)
            return 0;
        if (clock_monotonic_ms() >= check->deadline_at)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "looking for releases: no answer within the deadline");
        update_show_tick(&check->show);
    }
}

/* What came, or why nothing did. */
static int conclude(const struct check *check, const flocks_update_check **out, struct error *error)
{
    *out = check->answer;
    if (check->answer)
        return 0;
    if (check->has_failed || check->failure.code != STATUS_OK) {
        *error = check->failure;
        return -(int)error->code;
    }
    int result = update_child_explain(&check->child, error);
    return error_add_context(error, result, "looking for releases");
}

static void let_end(struct check *check)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_CHECK_LINGER_MS);
    enum update_child_news news = UPDATE_CHILD_NEWS;
    while (news != UPDATE_CHILD_ENDED && clock_monotonic_ms() < until_at)
        news = update_child_wait(&check->child, until_at, &check->mask);
    update_child_signal(&check->child, SIGKILL);
}

static int ask(struct check *check, const struct update_plan *plan, const flocks_update_check **out,
    struct error *error)
{
    struct update_arguments arguments;
    update_arguments_init(&arguments, check->cli, "check");
    update_plan_add(plan, &arguments);
    int result = update_child_open(&check->child, &arguments, take_line, check, error);
    if (result == 0) {
        result = wait_for_answer(check, error);
        if (result == 0)
            let_end(check);
        else
            update_child_signal(&check->child, SIGKILL);
    }
    update_child_close(&check->child);
    return result == 0 ? conclude(check, out, error) : result;
}

int update_check(const struct cli *cli, const struct update_plan *plan, struct arena *arena,
    const flocks_update_check **out, struct error *error)
{
    struct check check = {.cli = cli,
        .arena = arena,
        .deadline_at = clock_add_ms(clock_monotonic_ms(), cli_timeout_ms(cli, UPDATE_CHECK_MS)),
        .failure = ERROR_INIT};
    flocks_upgrade_progress begun = FLOCKS_UPGRADE_PROGRESS_INIT;
    begun.step = FLOCKS_UPGRADE_STEP_CHECKING;
    interrupt_count(&check.mask);
    update_show_begin(&check.show, cli);
    if (cli->live && !cli->json)
        update_show_take(&check.show, &begun);
    int result = ask(&check, plan, out, error);
    update_show_clear(&check.show);
    interrupt_count_no_more(&check.mask);
    return result;
}
