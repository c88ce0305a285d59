/* What is observed of a running service: its ports (service_ports.c), its probes, and what it says
 * of itself by sd_notify. Turns observations into the machine's events; judges nothing but what
 * probe_schedule.h and notify.h say. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Failures that the schema gives a probe by default; then PROBE_PATIENCE_MS holds. */
    DEFAULT_FAILURE_THRESHOLD = 12
};

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? duration->seconds * 1000 + duration->nanos / 1000000 : 0;
}

const flocks_probe *service_probe(const struct service *service, enum probe_role role)
{
    const flocks_probes *probes = service->config->probes;
    const flocks_probe *probe = NULL;

    if (probes == NULL)
        return NULL;
    if (role == PROBE_ROLE_STARTUP)
        probe = probes->startup;
    else
        probe = role == PROBE_ROLE_READY ? probes->ready : probes->alive;
    return probe != NULL && probe->check_case != FLOCKS__V1__PROBE__CHECK__NOT_SET ? probe : NULL;
}

/* The one that runs; NULL: none. */
static const flocks_probe *present_probe(const struct service *service)
{
    return service->watch.has_probe ? service_probe(service, service->watch.role) : NULL;
}

static const char *role_text(enum probe_role role)
{
    static const char *const texts[PROBE_ROLE_COUNT] = {
        [PROBE_ROLE_STARTUP] = "startup probe",
        [PROBE_ROLE_READY] = "ready probe",
        [PROBE_ROLE_ALIVE] = "alive probe",
    };

    return texts[role];
}

static struct probe_policy schedule_policy(const flocks_probe *probe)
{
    struct probe_policy policy = {.initial_delay_ms = duration_ms(probe->initial_delay),
        .period_ms = duration_ms(probe->period),
        .timeout_ms = duration_ms(probe->timeout),
        .failure_threshold = probe->failure_threshold,
        .success_threshold = probe->success_threshold,
        .jitter_percent = probe->jitter};

    if (probe->failure_threshold == DEFAULT_FAILURE_THRESHOLD)
        policy.patience_ms = PROBE_PATIENCE_MS;
    if (policy.period_ms <= 0)
        policy.period_ms = SERVICE_PORT_CHECK_MS;
    if (policy.timeout_ms <= 0)
        policy.timeout_ms = policy.period_ms;
    return policy;
}

/* ---- phases ---- */

static void drop_probe(struct service *service)
{
    service_check_cancel(service);
    service->watch.has_probe = false;
}

static void use_probe(struct service *service, enum probe_role role, int64_t now)
{
    const struct probe_policy policy = schedule_policy(service_probe(service, role));

    drop_probe(service);
    service->watch.has_probe = true;
    service->watch.role = role;
    service->watch.void_told = false;
    probe_schedule_begin(&service->watch.schedule, &policy, now);
}

void service_note_problem(struct service *service, const char *message)
{
    if (service->facts.state != SERVICE_STARTING || strcmp(service->problem, message) == 0)
        return;
    (void)snprintf(service->problem, sizeof service->problem, "%s", message);
    supervisor_status_changed(service);
}

void service_watch_be_silent(struct service *service)
{
    drop_probe(service);
    service->listening.due_at = CLOCK_NEVER;
}

static void begin_serving(struct service *service, int64_t now)
{
    struct service_watch *watch = &service->watch;

    watch->phase = WATCH_SERVING;
    service_ports_begin_serving(service, now);
    notified_watch(&service->notified, now);
    if (service->notified.stopping)
        service_watch_be_silent(service);
    else if (service_probe(service, PROBE_ROLE_ALIVE) != NULL)
        use_probe(service, PROBE_ROLE_ALIVE, now);
    else if (service_probe(service, PROBE_ROLE_READY) == NULL)
        drop_probe(service);
    else if (!watch->has_probe || watch->role != PROBE_ROLE_READY)
        use_probe(service, PROBE_ROLE_READY, now);
    /* Else the ready probe goes on in its period: it has just passed. */
}

static bool says_nothing(const struct service *service)
{
    return service->n_ports == 0 && !service->config->notify &&
           service_probe(service, PROBE_ROLE_STARTUP) == NULL &&
           service_probe(service, PROBE_ROLE_READY) == NULL;
}

