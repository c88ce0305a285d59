/* The end of a run: who is told to go, who is killed, and whether anybody is left. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

static void ignore_done(void *data, int result, const struct error *error)
{
    (void)data;
    (void)result;
    (void)error;
}

/* ---- who was signalled ---- */

static void remember_signalled(
    struct service *service, pid_t pid, int signal_number, bool stray, const char *executable)
{
    struct signalled item = {.pid = pid, .signal_number = signal_number, .stray = stray};

    if (signalled_has(&service->signalled, pid, signal_number))
        return;
    (void)snprintf(item.executable, sizeof item.executable, "%s", executable);
    signalled_add(&service->signalled, &item);
    supervisor_mark_dirty(service->owner);
    if (stray)
        log_info("stray signalled", "name=%s pid=%d signal=%d executable=%s", service->name,
            (int)pid, signal_number, executable);
}

static void remember_found(struct service *service, const struct sweep_answer *answer)
{
    for (size_t i = 0; i < answer->n_found; i++) {
        const struct process_found *found = &answer->found[i];

        if (found->signal_number != 0)
            remember_signalled(service, found->member.id.pid, found->signal_number,
                process_found_is_stray(found), found->member.executable);
    }
}

/* ---- signals through the keeper ---- */

static void signal_group(struct service *service, int signal_number)
{
    (void)!keeper_link_signal(service->owner->link, service->slot, service->facts.run,
        signal_number, KEEPER_SCOPE_GROUP, ignore_done, NULL, NULL);
}

static int stop_signal(const struct service *service)
{
    int signal_number = service->config->stop != NULL ? (int)service->config->stop->signal : 0;

    return signal_number != 0 ? signal_number : SIGTERM;
}

void service_signal(struct service *service)
{
    char executable[PROCESS_EXECUTABLE_MAX];

    if (service->facts.pid != 0 && !service->facts.leader_gone) {
        process_executable(service->facts.pid, executable);
        remember_signalled(service, service->facts.pid, stop_signal(service), false, executable);
    }
    signal_group(service, stop_signal(service));
    /* Who has been stopped (SIGSTOP, a debugger) hears nothing before it goes on. */
    signal_group(service, SIGCONT);
}

/* ---- what is left ---- */

/* Its leader is gone; and who has stopped it is not told so before its exec check is gone, too. */
static bool may_be_over(const struct service *service)
{
    const struct service_facts *facts = &service->facts;
    bool waits_for_check = facts->next == SERVICE_NEXT_STAY && service->task.state != TASK_NONE;

    return !facts->spawning && (facts->pid == 0 || facts->leader_gone) && !waits_for_check;
}

enum process_emptiness service_looks_empty(
    struct service *service, const struct process_identity *identity)
{
    struct supervisor *supervisor = service->owner;
    int64_t now = clock_monotonic_ns();
    int64_t began_at = clock_thread_ns();
    uint64_t strays = keeper_link_strays_of(supervisor->link, identity->mark);
    enum process_emptiness answer;

    if (now - supervisor->looks_since_ns > SERVICE_LOOKS_WINDOW_MS * INT64_C(1000000)) {
        supervisor->looks_since_ns = now;
        supervisor->looks_spent_ns = 0;
    }
    if (supervisor->looks_spent_ns > SERVICE_LOOKS_BUDGET_MS * INT64_C(1000000))
        return PROCESS_SET_UNSURE;
    answer = process_set_is_empty_fast(identity, supervisor->sessions);
    supervisor->looks_spent_ns += clock_thread_ns() - began_at;
    /* Who forks faster than we look is seen only by the orphans that it leaves. */
    if (answer == PROCESS_SET_EMPTY &&
        keeper_link_strays_of(supervisor->link, identity->mark) != strays)
        return PROCESS_SET_UNSURE;
    return answer;
}

static void ask(struct service *service)
{
    struct process_question question = {.identity = service->identity,
        .wish = PROCESS_LOOK,
        .is_uncounted = service->is_uncounted,
        .cgroup_home_fd = service->owner->cgroups.fd};

    (void)snprintf(question.cgroup, sizeof question.cgroup, "%s", service->cgroup);
    if (service->facts.killing) {
        question.wish = PROCESS_KILL;
    } else if (!service->strays_told) {
        /* What left the group has not heard of the stop: told, it need not wait for the end of the
         * grace. */
        question.wish = PROCESS_TELL_STRAYS;
        question.signal_number = stop_signal(service);
    }
    sweep_ask(&service->sweep, &question);
}

static bool is_cgroup_populated(const struct service *service)
{
    return service->cgroup[0] != '\0' &&
           cgroup_is_populated(service->owner->cgroups.fd, service->cgroup);
}

static bool is_being_swept(const struct service *service)
{
    return service->sweep.phase == SWEEP_RUNNING &&
           clock_monotonic_ms() - service->sweep.began_at < SERVICE_SWEEP_PATIENCE_MS;
}

void service_look(struct service *service)
{
    const struct process_identity *identity = &service->identity;
    bool is_empty;

    if (!may_be_over(service))
        return;
    /* Whom the pass that runs has signalled is not known yet. */
    is_empty = !is_being_swept(service) &&
               (identity->leader.pid == 0 ||
                   (!service->is_uncounted && !is_cgroup_populated(service) &&
                       service_looks_empty(service, identity) == PROCESS_SET_EMPTY));
    if (is_empty)
        service_observe(service, SERVICE_EVENT_EMPTIED, 0, NULL);
    else
        ask(service);
}

