/* Processes of one service: what they are started with, and starting them through the keeper. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/spawn_plan.h"
#include "server/supervise/supervisor_private.h"

void service_note_exit(struct service *service, const struct service_exit *exit)
{
    memmove(service->exits + 1, service->exits, (SERVICE_EXITS_MAX - 1) * sizeof service->exits[0]);
    service->exits[0] = *exit;
    if (service->n_exits < SERVICE_EXITS_MAX)
        service->n_exits++;
    service->news.has_exit = true;
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
    if (is_task)
        service_task_answered(service, run, result, spawned, error);
    else if (!is_task && run == service->facts.run && service->facts.spawning)
        answer_run(service, result, spawned, error);
}

void service_note_invocation(struct process_identity *identity, const uint8_t *invocation)
{
    for (size_t i = 0; i < KEEPER_INVOCATION_BYTES; i++)
        (void)snprintf(identity->invocation + 2 * i, 3, "%02x", (unsigned)invocation[i]);
}

int service_choose_identity(
    struct process_identity *identity, uint8_t *invocation, struct error *error)
{
    struct rlimit mark;
    int result;

    if (getrandom(invocation, KEEPER_INVOCATION_BYTES, 0) != KEEPER_INVOCATION_BYTES)
        return error_set_errno(error, errno, "choose an invocation id");
    *identity = (struct process_identity){.mark = 0};
    service_note_invocation(identity, invocation);
    result = process_mark_choose(identity->invocation, &mark, error);
    if (result < 0)
        return result;
    identity->mark = (uint64_t)mark.rlim_cur;
    return 0;
}

int service_send_spawn(struct service *service, const struct spawn_plan_request *request,
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

struct spawn_plan_request service_plan(
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

static int64_t watchdog_ms(const flocks_service_config *config)
{
    return config->notify && config->watchdog != NULL
               ? config->watchdog->seconds * 1000 + config->watchdog->nanos / 1000000
               : 0;
}

void service_spawn(struct service *service)
{
    struct error error = ERROR_INIT;

    signalled_clear(&service->signalled);
    notified_begin(&service->notified, watchdog_ms(service->config));
    if (service_choose_identity(&service->identity, service->invocation, &error) < 0) {
        spawn_failed(service, error.system_error, error.text);
        return;
    }
    list_remove(&service->launch);
    list_append(&service->owner->launches, &service->launch);
}

static void tell_missing(const struct service *service, unsigned missing)
{
    const struct cgroup_home *home = &service->owner->cgroups;
    char text[64];

    cgroup_controllers_text(missing, text, sizeof text);
    log_warn("limits not in force", "name=%s controllers=\"%s\" reason=\"%s\"", service->name, text,
        home->fd < 0 ? home->why : "not handed down to the daemon's control group");
}

static struct cgroup_limits wanted_limits(const struct service *service)
{
    const flocks_limits_config *config = service->config->limits;
    const flocks_cgroup_limits *wanted = config != NULL ? config->cgroup : NULL;

    if (wanted == NULL)
        return (struct cgroup_limits){.memory = 0};
    return (struct cgroup_limits){
        .memory = wanted->memory, .cpu_percent = wanted->cpu, .pids = wanted->pids};
}

void service_recall_limits(struct service *service)
{
    static const struct cgroup_home nowhere = {.fd = -1};
    const struct cgroup_home *home =
        service->cgroup[0] != '\0' ? &service->owner->cgroups : &nowhere;
    const struct cgroup_limits limits = wanted_limits(service);
    CLEANUP(fd_close) int fd = -1;

    if (cgroup_make(home, service->cgroup, &limits, &fd, &service->cgroup_missing, NULL) < 0)
        log_warn("limits are not known", "name=%s group=%s", service->name, service->cgroup);
}

/* The descriptor of its group, where there is one; without it the service runs all the same. */
static int begin_cgroup(struct service *service)
{
    const struct cgroup_limits limits = wanted_limits(service);
    struct error error = ERROR_INIT;
    unsigned missing = 0;
    char name[CGROUP_NAME_MAX];
    int fd = -1;
    int result;

    cgroup_name(service->name, service->facts.run, name);
    result = cgroup_make(&service->owner->cgroups, name, &limits, &fd, &missing, &error);
    if (result < 0)
        log_warn("service runs without a control group", "name=%s error=\"%s\"", service->name,
            error.text);
    if (result == 0)
        memcpy(service->cgroup, name, sizeof service->cgroup);
    if (missing != 0 && missing != service->cgroup_missing)
        tell_missing(service, missing);
    service->cgroup_missing = missing;
    return fd;
}

static int ask_for_run(struct service *service, struct error *error)
{
    CLEANUP(fd_close) int cgroup_fd = begin_cgroup(service);
    const flocks_service_config *config = service->config;
    bool prepares = service->facts.state == SERVICE_PREPARING;
    struct spawn_plan_request request = service_plan(service, &service->identity);

    request.slot = service->slot;
    request.run = service->facts.run;
    request.has_cgroup = cgroup_fd >= 0;
    request.cgroup_fd = cgroup_fd;
    memcpy(request.invocation, service->invocation, sizeof request.invocation);
    request.command = prepares ? config->prepare->command : config->command;
    request.n_command = prepares ? config->prepare->n_command : config->n_command;
    if (!prepares && config->notify && service->owner->notify_fd >= 0) {
        request.notify_path = service->owner->notify_path;
        request.watchdog_ms = watchdog_ms(config);
    }
    return service_send_spawn(service, &request, false, error);
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
