#include "server/supervise/leases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

/* ---- one lease, as a machine ---- */

static void enter(struct lease_step *step, enum lease_phase phase, int64_t due_at)
{
    step->facts.phase = phase;
    step->facts.due_at = due_at;
}

static void act(struct lease_step *step, enum lease_action action)
{
    step->has_action = true;
    step->action = action;
}

static void rule_observe(struct lease_step *step, const struct lease_input *input)
{
    if (step->facts.observe_ms > 0) {
        enter(step, LEASE_OBSERVING, clock_add_ms(input->now, step->facts.observe_ms));
        return;
    }
    enter(step, LEASE_SEALING, CLOCK_NEVER);
    act(step, LEASE_ACTION_SEAL);
}

static void rule_begin(struct lease_step *step, const struct lease_input *input)
{
    step->facts.start_timeout_ms = input->start_timeout_ms;
    step->facts.observe_ms = input->observe_ms;
    enter(step, LEASE_COMMITTING, clock_add_ms(input->now, input->start_timeout_ms));
    act(step, LEASE_ACTION_START);
}

static void rule_extend(struct lease_step *step, const struct lease_input *input)
{
    if (input->ttl_ms > 0)
        step->facts.ttl_ms = input->ttl_ms;
    step->facts.due_at = clock_add_ms(input->now, step->facts.ttl_ms);
}

static void apply_rule(struct lease_step *step, const struct lease_input *input)
{
    switch (step->rule) {
    case LEASE_RULE_HOLD:
        enter(step, LEASE_HELD, clock_add_ms(input->now, step->facts.ttl_ms));
        return;
    case LEASE_RULE_DROP:
        enter(step, LEASE_DROPPED, CLOCK_NEVER);
        act(step, LEASE_ACTION_CLOSE);
        return;
    case LEASE_RULE_EXTEND:
        rule_extend(step, input);
        return;
    case LEASE_RULE_BEGIN:
        rule_begin(step, input);
        return;
    case LEASE_RULE_OBSERVE:
        rule_observe(step, input);
        return;
    case LEASE_RULE_SEAL:
        enter(step, LEASE_SEALING, CLOCK_NEVER);
        act(step, LEASE_ACTION_SEAL);
        return;
    case LEASE_RULE_AGAIN:
        enter(step, LEASE_SEALING, clock_add_ms(input->now, LEASE_RETRY_MS));
        return;
    case LEASE_RULE_FINISH:
        enter(step, LEASE_COMMITTED, CLOCK_NEVER);
        act(step, LEASE_ACTION_CLOSE);
        return;
    case LEASE_RULE_ROLL_BACK:
        enter(step, LEASE_ROLLING_BACK, CLOCK_NEVER);
        act(step, LEASE_ACTION_UNDO);
        return;
    case LEASE_RULE_RESTORE:
        enter(step, LEASE_RESTORING, CLOCK_NEVER);
        act(step, LEASE_ACTION_RESTORE);
        return;
    case LEASE_RULE_END:
        enter(step, LEASE_ROLLED_BACK, CLOCK_NEVER);
        act(step, LEASE_ACTION_CLOSE);
        return;
    case LEASE_RULE_GIVE_UP:
        enter(step, LEASE_ROLLBACK_FAILED, CLOCK_NEVER);
        act(step, LEASE_ACTION_CLOSE);
        return;
    case LEASE_RULE_ILLEGAL:
    case LEASE_RULE_KEEP:
    case LEASE_RULE_COUNT:
        return;
    }
}

struct lease_step lease_machine_apply(
    const struct lease_facts *facts, const struct lease_input *input)
{
    struct lease_step step = {.facts = *facts};

    step.rule = lease_table_rule(facts->phase, input->event);
    if ((input->event == LEASE_EVENT_DUE && input->now < facts->due_at) ||
        (step.rule != LEASE_RULE_KEEP && facts->is_settled))
        step.rule = LEASE_RULE_ILLEGAL;
    apply_rule(&step, input);
    assert(step.rule == LEASE_RULE_ILLEGAL ||
           lease_table_allows(step.rule, facts->phase, step.facts.phase));
    return step;
}

void lease_facts_orphan(struct lease_facts *facts, int64_t now)
{
    int64_t due_at = clock_add_ms(now, LEASE_ORPHAN_MS);

    if (facts->phase == LEASE_HELD && facts->due_at > due_at)
        facts->due_at = due_at;
}

struct lease_step lease_machine_resume(const struct lease_facts *facts, int64_t now)
{
    struct lease_step step = {.facts = *facts, .rule = LEASE_RULE_KEEP};
    int64_t earliest = clock_add_ms(now, LEASE_TAKEOVER_MS);

