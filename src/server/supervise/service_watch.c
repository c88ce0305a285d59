/* What is observed of a running service: its ports (service_ports.c), then its probes. Turns
 * observations into the machine's events; judges nothing but what probe_schedule.h says. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/log.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* Entries of a check's maps (the schema's max_items). */
    CHECK_PAIRS_MAX = 16,
    /* Failures that the schema gives a probe by default; only then PROBE_PATIENCE_MS holds.
     */
    DEFAULT_FAILURE_THRESHOLD = 12
};

static int64_t duration_ms(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? duration->seconds * 1000 + duration->nanos / 1000000 : 0;
}

static bool has_check(const flocks_probe *probe)
{
    return probe != NULL && probe->check_case != FLOCKS__V1__PROBE__CHECK__NOT_SET;
}

/* ---- probes ---- */

static const char *phase_text(enum watch_phase phase)
{
    switch (phase) {
    case WATCH_STARTUP:
        return "startup probe";
    case WATCH_READY:
        return "ready probe";
    case WATCH_SERVING:
        return "probe";
    case WATCH_OFF:
    case WATCH_SETTLE:
    case WATCH_PORTS:
        break;
    }
    return "port";
}

static struct probe_policy schedule_policy(const struct service *service)
{
    const flocks_probe *probe = service->watch.probe;
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

static void cancel_probe(struct service *service)
{
    probe_close(&service->watch.running);
    if (service->watch.task_running)
        service_task_kill(service);
    service->watch.task_running = false;
    service->watch.task_due_at = CLOCK_NEVER;
}

static void use_probe(struct service *service, const flocks_probe *probe, int64_t now)
{
    cancel_probe(service);
    service->watch.probe = probe;
    if (probe != NULL) {
        const struct probe_policy policy = schedule_policy(service);

        probe_schedule_begin(&service->watch.schedule, &policy, now);
    }
}

static void use_serving_probe(struct service *service, int64_t now)
{
    const flocks_probes *probes = service->config->probes;
    const flocks_probe *probe = NULL;

    if (probes != NULL)
        probe = has_check(probes->alive) ? probes->alive : probes->ready;
    use_probe(service, has_check(probe) ? probe : NULL, now);
    /* It has just passed one check: the next is a period away. */
    if (service->watch.probe != NULL && service->watch.schedule.due_at <= now)
        service->watch.schedule.due_at = now + service->watch.schedule.policy.period_ms;
}

static void begin_serving(struct service *service, int64_t now)
{
    service->watch.phase = WATCH_SERVING;
    service_ports_begin_serving(service, now);
    use_serving_probe(service, now);
}

/* Somebody else would have answered the probe, or nobody. */
static void return_to_ports(struct service *service, int64_t now)
{
    use_probe(service, NULL, now);
    service->watch.phase = WATCH_PORTS;
    service->listening.due_at = now;
}

/* The next thing that has to be true before it is ready. */
static void next_phase(struct service *service, int64_t now)
{
    const flocks_probes *probes = service->config->probes;

    if (service->watch.phase < WATCH_STARTUP && probes != NULL && has_check(probes->startup)) {
        service->watch.phase = WATCH_STARTUP;
        use_probe(service, probes->startup, now);
    } else if (service->watch.phase < WATCH_READY && probes != NULL && has_check(probes->ready)) {
        service->watch.phase = WATCH_READY;
        use_probe(service, probes->ready, now);
    } else if (service->watch.phase == WATCH_OFF) {
        service->watch.phase = WATCH_SETTLE;
        service->watch.settle_at = service->facts.spawned_at + SERVICE_SETTLE_MS;
    } else if (service_ports_are_own(service)) {
        service_observe(service, SERVICE_EVENT_READY, 0, NULL);
    } else {
        return_to_ports(service, now);
    }
}

void service_watch_begin(struct service *service, int64_t now)
{
    struct service_watch *watch = &service->watch;

    if (service->facts.state != SERVICE_STARTING) {
        /* A recovered service is being watched already. */
        if (watch->phase != WATCH_SERVING)
            begin_serving(service, now);
        return;
    }
    *watch = (struct service_watch){
        .phase = WATCH_OFF, .settle_at = CLOCK_NEVER, .task_due_at = CLOCK_NEVER};
    service->problem[0] = '\0';
    if (service_ports_begin_starting(service, now)) {
        watch->phase = WATCH_PORTS;
    } else {
        next_phase(service, now);
    }
}

void service_watch_end(struct service *service)
{
    cancel_probe(service);
    service_ports_end(service);
    service->watch.phase = WATCH_OFF;
    service->watch.probe = NULL;
}

/* ---- another configuration ---- */

void service_watch_pause(struct service *service)
{
    cancel_probe(service);
    service->watch.probe = NULL;
}

/* A role that is no more has passed. */
static void go_on_starting(struct service *service, const flocks_probe *probe, int64_t now)
{
    if (has_check(probe))
        use_probe(service, probe, now);
    else
        next_phase(service, now);
}

static void go_on_serving(struct service *service, int64_t now)
{
    enum probe_verdict verdict = service->watch.schedule.verdict;

    use_serving_probe(service, now);
    if (service->watch.probe != NULL)
        service->watch.schedule.verdict = verdict;
    /* The grace may be over by now. */
    if (service->listening.lost_at != CLOCK_NEVER)
        service->listening.due_at = now;
    service_watch_recover(service);
}

void service_watch_go_on(struct service *service, int64_t now)
{
    const flocks_probes *probes = service->config->probes;

    switch (service->watch.phase) {
    case WATCH_OFF:
    case WATCH_SETTLE:
    case WATCH_PORTS:
        break;
    case WATCH_STARTUP:
        go_on_starting(service, probes != NULL ? probes->startup : NULL, now);
        break;
    case WATCH_READY:
        go_on_starting(service, probes != NULL ? probes->ready : NULL, now);
        break;
    case WATCH_SERVING:
        go_on_serving(service, now);
        break;
    }
    service_arm(service);
}

/* ---- results ---- */

static bool is_degraded_by_probe(const struct service *service)
{
    return service->watch.probe != NULL && service->watch.schedule.verdict == PROBE_VERDICT_FAILING;
}

void service_watch_recover(struct service *service)
{
    if (service->facts.state == SERVICE_DEGRADED && !is_degraded_by_probe(service) &&
        service->listening.lost_at == CLOCK_NEVER)
        service_observe(service, SERVICE_EVENT_RECOVERED, 0, NULL);
}

static void probe_failing(struct service *service, const char *message)
{
    bool restarts = flocks_probe_failure_from((int)service->watch.probe->on_failure) ==
                    FLOCKS_PROBE_FAILURE_RESTART;

    if (restarts)
        service_observe(
            service, SERVICE_EVENT_UNRESPONSIVE, FLOCKS_STATE_REASON_HEALTH_FAILED, message);
    else if (service->watch.phase == WATCH_SERVING)
        service_observe(
            service, SERVICE_EVENT_UNHEALTHY, FLOCKS_STATE_REASON_HEALTH_FAILED, message);
}

/* While it starts, the last failed check is the best answer to "why is it not ready". */
static void remember_start_problem(struct service *service, const char *message)
{
    if (service->facts.state == SERVICE_STARTING)
        (void)snprintf(service->problem, sizeof service->problem, "%s", message);
}

void service_watch_result(struct service *service, bool passed, const char *message, int64_t now)
{
    struct service_watch *watch = &service->watch;
    char text[SERVICE_MESSAGE_SIZE];
    bool changed;

    watch->task_running = false;
    watch->task_due_at = CLOCK_NEVER;
    changed = probe_schedule_result(&watch->schedule, passed, now, service_random());
    (void)snprintf(text, sizeof text, "%s: %.200s", phase_text(watch->phase), message);
    if (!passed)
        remember_start_problem(service, text);
    if (changed && watch->schedule.verdict == PROBE_VERDICT_FAILING)
        probe_failing(service, text);
    else if (changed && watch->schedule.verdict == PROBE_VERDICT_PASSING) {
        if (watch->phase == WATCH_SERVING)
            service_watch_recover(service);
        else
            next_phase(service, now);
    }
    service_arm(service);
}

static void on_probe_done(void *context, const struct probe_result *result)
{
    struct service *service = context;
    const struct probe_result copy = *result;

    probe_close(&service->watch.running);
    service_watch_result(service, copy.passed, copy.message, clock_monotonic_ms());
}

void service_task_exited(struct service *service, const struct keeper_exit *exit)
{
    char message[SERVICE_MESSAGE_SIZE];
    bool passed = WIFEXITED(exit->wait_status) && WEXITSTATUS(exit->wait_status) == 0;

    if (exit->generation != service->last_task)
        return;
    service_task_bury(service);
    supervisor_release_task_slot(service);
    if (!service->watch.task_running)
        return;
    if (WIFSIGNALED(exit->wait_status))
        (void)snprintf(message, sizeof message, "killed by signal %d", WTERMSIG(exit->wait_status));
    else
        (void)snprintf(message, sizeof message, "exit code %d", WEXITSTATUS(exit->wait_status));
    service_watch_result(service, passed, message, clock_monotonic_ms());
}

/* ---- checks ---- */

static size_t http_pairs_expect(const flocks_http_check *check, struct probe_pair *out)
{
    size_t n = check->n_expect < CHECK_PAIRS_MAX ? check->n_expect : CHECK_PAIRS_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] =
            (struct probe_pair){.name = check->expect[i]->key, .value = check->expect[i]->value};
    return n;
}

