#include "client/cli/update_remote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "flocks/calls.h"
#include "flocks/v1/upgrade.methods.h"

#include "client/cli/report.h"
#include "client/cli/watch.h"
#include "common/base/clock.h"

bool update_remote_is_inside(const struct cli *cli)
{
    /* One thread, and nobody sets a variable. */
    const char *service = getenv("FLOCKS_SERVICE"); // NOLINT(concurrency-mt-unsafe)
    const char *root = getenv("FLOCKS_ROOT");       // NOLINT(concurrency-mt-unsafe)
    struct stat theirs;
    struct stat ours;
    return service && service[0] && root && stat(root, &theirs) == 0 &&
           stat(cli->paths.root, &ours) == 0 && theirs.st_dev == ours.st_dev &&
           theirs.st_ino == ours.st_ino;
}

int update_remote_abort(struct daemon *daemon, const char *upgrade_id, const char *lease_id,
    const ProtobufCMessage **out, struct error *error)
{
    const ProtobufCMessage *message = NULL;
    flocks_abort_upgrade_request request = FLOCKS_ABORT_UPGRADE_REQUEST_INIT;
    request.upgrade_id = lease_id ? "" : upgrade_id;
    request.lease_id = lease_id ? lease_id : "";
    request.reason = "flocks update";
    int result = daemon_call_method(daemon, &flocks_upgrade_methods[FLOCKS_UPGRADE_ABORT_UPGRADE],
        &request.base, &message, error);
    if (out)
        *out = message;
    else
        rpc_message_free(message);
    return result;
}

/* ---- following ---- */

struct follow {
    struct update_run *run;
    struct watch watch;
    struct flocks_stream *stream;
    bool stream_has_ended;
    int64_t again_at; /* when to begin the stream again; CLOCK_NEVER: it lasts */
    int result;       /* of the stream */
    struct error error;
};

static enum rpc_take take_message(
    void *data, struct flocks_stream *stream, const flocks_watch_upgrade_response *message)
{
    (void)stream;
    struct follow *follow = data;
    if (message->progress)
        update_run_take(follow->run, message->progress);
    return RPC_TAKE_DONE;
}

static void take_end(void *data, struct flocks_stream *stream, const struct flocks_error *failure)
{
    (void)stream;
    struct follow *follow = data;
    follow->stream_has_ended = true;
    follow->result = watch_end_of(failure, &follow->error);
}

static int begin(struct follow *follow, struct error *error)
{
    static const struct flocks_client_watch_upgrade_hooks hooks = {
        .message = take_message, .ended = take_end};
    struct flocks_error *failure = NULL;
    flocks_watch_upgrade_request request = FLOCKS_WATCH_UPGRADE_REQUEST_INIT;
    request.upgrade_id = follow->run->upgrade_id;
    flocks_stream_close(follow->stream);
    follow->stream_has_ended = false;
    follow->again_at = CLOCK_NEVER;
    follow->stream = flocks_client_watch_upgrade_watch(
        follow->watch.client, NULL, &request, &hooks, follow, &failure);
    if (follow->stream)
        return 0;
    int result = daemon_take_failure(failure, error);
    flocks_error_free(failure);
    return result;
}

/* The stream ended without the upgrade. 0: it is to be begun again, for its flocksd has gone. */
static int consider_end(struct follow *follow, struct error *error)
{
    if (follow->result == -STATUS_UNAVAILABLE) {
        follow->again_at = clock_add_ms(clock_monotonic_ms(), FLOCKS_CLIENT_FIRST_RETRY_MS);
        follow->stream_has_ended = false;
        return 0;
    }
    if (follow->result == 0)
        follow->result = error_set(&follow->error, STATUS_INTERNAL,
            "the daemon stopped telling about upgrade %s before its end", follow->run->upgrade_id);
    *error = follow->error;
    return follow->result;
}

