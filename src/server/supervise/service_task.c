/* Exec checks: each a set of processes of its own, told apart by session, mark and invocation as a
 * service's run is, and killed with everything it started when its time is up or its leader has
 * ended. The next one begins when nothing of the last is left. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

static void ignore_done(void *data, int result, const struct error *error)
{
    (void)data;
    (void)result;
    (void)error;
}

static void kill_group(struct service *service)
{
    (void)!keeper_link_signal(service->owner->link, service->task_slot, service->task.run, SIGKILL,
        KEEPER_SCOPE_GROUP, ignore_done, NULL, NULL);
}

/* ---- ending ---- */

static void begin_ending(struct service_task *task, int64_t now)
{
    task->state = TASK_ENDING;
    task->ending_since = now;
    task->due_at = CLOCK_NEVER;
    task->has_killed = false;
}

static void finish(struct service *service)
{
    struct service_task *task = &service->task;

    sweep_cancel(&task->sweep);
    if (task->identity.leader.pid != 0)
        process_sessions_remove(service->owner->sessions, task->identity.leader.pid);
    task->identity = (struct process_identity){.mark = 0};
    task->state = TASK_NONE;
    task->is_spawning = false;
    task->due_at = CLOCK_NEVER;
    service->task_alive = false;
    supervisor_mark_dirty(service->owner);
    supervisor_release_task_slot(service);
    /* A stop waits for its check, too. */
    service_recheck(service);
}

static void ask(struct service_task *task)
{
    const struct process_question question = {.identity = task->identity, .wish = PROCESS_KILL};

    sweep_ask(&task->sweep, &question);
}

static void on_swept(struct sweep *sweep, const struct sweep_answer *answer)
{
    struct service *service = sweep->data;
    struct service_task *task = &service->task;

    if (task->state != TASK_ENDING)
        return;
    if (answer->n_members > 0 && !task->has_killed)
        log_info("what an exec check started is killed", "name=%s processes=%zu", service->name,
            answer->n_members);
    task->has_killed = task->has_killed || answer->n_members > 0;
    if (answer->is_empty && task->leader_gone && !task->is_spawning) {
        finish(service);
        service_arm(service);
    } else {
        ask(task);
    }
}

void service_task_end(struct service *service)
{
    struct service_task *task = &service->task;

    if (task->state != TASK_SPAWNING && task->state != TASK_RUNNING)
        return;
    begin_ending(task, clock_monotonic_ms());
    kill_group(service);
    ask(task);
}

/* The leader has ended. Usually nothing else is left. */
static void look(struct service *service)
{
    struct service_task *task = &service->task;

    if (task->identity.leader.pid != 0 &&
        service_looks_empty(service, &task->identity) == PROCESS_SET_EMPTY)
        finish(service);
    else
        ask(task);
}

void service_task_init(struct service *service)
{
    service->task.due_at = CLOCK_NEVER;
    sweep_init(&service->task.sweep, service->owner->sweeper, on_swept, service);
}

/* ---- running ---- */

static bool is_awaited(const struct service_task *task)
{
    return task->state == TASK_SPAWNING || task->state == TASK_RUNNING;
}

static void tell(
    struct service *service, bool passed, bool is_void, const char *message, int64_t now)
{
    struct probe_result result = {
        .passed = passed, .is_void = is_void, .duration_ms = now - service->task.started_at};

    (void)snprintf(result.message, sizeof result.message, "%s", message);
    service_watch_result(service, &result, now);
}

void service_task_start(
    struct service *service, const flocks_exec_check *check, int64_t timeout_ms, int64_t now)
{
    struct service_task *task = &service->task;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    struct spawn_plan_request request;
    struct error error = ERROR_INIT;
    int result = service_choose_identity(&task->identity, invocation, &error);

    task->started_at = now;
    if (result == 0) {
        request = service_plan(service, &task->identity);
        request.slot = service->task_slot;
        request.run = task->run = ++service->last_task;
        memcpy(request.invocation, invocation, sizeof request.invocation);
        request.command = check->command;
        request.n_command = check->n_command;
        result = service_send_spawn(service, &request, true, &error);
    }
    if (result < 0) {
        /* An environment file that is missing is the service's fault, memory is not. */
        tell(service, false, result == -STATUS_RESOURCE_EXHAUSTED, error.text, now);
        return;
    }
    task->state = TASK_SPAWNING;
    service->task_alive = true;
    task->is_spawning = true;
    task->leader_gone = false;
    task->due_at = clock_add_ms(now, timeout_ms);
    supervisor_mark_dirty(service->owner);
}

