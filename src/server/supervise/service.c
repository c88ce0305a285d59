#include "server/supervise/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "server/supervise/proc_file.h"
#include "server/supervise/supervisor_private.h"

#define SAME_STATE(name, number)                                                                   \
    _Static_assert((int)SERVICE_##name == (int)FLOCKS_SERVICE_STATE_##name, "one numbering");
SERVICE_STATES(SAME_STATE)
#undef SAME_STATE

/* ---- what stands in the way of a start ---- */

/* It is about to be started anew with another configuration. */
static bool is_to_be_replaced(const struct service *service)
{
    const struct operation_step *step =
        service->next.config != NULL
            ? operations_active_step(&service->owner->operations, service->slot)
            : NULL;

    return step != NULL && step->impact == FLOCKS_CONFIG_IMPACT_RESTART;
}

bool service_is_ready(const struct service *service)
{
    if (is_to_be_replaced(service))
        return false;
    return service->facts.state == SERVICE_HEALTHY || service->facts.state == SERVICE_DEGRADED ||
           service->facts.state == SERVICE_COMPLETED;
}

/* It may become ready without anybody doing something. */
static bool is_coming(const struct service *service)
{
    const struct service_facts *facts = &service->facts;

    if (is_to_be_replaced(service))
        return true;
    switch (facts->state) {
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
        return true;
    case SERVICE_WAITING:
        return facts->reason != FLOCKS_STATE_REASON_PORT_HELD &&
               facts->reason != FLOCKS_STATE_REASON_DEPENDENCY_FAILED;
    case SERVICE_STOPPING:
        return facts->next != SERVICE_NEXT_STAY;
    case SERVICE_STOPPED:
    case SERVICE_HEALTHY:
    case SERVICE_DEGRADED:
    case SERVICE_BACKOFF:
    case SERVICE_PAUSED:
    case SERVICE_FAILED:
    case SERVICE_COMPLETED:
    case SERVICE_STATE_END:
        return false;
    }
    return false;
}

static const struct service *first_not_ready(const struct service *service)
{
    for (size_t i = 0; i < service->n_after; i++) {
        const struct service *other = supervisor_at(service->owner, service->after[i]);

        if (!service_is_ready(other))
            return other;
    }
    return NULL;
}

static void check_start(struct service *service)
{
    const struct service *missing = first_not_ready(service);
    const struct lease *lease = leases_pausing(&service->owner->leases, service->name);
    char message[SERVICE_MESSAGE_SIZE];

    if (missing != NULL || lease != NULL)
        service_ports_end(service);
    if (lease != NULL) {
        (void)snprintf(message, sizeof message, "held by the lease of %s%s%.150s", lease->owner,
            lease->message[0] != '\0' ? ": " : "", lease->message);
        service_observe(service, SERVICE_EVENT_PAUSE, FLOCKS_STATE_REASON_LEASE_HELD, message);
    } else if (missing != NULL && is_coming(missing)) {
        (void)snprintf(message, sizeof message, "waits for %s", missing->name);
        service_observe(service, SERVICE_EVENT_BLOCKED, FLOCKS_STATE_REASON_REQUESTED, message);
    } else if (missing != NULL) {
        (void)snprintf(message, sizeof message, "waits for %s, which is %s", missing->name,
            service_state_text(missing->facts.state));
        service_observe(
            service, SERVICE_EVENT_BLOCKED, FLOCKS_STATE_REASON_DEPENDENCY_FAILED, message);
    } else if (!service_ports_are_free(service, message, sizeof message)) {
        service_observe(service, SERVICE_EVENT_BLOCKED, FLOCKS_STATE_REASON_PORT_HELD, message);
    } else {
        service_observe(service, SERVICE_EVENT_CLEARED, 0, NULL);
    }
}

/* ---- the machine's actions ---- */

static void perform(struct service *service, enum service_action action)
{
    switch (action) {
    case SERVICE_ACTION_CHECK:
        check_start(service);
        return;
    case SERVICE_ACTION_SPAWN:
        supervisor_page_yield(service);
        service_spawn(service);
        return;
    case SERVICE_ACTION_PREPARE:
        service_spawn(service);
        return;
    case SERVICE_ACTION_WATCH:
        service_watch_begin(service, clock_monotonic_ms());
        return;
    case SERVICE_ACTION_UNWATCH:
        service_watch_end(service);
        return;
    case SERVICE_ACTION_SIGNAL:
        service_signal(service);
        return;
    case SERVICE_ACTION_KILL:
        service_sweep(service);
        return;
    case SERVICE_ACTION_LOOK:
        service_look(service);
        return;
    }
}

static void tell_transition(
    struct service *service, enum service_state from, const struct service_input *input)
{
    const struct service_facts *facts = &service->facts;

    log_info("service changed", "name=%s from=%s event=%s to=%s pid=%d generation=%u reason=%s",
        service->name, service_state_text(from), service_event_text(input->event),
        service_state_text(facts->state), (int)(facts->leader_gone ? 0 : facts->pid),
        (unsigned)facts->generation,
        flocks_state_reason_name(flocks_state_reason_from((int)facts->reason)));
}

/* Nothing runs and nothing is to run now: nobody asks whose its ports are. */
static bool is_at_rest(const struct service *service)
{
    return service->facts.state != SERVICE_WAITING && !service_facts_has_run(&service->facts);
}

/* One line and one look at operations and dependents per rest, not per step on the way there. */
static void settle(struct service *service, const struct service_input *input)
{
    enum service_state from = service->told_state;
    bool changed = service->facts.state != from;

    if (changed) {
        service->told_state = service->facts.state;
        service->since_wall_ns = clock_wall_ns();
        tell_transition(service, from, input);
    }
    if (is_at_rest(service))
        service_ports_end(service);
    service_arm(service);
    supervisor_mark_dirty(service->owner);
    supervisor_status_changed(service);
    supervisor_service_changed(service, changed);
}

static void forget_leader(struct service *service)
{
    if (service->identity.leader.pid != 0)
        process_sessions_remove(service->owner->sessions, service->identity.leader.pid);
    service->identity = (struct process_identity){.mark = 0};
    service_end_forget(service);
}

static void note_leader(struct service *service)
{
    service->identity.leader =
        (struct process_id){.pid = service->facts.pid, .start_ticks = service->facts.start_ticks};
    (void)process_sessions_add(service->owner->sessions, service->facts.pid);
}

void service_feed(struct service *service, const struct service_input *input)
{
    struct service_step step;

    step = service_machine_apply(&service->policy, &service->facts, input);
    if (step.rule == SERVICE_RULE_ILLEGAL) {
        log_warn("event ignored", "name=%s state=%s event=%s", service->name,
            service_state_text(service->facts.state), service_event_text(input->event));
        return;
    }
    if (service_facts_has_run(&service->facts) && step.facts.run != service->facts.run)
        forget_leader(service);
    service->facts = step.facts;
    service_take_next(service);
    if (step.rule == SERVICE_RULE_NOTE)
        note_leader(service);
    service->depth++;
    for (size_t i = 0; i < step.n_actions; i++)
        perform(service, step.actions[i]);
    service->depth--;
    if (service->depth == 0)
        settle(service, input);
}

uint32_t service_random(void)
{
    uint32_t number = 0;

    /* Jitter only: without entropy there is none. */
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        return 0;
    return number;
}

void service_observe(
    struct service *service, enum service_event event, uint32_t reason, const char *message)
{
    const struct service_input input = {.event = event,
        .now = clock_monotonic_ms(),
        .reason = reason,
        .message = message,
        .random = service_random()};

    service_feed(service, &input);
}

void service_ask(
    struct service *service, enum service_event event, uint32_t reason, bool skip_prepare)
{
    const struct service_input input = {.event = event,
        .now = clock_monotonic_ms(),
        .reason = reason,
        .skip_prepare = skip_prepare,
        .random = service_random()};

    service_feed(service, &input);
}

/* ---- exits ---- */

static void describe_exit(int wait_status, int64_t lived_ms, char *out, size_t out_size)
{
    double seconds = (double)lived_ms / 1000.0;

    if (wait_status == KEEPER_STATUS_UNKNOWN) {
        (void)snprintf(out, out_size, "ended after %.1f s, status unknown", seconds);
    } else if (WIFSIGNALED(wait_status)) {
        const char *name = sigabbrev_np(WTERMSIG(wait_status));

        (void)snprintf(out, out_size, "killed by SIG%s after %.1f s%s", name != NULL ? name : "?",
            seconds, WCOREDUMP(wait_status) ? " (core dumped)" : "");
    } else {
        (void)snprintf(
            out, out_size, "exit code %d after %.1f s", WEXITSTATUS(wait_status), seconds);
    }
}

static int64_t lived_ms(const struct service *service, const struct keeper_exit *exit)
{
    int64_t late_ms = (clock_boottime_ns() - exit->at_ns) / 1000000;
    int64_t lived = clock_monotonic_ms() - late_ms - service->facts.spawned_at;

    return lived > 0 ? lived : 0;
}

static void remember_exit(
    struct service *service, const struct keeper_exit *exit, uint32_t reason, int64_t lived)
{
    const struct service_exit record = {.generation = service->facts.generation,
        .ended_wall_ns = clock_wall_ns() - (clock_boottime_ns() - exit->at_ns),
        .lived_ms = lived,
        .reason = reason,
        .wait_status = exit->wait_status};

    service_note_exit(service, &record);
}

static void prepare_exited(struct service *service, const struct keeper_exit *exit, int64_t lived)
{
    char how[SERVICE_MESSAGE_SIZE / 2];
    char message[SERVICE_MESSAGE_SIZE];

    if (WIFEXITED(exit->wait_status) && WEXITSTATUS(exit->wait_status) == 0) {
        service_observe(service, SERVICE_EVENT_PREPARED, 0, NULL);
        return;
    }
    describe_exit(exit->wait_status, lived, how, sizeof how);
    (void)snprintf(message, sizeof message, "prepare step: %s", how);
    service_observe(
        service, SERVICE_EVENT_PREPARE_FAILED, FLOCKS_STATE_REASON_PREPARE_FAILED, message);
}

void service_exited(struct service *service, const struct keeper_exit *exit)
{
    char message[SERVICE_MESSAGE_SIZE];
    int64_t lived = lived_ms(service, exit);
    uint32_t reason =
        WIFSIGNALED(exit->wait_status) ? FLOCKS_STATE_REASON_SIGNALLED : FLOCKS_STATE_REASON_EXITED;
    struct service_input input = {
        .event = SERVICE_EVENT_EXITED, .reason = reason, .message = message};

    if (exit->generation != service->facts.run || service->facts.leader_gone)
        return;
    if (service->facts.state == SERVICE_PREPARING) {
        prepare_exited(service, exit, lived);
        return;
    }
    if (WIFSIGNALED(exit->wait_status) && WTERMSIG(exit->wait_status) == SIGKILL &&
        service_was_oom_killed(service)) {
        input.oom = true;
        input.reason = reason = FLOCKS_STATE_REASON_OOM_KILLED;
    }
    remember_exit(service, exit, reason, lived);
    describe_exit(exit->wait_status, lived, message, sizeof message);
    service_add_last_words(service, message, sizeof message);
    input.now = clock_monotonic_ms();
    input.success = WIFEXITED(exit->wait_status) && WEXITSTATUS(exit->wait_status) == 0;
    input.random = service_random();
    service_feed(service, &input);
}

/* ---- time ---- */

static void feed_due(struct service *service)
{
    char message[SERVICE_MESSAGE_SIZE];
    bool explains = service->facts.state == SERVICE_STARTING && service->problem[0] != '\0';

    (void)snprintf(
        message, sizeof message, "not ready within the start timeout; %.200s", service->problem);
    service_observe(service, SERVICE_EVENT_DUE, 0, explains ? message : NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct service *service = timer->data;
    int64_t now = clock_monotonic_ms();

    if (service->facts.due_at <= now)
        feed_due(service);
    else if (service_watch_due_at(service) <= now)
        service_watch_turn(service, now);
    service_arm(service);
}

void service_arm(struct service *service)
{
    int64_t due_at = service->facts.due_at;
    int64_t watch_at = service_watch_due_at(service);
    int64_t now = clock_monotonic_ms();

    if (service->owner->is_closing || service->depth > 0)
        return;
    if (watch_at < due_at)
        due_at = watch_at;
    service->timer.data = service;
    if (due_at == CLOCK_NEVER || !service->owner->is_reconciled) {
        (void)uv_timer_stop(&service->timer);
        return;
    }
    /* The loop's own time may be older than ours. */
    uv_update_time(service->owner->loop);
    (void)uv_timer_start(&service->timer, on_timer, due_at > now ? (uint64_t)(due_at - now) : 0, 0);
}

void service_recheck(struct service *service)
{
    bool is_open = service->facts.state == SERVICE_WAITING ||
                   (service->facts.state == SERVICE_STOPPING && service->facts.leader_gone);

    if (!is_open || service->depth > 0)
        return;
    service->facts.due_at = clock_monotonic_ms();
    feed_due(service);
}

/* ---- take-over ---- */

static void perform_step(struct service *service, const struct service_step *step)
{
    service->facts = step->facts;
    service->depth++;
    for (size_t i = 0; i < step->n_actions; i++)
        perform(service, step->actions[i]);
    service->depth--;
}

/* The state was written before the keeper had answered; the keeper's word is the truth. */
static void learn_spawned(struct service *service, const struct keeper_child *child)
{
    const struct service_input input = {.event = SERVICE_EVENT_SPAWNED,
        .now = clock_monotonic_ms(),
        .pid = child->pid,
        .start_ticks = child->start_ticks};

    memcpy(service->invocation, child->invocation, sizeof service->invocation);
    service->identity.mark = child->rttime_mark;
    service_feed(service, &input);
}

/* One that was spawned by a keeper that was killed since is not; of one that has ended nobody
 * knows. */
static bool is_keepers_child(const struct service *service)
{
    struct proc_stat stat;

    return proc_stat_read(service->facts.pid, &stat) == 0 &&
           stat.start_ticks == service->facts.start_ticks &&
           stat.parent == service->owner->keeper_pid;
}

void service_identify(struct service *service)
{
    service_note_invocation(&service->identity, service->invocation);
    if (service->facts.pid != 0)
        note_leader(service);
    service->is_uncounted = service->owner->earlier_keepers > 0 && service->facts.pid != 0 &&
                            !is_keepers_child(service);
    cgroup_name(service->name, service->facts.run, service->cgroup);
    if (!cgroup_exists(service->owner->cgroups.fd, service->cgroup))
        service->cgroup[0] = '\0';
    service_recall_limits(service);
}

/* Neither alive nor among the exits that will be told: how it ended is known to nobody. */
static void lose_process(struct service *service)
{
    service_observe(service,
        service->facts.state == SERVICE_PREPARING ? SERVICE_EVENT_PREPARE_FAILED
                                                  : SERVICE_EVENT_EXITED,
        FLOCKS_STATE_REASON_EXITED, "ended while nobody watched");
}

void service_resume(struct service *service, const struct keeper_child *child)
{
    const struct service_facts *facts = &service->facts;
    struct service_step step;

    service->told_state = facts->state;
    if (!service_facts_has_run(facts)) {
        step = service_machine_resume(&service->policy, facts, false, clock_monotonic_ms());
        perform_step(service, &step);
        return;
    }
    if (child != NULL && facts->spawning) {
        learn_spawned(service, child);
        service_identify(service);
        return;
    }
    if (child == NULL && !facts->spawning && facts->state != SERVICE_STOPPING) {
        lose_process(service);
        return;
    }
    step = service_machine_resume(&service->policy, facts, child != NULL, clock_monotonic_ms());
    /* Its end is told next: watched meanwhile, who has only to live for a moment would be ready. */
    if (child != NULL && child->exited)
        step.n_actions = 0;
    perform_step(service, &step);
}

void service_adopt(struct service *service, const struct keeper_child *child)
{
    struct service_facts *facts = &service->facts;

    facts->state = SERVICE_STOPPING;
    facts->next = SERVICE_NEXT_STAY;
    facts->run = child->generation;
    facts->last_run = child->generation;
    facts->pid = child->pid;
    facts->start_ticks = child->start_ticks;
    facts->killing = true;
    facts->leader_gone = false;
    facts->spawning = false;
    facts->due_at = 0;
    facts->kill_at = 0;
    memcpy(service->invocation, child->invocation, sizeof service->invocation);
    service->identity.mark = child->rttime_mark;
    service_identify(service);
    service->told_state = SERVICE_STOPPING;
}
