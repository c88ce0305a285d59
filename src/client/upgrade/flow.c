#include "client/upgrade/flow.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/updater/cancel.h"
#include "client/upgrade/adopt.h"
#include "client/upgrade/back.h"
#include "client/upgrade/ending.h"
#include "client/upgrade/recover.h"
#include "client/upgrade/replace.h"
#include "client/upgrade/told.h"
#include "common/base/clock.h"
#include "common/inventory/instance_lock.h"

enum { NS_PER_MS = 1000000, PAUSE_MS = 50 };

#define STEP(name) (1U << FLOCKS_UPGRADE_STEP_##name)

int flow_record(struct flow *flow, enum upgrade_step step, struct error *error)
{
    int result = upgrade_journal_advance(&flow->journal, step, clock_wall_ns() / NS_PER_MS, error);
    return result < 0 ? result
                      : upgrade_journal_write(
                            flow->request->settings->places.journal, &flow->journal, error);
}

int flow_check(const struct flow *flow, struct error *error)
{
    if (!cancel_is_asked(flow->request->cancel_fd))
        return 0;
    return error_set(error, STATUS_CANCELLED, "the upgrade was aborted");
}

/* ---- before ---- */

static int recover_before(struct flow *flow, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    const struct update_recover_request recover = {
        .settings = request->settings, .server = request->server, .cancel_fd = request->cancel_fd};
    if (access(request->settings->places.journal, F_OK) == 0)
        update_reporter_step(request->reporter, FLOCKS_UPGRADE_STEP_RECOVERING,
            "Ending an unfinished upgrade first");
    int result = update_recover_found(&recover, -1, error);
    return result < 0 ? error_add_context(error, result, "ending an unfinished upgrade") : 0;
}

static int find(struct flow *flow, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    char back[VERSION_TEXT_MAX + 1] = "";
    update_reporter_step(request->reporter, FLOCKS_UPGRADE_STEP_CHECKING, "Looking for %s%s",
        request->roll_back            ? "the release before"
        : request->version[0] != '\0' ? "release "
                                      : "the newest release",
        request->roll_back ? "" : request->version);
    int result =
        request->roll_back ? update_back_choose(request->settings, &flow->dir, back, error) : 0;
    if (result < 0)
        return result;
    const struct update_find_request wanted = {.settings = request->settings,
        .version = request->roll_back ? back : request->version,
        .from = request->from,
        .force = request->force,
        .is_local = request->roll_back,
        .cancel_fd = request->cancel_fd,
        .on_progress = update_reporter_progress,
        .data = request->reporter};
    result = update_find(&wanted, &flow->found, error);
    update_reporter_versions(request->reporter, flow->found.current,
        result == 0 ? flow->found.name : NULL, flow->found.source_shown);
    return result;
}

/* ---- prepare ---- */

void flow_plan(struct flow *flow, bool pauses)
{
    uint32_t steps = STEP(SWITCHING);
    if (!flow->found.is_installed)
        steps |= STEP(DOWNLOADING) | STEP(VERIFYING) | STEP(UNPACKING) | STEP(INSTALLING);
    if (flow->adopts)
        steps |= STEP(ADOPTING);
    if (pauses)
        steps |= STEP(STOPPING) | STEP(COMMITTING);
    if (flow->staged.file != NULL && flow->staged.file->programs != NULL && flow->has_server)
        steps |= STEP(REPLACING);
    update_reporter_plan(flow->request->reporter, steps);
}

static int stage(struct flow *flow, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    const struct update_stage_request wanted = {.settings = request->settings,
        .found = &flow->found,
        .cancel_fd = request->cancel_fd,
        .on_progress = update_reporter_progress,
        .data = request->reporter};
    int result = upgrade_journal_begin(request->id, flow->found.current, flow->found.name,
        clock_wall_ns() / NS_PER_MS, &flow->journal, error);
    if (result == 0)
        result = upgrade_journal_write(request->settings->places.journal, &flow->journal, error);
    if (result < 0)
        return result;
    flow->has_journal = true;
    result = update_stage(&wanted, &flow->staged, error);
    if (result == 0 && flow->staged.is_partial)
        result = release_dir_publish(&flow->dir, flow->found.name, error);
    return result < 0 ? result : flow_record(flow, UPGRADE_STEP_PREPARED, error);
}

/* An installation in place becomes the release that is left. */
static int adopt(struct flow *flow, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    char version[VERSION_TEXT_MAX + 1] = "";
    const flocks_config *config = NULL;
    const struct update_adopt_request wanted = {.settings = request->settings,
        .version = version,
        .on_progress = update_reporter_progress,
        .data = request->reporter};
    int result = flow_check(flow, error);
    if (result < 0 || !update_adopt_is_due(request->settings))
        return result;
    if (request->server->calls->config(request->server->self, &flow->arena, &config, NULL) == 0)
        update_told_version(config, request->cancel_fd, version);
    result = update_adopt(&wanted, error);
    if (result == 0)
        result = release_dir_current(&flow->dir, flow->journal.from, error);
    if (result == 0)
        result = upgrade_journal_write(request->settings->places.journal, &flow->journal, error);
    update_reporter_versions(request->reporter, flow->journal.from, NULL, NULL);
    return result < 0 ? result : 0;
}

