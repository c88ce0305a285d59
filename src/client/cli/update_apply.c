#include "client/cli/update_apply.h"

#include <signal.h>

#include "client/cli/update_child.h"
#include "client/cli/update_message.h"
#include "client/cli/update_run.h"
#include "common/base/clock.h"

struct apply {
    struct update_run run;
    struct update_child child;
    size_t n_complaints;
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
    else
        complain(apply, "it tells what there is, not how far it is");
    arena_deinit(&arena);
}

static void take_word(void *data, const char *word, size_t len)
{
    struct apply *apply = data;
    char note[UPDATE_WORD_SIZE + 32];
    (void)snprintf(note, sizeof(note), "flocks-update: %.*s", (int)len, word);
    update_show_note(&apply->run.show, note);
}

/* ---- the loop ---- */

static void take_drops(struct apply *apply, size_t *n_seen)
{
    if (apply->child.lines.n_dropped > *n_seen)
        complain(apply, "it is too long");
    *n_seen = apply->child.lines.n_dropped;
}

/* It has said how it went: it will end. False: it does not. */
static bool wait_for_end(struct apply *apply)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_APPLY_LINGER_MS);
    enum update_child_news news = UPDATE_CHILD_NEWS;
    while (news != UPDATE_CHILD_ENDED && clock_monotonic_ms() < until_at)
        news = update_child_wait(&apply->child, until_at, &apply->run.mask);
    return news == UPDATE_CHILD_ENDED;
}

/* Negative: it ended without a word about how it went. */
static int follow(struct apply *apply, struct error *error)
{
    size_t n_dropped = 0;
    for (;;) {
        enum update_child_news news =
            update_child_wait(&apply->child, update_run_due_at(&apply->run), &apply->run.mask);
        take_drops(apply, &n_dropped);
        if (apply->run.end)
            break;
        if (news == UPDATE_CHILD_ENDED) {
            int result = update_child_explain(&apply->child, error);
            result = error_add_context(error, result, "how the upgrade went is not known");
            error_set_hint(error,
                "`flocks update` ends what is unfinished first, and so does the "
                "daemon; %s/update.log may say more",
                apply->run.cli->paths.logs);
            return result;
        }
        enum update_wish wish = update_run_look(&apply->run);
        if (wish == UPDATE_LEAVE)
            return 0;
        if (wish == UPDATE_ABORT)
            update_child_signal(&apply->child, SIGINT);
    }
    /* Well or not has been said; an end by a signal or a report of a sanitizer is still none. */
    if (!wait_for_end(apply) || update_child_ended_well(&apply->child, apply->run.end->code != 0))
        return 0;
    return update_child_explain(&apply->child, error);
}

static void build_arguments(const struct cli *cli, const struct update_plan *plan,
    const char *upgrade_id, struct update_arguments *out)
{
    update_arguments_init(out, cli, "apply");
    update_plan_add(plan, out);
    update_arguments_add_value(out, "--upgrade-id", upgrade_id);
    update_arguments_add_value(out, "--owner", "flocks update");
}

enum outcome update_apply(const struct cli *cli, const struct update_plan *plan)
{
    struct error error = ERROR_INIT;
    struct apply apply = {.n_complaints = 0};
    struct update_arguments arguments;
    const struct update_child_hooks hooks = {
        .on_line = take_line, .on_word = take_word, .data = &apply};
    update_run_begin(&apply.run, cli, NULL);
    build_arguments(cli, plan, apply.run.upgrade_id, &arguments);
    int result = update_child_open(&apply.child, &arguments, &hooks, &error);
    if (result == 0)
        result = follow(&apply, &error);
    update_child_close(&apply.child);
    return update_run_finish(&apply.run, result < 0 ? &error : NULL);
}