static size_t http_pairs_headers(const flocks_http_check *check, struct probe_pair *out)
{
    size_t n = check->n_headers < CHECK_PAIRS_MAX ? check->n_headers : CHECK_PAIRS_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] =
            (struct probe_pair){.name = check->headers[i]->key, .value = check->headers[i]->value};
    return n;
}

/* Port 0 of a check: the service's own, at the address that was seen to reach it. */
static int probe_address(
    const struct service *service, uint32_t port, union endpoint_address *out, struct error *error)
{
    struct endpoint endpoint;
    int result;

    if (port == 0 && service->n_ports > 0) {
        *out = service->address;
        return 0;
    }
    if (port == 0)
        return error_set(error, STATUS_FAILED_PRECONDITION, "the service has no port to probe");
    result = endpoint_resolve(service->config->host, (uint16_t)port, &endpoint, error);
    if (result == 0)
        *out = endpoint.addresses[0];
    return result;
}

static int start_http(struct service *service, const flocks_http_check *check,
    struct probe_request *request, struct error *error)
{
    struct probe_pair expect[CHECK_PAIRS_MAX];
    struct probe_pair headers[CHECK_PAIRS_MAX];
    const struct probe_http http = {.path = check->path,
        .status = check->status,
        .expect = expect,
        .expect_count = http_pairs_expect(check, expect),
        .headers = headers,
        .header_count = http_pairs_headers(check, headers)};
    int result = probe_address(service, check->port, &request->address, error);