void service_sweep(struct service *service)
{
    if (service->identity.leader.pid == 0)
        return;
    /* Who looks also kills, and tells whom; only if it hangs, the group is killed unseen. */
    if (service->sweep.phase == SWEEP_RUNNING && !is_being_swept(service))
        signal_group(service, SIGKILL);
    ask(service);
}

void service_hurry_end(struct service *service)
{
    sweep_hurry(&service->sweep);
}

/* "2 processes are left, among them 17 (/bin/sleep)". */
static void describe_left(struct service *service, const struct sweep_answer *answer)
{
    const struct process_found *first = answer->n_found > 0 ? &answer->found[0] : NULL;
    char text[SERVICE_MESSAGE_SIZE] = "";

    for (size_t i = 0; i < answer->n_found && first->system_error == 0; i++) {
        if (answer->found[i].system_error != 0)
            first = &answer->found[i];
    }
    if (first != NULL)
        (void)snprintf(text, sizeof text,
            "%zu of its processes %s left, among them %d (%.120s)%s%s", answer->n_members,
            answer->n_members == 1 ? "is" : "are", (int)first->member.id.pid,
            first->member.executable, first->system_error != 0 ? ", which cannot be killed: " : "",
            first->system_error != 0 ? error_errno_name(first->system_error) : "");
    else if (answer->n_members == 0)
        (void)snprintf(text, sizeof text, "its processes go on starting others");
    if (strcmp(text, service->problem) == 0)
        return;
    (void)snprintf(service->problem, sizeof service->problem, "%s", text);
    supervisor_status_changed(service);
}

static void log_refused(const struct service *service, const struct sweep_answer *answer)
{
    for (size_t i = 0; i < answer->n_found; i++) {
        const struct process_found *found = &answer->found[i];

        if (found->system_error != 0)
            log_warn("process cannot be signalled", "name=%s pid=%d executable=%s errno=%s",
                service->name, (int)found->member.id.pid, found->member.executable,
                error_errno_name(found->system_error));
    }
}

static void on_swept(struct sweep *sweep, const struct sweep_answer *answer)
{
    struct service *service = sweep->data;

    remember_found(service, answer);
    if (answer->wish == PROCESS_TELL_STRAYS && answer->n_members > 0)
        service->strays_told = true;
    if (service->facts.state != SERVICE_STOPPING)
        return;
    if (answer->is_empty && may_be_over(service)) {
        service_observe(service, SERVICE_EVENT_EMPTIED, 0, NULL);
        return;
    }
    /* Those of them that fork in the group do so no more. */
    if (answer->wish == PROCESS_KILL && answer->n_members > 0)
        signal_group(service, SIGKILL);
    if (service->facts.killing && !sweep->has_refused && answer->n_refused > 0)
        log_refused(service, answer);
    sweep->has_refused = answer->n_refused > 0;
    describe_left(service, answer);
    if (may_be_over(service))
        service_look(service);
    else if (service->facts.killing)
        ask(service);
}

/* ---- control groups, memory ---- */

struct removal {
    uv_work_t work;
    int home_fd;
    char name[CGROUP_NAME_MAX];
};

static void run_removal(uv_work_t *work)
{
    const struct removal *removal = CONTAINER_OF(work, struct removal, work);

    cgroup_remove(removal->home_fd, removal->name);
}

static void on_removed(uv_work_t *work, int status)
{
    struct removal *removal = CONTAINER_OF(work, struct removal, work);

    (void)status;
    fd_close(&removal->home_fd);
    free(removal);
}

/* What cannot be removed now is, when the next daemon begins. */
static void remove_cgroup(struct service *service)
{
    struct removal *removal;

    if (service->cgroup[0] == '\0')
        return;
    removal = calloc(1, sizeof *removal);
    if (removal != NULL) {
        removal->home_fd = fcntl(service->owner->cgroups.fd, F_DUPFD_CLOEXEC, 3);
        memcpy(removal->name, service->cgroup, sizeof removal->name);
        if (uv_queue_work(service->owner->loop, &removal->work, run_removal, on_removed) != 0)
            on_removed(&removal->work, 0);
    }
    service->cgroup[0] = '\0';
}

/* In a group of its own the kernel says it. Else a rise of the machine's count since we last looked
 * is taken for it: each explains one SIGKILL that we did not send. */
bool service_was_oom_killed(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    uint64_t count;

    if (service->facts.killing || signalled_has(&service->signalled, service->facts.pid, SIGKILL))
        return false;
    if (service->cgroup[0] != '\0' && cgroup_oom_kills(supervisor->cgroups.fd, service->cgroup) > 0)
        return true;
    count = machine_oom_kills();
    if (count <= supervisor->oom_kills)
        return false;
    supervisor->oom_kills++;
    return true;
}

void service_end_init(struct service *service)
{
    sweep_init(&service->sweep, service->owner->sweeper, on_swept, service);
}

void service_end_forget(struct service *service)
{
    remove_cgroup(service);
    sweep_cancel(&service->sweep);
    service->strays_told = false;
    service->is_uncounted = false;
    service->problem[0] = '\0';
}

void service_kill(struct service *service)
{
    struct supervisor *supervisor = service->owner;
    struct process_member members[64];
    size_t count = 0;

    if (service->identity.leader.pid == 0)
        return;
    /* Whoever could be read is killed. */
    (void)!process_scan_run(supervisor->scan, NULL);
    if (process_scan_select(
            supervisor->scan, &service->identity, members, ARRAY_LENGTH(members), &count, NULL) < 0)
        return;
    for (size_t i = 0; i < count && i < ARRAY_LENGTH(members); i++)
        (void)!process_signal(&members[i].id, SIGKILL, NULL);
}