    switch (facts->phase) {
    case LEASE_HELD:
        if (facts->due_at < earliest)
            step.facts.due_at = earliest;
        break;
    case LEASE_COMMITTING:
        step.facts.due_at = clock_add_ms(now, facts->start_timeout_ms);
        break;
    case LEASE_OBSERVING:
        step.facts.due_at = clock_add_ms(now, facts->observe_ms);
        break;
    case LEASE_SEALING:
        act(&step, LEASE_ACTION_SEAL);
        break;
    case LEASE_ROLLING_BACK:
        act(&step, LEASE_ACTION_UNDO);
        break;
    case LEASE_RESTORING:
        act(&step, LEASE_ACTION_RESTORE);
        break;
    case LEASE_OPENING:
        /* Nobody was told its id. */
        enter(&step, LEASE_DROPPED, CLOCK_NEVER);
        act(&step, LEASE_ACTION_CLOSE);
        break;
    case LEASE_COMMITTED:
    case LEASE_ROLLED_BACK:
    case LEASE_ROLLBACK_FAILED:
    case LEASE_DROPPED:
    case LEASE_PHASE_END:
        break;
    }
    return step;
}

/* ---- its services ---- */

enum lease_verdict lease_judge_start(
    const struct leased_service *service, const struct lease_view *view)
{
    if (!service->wanted)
        return LEASE_PASSED;
    if (!view->issued)
        return LEASE_PENDING;
    switch (view->state) {
    case SERVICE_HEALTHY:
    case SERVICE_COMPLETED:
        return view->generation > service->from_generation ? LEASE_PASSED : LEASE_PENDING;
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
    case SERVICE_STOPPED:
    case SERVICE_PAUSED:
        return LEASE_FAILED;
    case SERVICE_WAITING:
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_DEGRADED:
    case SERVICE_STOPPING:
    case SERVICE_STATE_END:
        return LEASE_PENDING;
    }
    return LEASE_PENDING;
}

enum lease_verdict lease_judge_health(
    const struct leased_service *service, const struct lease_view *view, bool is_over)
{
    if (!service->wanted)
        return LEASE_PASSED;
    if (view->generation != service->to_generation)
        return LEASE_FAILED;
    switch (view->state) {
    case SERVICE_HEALTHY:
    case SERVICE_COMPLETED:
        return LEASE_PASSED;
    case SERVICE_DEGRADED:
        return is_over ? LEASE_FAILED : LEASE_PENDING;
    case SERVICE_STOPPED:
    case SERVICE_WAITING:
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_STOPPING:
    case SERVICE_BACKOFF:
    case SERVICE_PAUSED:
    case SERVICE_FAILED:
    case SERVICE_STATE_END:
        return LEASE_FAILED;
    }
    return LEASE_FAILED;
}

enum service_event lease_restore_event(
    const struct leased_service *service, const struct lease_view *view)
{
    bool is_old = view->generation == service->from_generation;

    if (!service->wanted || service->released)
        return SERVICE_EVENT_COUNT;
    if (is_old && view->state == SERVICE_COMPLETED)
        return SERVICE_EVENT_COUNT;
    return is_old ? SERVICE_EVENT_START : SERVICE_EVENT_RESTART;
}

/* ---- the lease ---- */

void leases_init(struct leases *leases)
{
    list_init(&leases->all);
}

void leases_deinit(struct leases *leases)
{
    LIST_FOR_EACH_SAFE(link, &leases->all)
    lease_free(CONTAINER_OF(link, struct lease, link));
}

struct lease *lease_new(struct leases *leases, size_t n_services)
{
    struct lease *lease = calloc(1, sizeof *lease);

    if (lease == NULL)
        return NULL;
    lease->services = calloc(n_services > 0 ? n_services : 1, sizeof *lease->services);
    if (lease->services == NULL) {
        free(lease);
        return NULL;
    }
    lease->n_services = n_services;
    lease->facts.phase = LEASE_OPENING;
    lease->facts.due_at = CLOCK_NEVER;
    list_init(&lease->waits);
    list_append(&leases->all, &lease->link);
    return lease;
}

void lease_forget_undo(struct lease *lease)
{
    for (size_t i = 0; i < lease->n_undo; i++) {
        free(lease->undo[i].link);
        free(lease->undo[i].target);
    }
    lease->n_undo = 0;
}

void lease_free(struct lease *lease)
{
    if (lease == NULL)
        return;
    assert(lease->watch == NULL && list_is_empty(&lease->waits));
    list_remove(&lease->link);
    for (size_t i = 0; i < lease->n_services; i++) {
        assert(lease->services[i].probe == NULL);
        free(lease->services[i].expected_version);
    }
    lease_forget_undo(lease);
    free(lease->services);
    free(lease);
}

bool lease_add_undo(struct lease *lease, const char *link, const char *target)
{
    struct lease_undo undo;

    if (lease->n_undo == LEASE_UNDO_MAX)
        return false;
    undo = (struct lease_undo){.link = strdup(link), .target = strdup(target)};
    if (undo.link == NULL || undo.target == NULL) {
        free(undo.link);
        free(undo.target);
        return false;
    }
    lease->undo[lease->n_undo++] = undo;
    return true;
}

bool lease_expect(struct leased_service *service, const char *version)
{
    char *copy = strdup(version);

    if (copy == NULL)
        return false;
    free(service->expected_version);
    service->expected_version = copy;
    return true;
}

