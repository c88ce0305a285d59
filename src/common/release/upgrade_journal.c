#include "common/release/upgrade_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/release/upgrade_text.h"

enum { JOURNAL_MODE = 0600 };

#define BIT(step) (1U << UPGRADE_STEP_##step)

/* The steps that may follow each. */
static const unsigned next_steps[UPGRADE_STEP_COUNT] = {
    [UPGRADE_STEP_PREPARING] = BIT(PREPARED),
    [UPGRADE_STEP_PREPARED] = BIT(LEASING) | BIT(SWITCHING),
    [UPGRADE_STEP_LEASING] = BIT(LEASED) | BIT(ROLLING_BACK),
    [UPGRADE_STEP_LEASED] = BIT(STOPPING) | BIT(SWITCHING) | BIT(ROLLING_BACK),
    [UPGRADE_STEP_STOPPING] = BIT(SWITCHING) | BIT(ROLLING_BACK),
    /* Without a lease the switch is all there is; recovery may find it done. */
    [UPGRADE_STEP_SWITCHING] = BIT(SWITCHED) | BIT(COMMITTED) | BIT(ROLLING_BACK),
    [UPGRADE_STEP_SWITCHED] = BIT(COMMITTING) | BIT(COMMITTED) | BIT(ROLLING_BACK),
    [UPGRADE_STEP_COMMITTING] = BIT(COMMITTED) | BIT(ROLLING_BACK),
    /* An abort that came too late: the server's word counts. */
    [UPGRADE_STEP_ROLLING_BACK] = BIT(ROLLED_BACK) | BIT(COMMITTED),
};

const char *upgrade_step_text(enum upgrade_step step)
{
    static const char *const texts[UPGRADE_STEP_COUNT] = {
#define UPGRADE_STEP_TEXT(name, text) [UPGRADE_STEP_##name] = (text),
        UPGRADE_STEPS(UPGRADE_STEP_TEXT)
#undef UPGRADE_STEP_TEXT
    };
    return (unsigned)step < UPGRADE_STEP_COUNT ? texts[step] : "unknown";
}

bool upgrade_step_is_legal(enum upgrade_step step, enum upgrade_step next)
{
    return (unsigned)step < UPGRADE_STEP_COUNT && (unsigned)next < UPGRADE_STEP_COUNT &&
           (next_steps[step] & (1U << next)) != 0;
}

/* Copies what fits; what does not fit is not good, and left "?" for the check behind. */
static void copy(char *out, size_t size, const char *text)
{
    if (snprintf(out, size, "%s", text) >= (int)size)
        (void)snprintf(out, size, "?");
}

int upgrade_journal_begin(const char *id, const char *from, const char *to, int64_t wall_ms,
    struct upgrade_journal *out, struct error *error)
{
    *out = (struct upgrade_journal){
        .steps = {UPGRADE_STEP_PREPARING}, .times = {wall_ms < 0 ? 0 : wall_ms}, .n_steps = 1};
    copy(out->id, sizeof out->id, id);
    copy(out->from, sizeof out->from, from);
    copy(out->to, sizeof out->to, to);
    if (upgrade_journal_is_good(out))
        return 0;
    return error_set(error, STATUS_INVALID_ARGUMENT,
        "an upgrade cannot be called '%.*s', or go from '%.*s' to '%.*s'", UPGRADE_ID_MAX + 1, id,
        VERSION_TEXT_MAX + 1, from, VERSION_TEXT_MAX + 1, to);
}

enum upgrade_step upgrade_journal_step(const struct upgrade_journal *journal)
{
    return journal->steps[journal->n_steps - 1];
}

int upgrade_journal_advance(
    struct upgrade_journal *journal, enum upgrade_step step, int64_t wall_ms, struct error *error)
{
    enum upgrade_step last = upgrade_journal_step(journal);
    struct upgrade_journal next = *journal;
    if (step == last)
        return 0;
    if (upgrade_step_is_legal(last, step) && next.n_steps < UPGRADE_STEP_COUNT) {
        next.steps[next.n_steps] = step;
        next.times[next.n_steps++] = wall_ms < 0 ? 0 : wall_ms;
        if (upgrade_journal_is_good(&next)) {
            *journal = next;
            return 0;
        }
    }
    return error_set(error, STATUS_FAILED_PRECONDITION, "upgrade %s cannot go from %s to %s",
        journal->id, upgrade_step_text(last), upgrade_step_text(step));
}

int upgrade_journal_set_lease(
    struct upgrade_journal *journal, const char *lease, struct error *error)
{
    struct upgrade_journal next = *journal;
    if (upgrade_journal_step(journal) != UPGRADE_STEP_LEASING || journal->lease[0] != '\0')
        return error_set(
            error, STATUS_FAILED_PRECONDITION, "upgrade %s does not wait for a lease", journal->id);
    copy(next.lease, sizeof next.lease, lease);
    if (next.lease[0] == '\0' || !upgrade_journal_is_good(&next))
        return error_set(error, STATUS_INVALID_ARGUMENT, "'%.*s' is no id of a lease",
            UPGRADE_ID_MAX + 1, lease);
    *journal = next;
    return 0;
}

/* ---- the file ---- */

int upgrade_journal_read(const char *path, struct upgrade_journal *out, struct error *error)
{
    CLEANUP(free_text) char *text = NULL;
    size_t len = 0;
    struct error found = ERROR_INIT;
    int result = fd_read_file(path, UPGRADE_JOURNAL_BYTES_MAX, &text, &len, &found);
    if (result == -STATUS_NOT_FOUND)
        return UPGRADE_JOURNAL_NONE;
    if (result < 0 && found.system_error == 0)
        return error_set(error, STATUS_DATA_LOSS, "%s", found.text);
    if (result < 0) {
        if (error != NULL)
            *error = found;
        return result;
    }
    return upgrade_text_read(text, len, path, out, error);
}

/* The next one who records ends what is unfinished. */
static void explain_full(struct error *error)
{
    if (error->system_error == ENOSPC || error->system_error == EDQUOT)
        error_set_hint(error,
            "make room on that disk; what is unfinished of the upgrade is ended by itself then");
}

int upgrade_journal_write(
    const char *path, const struct upgrade_journal *journal, struct error *error)
{
    CLEANUP(buffer_deinit) struct buffer text;
    buffer_init(&text, UPGRADE_JOURNAL_BYTES_MAX);
    int result = upgrade_text_write(journal, &text);
    if (result < 0)
        return error_set(error, (enum status_code) - result, "%s cannot be written: %s", path,
            result == -STATUS_INVALID_ARGUMENT ? "it would not be read again" : "no memory");
    struct error problem = ERROR_INIT;
    result =
        fd_replace_file(path, buffer_data(&text), buffer_length(&text), JOURNAL_MODE, &problem);
    if (result < 0)
        explain_full(&problem);
    if (result < 0 && error != NULL)
        *error = problem;
    return result;
}

int upgrade_journal_remove(const char *path, struct error *error)
{
    fd_sweep_temporaries(path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "removing %s", path);
    return fd_sync_parent(path, error);
}

int upgrade_journal_put_aside(const char *path, struct error *error)
{
    char aside[PATH_MAX];
    int written = snprintf(aside, sizeof aside, "%s.unreadable", path);
    if (written < 0 || (size_t)written >= sizeof aside)
        return error_set_errno(error, ENAMETOOLONG, "putting %s aside", path);
    if (rename(path, aside) < 0)
        return error_set_errno(error, errno, "putting %s aside", path);
    return fd_sync_parent(path, error);
}