/* Must it still become true that the phase waits for? */
static bool is_open(const struct service *service, enum watch_phase phase)
{
    switch (phase) {
    case WATCH_SETTLE:
        return says_nothing(service);
    case WATCH_STARTUP:
        return !service->watch.is_started && service_probe(service, PROBE_ROLE_STARTUP) != NULL;
    case WATCH_NOTIFIED:
        return service->config->notify && !service->notified.ready;
    case WATCH_READY:
        return service_probe(service, PROBE_ROLE_READY) != NULL;
    case WATCH_OFF:
    case WATCH_PORTS:
    case WATCH_SERVING:
        break;
    }
    return false;
}

static void enter_phase(struct service *service, enum watch_phase phase, int64_t now)
{
    service->watch.phase = phase;
    switch (phase) {
    case WATCH_SETTLE:
        service->watch.settle_at = service->facts.spawned_at + SERVICE_SETTLE_MS;
        return;
    case WATCH_STARTUP:
        use_probe(service, PROBE_ROLE_STARTUP, now);
        return;
    case WATCH_NOTIFIED:
        drop_probe(service);
        service_note_problem(service, "waits for READY=1 (sd_notify)");
        return;
    case WATCH_READY:
        use_probe(service, PROBE_ROLE_READY, now);
        return;
    case WATCH_OFF:
    case WATCH_PORTS:
    case WATCH_SERVING:
        return;
    }
}

/* Somebody else would have answered the probe, or nobody. */
static void return_to_ports(struct service *service, int64_t now)
{
    drop_probe(service);
    service->watch.phase = WATCH_PORTS;
    service->listening.due_at = now;
}

void service_watch_proceed(struct service *service, int64_t now)
{
    int before = (int)service->watch.phase;

    for (int phase = before + 1; phase < (int)WATCH_SERVING; phase++) {
        if (is_open(service, (enum watch_phase)phase)) {
            enter_phase(service, (enum watch_phase)phase, now);
            return;
        }
    }
    if (service_ports_are_own(service))
        service_observe(service, SERVICE_EVENT_READY, 0, NULL);
    else
        return_to_ports(service, now);
}

/* ---- beginning and end ---- */

/* What a flocksd before had counted goes on, if it is about the same probe. */
static void restore_schedule(struct service *service, const struct service_watch *before)
{
    struct probe_schedule *schedule = &service->watch.schedule;

    if (!service->watch.has_probe || !before->has_probe || before->role != service->watch.role)
        return;
    schedule->verdict = before->schedule.verdict;
    schedule->failures = before->schedule.failures;
    schedule->successes = before->schedule.successes;
    schedule->bad_since = before->schedule.bad_since;
    schedule->due_at = before->schedule.due_at;
}

static void begin_starting(struct service *service, int64_t now)
{
    const struct service_watch before = service->watch;

    service->watch = (struct service_watch){.phase = WATCH_OFF,
        .settle_at = CLOCK_NEVER,
        .is_started = before.is_restored && before.is_started,
        .hear_again_at = before.is_restored ? before.hear_again_at : 0};
    service->problem[0] = '\0';
    if (service_ports_begin_starting(service, now))
        service->watch.phase = WATCH_PORTS;
    else
        service_watch_proceed(service, now);
    if (before.is_restored)
        restore_schedule(service, &before);
}

void service_watch_begin(struct service *service, int64_t now)
{
    const struct service_watch before = service->watch;

    if (service->facts.state == SERVICE_STARTING) {
        begin_starting(service, now);
        return;
    }
    /* A recovered service is being watched already. */
    if (before.phase == WATCH_SERVING && !before.is_restored)
        return;
    service->watch.is_restored = false;
    if (before.is_restored)
        service->watch.has_probe = false;
    begin_serving(service, now);
    if (before.is_restored)
        restore_schedule(service, &before);
}

void service_watch_end(struct service *service)
{
    drop_probe(service);
    service_ports_end(service);
    service->watch.phase = WATCH_OFF;
    service->notified.watchdog_at = CLOCK_NEVER;
    service->notified.stopping_by = CLOCK_NEVER;
}

/* ---- another configuration ---- */

void service_watch_pause(struct service *service)
{
    service_check_cancel(service);
    probe_schedule_void(&service->watch.schedule, clock_monotonic_ms(), 0);
}

