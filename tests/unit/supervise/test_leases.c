/* The life of a lease, cell by cell, and who may have one beside which others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "server/supervise/leases.h"

enum { NOW = 1000, TTL = 30000, START = 180000, OBSERVE = 20000 };

static struct lease_facts facts_in(enum lease_phase phase)
{
    return (struct lease_facts){.phase = phase,
        .ttl_ms = TTL,
        .start_timeout_ms = START,
        .observe_ms = OBSERVE,
        .due_at = NOW};
}

static struct lease_step apply(enum lease_phase phase, enum lease_event event)
{
    const struct lease_facts facts = facts_in(phase);
    const struct lease_input input = {
        .event = event, .now = NOW, .start_timeout_ms = START, .observe_ms = OBSERVE};

    return lease_machine_apply(&facts, &input);
}

/* ---- the table ---- */

/* Every cell of LEASE.md, in its words: phase, event, phase afterwards. */
static const struct {
    enum lease_phase from;
    enum lease_event event;
    enum lease_phase to;
} cells[] = {
    /* clang-format off */
    {LEASE_OPENING,         LEASE_EVENT_WRITTEN,  LEASE_HELD},
    {LEASE_OPENING,         LEASE_EVENT_REFUSED,  LEASE_DROPPED},
    {LEASE_OPENING,         LEASE_EVENT_STOP,     LEASE_DROPPED},
    {LEASE_HELD,            LEASE_EVENT_RENEW,    LEASE_HELD},
    {LEASE_HELD,            LEASE_EVENT_COMMIT,   LEASE_COMMITTING},
    {LEASE_HELD,            LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_HELD,            LEASE_EVENT_STOP,     LEASE_ROLLING_BACK},
    {LEASE_HELD,            LEASE_EVENT_DUE,      LEASE_ROLLING_BACK},
    {LEASE_HELD,            LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_COMMITTING,      LEASE_EVENT_COMMIT,   LEASE_COMMITTING},
    {LEASE_COMMITTING,      LEASE_EVENT_PASSED,   LEASE_OBSERVING},
    {LEASE_COMMITTING,      LEASE_EVENT_FAILED,   LEASE_ROLLING_BACK},
    {LEASE_COMMITTING,      LEASE_EVENT_DUE,      LEASE_ROLLING_BACK},
    {LEASE_COMMITTING,      LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_COMMITTING,      LEASE_EVENT_STOP,     LEASE_ROLLING_BACK},
    {LEASE_COMMITTING,      LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_OBSERVING,       LEASE_EVENT_COMMIT,   LEASE_OBSERVING},
    {LEASE_OBSERVING,       LEASE_EVENT_DUE,      LEASE_SEALING},
    {LEASE_OBSERVING,       LEASE_EVENT_FAILED,   LEASE_ROLLING_BACK},
    {LEASE_OBSERVING,       LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_OBSERVING,       LEASE_EVENT_STOP,     LEASE_ROLLING_BACK},
    {LEASE_OBSERVING,       LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_SEALING,         LEASE_EVENT_COMMIT,   LEASE_SEALING},
    {LEASE_SEALING,         LEASE_EVENT_WRITTEN,  LEASE_COMMITTED},
    {LEASE_SEALING,         LEASE_EVENT_REFUSED,  LEASE_SEALING},
    {LEASE_SEALING,         LEASE_EVENT_DUE,      LEASE_SEALING},
    {LEASE_SEALING,         LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_SEALING,         LEASE_EVENT_STOP,     LEASE_ROLLING_BACK},
    {LEASE_SEALING,         LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_COMMITTED,       LEASE_EVENT_COMMIT,   LEASE_COMMITTED},
    {LEASE_COMMITTED,       LEASE_EVENT_LOST,     LEASE_COMMITTED},
    {LEASE_ROLLING_BACK,    LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_ROLLING_BACK,    LEASE_EVENT_STOP,     LEASE_ROLLING_BACK},
    {LEASE_ROLLING_BACK,    LEASE_EVENT_RESTORED, LEASE_RESTORING},
    {LEASE_ROLLING_BACK,    LEASE_EVENT_STUCK,    LEASE_ROLLBACK_FAILED},
    {LEASE_ROLLING_BACK,    LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_RESTORING,       LEASE_EVENT_ABORT,    LEASE_RESTORING},
    {LEASE_RESTORING,       LEASE_EVENT_STOP,     LEASE_RESTORING},
    {LEASE_RESTORING,       LEASE_EVENT_STARTED,  LEASE_ROLLED_BACK},
    {LEASE_RESTORING,       LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    {LEASE_ROLLED_BACK,     LEASE_EVENT_ABORT,    LEASE_ROLLED_BACK},
    {LEASE_ROLLED_BACK,     LEASE_EVENT_LOST,     LEASE_ROLLED_BACK},
    {LEASE_ROLLBACK_FAILED, LEASE_EVENT_ABORT,    LEASE_ROLLING_BACK},
    {LEASE_ROLLBACK_FAILED, LEASE_EVENT_STOP,     LEASE_ROLLBACK_FAILED},
    {LEASE_ROLLBACK_FAILED, LEASE_EVENT_LOST,     LEASE_ROLLING_BACK},
    /* clang-format on */
};

static enum lease_phase expected(enum lease_phase from, enum lease_event event)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cells); i++) {
        if (cells[i].from == from && cells[i].event == event)
            return cells[i].to;
    }
    return LEASE_PHASE_END;
}