static int add_links(struct flow *flow, struct error *error)
{
    char target[LINK_TEXT_MAX + 1];
    release_dir_target(flow->journal.to, target);
    return link_set_add(
        &flow->journal.links, flow->request->settings->places.current, target, error);
}

/* ---- take effect ---- */

/* With the server, or where there is none without one; one that comes or goes at this moment makes
 * it look again. */
static int take_effect(struct flow *flow, struct error *error)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_PATIENCE_MS);
    while (clock_monotonic_ms() < until_at) {
        int result = flow_with_server(flow, error);
        if (result == UPDATE_SERVER_NONE)
            result = flow_without_server(flow, error);
        if (result != INSTANCE_LIVES)
            return result;
        result = flow_check(flow, error);
        if (result < 0)
            return result;
        (void)cancel_wait(flow->request->cancel_fd, PAUSE_MS);
    }
    return error_set(
        error, STATUS_UNAVAILABLE, "the lock of the instance is held, and no daemon answers");
}

static int go_forward(struct flow *flow, struct error *error)
{
    int result =
        flow->request->server->calls->lives(flow->request->server->self, &flow->has_server, error);
    if (result < 0)
        return result;
    flow->adopts = update_adopt_is_due(flow->request->settings);
    flow_plan(flow, flow->has_server);
    result = stage(flow, error);
    if (result < 0)
        return result;
    flow_plan(flow, flow->has_server);
    result = adopt(flow, error);
    if (result == 0)
        result = add_links(flow, error);
    return result < 0 ? result : take_effect(flow, error);
}

/* ---- the end ---- */

/* Settles what was begun, well or not, and tells it. `result` and *error are the flow's. */
static int settle(struct flow *flow, int result, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    struct error replacement = ERROR_INIT;
    struct upgrade_settlement settlement;
    struct error problem = ERROR_INIT;
    const struct update_recover_request recover = {.settings = request->settings,
        .server = request->server,
        .reporter = request->reporter,
        /* Before the lease nothing that others see has changed. */
        .undoes = flow->lease.id[0] != '\0' ||
                  upgrade_journal_step(&flow->journal) >= UPGRADE_STEP_SWITCHING,
        .cancel_fd = -1,
        .why = result < 0 ? error : NULL,
        .source = flow->found.source_shown};
    int settled = update_recover(&recover, &settlement, &replacement, &problem);
    if (settled == 0)
        settled = update_recover_explain(&settlement, &problem);
    /* What could not be undone matters more than why it had to be. */
    if (settled < 0)
        *error = problem;
    else if (settlement.what == UPGRADE_SETTLED_COMMITTED)
        *error = replacement;
    update_ending_tell(request->reporter, &settlement,
        flow->has_server ? "every service was kept running"
                         : "no daemon runs, `flocks start` starts it",
        error);
    if (settled < 0)
        return settled;
    return settlement.what == UPGRADE_SETTLED_COMMITTED ? -(int)replacement.code : result;
}

/* Without a journal; `message` where it went well. */
static int end_early(struct flow *flow, int result, const char *message, struct error *error)
{
    bool is_well = result == 0;
    update_reporter_end(flow->request->reporter, FLOCKS_UPGRADE_PHASE_UNSPECIFIED, false,
        is_well ? NULL : error, is_well ? message : error->text);
    return result;
}

/* Nothing is to be installed; but programs of the current release may have failed to take over when
 * it was, or others were started since. */
static int hand_over(struct flow *flow, struct error *error)
{
    const struct update_apply_request *request = flow->request;
    const char *current = flow->found.current;
    char due[UPDATE_DUE_SIZE];
    char message[ERROR_TEXT_MAX];
    update_replace_due(request->settings, request->server, current, due);
    if (due[0] == '\0') {
        (void)snprintf(message, sizeof message, "%s is current, and nothing newer is there",
            current[0] != '\0' ? current : "no release");
        return end_early(flow, 0, message, error);
    }
    update_reporter_plan(request->reporter, STEP(REPLACING));
    int result =
        update_replace(request->settings, request->server, request->reporter, current, error);
    if (result < 0)
        (void)error_add_context(
            error, result, "%s is current, but its %s did not take over", current, due);
    (void)snprintf(message, sizeof message, "%s is current, and its %s took over", current, due);
    return end_early(flow, result, message, error);
}

static int run(struct flow *flow, struct error *error)
{
    int result = recover_before(flow, error);
    if (result == 0)
        result = release_dir_open(flow->request->settings->places.root, true, &flow->dir, error);
    if (result == 0)
        result = flow_check(flow, error);
    if (result == 0)
        result = find(flow, error);
    if (result == UPDATE_FIND_NOTHING)
        return hand_over(flow, error);
    if (result != 0)
        return end_early(flow, result, "", error);
    result = go_forward(flow, error);
    return flow->has_journal ? settle(flow, result, error) : end_early(flow, result, "", error);
}

int update_apply(const struct update_apply_request *request, struct error *error)
{
    struct flow flow = {.request = request, .dir = {.root_fd = -1, .releases_fd = -1}};
    struct error unwanted = ERROR_INIT;
    arena_init(&flow.arena, FLOW_ARENA_BYTES);
    int result = run(&flow, error != NULL ? error : &unwanted);
    update_staged_deinit(&flow.staged);
    update_found_deinit(&flow.found);
    release_dir_close(&flow.dir);
    arena_deinit(&flow.arena);
    return result;
}
