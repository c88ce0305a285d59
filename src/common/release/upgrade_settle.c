#include "common/release/upgrade_settle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/release/release_dir.h"
#include "common/release/release_use.h"
#include "common/release/tree.h"
#include "common/release/upgrade_result.h"
#include "common/release/way_back.h"

enum {
    /* Names that one call of release_dir_* may touch; then the server may be told that we live. */
    REMOVE_BUDGET = 4096,
    /* An action that changes nothing would be asked for again for ever. */
    ACTIONS_MAX = 64,
    NS_PER_MS = 1000000
};

struct settling {
    const struct upgrade_settle_request *request;
    struct upgrade_settlement *out;
    /* What the server said last of why the lease ended. */
    struct error server_why;
    /* What went wrong after a commit. */
    struct error after;
};

static int64_t wall_ms(void)
{
    return clock_wall_ns() / NS_PER_MS;
}

static struct upgrade_journal *journal_of(struct settling *settling)
{
    return &settling->out->journal;
}

/* ---- steps ---- */

static int record(struct settling *settling, enum upgrade_step step, struct error *error)
{
    struct upgrade_journal *journal = journal_of(settling);
    int result = upgrade_journal_advance(journal, step, wall_ms(), error);
    return result < 0 ? result
                      : upgrade_journal_write(settling->request->places->journal, journal, error);
}

static int restore_links(struct settling *settling, struct error *error)
{
    int result = record(settling, UPGRADE_STEP_ROLLING_BACK, error);
    return result < 0 ? result : link_set_restore(&journal_of(settling)->links, error);
}

static int finish_roll_back(struct settling *settling, struct error *error)
{
    int result = 0;
    if (upgrade_journal_step(journal_of(settling)) != UPGRADE_STEP_ROLLING_BACK)
        result = record(settling, UPGRADE_STEP_ROLLING_BACK, error);
    return result < 0 ? result : record(settling, UPGRADE_STEP_ROLLED_BACK, error);
}

/* ---- the end ---- */

static void note(struct settling *settling, const struct error *problem)
{
    if (settling->out->blemish.code == STATUS_OK)
        settling->out->blemish = *problem;
}

static void remove_partial(struct settling *settling, const struct release_dir *dir)
{
    struct error problem = ERROR_INIT;
    int result = RELEASE_DIR_MORE;
    while (result == RELEASE_DIR_MORE) {
        uint32_t budget = REMOVE_BUDGET;
        result = release_dir_remove_partial(dir, journal_of(settling)->to, &budget, &problem);
    }
    if (result < 0)
        note(settling, &problem);
}

/* What a commit came from is the way back from now on. */
static void note_way_back(struct settling *settling)
{
    struct error problem = ERROR_INIT;
    const struct upgrade_journal *journal = journal_of(settling);
    bool is_way = journal->from[0] != '\0' && strcmp(journal->from, journal->to) != 0;
    if (is_way && way_back_write(settling->request->places->way_back, journal->to, journal->from,
                      &problem) < 0)
        note(settling, &problem);
}

/* The way back has the first place. Returns how many are left besides the current one's. */
static size_t keep_way_back(
    const struct settling *settling, const char *way_back, struct release_use *use)
{
    size_t keep = settling->request->keep - 1;
    if (keep == 0 || way_back[0] == '\0' || use->n_named == RELEASE_DIR_ENTRIES_MAX)
        return keep;
    for (size_t i = 0; i < use->n_named; i++) {
        if (strcmp(use->named[i], way_back) == 0)
            return keep;
    }
    use->named[use->n_named++] = way_back;
    return keep - 1;
}

static void retain(struct settling *settling, const struct release_dir *dir)
{
    struct error problem = ERROR_INIT;
    char current[VERSION_TEXT_MAX + 1];
    char way_back[VERSION_TEXT_MAX + 1] = "";
    struct release_use use = {.n_named = 0};
    size_t keep = 0;
    int result = release_dir_current(dir, current, &problem);
    /* A first installation that was rolled back: then nothing may go. */
    if (settling->request->keep == 0 || result == RELEASE_DIR_NONE)
        return;
    if (result == 0)
        result = release_use_look(dir, &use, &problem);
    if (result == 0) {
        if (!way_back_read(settling->request->places->way_back, current, way_back))
            way_back[0] = '\0';
        keep = keep_way_back(settling, way_back, &use);
        result = RELEASE_DIR_MORE;
    }
    while (result == RELEASE_DIR_MORE) {
        uint32_t budget = REMOVE_BUDGET;
        result = release_dir_retain(dir, keep, use.named, use.n_named, &budget, &problem);
    }
    if (result < 0)
        note(settling, &problem);
}