static void test_every_cell_leads_where_the_rules_say(void **state)
{
    (void)state;
    for (int phase = LEASE_HELD; phase < LEASE_PHASE_END; phase++) {
        for (int event = 0; event < LEASE_EVENT_COUNT; event++) {
            struct lease_step step = apply((enum lease_phase)phase, (enum lease_event)event);
            enum lease_phase to = expected((enum lease_phase)phase, (enum lease_event)event);

            if (to == LEASE_PHASE_END) {
                assert_int_equal(step.rule, LEASE_RULE_ILLEGAL);
                assert_int_equal(step.facts.phase, phase);
                assert_false(step.has_action);
                continue;
            }
            assert_int_equal(step.facts.phase, to);
            assert_true(lease_table_allows(step.rule, (enum lease_phase)phase, to));
        }
    }
}

/* "A paused upgrade never resumed": a phase that only time can leave has a time. */
static void test_paused_upgrade_never_resumed_cannot_be(void **state)
{
    (void)state;
    for (int phase = LEASE_HELD; phase < LEASE_PHASE_END; phase++) {
        for (int event = 0; event < LEASE_EVENT_COUNT; event++) {
            struct lease_step step = apply((enum lease_phase)phase, (enum lease_event)event);
            bool waits_for_time = step.facts.phase == LEASE_HELD ||
                                  step.facts.phase == LEASE_COMMITTING ||
                                  step.facts.phase == LEASE_OBSERVING;

            if (step.rule == LEASE_RULE_ILLEGAL || lease_phase_is_final(step.facts.phase))
                continue;
            assert_true(!waits_for_time || step.facts.due_at != CLOCK_NEVER);
            /* Every other one waits for an answer to what it has just asked for. */
            assert_true(waits_for_time || step.has_action || step.rule == LEASE_RULE_KEEP ||
                        step.facts.due_at != CLOCK_NEVER);
        }
    }
}

/* Rule 2: a bare resume would start the new version without a gate. */
static void test_expiry_is_a_roll_back_not_a_bare_resume(void **state)
{
    struct lease_step step = apply(LEASE_HELD, LEASE_EVENT_DUE);

    (void)state;
    assert_int_equal(step.facts.phase, LEASE_ROLLING_BACK);
    assert_true(step.has_action);
    assert_int_equal(step.action, LEASE_ACTION_UNDO);
    assert_true(lease_phase_pauses(step.facts.phase));
}