static int compare_services(const void *left, const void *right)
{
    const struct leased_service *a = left;
    const struct leased_service *b = right;

    return strcmp(a->name, b->name);
}

void lease_sort_services(struct lease *lease)
{
    if (lease->n_services > 0)
        qsort(lease->services, lease->n_services, sizeof *lease->services, compare_services);
    for (size_t i = 0; i < lease->n_services; i++)
        lease->services[i].lease = lease;
}

static int compare_name(const void *key, const void *member)
{
    const struct leased_service *service = member;
    return strcmp(key, service->name);
}

struct leased_service *lease_find_service(const struct lease *lease, const char *name)
{
    if (lease->n_services == 0)
        return NULL;
    return bsearch(name, lease->services, lease->n_services, sizeof *lease->services, compare_name);
}

bool lease_holds(const struct lease *lease)
{
    if (!lease_phase_is_final(lease->facts.phase))
        return true;
    return lease->facts.phase == LEASE_ROLLBACK_FAILED && !lease->facts.is_settled;
}

bool lease_release(struct lease *lease, struct leased_service *service)
{
    assert(lease->facts.phase == LEASE_ROLLBACK_FAILED);
    service->released = true;
    for (size_t i = 0; i < lease->n_services; i++) {
        if (!lease->services[i].released)
            return false;
    }
    lease->facts.is_settled = true;
    return true;
}

bool lease_holds_service(const struct lease *lease, const char *service_name)
{
    const struct leased_service *service;

    if (!lease_holds(lease))
        return false;
    service = lease_find_service(lease, service_name);
    return service != NULL && !service->released;
}

/* ---- all of them ---- */

struct lease *leases_find(const struct leases *leases, const char *id)
{
    LIST_FOR_EACH(link, &leases->all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (strcmp(lease->id, id) == 0)
            return lease;
    }
    return NULL;
}

struct lease *leases_latest(const struct leases *leases)
{
    struct lease *latest = NULL;

    LIST_FOR_EACH(link, &leases->all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->facts.phase == LEASE_OPENING || lease->facts.phase == LEASE_DROPPED)
            continue;
        if (!lease_phase_is_final(lease->facts.phase))
            return lease;
        if (latest == NULL || lease->ended_wall_ns >= latest->ended_wall_ns)
            latest = lease;
    }
    return latest;
}

struct lease *leases_holding(const struct leases *leases, const char *service_name)
{
    LIST_FOR_EACH(link, &leases->all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease_holds_service(lease, service_name))
            return lease;
    }
    return NULL;
}

struct lease *leases_pausing(const struct leases *leases, const char *service_name)
{
    struct lease *lease = leases_holding(leases, service_name);

    return lease != NULL && lease_phase_pauses(lease->facts.phase) ? lease : NULL;
}

size_t leases_count(const struct leases *leases)
{
    size_t n = 0;

    LIST_FOR_EACH(link, &leases->all)
    n += lease_holds(CONTAINER_OF(link, struct lease, link)) ? 1 : 0;
    return n;
}

static bool overlaps(const struct lease *lease, const struct lease *other)
{
    for (size_t i = 0; i < lease->n_services; i++) {
        if (lease_holds_service(other, lease->services[i].name))
            return true;
    }
    return false;
}

enum lease_admission leases_admit(
    const struct leases *leases, const struct lease *lease, struct lease **out_other)
{
    size_t others = 0;
    enum lease_admission admission = LEASE_ADMITTED;

    LIST_FOR_EACH(link, &leases->all)
    {
        struct lease *other = CONTAINER_OF(link, struct lease, link);

        if (other == lease || !lease_holds(other))
            continue;
        others++;
        *out_other = other;
        if (overlaps(lease, other))
            return LEASE_OVERLAPS;
        if (lease->n_undo > 0 && other->n_undo > 0)
            admission = LEASE_EXCLUDED_BY_UNDO;
    }
    if (admission == LEASE_ADMITTED && others >= LEASES_MAX)
        return LEASE_TOO_MANY;
    return admission;
}

void leases_forget(struct leases *leases)
{
    size_t ended = 0;

    LIST_FOR_EACH(link, &leases->all)
    ended += lease_holds(CONTAINER_OF(link, struct lease, link)) ? 0 : 1;
    LIST_FOR_EACH_SAFE(link, &leases->all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (ended <= LEASES_ENDED_MAX)
            return;
        if (lease_holds(lease) || !list_is_empty(&lease->waits))
            continue;
        lease_free(lease);
        ended--;
    }
}

int64_t leases_due_at(const struct leases *leases)
{
    int64_t due_at = CLOCK_NEVER;

    LIST_FOR_EACH(link, &leases->all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->facts.due_at < due_at)
            due_at = lease->facts.due_at;
        for (size_t i = 0; i < lease->n_services; i++) {
            const struct leased_service *service = &lease->services[i];

            if (lease->facts.phase == LEASE_COMMITTING && service->ask_at < due_at)
                due_at = service->ask_at;
        }
    }
    return due_at;
}
