/* Processes of one service: what they are started with, and starting them through the keeper. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/spawn_plan.h"
#include "server/supervise/supervisor_private.h"

static void ignore_done(void *data, int result, const struct error *error)
{
    (void)data;
    (void)result;
    (void)error;
}

void service_note_exit(struct service *service, const struct service_exit *exit)
{
    memmove(service->exits + 1, service->exits, (SERVICE_EXITS_MAX - 1) * sizeof service->exits[0]);
    service->exits[0] = *exit;
    if (service->n_exits < SERVICE_EXITS_MAX)
        service->n_exits++;
}

/* ---- spawning ---- */

static void spawn_failed(struct service *service, int error_number, const char *message)
{
    const struct service_exit exit = {.generation = service->facts.generation,
        .ended_wall_ns = clock_wall_ns(),
        .reason = FLOCKS_STATE_REASON_EXEC_FAILED,
        .error = error_number};

    service_note_exit(service, &exit);
    service_observe(service, SERVICE_EVENT_SPAWN_FAILED, FLOCKS_STATE_REASON_EXEC_FAILED, message);
}

static void spawn_succeeded(struct service *service, const struct keeper_spawned *spawned)
{
    const struct service_input input = {.event = SERVICE_EVENT_SPAWNED,
        .now = clock_monotonic_ms(),
        .pid = spawned->pid,
        .start_ticks = spawned->start_ticks};

    service_feed(service, &input);
}

static void answer_run(struct service *service, int result, const struct keeper_spawned *spawned,
    const struct error *error)
{
    char message[SERVICE_MESSAGE_SIZE];

    if (result < 0) {
        (void)snprintf(message, sizeof message, "%.250s", error != NULL ? error->text : "refused");
        spawn_failed(service, 0, message);
    } else if (spawned->failed_step != KEEPER_STEP_NONE) {
        (void)snprintf(message, sizeof message, "cannot %s: %s (%s)",
            keeper_step_text((int)spawned->failed_step), error_errno_name(spawned->system_error),
            service->facts.state == SERVICE_PREPARING ? service->config->prepare->command[0]
                                                      : service->config->command[0]);
        spawn_failed(service, spawned->system_error, message);
    } else {
        spawn_succeeded(service, spawned);
    }
}

static void answer_task(struct service *service, int result, const struct keeper_spawned *spawned)
{
    if (result == 0 && spawned->failed_step == KEEPER_STEP_NONE) {
        /* Its exit is the result. */
        service->task_identity.leader =
            (struct process_id){.pid = spawned->pid, .start_ticks = spawned->start_ticks};
        return;
    }
    service->task_alive = false;
    supervisor_release_task_slot(service);
    if (service->watch.task_running)
        service_watch_result(
            service, false, "the probe's program cannot be executed", clock_monotonic_ms());
}

static void on_spawned(
    void *data, int result, const struct keeper_spawned *spawned, const struct error *error)
{
    struct spawn_call *call = data;
    struct service *service = call->service;
    bool is_task = call->is_task;
    uint32_t run = call->run;

    list_remove(&call->link);
    free(call);
    if (service == NULL || result == -STATUS_UNAVAILABLE)
        return;
    if (is_task && run == service->last_task)
        answer_task(service, result, spawned);
    else if (!is_task && run == service->facts.run && service->facts.spawning)
        answer_run(service, result, spawned, error);
}

/* Identity of the run: what its processes carry, and what they can be told by afterwards. */
static int choose_identity(
    struct process_identity *identity, uint8_t *invocation, struct error *error)
{
    struct rlimit mark;
    int result;

    if (getrandom(invocation, KEEPER_INVOCATION_BYTES, 0) != KEEPER_INVOCATION_BYTES)
        return error_set_errno(error, errno, "choose an invocation id");
    *identity = (struct process_identity){.mark = 0};
    for (size_t i = 0; i < KEEPER_INVOCATION_BYTES; i++)
        (void)snprintf(identity->invocation + 2 * i, 3, "%02x", (unsigned)invocation[i]);
    result = process_mark_choose(identity->invocation, &mark, error);
    if (result < 0)
        return result;
    identity->mark = (uint64_t)mark.rlim_cur;
    return 0;
}