    request->http = &http;
    if (result == 0)
        result = probe_start(
            service->owner->loop, request, on_probe_done, service, &service->watch.running, error);
    request->http = NULL;
    return result;
}

static int start_tcp(struct service *service, const flocks_tcp_check *check,
    struct probe_request *request, struct error *error)
{
    int result = probe_address(service, check->port, &request->address, error);

    if (result < 0)
        return result;
    return probe_start(
        service->owner->loop, request, on_probe_done, service, &service->watch.running, error);
}

static void start_probe(struct service *service, int64_t now)
{
    const flocks_probe *probe = service->watch.probe;
    struct probe_request request = {.timeout_ms = service->watch.schedule.policy.timeout_ms};
    struct error error = ERROR_INIT;
    int result = 0;

    probe_schedule_started(&service->watch.schedule, now);
    switch (probe->check_case) {
    case FLOCKS__V1__PROBE__CHECK_HTTP:
        result = start_http(service, probe->http, &request, &error);
        break;
    case FLOCKS__V1__PROBE__CHECK_TCP:
        result = start_tcp(service, probe->tcp, &request, &error);
        break;
    case FLOCKS__V1__PROBE__CHECK_EXEC:
        service_task_start(service, probe->exec, now);
        return;
    case FLOCKS__V1__PROBE__CHECK__NOT_SET:
    default:
        return;
    }
    if (result < 0)
        service_watch_result(service, false, error.text, now);
}

/* ---- turns ---- */

static void poll_ports(struct service *service, int64_t now)
{
    char message[SERVICE_MESSAGE_SIZE] = "";

    if (service_ports_poll(service, now, message, sizeof message)) {
        service->problem[0] = '\0';
        next_phase(service, now);
        return;
    }
    remember_start_problem(service, message);
}

static bool is_probe_due(const struct service *service, int64_t now)
{
    const struct service_watch *watch = &service->watch;

    return watch->probe != NULL && !watch->schedule.is_running && watch->schedule.due_at <= now;
}

static bool is_starting_probe_due(const struct service *service, int64_t now)
{
    return (service->watch.phase == WATCH_STARTUP || service->watch.phase == WATCH_READY) &&
           is_probe_due(service, now);
}

static void run_probe(struct service *service, int64_t now)
{
    /* The last exec probe has been killed but is not gone yet. */
    if (service->watch.probe->check_case == FLOCKS__V1__PROBE__CHECK_EXEC && service->task_alive) {
        service->watch.schedule.due_at = now + SERVICE_PORT_POLL_MS;
        return;
    }
    start_probe(service, now);
}

void service_watch_turn(struct service *service, int64_t now)
{
    struct service_watch *watch = &service->watch;

    if (watch->phase == WATCH_SETTLE && watch->settle_at <= now)
        next_phase(service, now);
    else if (watch->phase == WATCH_PORTS && service->listening.due_at <= now)
        poll_ports(service, now);
    else if (watch->phase == WATCH_SERVING &&
             (service->listening.due_at <= now || is_probe_due(service, now)))
        service_ports_check(service, now);
    else if (is_starting_probe_due(service, now) && !service_ports_are_own(service))
        return_to_ports(service, now);
    /* What was seen may have ended the watch. */
    if (watch->task_running && watch->task_due_at <= now) {
        service_task_kill(service);
        service_watch_result(service, false, "no result within its timeout", now);
    } else if (watch->phase != WATCH_OFF && is_probe_due(service, now)) {
        run_probe(service, now);
    }
}

int64_t service_watch_due_at(const struct service *service)
{
    const struct service_watch *watch = &service->watch;
    int64_t due_at = CLOCK_NEVER;

    if (watch->phase == WATCH_OFF)
        return CLOCK_NEVER;
    if (watch->phase == WATCH_SETTLE)
        due_at = watch->settle_at;
    else if (watch->phase == WATCH_PORTS || watch->phase == WATCH_SERVING)
        due_at = service->listening.due_at;
    if (watch->task_running && watch->task_due_at < due_at)
        due_at = watch->task_due_at;
    if (watch->probe != NULL && !watch->schedule.is_running && watch->schedule.due_at < due_at)
        due_at = watch->schedule.due_at;
    return due_at;
}
