/* Steps: Shutdown over the socket and its operation; the lock; signals if it does not answer; what
 * is left. */
#include "client/cli/shutdown.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/cli/daemon.h"
#include "client/cli/instance.h"
#include "client/cli/leftovers.h"
#include "client/cli/operation.h"
#include "client/cli/process.h"
#include "common/base/clock.h"

enum {
    /* How often it is looked for one that was started meanwhile. */
    SUCCESSOR_POLL_MS = 100,
    /* Keepers that are killed while one stop goes on, each time flocksd becomes the next one. */
    OTHER_INSTANCES_MAX = 8
};

void shutdown_outcome_free(struct shutdown_outcome *outcome)
{
    operation_end_free(&outcome->followed);
    if (outcome->answer)
        rpc_message_free(outcome->answer);
    *outcome = (struct shutdown_outcome){.was_running = outcome->was_running};
}

/* Another keeper was started after this command: what the command is to end has ended, and the new
 * one is not its business. (A flocksd that became the keeper is older.) */
static bool has_successor(const struct cli *cli)
{
    struct instance instance;
    struct process self;
    struct process keeper;
    struct error error = ERROR_INIT;
    return instance_look(&cli->paths, &instance, &error) == 0 && instance.lives &&
           instance.keeper_pid > 0 && process_read(getpid(), &self, &error) == 0 &&
           process_read(instance.keeper_pid, &keeper, &error) == 0 &&
           keeper.start_ticks > self.start_ticks;
}

/* Positive condition: what was to be ended has ended, and another one was started. */
#define SHUTDOWN_SUCCEEDED 2

/* One call of the instance that is there now, by its keeper: the library repeats it, and a
 * repetition must not end one that was started meanwhile. A daemon of before knows no such field.
 */
static int call(struct daemon *daemon, int64_t limit_ms, flocks_shutdown_request *request,
    const ProtobufCMessage **out, struct error *error)
{
    struct instance instance;
    int result = instance_look(&daemon->cli->paths, &instance, error);
    if (result < 0)
        return result;
    request->keeper_pid = instance.lives ? (int32_t)instance.keeper_pid : 0;
    result = daemon_call(daemon, FLOCKS_SUPERVISOR_SHUTDOWN, limit_ms, &request->base, out, error);
    if (result != -STATUS_UNIMPLEMENTED || error->reason != FLOCKS_ERROR_REASON_UNKNOWN_FIELD)
        return result;
    request->keeper_pid = 0;
    return daemon_call(daemon, FLOCKS_SUPERVISOR_SHUTDOWN, limit_ms, &request->base, out, error);
}

/* The keeper of an instance changes when it was killed and flocksd became it: then it is looked for
 * again. */
static int call_the_same(struct daemon *daemon, int64_t limit_ms, bool wait,
    const ProtobufCMessage **out, struct error *error)
{
    flocks_shutdown_request request = FLOCKS_SHUTDOWN_REQUEST_INIT;
    request.wait = wait;
    for (int i = 0;; i++) {
        int result = has_successor(daemon->cli) ? SHUTDOWN_SUCCEEDED
                                                : call(daemon, limit_ms, &request, out, error);
        bool is_other =
            result == -STATUS_ABORTED && error->reason == FLOCKS_ERROR_REASON_OTHER_INSTANCE;
        if (!is_other || i == OTHER_INSTANCES_MAX)
            return result;
    }
}

/* Waits a moment with the call itself, because a daemon that has ended tells nothing any more. 0:
 * out->operation is the ended one. */
static int ask_and_wait(struct daemon *daemon, struct shutdown_outcome *out, struct error *error)
{
    int result = call_the_same(daemon, SHUTDOWN_QUICK_MS, true, &out->answer, error);
    if (result == 0)
        out->operation = ((const flocks_shutdown_response *)out->answer)->operation;
    return result;
}