static void test_ttl_runs_only_while_held(void **state)
{
    struct lease_facts facts = facts_in(LEASE_HELD);
    struct lease_input input = {.event = LEASE_EVENT_DUE, .now = NOW - 1};

    (void)state;
    assert_int_equal(lease_machine_apply(&facts, &input).rule, LEASE_RULE_ILLEGAL);
    input = (struct lease_input){.event = LEASE_EVENT_RENEW, .now = NOW};
    assert_int_equal(lease_machine_apply(&facts, &input).facts.due_at, NOW + TTL);
    input.ttl_ms = 5000;
    assert_int_equal(lease_machine_apply(&facts, &input).facts.due_at, NOW + 5000);
    assert_int_equal(lease_machine_apply(&facts, &input).facts.ttl_ms, 5000);
    /* COMMITTING is bounded by the start's time, not by the TTL; and cannot be renewed. */
    assert_int_equal(apply(LEASE_HELD, LEASE_EVENT_COMMIT).facts.due_at, NOW + START);
    assert_int_equal(apply(LEASE_COMMITTING, LEASE_EVENT_RENEW).rule, LEASE_RULE_ILLEGAL);
    assert_int_equal(apply(LEASE_COMMITTING, LEASE_EVENT_PASSED).facts.due_at, NOW + OBSERVE);
}

static void test_nothing_to_observe_is_sealed_at_once(void **state)
{
    struct lease_facts facts = facts_in(LEASE_COMMITTING);
    const struct lease_input input = {.event = LEASE_EVENT_PASSED, .now = NOW};
    struct lease_step step;

    (void)state;
    facts.observe_ms = 0;
    step = lease_machine_apply(&facts, &input);
    assert_int_equal(step.facts.phase, LEASE_SEALING);
    assert_int_equal(step.action, LEASE_ACTION_SEAL);
}

static void test_commit_that_cannot_be_recorded_is_not_announced(void **state)
{
    struct lease_step step = apply(LEASE_SEALING, LEASE_EVENT_REFUSED);
    struct lease_input input = {.event = LEASE_EVENT_DUE, .now = NOW + LEASE_RETRY_MS};

    (void)state;
    assert_int_equal(step.facts.phase, LEASE_SEALING);
    assert_int_equal(step.facts.due_at, NOW + LEASE_RETRY_MS);
    step = lease_machine_apply(&step.facts, &input);
    assert_int_equal(step.action, LEASE_ACTION_SEAL);
}

static void test_death_of_the_owner_only_shortens(void **state)
{
    struct lease_facts facts = facts_in(LEASE_HELD);

    (void)state;
    facts.due_at = NOW + TTL;
    lease_facts_orphan(&facts, NOW);
    assert_int_equal(facts.due_at, NOW + LEASE_ORPHAN_MS);
    lease_facts_orphan(&facts, NOW + 1000);
    assert_int_equal(facts.due_at, NOW + LEASE_ORPHAN_MS);
    /* From Commit on the server owns the outcome. */
    facts = facts_in(LEASE_COMMITTING);
    facts.due_at = NOW + START;
    lease_facts_orphan(&facts, NOW);
    assert_int_equal(facts.due_at, NOW + START);
}

static void test_takeover_resumes_every_phase(void **state)
{
    struct lease_facts facts = facts_in(LEASE_HELD);

    (void)state;
    facts.due_at = NOW - 10000;
    assert_int_equal(lease_machine_resume(&facts, NOW).facts.due_at, NOW + LEASE_TAKEOVER_MS);
    facts.due_at = NOW + TTL;
    assert_int_equal(lease_machine_resume(&facts, NOW).facts.due_at, NOW + TTL);
    facts = facts_in(LEASE_COMMITTING);
    assert_int_equal(lease_machine_resume(&facts, NOW).facts.due_at, NOW + START);
    facts = facts_in(LEASE_OBSERVING);
    assert_int_equal(lease_machine_resume(&facts, NOW).facts.due_at, NOW + OBSERVE);
    facts = facts_in(LEASE_SEALING);
    assert_int_equal(lease_machine_resume(&facts, NOW).action, LEASE_ACTION_SEAL);
    facts = facts_in(LEASE_ROLLING_BACK);
    assert_int_equal(lease_machine_resume(&facts, NOW).action, LEASE_ACTION_UNDO);
    facts = facts_in(LEASE_RESTORING);
    assert_int_equal(lease_machine_resume(&facts, NOW).action, LEASE_ACTION_RESTORE);
    facts = facts_in(LEASE_OPENING);
    assert_int_equal(lease_machine_resume(&facts, NOW).facts.phase, LEASE_DROPPED);
    for (int phase = LEASE_HELD; phase < LEASE_PHASE_END; phase++) {
        if (!lease_phase_is_final((enum lease_phase)phase))
            continue;
        facts = facts_in((enum lease_phase)phase);
        assert_int_equal(lease_machine_resume(&facts, NOW).facts.phase, phase);
        assert_false(lease_machine_resume(&facts, NOW).has_action);
    }
}