/* What an upgrade leaves besides its release. */
static void clean_up(struct settling *settling, bool retains)
{
    struct error problem = ERROR_INIT;
    struct release_dir dir;
    /* What an updater that ends by itself has fetched of a release that it could not prepare is
     * the beginning of its next try. */
    bool is_beginning = !retains && settling->request->why != NULL;
    if (!is_beginning && tree_remove_path(settling->request->places->downloads, &problem) < 0)
        note(settling, &problem);
    int result = release_dir_open(settling->request->places->root, false, &dir, &problem);
    if (result < 0)
        note(settling, &problem);
    if (result != 0)
        return;
    if (retains)
        retain(settling, &dir);
    else
        remove_partial(settling, &dir);
    release_dir_close(&dir);
}

static void explain(struct settling *settling)
{
    struct error *failure = &settling->out->failure;
    if (settling->request->why != NULL)
        *failure = *settling->request->why;
    else if (settling->server_why.code != STATUS_OK)
        *failure = settling->server_why;
    else
        (void)error_set(failure, STATUS_ABORTED,
            "the updater ended before the upgrade to %s was done", journal_of(settling)->to);
}

static void write_result(struct settling *settling)
{
    static const char *const phases[] = {
        [UPGRADE_SETTLED_DISCARDED] = "UPGRADE_PHASE_UNSPECIFIED",
        [UPGRADE_SETTLED_COMMITTED] = "UPGRADE_PHASE_COMMITTED",
        [UPGRADE_SETTLED_ROLLED_BACK] = "UPGRADE_PHASE_ROLLED_BACK",
    };
    const struct upgrade_journal *journal = journal_of(settling);
    bool is_committed = settling->out->what == UPGRADE_SETTLED_COMMITTED;
    bool not_verified = is_committed && !upgrade_has_lease(journal);
    const struct error *failure = is_committed ? &settling->after : &settling->out->failure;
    struct error problem = ERROR_INIT;
    const struct upgrade_result result = {.id = journal->id,
        .from = journal->from,
        .to = journal->to,
        .lease = journal->lease,
        .phase = phases[settling->out->what],
        .message = failure->code != STATUS_OK ? failure->text
                   : not_verified
                       ? "switched; nothing was started for it, so nobody has seen it serve"
                       : "committed",
        .source = settling->request->source != NULL ? settling->request->source : "",
        .not_verified = not_verified,
        .began_wall_ms = journal->times[0],
        .ended_wall_ms = wall_ms(),
        .failure = *failure,
        .reason = settling->request->reason_name != NULL
                      ? settling->request->reason_name(failure->reason)
                      : NULL};
    if (upgrade_result_write(settling->request->places->result, &result, &problem) < 0)
        note(settling, &problem);
}

/* The journal goes last: until then all of this is done again by whoever comes. */
static int complete(struct settling *settling, enum upgrade_settled what, struct error *error)
{
    settling->out->what = what;
    if (what != UPGRADE_SETTLED_COMMITTED)
        explain(settling);
    else
        note_way_back(settling);
    if (what == UPGRADE_SETTLED_COMMITTED && settling->request->on_committed != NULL)
        settling->request->on_committed(
            settling->request->data, journal_of(settling), &settling->after);
    clean_up(settling, what != UPGRADE_SETTLED_DISCARDED);
    write_result(settling);
    return upgrade_journal_remove(settling->request->places->journal, error);
}

static int complete_ended(struct settling *settling, struct error *error)
{
    bool is_committed = upgrade_journal_step(journal_of(settling)) == UPGRADE_STEP_COMMITTED;
    return complete(
        settling, is_committed ? UPGRADE_SETTLED_COMMITTED : UPGRADE_SETTLED_ROLLED_BACK, error);
}

static int ask_person(
    struct settling *settling, enum upgrade_server server, enum link_set_state links)
{
    struct upgrade_settlement *out = settling->out;
    const char *link = out->journal.links.changes[0].link;
    out->what = UPGRADE_SETTLED_NEEDS_PERSON;
    if (links == LINK_SET_FOREIGN)
        (void)error_set(&out->failure, STATUS_FAILED_PRECONDITION,
            "the upgrade to %s is unfinished, and %s leads to neither of its releases",
            out->journal.to, link);
    else if (server == UPGRADE_SERVER_FAILED && settling->server_why.code != STATUS_OK)
        out->failure = settling->server_why;
    else
        (void)error_set(&out->failure, STATUS_FAILED_PRECONDITION,
            "the upgrade to %s is unfinished, and nobody can tell whether it was committed",
            out->journal.to);
    if (out->failure.hint[0] == '\0')
        error_set_hint(&out->failure,
            "make %.120s lead to the release that should run, then remove %.100s", link,
            settling->request->places->journal);
    return 0;
}

