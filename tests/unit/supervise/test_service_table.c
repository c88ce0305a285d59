/* Every cell of the state table: rules stay within their targets for every fact that matters, and
 * the table keeps the promises that no single transition shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "flocks/v1/types.names.h"

#include "server/supervise/service_machine.h"

static const struct service_policy policies[] = {
    {.restart = SERVICE_RESTART_ALWAYS, .give_up_after = 3, .delay_ms = 100, .max_delay_ms = 1000},
    {.restart = SERVICE_RESTART_ALWAYS, .has_prepare = true, .delay_ms = 100},
    {.restart = SERVICE_RESTART_ON_FAILURE, .has_prepare = true},
    {.restart = SERVICE_RESTART_NEVER},
};

enum { POLICIES = sizeof policies / sizeof policies[0], VARIANTS = 16 };

/* Facts of one state: `variant` runs through what the rules read. */
static struct service_facts facts_of(
    enum service_state state, enum service_next next, unsigned variant)
{
    struct service_facts facts = service_machine_initial(0);

    facts.state = state;
    facts.next = next;
    facts.spawning = (variant & 1) != 0;
    facts.leader_gone = (variant & 2) != 0;
    facts.trial = (variant & 4) != 0;
    facts.prepared = (variant & 8) != 0;
    facts.burst = variant;
    facts.pid = facts.spawning ? 0 : 100;
    facts.run = 1;
    facts.last_run = 1;
    facts.cause = SERVICE_CAUSE_EARLY_EXIT;
    facts.kill_at = 5;
    facts.due_at = 5;
    return facts;
}

/* The machine asserts that each rule leads only to its targets. */
static void each_step(void (*check)(const struct service_facts *before,
    const struct service_input *input, const struct service_step *step))
{
    for (int state = SERVICE_STOPPED; state < SERVICE_STATE_END; state++) {
        for (int event = 0; event < SERVICE_EVENT_COUNT; event++) {
            for (int next = 0; next < SERVICE_NEXT_COUNT; next++) {
                for (unsigned n = 0; n < (unsigned)(POLICIES * VARIANTS); n++) {
                    struct service_facts facts =
                        facts_of((enum service_state)state, (enum service_next)next, n / POLICIES);
                    struct service_input input = {
                        .event = (enum service_event)event, .now = 10, .pid = 200};
                    struct service_step step =
                        service_machine_apply(&policies[n % POLICIES], &facts, &input);

                    check(&facts, &input, &step);
                }
            }
        }
    }
}

static void check_targets(const struct service_facts *before, const struct service_input *input,
    const struct service_step *step)
{
    if (step->rule == SERVICE_RULE_ILLEGAL) {
        assert_memory_equal(&step->facts, before, sizeof *before);
        assert_int_equal(step->n_actions, 0);
        return;
    }
    assert_int_equal(step->rule, service_table_rule(before->state, input->event));
    assert_true(service_table_allows(step->rule, before->state, step->facts.state));
}

static void test_table_every_cell_stays_within_its_rule(void **state)
{
    (void)state;
    each_step(check_targets);
}

/* A state that only time can leave must have a time set. */
static void check_no_dead_end(const struct service_facts *before, const struct service_input *input,
    const struct service_step *step)
{
    (void)before;
    (void)input;
    if (step->rule == SERVICE_RULE_ILLEGAL || step->rule == SERVICE_RULE_KEEP)
        return;
    switch (step->facts.state) {
    case SERVICE_BACKOFF:
    case SERVICE_STOPPING:
        assert_int_not_equal(step->facts.due_at, CLOCK_NEVER);
        return;
    case SERVICE_WAITING:
        assert_true(
            step->facts.due_at != CLOCK_NEVER ||
            (step->n_actions > 0 && step->actions[step->n_actions - 1] == SERVICE_ACTION_CHECK));
        return;
    case SERVICE_STOPPED:
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_HEALTHY:
    case SERVICE_DEGRADED:
    case SERVICE_PAUSED:
    case SERVICE_FAILED:
    case SERVICE_COMPLETED:
    case SERVICE_STATE_END:
        return;
    }
}

static void test_table_no_state_waits_for_nothing(void **state)
{
    (void)state;
    each_step(check_no_dead_end);
}

/* "Started only when the old set is empty": a spawn comes from WAITING alone. */
static void check_spawn(const struct service_facts *before, const struct service_input *input,
    const struct service_step *step)
{
    for (size_t i = 0; i < step->n_actions; i++) {
        if (step->actions[i] != SERVICE_ACTION_SPAWN && step->actions[i] != SERVICE_ACTION_PREPARE)
            continue;
        assert_int_equal(before->state, SERVICE_WAITING);
        assert_int_equal(input->event, SERVICE_EVENT_CLEARED);
        assert_int_equal(step->facts.run, before->last_run + 1);
        assert_true(step->facts.spawning);
    }
}