/* The person wants it undone; that it could not be told is no reason to look away. */
static void ask_for_end(struct follow *follow)
{
    struct daemon daemon;
    struct error error = ERROR_INIT;
    int result = daemon_open(&daemon, follow->run->cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = update_remote_abort(&daemon, follow->run->upgrade_id, NULL, NULL, &error);
    if (result < 0)
        update_show_note(&follow->run->show, error.text);
    daemon_close(&daemon);
}

static int run_loop(struct follow *follow, struct error *error)
{
    for (;;) {
        int64_t due_at = update_run_due_at(follow->run);
        (void)watch_wait(&follow->watch, due_at < follow->again_at ? due_at : follow->again_at);
        if (update_run_is_over(follow->run))
            return 0;
        enum update_wish wish = update_run_look(follow->run);
        if (wish == UPDATE_LEAVE)
            return 0;
        if (wish == UPDATE_ABORT)
            ask_for_end(follow);
        int result = 0;
        if (follow->stream_has_ended)
            result = consider_end(follow, error);
        else if (clock_monotonic_ms() >= follow->again_at)
            result = begin(follow, error);
        if (result != 0)
            return result;
    }
}

int update_remote_follow(struct update_run *run, struct error *error)
{
    struct follow follow = {.run = run, .error = ERROR_INIT};
    int result = watch_open(&follow.watch, run->cli, error);
    follow.watch.mask = &run->mask;
    if (result == 0)
        result = begin(&follow, error);
    if (result == 0)
        result = run_loop(&follow, error);
    flocks_stream_close(follow.stream);
    watch_close(&follow.watch);
    return result;
}

/* ---- begun there ---- */

/* 0: *out_id is the upgrade's. DAEMON_NOT_RUNNING, or negative. */
static int start(struct daemon *daemon, const struct update_plan *plan,
    char out_id[OPERATION_REQUEST_ID_SIZE], struct error *error)
{
    char request_id[OPERATION_REQUEST_ID_SIZE];
    const ProtobufCMessage *message = NULL;
    flocks_start_update_request request = FLOCKS_START_UPDATE_REQUEST_INIT;
    operation_new_request_id(request_id);
    request.version = plan->version ? plan->version : "";
    request.source = plan->source ? plan->source : "";
    request.region = plan->region ? plan->region : "";
    request.force = plan->force;
    request.roll_back = plan->roll_back;
    request.request_id = request_id;
    int result = daemon_call_method(daemon, &flocks_upgrade_methods[FLOCKS_UPGRADE_START_UPDATE],
        &request.base, &message, error);
    if (result == 0)
        (void)snprintf(out_id, OPERATION_REQUEST_ID_SIZE, "%s",
            ((const flocks_start_update_response *)message)->upgrade_id);
    rpc_message_free(message);
    return result;
}

static enum outcome follow_started(const struct cli *cli, const char *upgrade_id)
{
    struct error error = ERROR_INIT;
    struct update_run run;
    update_run_begin(&run, cli, upgrade_id);
    int result = update_remote_follow(&run, &error);
    if (result == DAEMON_NOT_RUNNING)
        result = error_set(&error, STATUS_UNAVAILABLE,
            "the daemon has ended; how upgrade %s went is not known", upgrade_id);
    return update_run_finish(&run, result < 0 ? &error : NULL);
}

enum update_remote_result update_remote_apply(
    const struct cli *cli, const struct update_plan *plan, enum outcome *out)
{
    char upgrade_id[OPERATION_REQUEST_ID_SIZE] = "";
    struct error error = ERROR_INIT;
    struct daemon daemon;
    int result = daemon_open(&daemon, cli, DAEMON_ANSWER_MS, &error);
    if (result == 0)
        result = start(&daemon, plan, upgrade_id, &error);
    if (result < 0)
        *out = daemon_report(&daemon, &error);
    daemon_close(&daemon);
    if (result == DAEMON_NOT_RUNNING)
        return UPDATE_REMOTE_NO_DAEMON;
    if (result == 0)
        *out = follow_started(cli, upgrade_id);
    return UPDATE_REMOTE_TOLD;
}