static void test_clients_see_the_seven_phases_of_the_schema(void **state)
{
    (void)state;
    assert_int_equal(lease_phase_shown(LEASE_OPENING), LEASE_HELD);
    assert_int_equal(lease_phase_shown(LEASE_SEALING), LEASE_OBSERVING);
    assert_int_equal(lease_phase_shown(LEASE_RESTORING), LEASE_ROLLING_BACK);
    for (int phase = LEASE_HELD; phase <= LEASE_ROLLBACK_FAILED; phase++)
        assert_int_equal(lease_phase_shown((enum lease_phase)phase), phase);
    assert_string_equal(lease_phase_text(LEASE_SEALING), "SEALING");
    assert_string_equal(lease_phase_text(LEASE_PHASE_END), "?");
    assert_int_equal(lease_table_rule(LEASE_PHASE_END, LEASE_EVENT_STOP), LEASE_RULE_ILLEGAL);
}

/* ---- services at the gate ---- */

static enum lease_verdict start_verdict(
    enum service_state service_state, uint32_t generation, bool issued, bool wanted)
{
    const struct leased_service service = {.wanted = wanted, .from_generation = 3};
    const struct lease_view view = {
        .state = service_state, .generation = generation, .issued = issued};

    return lease_judge_start(&service, &view);
}

static void test_gate_wants_a_new_generation(void **state)
{
    (void)state;
    assert_int_equal(start_verdict(SERVICE_HEALTHY, 4, true, true), LEASE_PASSED);
    assert_int_equal(start_verdict(SERVICE_COMPLETED, 4, true, true), LEASE_PASSED);
    /* The old one still answers. */
    assert_int_equal(start_verdict(SERVICE_HEALTHY, 3, true, true), LEASE_PENDING);
    assert_int_equal(start_verdict(SERVICE_HEALTHY, 4, false, true), LEASE_PENDING);
    assert_int_equal(start_verdict(SERVICE_STARTING, 4, true, true), LEASE_PENDING);
    assert_int_equal(start_verdict(SERVICE_BACKOFF, 4, true, true), LEASE_FAILED);
    assert_int_equal(start_verdict(SERVICE_FAILED, 4, true, true), LEASE_FAILED);
    /* Stopped stays stopped. */
    assert_int_equal(start_verdict(SERVICE_STOPPED, 3, false, false), LEASE_PASSED);
}

static void test_observation_ends_with_the_generation_it_began_with(void **state)
{
    const struct leased_service service = {.wanted = true, .to_generation = 4};
    struct lease_view view = {.state = SERVICE_HEALTHY, .generation = 4, .issued = true};

    (void)state;
    assert_int_equal(lease_judge_health(&service, &view, false), LEASE_PASSED);
    view.state = SERVICE_DEGRADED;
    assert_int_equal(lease_judge_health(&service, &view, false), LEASE_PENDING);
    assert_int_equal(lease_judge_health(&service, &view, true), LEASE_FAILED);
    view.state = SERVICE_BACKOFF;
    assert_int_equal(lease_judge_health(&service, &view, false), LEASE_FAILED);
    /* Restarted and healthy again: it did not stay so. */
    view = (struct lease_view){.state = SERVICE_HEALTHY, .generation = 5, .issued = true};
    assert_int_equal(lease_judge_health(&service, &view, false), LEASE_FAILED);
}