/* The same role in other words: what was counted stays, the next check comes as they say. */
static void reword_probe(struct service *service, enum probe_role role, int64_t now)
{
    struct probe_schedule *schedule = &service->watch.schedule;
    enum probe_verdict verdict = schedule->verdict;
    bool is_same = service->watch.has_probe && service->watch.role == role;

    if (!is_same)
        use_probe(service, role, now);
    schedule->policy = schedule_policy(service_probe(service, role));
    schedule->verdict = verdict;
    if (schedule->due_at > now + schedule->policy.period_ms)
        schedule->due_at = now + schedule->policy.period_ms;
}

static void go_on_serving(struct service *service, int64_t now)
{
    if (service->notified.stopping)
        return;
    if (service_probe(service, PROBE_ROLE_ALIVE) != NULL)
        reword_probe(service, PROBE_ROLE_ALIVE, now);
    else if (service_probe(service, PROBE_ROLE_READY) != NULL)
        reword_probe(service, PROBE_ROLE_READY, now);
    else
        drop_probe(service);
    /* The grace may be over by now. */
    if (service->listening.lost_at != CLOCK_NEVER)
        service->listening.due_at = now;
    service_watch_recover(service);
}

void service_watch_go_on(struct service *service, int64_t now)
{
    enum watch_phase phase = service->watch.phase;
    bool has_probe = phase == WATCH_STARTUP || phase == WATCH_READY;

    if (phase == WATCH_SERVING)
        go_on_serving(service, now);
    else if (has_probe && is_open(service, phase))
        reword_probe(service, service->watch.role, now);
    else if (has_probe || (phase == WATCH_NOTIFIED && !is_open(service, phase)))
        service_watch_proceed(service, now);
    service_arm(service);
}

/* ---- results ---- */

static bool is_degraded_by_probe(const struct service *service)
{
    return service->watch.has_probe && service->watch.schedule.verdict == PROBE_VERDICT_FAILING;
}

void service_watch_recover(struct service *service)
{
    if (service->facts.state == SERVICE_DEGRADED && !is_degraded_by_probe(service) &&
        service->listening.lost_at == CLOCK_NEVER && !service->notified.stopping)
        service_observe(service, SERVICE_EVENT_RECOVERED, 0, NULL);
}

static bool restarts(const flocks_probe *probe)
{
    return flocks_probe_failure_from((int)probe->on_failure) == FLOCKS_PROBE_FAILURE_RESTART;
}

static void probe_failing(struct service *service, const flocks_probe *probe, const char *message)
{
    if (restarts(probe))
        service_observe(
            service, SERVICE_EVENT_UNRESPONSIVE, FLOCKS_STATE_REASON_HEALTH_FAILED, message);
    else if (service->watch.phase == WATCH_SERVING)
        service_observe(
            service, SERVICE_EVENT_UNHEALTHY, FLOCKS_STATE_REASON_HEALTH_FAILED, message);
}

static void probe_passing(struct service *service, int64_t now)
{
    if (service->watch.phase == WATCH_SERVING) {
        service_watch_recover(service);
        return;
    }
    if (service->watch.role == PROBE_ROLE_STARTUP)
        service->watch.is_started = true;
    service_watch_proceed(service, now);
}

/* Descriptors, memory or time were short here. Once per row, or a shortage would flood the log. */
static void tell_void(struct service *service, const char *message)
{
    if (!service->watch.void_told)
        log_warn("a probe said nothing", "name=%s error=\"%s\"", service->name, message);
    service->watch.void_told = true;
}

/* What adds up to a verdict may not be lost: nobody would ever be judged by a flocksd that is
 * killed again and again. That all is well, once more, may. */
static bool is_worth_keeping(
    const struct probe_schedule *before, const struct probe_schedule *schedule)
{
    return schedule->verdict != PROBE_VERDICT_PASSING || schedule->verdict != before->verdict ||
           schedule->failures != before->failures;
}