static void test_table_only_a_cleared_service_is_spawned(void **state)
{
    (void)state;
    each_step(check_spawn);
}

/* Whatever it is at, a stop leads to STOPPED or to STOPPING on the way there, and holds. */
static void check_stop(const struct service_facts *before, const struct service_input *input,
    const struct service_step *step)
{
    if (input->event != SERVICE_EVENT_STOP)
        return;
    (void)before;
    assert_int_not_equal(step->rule, SERVICE_RULE_ILLEGAL);
    assert_false(step->facts.wanted);
    assert_true(step->facts.state == SERVICE_STOPPED ||
                (step->facts.state == SERVICE_STOPPING && step->facts.next == SERVICE_NEXT_STAY));
}

static void test_table_stop_always_wins(void **state)
{
    (void)state;
    each_step(check_stop);
}

static void test_table_numbers_outside_are_illegal(void **state)
{
    (void)state;
    assert_int_equal(
        service_table_rule(SERVICE_STATE_END, SERVICE_EVENT_STOP), SERVICE_RULE_ILLEGAL);
    assert_int_equal(
        service_table_rule((enum service_state)0, SERVICE_EVENT_STOP), SERVICE_RULE_ILLEGAL);
    assert_int_equal(
        service_table_rule(SERVICE_STOPPED, SERVICE_EVENT_COUNT), SERVICE_RULE_ILLEGAL);
    assert_string_equal(service_state_text(SERVICE_STATE_END), "?");
    assert_string_equal(service_event_text(SERVICE_EVENT_DUE), "DUE");
}

/* "A pause has an owner, a reason and an end": neither time nor anything observed starts a paused
 * service; it stays wanted, and its counters are as they were. */
static void check_pause(const struct service_facts *before, const struct service_input *input,
    const struct service_step *step)
{
    bool is_request = input->event == SERVICE_EVENT_START ||
                      input->event == SERVICE_EVENT_RESTART || input->event == SERVICE_EVENT_STOP;

    if (before->state == SERVICE_PAUSED && !is_request)
        assert_int_equal(step->rule, SERVICE_RULE_ILLEGAL);
    if (input->event != SERVICE_EVENT_PAUSE || step->rule == SERVICE_RULE_ILLEGAL)
        return;
    assert_int_equal(step->facts.wanted, before->wanted);
    assert_int_equal(step->facts.burst, before->burst);
    assert_true(step->facts.state == SERVICE_PAUSED || step->facts.state == SERVICE_STOPPING);
    if (step->facts.state == SERVICE_STOPPING)
        assert_true(step->facts.next == SERVICE_NEXT_PAUSE ||
                    step->facts.next == SERVICE_NEXT_STAY ||
                    step->facts.next == SERVICE_NEXT_COMPLETE);
}

static void test_table_paused_service_is_started_only_by_request(void **state)
{
    (void)state;
    each_step(check_pause);
}

static void test_table_every_state_can_be_reached(void **state)
{
    uint32_t reached = 1U << SERVICE_STOPPED;

    (void)state;
    for (int round = 0; round < SERVICE_STATE_END; round++) {
        for (int from = SERVICE_STOPPED; from < SERVICE_STATE_END; from++) {
            if ((reached & (1U << from)) == 0)
                continue;
            for (int event = 0; event < SERVICE_EVENT_COUNT; event++) {
                enum service_rule rule =
                    service_table_rule((enum service_state)from, (enum service_event)event);

                for (int to = SERVICE_STOPPED; to < SERVICE_STATE_END; to++) {
                    if (rule != SERVICE_RULE_ILLEGAL &&
                        service_table_allows(
                            rule, (enum service_state)from, (enum service_state)to))
                        reached |= 1U << to;
                }
            }
        }
    }
    assert_int_equal(reached, ((1U << SERVICE_STATE_END) - 1) & ~1U);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_every_cell_stays_within_its_rule),
        cmocka_unit_test(test_table_no_state_waits_for_nothing),
        cmocka_unit_test(test_table_only_a_cleared_service_is_spawned),
        cmocka_unit_test(test_table_stop_always_wins),
        cmocka_unit_test(test_table_numbers_outside_are_illegal),
        cmocka_unit_test(test_table_paused_service_is_started_only_by_request),
        cmocka_unit_test(test_table_every_state_can_be_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