static int send_spawn(struct service *service, const struct spawn_plan_request *request,
    bool is_task, struct error *error)
{
    struct arena arena;
    struct keeper_spawn spawn;
    struct spawn_call *call = calloc(1, sizeof *call);
    int result;

    if (call == NULL)
        return error_set_errno(error, ENOMEM, "start %s", service->name);
    *call = (struct spawn_call){.service = service, .run = request->run, .is_task = is_task};
    arena_init(&arena, SPAWN_PLAN_BYTES);
    result = spawn_plan_build(request, &arena, &spawn, error);
    if (result == 0)
        result = keeper_link_spawn(service->owner->link, &spawn, on_spawned, call, error);
    arena_deinit(&arena);
    if (result < 0) {
        free(call);
        return result;
    }
    list_append(&service->owner->spawns, &call->link);
    return 0;
}

static struct spawn_plan_request plan_request(
    const struct service *service, const struct process_identity *identity)
{
    return (struct spawn_plan_request){.name = service->name,
        .config = service->config,
        .root = service->owner->root,
        .inherited = (const char *const *)environ,
        .output_slot = service->slot,
        .invocation_text = identity->invocation,
        .mark = identity->mark};
}

void service_spawn(struct service *service)
{
    struct error error = ERROR_INIT;

    signalled_clear(&service->signalled);
    if (choose_identity(&service->identity, service->invocation, &error) < 0) {
        spawn_failed(service, error.system_error, error.text);
        return;
    }
    list_remove(&service->launch);
    list_append(&service->owner->launches, &service->launch);
}

static int ask_for_run(struct service *service, struct error *error)
{
    const flocks_service_config *config = service->config;
    bool prepares = service->facts.state == SERVICE_PREPARING;
    struct spawn_plan_request request = plan_request(service, &service->identity);

    request.slot = service->slot;
    request.run = service->facts.run;
    memcpy(request.invocation, service->invocation, sizeof request.invocation);
    request.command = prepares ? config->prepare->command : config->command;
    request.n_command = prepares ? config->prepare->n_command : config->n_command;
    return send_spawn(service, &request, false, error);
}

void service_launch(struct service *service)
{
    struct error error = ERROR_INIT;

    /* A stop was faster: there is nothing to end. */
    if (service->facts.state == SERVICE_STOPPING)
        service_observe(service, SERVICE_EVENT_SPAWN_FAILED, 0, NULL);
    else if (ask_for_run(service, &error) < 0 && !service->owner->is_lost)
        spawn_failed(service, error.system_error, error.text);
}

void service_task_start(struct service *service, const flocks_exec_check *check, int64_t now)
{
    struct error error = ERROR_INIT;
    struct spawn_plan_request request;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    int result = choose_identity(&service->task_identity, invocation, &error);

    service->watch.task_running = true;
    service->watch.task_due_at = clock_add_ms(now, service->watch.schedule.policy.timeout_ms);
    if (result == 0) {
        request = plan_request(service, &service->task_identity);
        request.slot = service->task_slot;
        request.run = ++service->last_task;
        memcpy(request.invocation, invocation, sizeof request.invocation);
        request.command = check->command;
        request.n_command = check->n_command;
        result = send_spawn(service, &request, true, &error);
    }
    service->task_alive = result == 0;
    if (result < 0)
        service_watch_result(service, false, error.text, now);
    supervisor_mark_dirty(service->owner);
}

void service_task_kill(struct service *service)
{
    if (service->task_alive)
        (void)!keeper_link_signal(service->owner->link, service->task_slot, service->last_task,
            SIGKILL, KEEPER_SCOPE_GROUP, ignore_done, NULL, NULL);
}

void service_task_bury(struct service *service)
{
    char what[SWEEPER_WHAT_MAX];

    service_task_kill(service);
    service->task_alive = false;
    if (service->task_identity.leader.pid == 0 ||
        service_looks_empty(service, &service->task_identity) == PROCESS_SET_EMPTY)
        return;
    (void)snprintf(what, sizeof what, "exec probe of %s", service->name);
    sweeper_bury(service->owner->sweeper, &service->task_identity, what);
}