void service_watch_result(struct service *service, const struct probe_result *result, int64_t now)
{
    struct service_watch *watch = &service->watch;
    const flocks_probe *probe = present_probe(service);
    struct probe_schedule before = watch->schedule;
    char text[SERVICE_MESSAGE_SIZE];
    bool changed;
    bool is_final;

    if (probe == NULL || !watch->schedule.is_running)
        return;
    (void)snprintf(text, sizeof text, "%s: %.200s", role_text(watch->role), result->message);
    if (!result->passed)
        service_note_problem(service, text);
    if (result->is_void) {
        probe_schedule_void(&watch->schedule, now, service_random());
        tell_void(service, text);
        service_arm(service);
        return;
    }
    watch->void_told = false;
    probe_history_add(&service->history, watch->role, clock_wall_ns(), result->duration_ms,
        result->passed, result->message);
    changed = probe_schedule_result(&watch->schedule, result->passed, now, service_random());
    if (is_worth_keeping(&before, &watch->schedule))
        supervisor_mark_dirty(service->owner);
    else
        supervisor_mark_stale(service->owner, now);
    /* It was failing already, and another configuration has decided since then that this ends it.
     */
    is_final =
        restarts(probe) && !result->passed && probe_schedule_has_failed(&watch->schedule, now);
    if (watch->schedule.verdict == PROBE_VERDICT_FAILING && (changed || is_final))
        probe_failing(service, probe, text);
    else if (changed && watch->schedule.verdict == PROBE_VERDICT_PASSING)
        probe_passing(service, now);
    service_arm(service);
}

/* ---- turns ---- */

static void poll_ports(struct service *service, int64_t now)
{
    char message[SERVICE_MESSAGE_SIZE] = "";

    if (service_ports_poll(service, now, message, sizeof message)) {
        service->problem[0] = '\0';
        service_watch_proceed(service, now);
        return;
    }
    service_note_problem(service, message);
}

/* When the present probe can be checked; CLOCK_NEVER: not now. An exec check waits until the last
 * one is gone, but not for ever. */
static int64_t probe_due_at(const struct service *service)
{
    const struct service_watch *watch = &service->watch;
    const flocks_probe *probe = present_probe(service);
    int64_t stuck_at = service->task.ending_since + SERVICE_TASK_STUCK_MS;

    if (probe == NULL || watch->schedule.is_running)
        return CLOCK_NEVER;
    if (probe->check_case != FLOCKS__V1__PROBE__CHECK_EXEC || service->task.state == TASK_NONE)
        return watch->schedule.due_at;
    return stuck_at > watch->schedule.due_at ? stuck_at : watch->schedule.due_at;
}

static void run_probe(struct service *service, int64_t now)
{
    const flocks_probe *probe = present_probe(service);
    const struct probe_result stuck = {.message = "what the last check left cannot be killed"};

    probe_schedule_started(&service->watch.schedule, now);
    if (probe->check_case == FLOCKS__V1__PROBE__CHECK_EXEC && service->task.state != TASK_NONE)
        service_watch_result(service, &stuck, now);
    else
        service_check_start(service, probe, now);
}

static bool is_starting_probe_due(const struct service *service, int64_t now)
{
    return (service->watch.phase == WATCH_STARTUP || service->watch.phase == WATCH_READY) &&
           probe_due_at(service) <= now;
}

void service_watch_turn(struct service *service, int64_t now)
{
    struct service_watch *watch = &service->watch;

    service_task_turn(service, now);
    if (watch->phase != WATCH_OFF)
        service_promises_judge(service, now);
    /* What was seen may have ended the watch, here and below. */
    if (watch->phase == WATCH_SETTLE && watch->settle_at <= now)
        service_watch_proceed(service, now);
    else if (watch->phase == WATCH_PORTS && service->listening.due_at <= now)
        poll_ports(service, now);
    else if (watch->phase == WATCH_SERVING && !service->notified.stopping &&
             (service->listening.due_at <= now || probe_due_at(service) <= now))
        service_ports_check(service, now);
    else if (is_starting_probe_due(service, now) && !service_ports_are_own(service))
        return_to_ports(service, now);
    if (watch->phase != WATCH_OFF && probe_due_at(service) <= now)
        run_probe(service, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t service_watch_due_at(const struct service *service)
{
    const struct service_watch *watch = &service->watch;
    int64_t due_at = service_task_due_at(service);

    if (watch->phase == WATCH_OFF)
        return due_at;
    if (watch->phase == WATCH_SETTLE)
        due_at = earlier(due_at, watch->settle_at);
    else if (watch->phase == WATCH_PORTS || watch->phase == WATCH_SERVING)
        due_at = earlier(due_at, service->listening.due_at);
    due_at = earlier(due_at, service_promises_due_at(service));
    return earlier(due_at, probe_due_at(service));
}
