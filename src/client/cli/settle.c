#include "client/cli/settle.h"

#include <poll.h>
#include <unistd.h>

#include "flocks/v1/types.names.h"

#include "client/cli/safe_text.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/release/adoption.h"
#include "common/release/release_dir.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_settle.h"

/* A living updater has changed nothing that a start would see: downloads and releases that are
 * being made are nobody's yet. Or it waits for a server's word and touches nothing meanwhile: the
 * one that is started finds run/lease.pb and says it. A journal that cannot be read says nothing.
 */
static bool is_harmless(const struct upgrade_paths *places)
{
    struct upgrade_journal journal;
    int result = upgrade_journal_read(places->journal, &journal, NULL);
    if (result != 0)
        return result == UPGRADE_JOURNAL_NONE;
    enum upgrade_step step = upgrade_journal_step(&journal);
    return step < UPGRADE_STEP_LEASING || step == UPGRADE_STEP_COMMITTING;
}

static int refuse_running(const struct upgrade_lock_holder *holder, struct error *error)
{
    int result = error_set(error, STATUS_ABORTED, "an upgrade is under way: %s (pid %ld)",
        holder->who[0] != '\0' ? holder->who : "somebody", (long)holder->pid);
    if (error)
        error->reason = FLOCKS_ERROR_REASON_UPGRADE_RUNNING;
    error_set_hint(error, "wait for its end, or end it: flocks update --abort");
    return result;
}

/* The upgrade is somebody's, and may be beside a start. */
#define SETTLE_HARMLESS 1

static int take_lock(
    const struct upgrade_paths *places, int patience_ms, int *out_fd, struct error *error)
{
    int64_t give_up_at = clock_add_ms(clock_monotonic_ms(), patience_ms);
    for (;;) {
        struct upgrade_lock_holder holder;
        int result = upgrade_lock_take(places->lock, "flocks start", out_fd, &holder, error);
        if (result != UPGRADE_LOCK_HELD)
            return result;
        if (is_harmless(places))
            return SETTLE_HARMLESS;
        if (clock_monotonic_ms() >= give_up_at)
            return refuse_running(&holder, error);
        poll(NULL, 0, SETTLE_POLL_MS);
    }
}

static void tell(FILE *notes, const char *what, const struct upgrade_settlement *settlement)
{
    char why[ERROR_TEXT_MAX];
    if (!notes)
        return;
    safe_text_copy(settlement->failure.text, why, sizeof(why));
    fprintf(notes, "flocks: %s %s%s%s\n", what, settlement->journal.to, why[0] != '\0' ? ": " : "",
        why);
}

static void tell_blemish(FILE *notes, const struct error *blemish)
{
    char text[ERROR_TEXT_MAX];
    if (!notes || blemish->code == STATUS_OK)
        return;
    safe_text_copy(blemish->text, text, sizeof(text));
    fprintf(notes, "flocks: %s\n", text);
}

static void tell_settlement(FILE *notes, const struct upgrade_settlement *settlement)
{
    switch (settlement->what) {
    case UPGRADE_SETTLED_DISCARDED:
        tell(notes, "removed what was left of an unfinished update to", settlement);
        break;
    case UPGRADE_SETTLED_COMMITTED:
        tell(notes, "completed an unfinished update to", settlement);
        break;
    case UPGRADE_SETTLED_ROLLED_BACK:
        tell(notes, "took back an unfinished update to", settlement);
        break;
    case UPGRADE_SETTLED_NEEDS_PERSON:
        tell(notes, "left as it is, because somebody else was at it: an unfinished update to",
            settlement);
        break;
    case UPGRADE_SETTLED_NOTHING:
    case UPGRADE_SETTLED_NEEDS_SERVER:
    case UPGRADE_SETTLED_WAITING:
        break;
    }
    tell_blemish(notes, &settlement->blemish);
}

/* Names that were being exchanged lead to what they did all the while: where it cannot go on, that
 * is for the next update to say. */
static void continue_adoption(const struct upgrade_paths *places, FILE *notes)
{
    struct release_dir dir;
    struct error error = ERROR_INIT;
    int result = release_dir_open(places->root, false, &dir, &error);
    if (result == 0) {
        result = adoption_continue(&dir, &error);
        release_dir_close(&dir);
    }
    if (result < 0)
        tell_blemish(notes, &error);
}

static int settle(const struct upgrade_paths *places, FILE *notes, struct error *error)
{
    struct upgrade_settlement settlement = {.what = UPGRADE_SETTLED_NOTHING};
    const struct upgrade_settle_request request = {.places = places,
        .deadline_at = clock_add_ms(clock_monotonic_ms(), SETTLE_PATIENCE_MS),
        .source = ""};
    continue_adoption(places, notes);
    int result = upgrade_settle(&request, &settlement, error);
    if (result < 0) {
        error_set_hint(error, "`flocks-update recover` tries it again");
        return error_add_context(error, result, "an unfinished update cannot be ended");
    }
    tell_settlement(notes, &settlement);
    return 0;
}

int settle_before_start(
    const struct paths *paths, int patience_ms, FILE *notes, struct error *error)
{
    CLEANUP(fd_close) int lock = -1;
    struct upgrade_paths places;
    int result = upgrade_paths_resolve(paths->root, &places, error);
    if (result < 0)
        return result;
    /* The usual case costs one look. */
    if (access(places.journal, F_OK) != 0)
        return 0;
    result = take_lock(&places, patience_ms, &lock, error);
    if (result != 0)
        return result == SETTLE_HARMLESS ? 0 : result;
    return settle(&places, notes, error);
}