static void test_roll_back_restarts_only_what_is_not_from_before(void **state)
{
    struct leased_service service = {.wanted = true, .from_generation = 3};
    struct lease_view view = {.state = SERVICE_HEALTHY, .generation = 3};

    (void)state;
    assert_int_equal(lease_restore_event(&service, &view), SERVICE_EVENT_START);
    view.state = SERVICE_COMPLETED;
    assert_int_equal(lease_restore_event(&service, &view), SERVICE_EVENT_COUNT);
    view = (struct lease_view){.state = SERVICE_HEALTHY, .generation = 4};
    assert_int_equal(lease_restore_event(&service, &view), SERVICE_EVENT_RESTART);
    view.state = SERVICE_PAUSED;
    assert_int_equal(lease_restore_event(&service, &view), SERVICE_EVENT_RESTART);
    service.wanted = false;
    assert_int_equal(lease_restore_event(&service, &view), SERVICE_EVENT_COUNT);
}

/* ---- who may have one ---- */

static struct lease *add(
    struct leases *leases, const char *id, const char *const *names, size_t n, bool undo)
{
    struct lease *lease = lease_new(leases, n);

    assert_non_null(lease);
    (void)snprintf(lease->id, sizeof lease->id, "%s", id);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(lease->services[i].name, sizeof lease->services[i].name, "%s", names[i]);
        lease->services[i].ask_at = CLOCK_NEVER;
    }
    lease_sort_services(lease);
    if (undo)
        assert_true(lease_add_undo(lease, "/root/current", "releases/1"));
    return lease;
}

static const char *const both[] = {"webui", "backend"};
static const char *const webui[] = {"webui"};
static const char *const other[] = {"other"};

static void test_no_mutex_between_upgrades_cannot_be(void **state)
{
    struct leases leases;
    struct lease *first;
    struct lease *found = NULL;

    (void)state;
    leases_init(&leases);
    first = add(&leases, "1", both, 2, true);
    assert_int_equal(leases_admit(&leases, first, &found), LEASE_ADMITTED);
    first->facts.phase = LEASE_HELD;
    assert_int_equal(
        leases_admit(&leases, add(&leases, "2", webui, 1, false), &found), LEASE_OVERLAPS);
    assert_ptr_equal(found, first);
    lease_free(leases_find(&leases, "2"));
    assert_int_equal(
        leases_admit(&leases, add(&leases, "3", other, 1, false), &found), LEASE_ADMITTED);
    assert_int_equal(
        leases_admit(&leases, add(&leases, "4", other, 1, true), &found), LEASE_OVERLAPS);
    lease_free(leases_find(&leases, "3"));
    assert_int_equal(
        leases_admit(&leases, leases_find(&leases, "4"), &found), LEASE_EXCLUDED_BY_UNDO);
    /* In every phase that is not over, and when its roll-back failed. */
    for (int phase = LEASE_HELD; phase < LEASE_PHASE_END; phase++) {
        bool ended =
            phase == LEASE_COMMITTED || phase == LEASE_ROLLED_BACK || phase == LEASE_DROPPED;

        first->facts.phase = (enum lease_phase)phase;
        assert_int_equal(leases_admit(&leases, leases_find(&leases, "4"), &found),
            ended ? LEASE_ADMITTED : LEASE_EXCLUDED_BY_UNDO);
    }
    leases_deinit(&leases);
}

