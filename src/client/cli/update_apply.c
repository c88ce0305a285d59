#include "client/cli/update_apply.h"

#include <signal.h>

#include "client/cli/update_child.h"
#include "client/cli/update_message.h"
#include "client/cli/update_run.h"
#include "common/base/clock.h"

struct apply {
    struct update_run run;
    struct update_child child;
    bool may_be_silent; /* it ends well without a word when there is nothing to do */
    size_t n_complaints;
    size_t n_dropped; /* lines that are known to have been dropped */
};

/* ---- what it says ---- */

static void complain(struct apply *apply, const char *text)
{
    char note[ERROR_TEXT_MAX];
    if (apply->n_complaints++ >= UPDATE_APPLY_COMPLAINTS_MAX)
        return;
    (void)snprintf(note, sizeof(note), "a line of flocks-update is left out: %.900s", text);
    update_show_note(&apply->run.show, note);
}

static void take_line(void *data, const char *line, size_t len)
{
    struct apply *apply = data;
    struct error error = ERROR_INIT;
    struct update_message message;
    struct arena arena;
    arena_init(&arena, UPDATE_MESSAGE_ARENA_BYTES);
    if (update_message_read(line, len, &arena, &message, &error) < 0)
        complain(apply, error.text);
    else if (message.progress)
        update_run_take(&apply->run, message.progress);
    else if (message.is_failure)
        update_run_fail(&apply->run, &message.failure);
    else
        complain(apply, "it tells what there is, not how far it is");
    arena_deinit(&arena);
}

/* ---- the loop ---- */

static void take_drops(struct apply *apply)
{
    if (apply->child.lines.n_dropped > apply->n_dropped)
        complain(apply, "it is too long");
    apply->n_dropped = apply->child.lines.n_dropped;
}

/* It ended without a word about how it went. */
static int explain_silence(struct apply *apply, struct error *error)
{
    if (apply->may_be_silent && update_child_ended_well(&apply->child, false))
        return 0;
    int result = update_child_explain(&apply->child, error);
    error_set_hint(error,
        "`flocks update` ends what is unfinished first, and so does the daemon; %.150s/update.log "
        "may say more",
        apply->run.cli->paths.logs);
    return error_add_context(error, result, "how the upgrade went is not known");
}

/* It has said how it went, so it will end; an end by a signal or another exit code than what it
 * said is told, too. */
static int wait_for_end(struct apply *apply, struct error *error)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_APPLY_LINGER_MS);
    bool is_failure = !apply->run.end || update_message_failure(apply->run.end, NULL) < 0;
    enum update_child_news news = UPDATE_CHILD_NEWS;
    while (news != UPDATE_CHILD_ENDED && clock_monotonic_ms() < until_at)
        news = update_child_wait(&apply->child, until_at, &apply->run.mask);
    if (news != UPDATE_CHILD_ENDED || update_child_ended_well(&apply->child, is_failure))
        return 0;
    return update_child_explain(&apply->child, error);
}

static int follow(struct apply *apply, struct error *error)
{
    for (;;) {
        enum update_child_news news =
            update_child_wait(&apply->child, update_run_due_at(&apply->run), &apply->run.mask);
        take_drops(apply);
        if (update_run_is_over(&apply->run))
            return wait_for_end(apply, error);
        if (news == UPDATE_CHILD_ENDED)
            return explain_silence(apply, error);
        enum update_wish wish = update_run_look(&apply->run);
        if (wish == UPDATE_LEAVE)
            return 0;
        if (wish == UPDATE_ABORT)
            update_child_signal(&apply->child, SIGINT);
    }
}

static enum outcome run(struct apply *apply, const struct update_arguments *arguments)
{
    struct error error = ERROR_INIT;
    int result = update_child_open(&apply->child, arguments, take_line, apply, &error);
    if (result == 0)
        result = follow(apply, &error);
    bool is_silent = apply->may_be_silent && apply->child.has_ended;
    update_child_close(&apply->child);
    if (result == 0 && is_silent && !update_run_is_over(&apply->run)) {
        update_run_close(&apply->run);
        return OUTCOME_DONE;
    }
    return update_run_finish(&apply->run, result < 0 ? &error : NULL);
}

enum outcome update_apply(const struct cli *cli, const struct update_plan *plan)
{
    struct apply apply = {.may_be_silent = false};
    struct update_arguments arguments;
    update_run_begin(&apply.run, cli, NULL);
    update_arguments_init(&arguments, cli, "apply");
    update_plan_add(plan, &arguments);
    update_arguments_add_value(&arguments, "--upgrade-id", apply.run.upgrade_id);
    update_arguments_add_value(&arguments, "--owner", "flocks update");
    return run(&apply, &arguments);
}

enum outcome update_recover(const struct cli *cli)
{
    struct apply apply = {.may_be_silent = true};
    struct update_arguments arguments;
    update_run_begin(&apply.run, cli, NULL);
    apply.run.only_watches = true;
    update_arguments_init(&arguments, cli, "recover");
    return run(&apply, &arguments);
}