/* The same request again joins the operation that it began, and tells its id. */
static int ask_and_follow(struct daemon *daemon, struct shutdown_outcome *out, struct error *error)
{
    int result = call_the_same(daemon, SHUTDOWN_ANSWER_MS, false, &out->answer, error);
    if (result != 0)
        return result;
    const flocks_shutdown_response *response = (const flocks_shutdown_response *)out->answer;
    if (!response->operation)
        return 0;
    result = operation_follow(daemon, response->operation->id, &out->followed, error);
    if (result == 0)
        out->operation = out->followed.operation;
    /* It may leave before the last answer, or forget the operation with everything else. */
    return result == -STATUS_UNAVAILABLE || result == -STATUS_NOT_FOUND ? 0 : result;
}

/* 0: begun and over, as far as the daemon could tell. Positive: it is gone already. */
static int ask(struct daemon *daemon, struct shutdown_outcome *out, struct error *error)
{
    int result = ask_and_wait(daemon, out, error);
    return result != -STATUS_DEADLINE_EXCEEDED ? result : ask_and_follow(daemon, out, error);
}

/* A refusal is told; silence is answered with signals. */
static int ask_or_force(
    const struct cli *cli, struct daemon *daemon, struct shutdown_outcome *out, struct error *error)
{
    int64_t began_at = clock_monotonic_ms();
    int result = ask(daemon, out, error);
    if (result >= 0)
        return 0;
    bool is_silent = (result == -STATUS_DEADLINE_EXCEEDED || result == -STATUS_UNAVAILABLE) &&
                     clock_monotonic_ms() - began_at < daemon->deadline_at - began_at;
    if (!is_silent)
        return result;
    if (has_successor(cli))
        return 0;
    if (cli->notes)
        fputs("flocks: the daemon does not answer; ending its keeper by signal\n", cli->notes);
    return instance_end(&cli->paths, error);
}

static int wait_gone(const struct cli *cli, struct error *error)
{
    int64_t give_up_at = clock_add_ms(clock_monotonic_ms(), SHUTDOWN_LEAVE_MS);
    int result = INSTANCE_LIVES;
    while (result == INSTANCE_LIVES && clock_monotonic_ms() < give_up_at) {
        int64_t look_at = clock_add_ms(clock_monotonic_ms(), SUCCESSOR_POLL_MS);
        result = instance_wait_gone(&cli->paths, look_at, error);
        if (result == INSTANCE_LIVES && has_successor(cli))
            return 0;
    }
    if (result != INSTANCE_LIVES)
        return result;
    if (cli->notes)
        fputs("flocks: the keeper does not leave; ending it by signal\n", cli->notes);
    return instance_end(&cli->paths, error);
}

/* What outlived its keeper is ended; what outlives that is named. */
static int end_leftovers(const struct cli *cli, struct shutdown_outcome *out, struct error *error)
{
    struct leftover *items = NULL;
    size_t n = 0;
    bool any = false;
    if (!leftovers_are_possible(&cli->paths))
        return 0;
    /* Those that can be named; flocksd finds more. */
    int result = leftovers_find(&cli->paths, &items, &n, error);
    for (size_t i = 0; cli->notes && i < n; i++)
        fprintf(cli->notes, "flocks: ending %s, pid %d, left by an earlier flocks\n",
            items[i].service, (int)items[i].process.pid);
    free(items);
    if (result == 0)
        result = leftovers_end(&cli->paths, &any, error);
    out->was_running = out->was_running || n > 0 || any;
    if (result < 0)
        error_set_hint(error, "`flocks status` names what is left");
    return result;
}

static int end_running(const struct cli *cli, struct shutdown_outcome *out, struct error *error)
{
    struct daemon daemon;
    int result = daemon_open(&daemon, cli, DAEMON_WORK_MS, error);
    if (result == 0)
        result = ask_or_force(cli, &daemon, out, error);
    daemon_close(&daemon);
    return result < 0 ? result : wait_gone(cli, error);
}

int shutdown_instance(const struct cli *cli, struct shutdown_outcome *out, struct error *error)
{
    struct instance instance;
    *out = (struct shutdown_outcome){.was_running = false};
    int result = instance_look(&cli->paths, &instance, error);
    if (result == 0 && instance.lives) {
        out->was_running = true;
        result = end_running(cli, out, error);
    }
    /* Whoever starts one ends what is left. */
    if (result < 0 || has_successor(cli))
        return result;
    return end_leftovers(cli, out, error);
}