/* The machine's limits say nothing about the service. */
static bool is_own_fault(int result, const struct keeper_spawned *spawned)
{
    if (result < 0)
        return true;
    return spawned->system_error == EAGAIN || spawned->system_error == ENOMEM ||
           spawned->system_error == EMFILE || spawned->system_error == ENFILE;
}

static void spawn_failed(struct service *service, int result, const struct keeper_spawned *spawned,
    const struct error *error)
{
    struct service_task *task = &service->task;
    bool was_awaited = is_awaited(task);
    char message[PROBE_MESSAGE_MAX];

    if (result < 0)
        (void)snprintf(message, sizeof message, "%.250s", error != NULL ? error->text : "refused");
    else
        (void)snprintf(message, sizeof message, "cannot %s: %s",
            keeper_step_text((int)spawned->failed_step), error_errno_name(spawned->system_error));
    finish(service);
    if (was_awaited)
        tell(service, false, is_own_fault(result, spawned), message, clock_monotonic_ms());
}

void service_task_answered(struct service *service, uint32_t run, int result,
    const struct keeper_spawned *spawned, const struct error *error)
{
    struct service_task *task = &service->task;

    if (run != task->run || !task->is_spawning)
        return;
    task->is_spawning = false;
    if (result < 0 || spawned->failed_step != KEEPER_STEP_NONE) {
        spawn_failed(service, result, spawned, error);
        return;
    }
    task->identity.leader =
        (struct process_id){.pid = spawned->pid, .start_ticks = spawned->start_ticks};
    (void)process_sessions_add(service->owner->sessions, spawned->pid);
    if (task->state == TASK_SPAWNING)
        task->state = TASK_RUNNING;
    else {
        kill_group(service);
        ask(task);
    }
}

void service_task_exited(struct service *service, const struct keeper_exit *exit)
{
    struct service_task *task = &service->task;
    bool was_awaited = is_awaited(task);
    int64_t now = clock_monotonic_ms();
    char message[PROBE_MESSAGE_MAX];

    if (exit->generation != task->run || task->state == TASK_NONE || task->leader_gone)
        return;
    task->leader_gone = true;
    if (was_awaited)
        begin_ending(task, now);
    look(service);
    if (was_awaited) {
        if (exit->unknown)
            (void)snprintf(message, sizeof message, "ended, and nobody saw how");
        else if (WIFSIGNALED(exit->wait_status))
            (void)snprintf(
                message, sizeof message, "killed by signal %d", WTERMSIG(exit->wait_status));
        else
            (void)snprintf(message, sizeof message, "exit code %d", WEXITSTATUS(exit->wait_status));
        tell(service, WIFEXITED(exit->wait_status) && WEXITSTATUS(exit->wait_status) == 0,
            exit->unknown, message, now);
    }
    service_arm(service);
}

static void time_out(struct service *service, int64_t now)
{
    int64_t timeout_ms = service->task.due_at - service->task.started_at;
    /* Who was stopped or had no processor has not seen it end. */
    bool is_late = now - service->task.due_at > PROBE_LATE_MS;
    char message[PROBE_MESSAGE_MAX];

    service_task_end(service);
    (void)snprintf(message, sizeof message, "no result within %lld ms", (long long)timeout_ms);
    tell(service, false, is_late, message, now);
}

void service_task_turn(struct service *service, int64_t now)
{
    if (is_awaited(&service->task) && service->task.due_at <= now)
        time_out(service, now);
}

int64_t service_task_due_at(const struct service *service)
{
    return service->task.state == TASK_NONE ? CLOCK_NEVER : service->task.due_at;
}

/* ---- take-over ---- */

void service_task_adopt(struct service *service, const struct keeper_child *child)
{
    struct service_task *task = &service->task;
    int64_t now = clock_monotonic_ms();

    if (child != NULL) {
        task->run = child->generation;
        if (child->generation > service->last_task)
            service->last_task = child->generation;
        task->identity.mark = child->rttime_mark;
        service_note_invocation(&task->identity, child->invocation);
        /* The number of one that is gone may be another's by now. */
        task->identity.leader = (struct process_id){
            .pid = child->exited ? 0 : child->pid, .start_ticks = child->start_ticks};
        if (!child->exited)
            (void)process_sessions_add(service->owner->sessions, child->pid);
    } else if (task->identity.mark == 0 || task->state == TASK_ENDING) {
        return;
    } else {
        task->identity.leader.pid = 0;
    }
    log_info("earlier exec check killed", "name=%s pid=%d", service->name,
        (int)task->identity.leader.pid);
    begin_ending(task, now);
    service->task_alive = true;
    task->leader_gone = child == NULL || child->exited;
    if (!task->leader_gone)
        kill_group(service);
    ask(task);
}