static void test_holding_and_pausing(void **state)
{
    struct leases leases;
    struct lease *lease;

    (void)state;
    leases_init(&leases);
    lease = add(&leases, "1", both, 2, false);
    lease->facts.phase = LEASE_HELD;
    assert_ptr_equal(leases_holding(&leases, "backend"), lease);
    assert_ptr_equal(leases_pausing(&leases, "webui"), lease);
    assert_null(leases_holding(&leases, "other"));
    lease->facts.phase = LEASE_COMMITTING;
    assert_ptr_equal(leases_holding(&leases, "backend"), lease);
    assert_null(leases_pausing(&leases, "backend"));
    lease->facts.phase = LEASE_ROLLBACK_FAILED;
    assert_ptr_equal(leases_pausing(&leases, "backend"), lease);
    assert_false(lease_release(lease, lease_find_service(lease, "backend")));
    assert_null(leases_holding(&leases, "backend"));
    assert_ptr_equal(leases_holding(&leases, "webui"), lease);
    assert_int_equal(leases_count(&leases), 1);
    assert_true(lease_release(lease, lease_find_service(lease, "webui")));
    assert_int_equal(leases_count(&leases), 0);
    /* A person has decided: nothing is undone behind that. */
    assert_int_equal(lease_machine_apply(&lease->facts,
                         &(struct lease_input){.event = LEASE_EVENT_ABORT, .now = NOW})
                         .rule,
        LEASE_RULE_ILLEGAL);
    assert_int_equal(lease_machine_apply(&lease->facts,
                         &(struct lease_input){.event = LEASE_EVENT_LOST, .now = NOW})
                         .rule,
        LEASE_RULE_ILLEGAL);
    leases_deinit(&leases);
}

static void test_eight_at_once_and_sixteen_remembered(void **state)
{
    struct leases leases;
    struct lease *found = NULL;
    char name[16];
    const char *names[] = {name};

    (void)state;
    leases_init(&leases);
    for (int i = 0; i < LEASES_MAX + LEASES_ENDED_MAX + 4; i++) {
        struct lease *lease;

        (void)snprintf(name, sizeof name, "s%d", i);
        lease = add(&leases, name, names, 1, false);
        assert_int_equal(leases_admit(&leases, lease, &found),
            leases_count(&leases) > LEASES_MAX ? LEASE_TOO_MANY : LEASE_ADMITTED);
        lease->facts.phase = i < LEASES_MAX ? LEASE_HELD : LEASE_COMMITTED;
        lease->ended_wall_ns = i;
        leases_forget(&leases);
    }
    assert_int_equal(leases_count(&leases), LEASES_MAX);
    assert_null(leases_find(&leases, "s8"));
    assert_null(leases_find(&leases, "s11"));
    assert_non_null(leases_find(&leases, "s12"));
    assert_non_null(leases_find(&leases, "s0"));
    leases_deinit(&leases);
}

/* ---- random lives ---- */