/* ---- one after the other ---- */

/* 0: go on; UPGRADE_SETTLED_WAITING: no longer. */
static int wait_for_server(struct settling *settling)
{
    const struct upgrade_settle_request *request = settling->request;
    bool goes_on = clock_monotonic_ms() < request->deadline_at &&
                   request->server->wait(request->server->data, UPGRADE_SETTLE_POLL_MS);
    return goes_on ? 0 : UPGRADE_SETTLED_WAITING;
}

static int look(struct settling *settling, enum upgrade_server *out_server,
    enum link_set_state *out_links, struct error *error)
{
    const struct upgrade_settle_server *server = settling->request->server;
    *out_server = UPGRADE_SERVER_NONE;
    if (server != NULL && upgrade_has_lease(journal_of(settling))) {
        settling->server_why = ERROR_INIT;
        int result = server->look(
            server->data, journal_of(settling), out_server, &settling->server_why, error);
        if (result < 0)
            return result;
    }
    return link_set_look(&journal_of(settling)->links, out_links, error);
}

/* Raised by what ends the settling. */
static int act(struct settling *settling, bool *out_is_over, struct error *error)
{
    enum upgrade_server server;
    enum link_set_state links;
    const struct upgrade_settle_server *calls = settling->request->server;
    int result = look(settling, &server, &links, error);
    if (result < 0)
        return result;
    *out_is_over = true;
    switch (upgrade_recover(journal_of(settling), server, links)) {
    case UPGRADE_ACTION_DISCARD:
        return complete(settling, UPGRADE_SETTLED_DISCARDED, error);
    case UPGRADE_ACTION_COMPLETE:
        return complete_ended(settling, error);
    case UPGRADE_ACTION_START_SERVER:
        settling->out->what = UPGRADE_SETTLED_NEEDS_SERVER;
        return 0;
    case UPGRADE_ACTION_ASK_PERSON:
        return ask_person(settling, server, links);
    case UPGRADE_ACTION_WAIT:
        settling->out->what = UPGRADE_SETTLED_WAITING;
        *out_is_over = wait_for_server(settling) == UPGRADE_SETTLED_WAITING;
        return 0;
    case UPGRADE_ACTION_ABORT_LEASE:
        *out_is_over = false;
        result = calls->abort(calls->data, journal_of(settling), error);
        if (result == 0 && wait_for_server(settling) == UPGRADE_SETTLED_WAITING) {
            settling->out->what = UPGRADE_SETTLED_WAITING;
            *out_is_over = true;
        }
        return result;
    case UPGRADE_ACTION_RESTORE_LINKS:
        *out_is_over = false;
        return restore_links(settling, error);
    case UPGRADE_ACTION_FINISH_COMMIT:
        *out_is_over = false;
        return record(settling, UPGRADE_STEP_COMMITTED, error);
    case UPGRADE_ACTION_FINISH_ROLL_BACK:
        *out_is_over = false;
        return finish_roll_back(settling, error);
    case UPGRADE_ACTION_COUNT:
        break;
    }
    return error_set(
        error, STATUS_INTERNAL, "nobody knows how to end upgrade %s", journal_of(settling)->id);
}

int upgrade_settle(const struct upgrade_settle_request *request, struct upgrade_settlement *out,
    struct error *error)
{
    struct settling settling = {.request = request, .out = out, .server_why = ERROR_INIT};
    const char *path = request->places->journal;
    *out = (struct upgrade_settlement){.what = UPGRADE_SETTLED_NOTHING};
    int result = upgrade_journal_read(path, &out->journal, &out->blemish);
    /* Whoever was killed in the first record has left a temporary file. */
    if (result == UPGRADE_JOURNAL_NONE) {
        fd_sweep_temporaries(path);
        return 0;
    }
    if (result == -STATUS_DATA_LOSS)
        return upgrade_journal_put_aside(path, error);
    if (result < 0) {
        if (error != NULL)
            *error = out->blemish;
        return result;
    }
    bool is_over = false;
    while (result == 0 && !is_over)
        result = act(&settling, &is_over, error);
    return result;
}
