/* The gate of a commit: each service HEALTHY in a new generation, telling the expected version, and
 * staying so. Judged by leases.h; the question for the version is asked here. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "server/supervise/lease_private.h"

static void fail(struct leased_service *leased, uint32_t reason, const char *why)
{
    struct lease *lease = leased->lease;

    lease->failed_name = leased->name;
    lease_explain(lease, reason, "%s: %.180s", leased->name, why);
    (void)lease_feed(lease, LEASE_EVENT_FAILED);
}

/* ---- the version ---- */

static void on_answer(void *context, const struct probe_result *result)
{
    struct leased_service *leased = context;
    const struct probe_result copy = *result;
    struct supervisor *supervisor = leased->lease->supervisor;

    probe_close(&leased->probe);
    supervisor->is_lease_turn_due = true;
    if (copy.passed) {
        leased->told = true;
        return;
    }
    if (copy.is_other) {
        fail(leased, FLOCKS_ERROR_REASON_VERSION_MISMATCH, copy.message);
        return;
    }
    /* It does not tell yet. */
    (void)snprintf(leased->problem, sizeof leased->problem, "%.120s", copy.message);
    leased->ask_at = clock_add_ms(clock_monotonic_ms(), LEASE_RETRY_MS);
}

static void ask(struct leased_service *leased, struct service *service, int64_t now)
{
    const flocks_version_source *source = service->config->version;
    const struct probe_pair expected = {.name = source->member, .value = leased->expected_version};
    struct error error = ERROR_INIT;

    leased->ask_at = CLOCK_NEVER;
    if (service_check_ask(
            service, source->http, &expected, on_answer, leased, &leased->probe, &error) < 0) {
        (void)snprintf(leased->problem, sizeof leased->problem, "%.120s", error.text);
        leased->ask_at = clock_add_ms(now, LEASE_RETRY_MS);
    }
}

/* True: it has told the version that is expected of it. */
static bool has_told(struct leased_service *leased, struct service *service, int64_t now)
{
    if (leased->expected_version == NULL || !leased->wanted)
        return true;
    /* What an earlier generation told is worth nothing. */
    if (leased->to_generation != service->facts.generation) {
        probe_close(&leased->probe);
        leased->told = false;
        leased->ask_at = now;
    }
    leased->to_generation = service->facts.generation;
    if (service->facts.state == SERVICE_COMPLETED) {
        fail(leased, FLOCKS_ERROR_REASON_VERSION_MISMATCH,
            "it ended before it could tell its version");
        return false;
    }
    /* Without a time and without a question: it was asked by a flocksd that died before the answer.
     */
    if (!leased->told && leased->probe == NULL &&
        (leased->ask_at <= now || leased->ask_at == CLOCK_NEVER))
        ask(leased, service, now);
    return leased->told;
}

/* ---- turns ---- */

/* False: it has not passed; the lease may have left its phase. */
static bool look_at_start(struct leased_service *leased, int64_t now)
{
    struct supervisor *supervisor = leased->lease->supervisor;
    const struct lease_view view = lease_operation_view(leased->lease, leased);
    struct service *service = supervisor_find(supervisor, leased->name);

    switch (lease_judge_start(leased, &view)) {
    case LEASE_FAILED:
        fail(leased, FLOCKS_ERROR_REASON_SERVICE_FAILED,
            service != NULL && service->facts.message[0] != '\0' ? service->facts.message
                                                                 : "did not become healthy");
        return false;
    case LEASE_PENDING:
        return false;
    case LEASE_PASSED:
        break;
    }
    if (service == NULL)
        return true;
    if (!has_told(leased, service, now))
        return false;
    leased->to_generation = service->facts.generation;
    return true;
}

static const char *what_is_missing(const struct lease *lease, const char **out_name)
{
    const struct supervisor *supervisor = lease->supervisor;

    for (size_t i = 0; i < lease->n_services; i++) {
        const struct leased_service *leased = &lease->services[i];
        const struct lease_view view = lease_operation_view(lease, leased);
        const struct service *service = supervisor_find(supervisor, leased->name);

        if (service == NULL || !leased->wanted)
            continue;
        *out_name = leased->name;
        if (lease_judge_start(leased, &view) != LEASE_PASSED)
            return service->problem[0] != '\0' ? service->problem : service_state_text(view.state);
        if (leased->expected_version != NULL && !leased->told)
            return leased->problem[0] != '\0' ? leased->problem : "its version is not known yet";
    }
    return "";
}

static void turn_committing(struct lease *lease, int64_t now)
{
    bool all = true;
    const char *missing;

    for (size_t i = 0; i < lease->n_services && lease->facts.phase == LEASE_COMMITTING; i++)
        all = look_at_start(&lease->services[i], now) && all;
    if (lease->facts.phase != LEASE_COMMITTING)
        return;
    if (all) {
        (void)lease_feed(lease, LEASE_EVENT_PASSED);
        return;
    }
    if (now < lease->facts.due_at)
        return;
    missing = what_is_missing(lease, &lease->failed_name);
    lease_explain(lease, FLOCKS_ERROR_REASON_START_TIMEOUT,
        "%s: not healthy within %lld s (%.120s)",
        lease->failed_name != NULL ? lease->failed_name : "",
        (long long)(lease->facts.start_timeout_ms / 1000), missing);
    (void)lease_feed(lease, LEASE_EVENT_DUE);
}

static void turn_observing(struct lease *lease, int64_t now)
{
    bool is_over = now >= lease->facts.due_at;

    for (size_t i = 0; i < lease->n_services; i++) {
        struct leased_service *leased = &lease->services[i];
        const struct supervisor *supervisor = lease->supervisor;
        const struct lease_view view = lease_operation_view(lease, leased);
        const struct service *service = supervisor_find(supervisor, leased->name);

        if (lease_judge_health(leased, &view, is_over) != LEASE_FAILED)
            continue;
        fail(leased, FLOCKS_ERROR_REASON_SERVICE_FAILED,
            service != NULL && service->facts.message[0] != '\0' ? service->facts.message
                                                                 : "did not stay healthy");
        return;
    }
    if (is_over)
        (void)lease_feed(lease, LEASE_EVENT_DUE);
}

void lease_gate_turn(struct lease *lease, int64_t now)
{
    if (lease->facts.phase == LEASE_COMMITTING)
        turn_committing(lease, now);
    else if (lease->facts.phase == LEASE_OBSERVING)
        turn_observing(lease, now);
}

void lease_gate_end(struct lease *lease)
{
    for (size_t i = 0; i < lease->n_services; i++) {
        probe_close(&lease->services[i].probe);
        lease->services[i].ask_at = CLOCK_NEVER;
    }
}