enum { ROUNDS = 200000, MODEL_SERVICES = 4, MODEL_LEASES = 6 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* What the model remembers of one lease that the code may not change. */
static void check_model(const struct leases *leases)
{
    static const char *const names[MODEL_SERVICES] = {"a", "b", "c", "d"};
    size_t with_undo = 0;

    LIST_FOR_EACH(link, &leases->all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        with_undo += lease_holds(lease) && lease->n_undo > 0 ? 1 : 0;
    }
    assert_true(with_undo <= 1);
    for (size_t i = 0; i < MODEL_SERVICES; i++) {
        size_t holders = 0;

        LIST_FOR_EACH(link, &leases->all)
        holders += lease_holds_service(CONTAINER_OF(link, struct lease, link), names[i]) ? 1 : 0;
        assert_true(holders <= 1);
    }
}

static void begin_random(struct leases *leases, uint32_t *seed, unsigned number)
{
    static const char *const names[MODEL_SERVICES] = {"a", "b", "c", "d"};
    const char *chosen[MODEL_SERVICES];
    uint32_t mask = next_random(seed) % (1U << MODEL_SERVICES);
    struct lease *found = NULL;
    struct lease *lease;
    char id[LEASE_ID_SIZE];
    size_t n = 0;

    for (size_t i = 0; i < MODEL_SERVICES; i++) {
        if ((mask & (1U << i)) != 0)
            chosen[n++] = names[i];
    }
    (void)snprintf(id, sizeof id, "%u", number);
    lease = add(leases, id, chosen, n, next_random(seed) % 2 == 0);
    lease->facts.ttl_ms = 1 + next_random(seed) % 50;
    if (leases_admit(leases, lease, &found) != LEASE_ADMITTED)
        lease_free(lease);
}

static void live(struct lease *lease, uint32_t *seed, int64_t now)
{
    const enum lease_phase before = lease->facts.phase;
    const struct lease_input input = {
        .event = (enum lease_event)(next_random(seed) % LEASE_EVENT_COUNT),
        .now = now,
        .start_timeout_ms = next_random(seed) % 40,
        .observe_ms = next_random(seed) % 40};
    struct lease_step step = lease_machine_apply(&lease->facts, &input);

    lease->facts = step.facts;
    /* It ends by commit or by roll-back, and by a commit only when its gate has passed and that is
     * on the disk. */
    if (step.facts.phase == LEASE_COMMITTED && before != LEASE_COMMITTED)
        assert_true(before == LEASE_SEALING && input.event == LEASE_EVENT_WRITTEN);
    if (step.facts.phase == LEASE_SEALING && before == LEASE_HELD)
        fail_msg("the gate was jumped");
    if (step.facts.phase == LEASE_ROLLED_BACK && before != LEASE_ROLLED_BACK)
        assert_int_equal(before, LEASE_RESTORING);
    if (step.facts.phase == LEASE_DROPPED)
        assert_true(before == LEASE_OPENING || before == LEASE_DROPPED);
    /* A stop always wins: afterwards it is over, or on its way back. */
    if (input.event == LEASE_EVENT_STOP)
        assert_true(lease_phase_is_final(step.facts.phase) ||
                    lease_phase_shown(step.facts.phase) == LEASE_ROLLING_BACK);
}

static void test_random_lives_keep_the_rules(void **state)
{
    struct leases leases;
    uint32_t seed = 20261123;
    int64_t now = 0;

    (void)state;
    leases_init(&leases);
    for (unsigned round = 0; round < ROUNDS; round++) {
        now += next_random(&seed) % 10;
        if (next_random(&seed) % 8 == 0 && leases_count(&leases) < MODEL_LEASES)
            begin_random(&leases, &seed, round);
        LIST_FOR_EACH(link, &leases.all)
        live(CONTAINER_OF(link, struct lease, link), &seed, now);
        LIST_FOR_EACH_SAFE(link, &leases.all)
        {
            struct lease *lease = CONTAINER_OF(link, struct lease, link);

            if (lease->facts.phase == LEASE_ROLLBACK_FAILED && next_random(&seed) % 4 == 0 &&
                lease->n_services > 0)
                (void)lease_release(
                    lease, &lease->services[next_random(&seed) % lease->n_services]);
            if (lease->facts.phase == LEASE_DROPPED)
                lease_free(lease);
        }
        leases_forget(&leases);
        check_model(&leases);
    }
    leases_deinit(&leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell_leads_where_the_rules_say),
        cmocka_unit_test(test_paused_upgrade_never_resumed_cannot_be),
        cmocka_unit_test(test_expiry_is_a_roll_back_not_a_bare_resume),
        cmocka_unit_test(test_ttl_runs_only_while_held),
        cmocka_unit_test(test_nothing_to_observe_is_sealed_at_once),
        cmocka_unit_test(test_commit_that_cannot_be_recorded_is_not_announced),
        cmocka_unit_test(test_death_of_the_owner_only_shortens),
        cmocka_unit_test(test_takeover_resumes_every_phase),
        cmocka_unit_test(test_clients_see_the_seven_phases_of_the_schema),
        cmocka_unit_test(test_gate_wants_a_new_generation),
        cmocka_unit_test(test_observation_ends_with_the_generation_it_began_with),
        cmocka_unit_test(test_roll_back_restarts_only_what_is_not_from_before),
        cmocka_unit_test(test_no_mutex_between_upgrades_cannot_be),
        cmocka_unit_test(test_holding_and_pausing),
        cmocka_unit_test(test_eight_at_once_and_sixteen_remembered),
        cmocka_unit_test(test_random_lives_keep_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
