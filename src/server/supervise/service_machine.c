#include "server/supervise/service_machine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/base/attributes.h"
#include "server/supervise/notify.h"

/* What a rule works on; `step->facts` begins as a copy of the old facts. */
struct machine {
    const struct service_policy *policy;
    const struct service_input *input;
    struct service_step *step;
    struct service_facts *facts;
};

static void act(struct machine *m, enum service_action action)
{
    assert(m->step->n_actions < SERVICE_ACTIONS_MAX);
    m->step->actions[m->step->n_actions++] = action;
}

static void enter(struct machine *m, enum service_state state)
{
    if (m->facts->state != state)
        m->facts->since_at = m->input->now;
    m->facts->state = state;
    m->facts->due_at = CLOCK_NEVER;
}

static void due_in(struct machine *m, int64_t ms)
{
    m->facts->due_at = clock_add_ms(m->input->now, ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The input's reason and message, else the given ones. */
static void explain(struct machine *m, enum flocks_state_reason reason, const char *message)
{
    const char *text = m->input->message != NULL ? m->input->message : message;

    m->facts->reason = m->input->reason != 0 ? m->input->reason : (uint32_t)reason;
    (void)snprintf(m->facts->message, sizeof m->facts->message, "%s", text);
}

static void reset_counters(struct service_facts *facts)
{
    facts->burst = 0;
    facts->trial = false;
    memset(facts->failures, 0, sizeof facts->failures);
}

static void forget_run(struct service_facts *facts)
{
    facts->run = 0;
    facts->pid = 0;
    facts->start_ticks = 0;
    facts->spawned_at = 0;
    facts->spawning = false;
    facts->killing = false;
    facts->leader_gone = false;
    facts->kill_at = CLOCK_NEVER;
}

static void ask_to_start(struct machine *m)
{
    enter(m, SERVICE_WAITING);
    act(m, SERVICE_ACTION_CHECK);
}

/* A start that somebody asked for: counters begin anew, and the prepare step is due again. */
static void begin_anew(struct machine *m)
{
    reset_counters(m->facts);
    m->facts->prepared = false;
    m->facts->cause = SERVICE_CAUSE_NONE;
    ask_to_start(m);
}

static int64_t trial_delay_ms(const struct service_policy *policy)
{
    int64_t delay = policy->max_delay_ms > SERVICE_TRIAL_MAX_MS / SERVICE_TRIAL_FACTOR
                        ? SERVICE_TRIAL_MAX_MS
                        : policy->max_delay_ms * SERVICE_TRIAL_FACTOR;

    return delay < SERVICE_TRIAL_MIN_MS ? SERVICE_TRIAL_MIN_MS : delay;
}

static bool breaker_opens(const struct service_policy *policy, const struct service_facts *facts)
{
    return facts->trial ||
           (policy->give_up_after != 0 && facts->failures[facts->cause] >= policy->give_up_after);
}

/* The set of a failed run is empty: at once, later, or no more. */
static void after_failure(struct machine *m)
{
    struct service_facts *facts = m->facts;
    int64_t delay;

    facts->failures[facts->cause]++;
    facts->burst++;
    if (m->policy->restart == SERVICE_RESTART_NEVER) {
        enter(m, SERVICE_FAILED);
        return;
    }
    if (breaker_opens(m->policy, facts)) {
        enter(m, SERVICE_FAILED);
        due_in(m, trial_delay_ms(m->policy));
        return;
    }
    delay = service_machine_delay_ms(m->policy, facts->burst, m->input->random);
    if (delay == 0) {
        facts->restart_count++;
        ask_to_start(m);
        return;
    }
    enter(m, SERVICE_BACKOFF);
    due_in(m, delay);
}

/* STOPPING with the leader alive or being spawned: stop signal now, KILL after the grace. */
static void end_politely(struct machine *m, enum service_next next)
{
    struct service_facts *facts = m->facts;

    facts->next = next;
    facts->killing = false;
    facts->leader_gone = false;
    facts->kill_at = clock_add_ms(m->input->now, m->policy->stop_grace_ms);
    enter(m, SERVICE_STOPPING);
    facts->due_at = facts->kill_at;
    act(m, SERVICE_ACTION_UNWATCH);
    /* A run that is being spawned is signalled when it is known (NOTE). */
    if (!facts->spawning)
        act(m, SERVICE_ACTION_SIGNAL);
}

/* STOPPING with the leader gone: whatever it left is killed without grace. If a look finds nothing,
 * which is the usual case, no signal is sent and no time is lost. */
static void end_remains(struct machine *m, enum service_next next)
{
    m->facts->next = next;
    m->facts->killing = true;
    m->facts->leader_gone = true;
    enter(m, SERVICE_STOPPING);
    due_in(m, 0);
    act(m, SERVICE_ACTION_UNWATCH);
    act(m, SERVICE_ACTION_LOOK);
}

/* ---- rules, one function each ---- */

static void rule_keep(struct machine *m)
{
    if (m->input->event == SERVICE_EVENT_STOP)
        m->facts->wanted = false;
    else
        m->facts->wanted = true;
}

static void rule_begin(struct machine *m)
{
    m->facts->wanted = true;
    m->facts->skip_prepare = m->input->skip_prepare;
    explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    begin_anew(m);
}

static void rule_retry(struct machine *m)
{
    if (m->facts->state == SERVICE_FAILED)
        m->facts->trial = true;
    if (m->facts->state != SERVICE_WAITING)
        m->facts->restart_count++;
    ask_to_start(m);
}

static void rule_hold(struct machine *m)
{
    explain(m, FLOCKS_STATE_REASON_DEPENDENCY_FAILED, "");
    enter(m, SERVICE_WAITING);
    due_in(m, SERVICE_RECHECK_MS);
}

static void rule_launch(struct machine *m)
{
    struct service_facts *facts = m->facts;
    bool prepare = m->policy->has_prepare && !facts->prepared && !facts->skip_prepare;

    /* What it waited for is no reason any more; why its last run failed stays one. */
    if (facts->reason == FLOCKS_STATE_REASON_DEPENDENCY_FAILED ||
        facts->reason == FLOCKS_STATE_REASON_PORT_HELD ||
        facts->reason == FLOCKS_STATE_REASON_REQUESTED)
        explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    forget_run(facts);
    facts->spawning = true;
    facts->run = ++facts->last_run;
    if (prepare) {
        enter(m, SERVICE_PREPARING);
        due_in(m, m->policy->prepare_timeout_ms);
        act(m, SERVICE_ACTION_PREPARE);
        return;
    }
    facts->generation++;
    enter(m, SERVICE_STARTING);
    due_in(m, m->policy->start_timeout_ms);
    act(m, SERVICE_ACTION_SPAWN);
}

static void rule_cancel(struct machine *m)
{
    m->facts->wanted = false;
    explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    enter(m, SERVICE_STOPPED);
}

static void rule_pause(struct machine *m)
{
    explain(m, FLOCKS_STATE_REASON_LEASE_HELD, "");
    enter(m, SERVICE_PAUSED);
}

static void rule_suspend(struct machine *m)
{
    explain(m, FLOCKS_STATE_REASON_LEASE_HELD, "");
    end_politely(m, SERVICE_NEXT_PAUSE);
}

/* One that is not wanted, or that has done its work, is not started afterwards anyway. */
static void rule_defer(struct machine *m)
{
    if (m->facts->next == SERVICE_NEXT_STAY || m->facts->next == SERVICE_NEXT_COMPLETE)
        return;
    explain(m, FLOCKS_STATE_REASON_LEASE_HELD, "");
    m->facts->next = SERVICE_NEXT_PAUSE;
}

static void rule_note(struct machine *m)
{
    struct service_facts *facts = m->facts;

    facts->spawning = false;
    facts->pid = m->input->pid;
    facts->start_ticks = m->input->start_ticks;
    facts->spawned_at = m->input->now;
    if (facts->state == SERVICE_STARTING)
        act(m, SERVICE_ACTION_WATCH);
    else if (facts->state == SERVICE_STOPPING)
        act(m, facts->killing ? SERVICE_ACTION_KILL : SERVICE_ACTION_SIGNAL);
}

static void rule_unborn(struct machine *m)
{
    forget_run(m->facts);
    m->facts->cause = SERVICE_CAUSE_EXEC;
    explain(m, FLOCKS_STATE_REASON_EXEC_FAILED, "the program could not be executed");
    after_failure(m);
}

static void rule_abandon(struct machine *m)
{
    enum service_next next = m->facts->next;

    if (next == SERVICE_NEXT_RETRY) {
        rule_unborn(m);
        return;
    }
    forget_run(m->facts);
    if (next == SERVICE_NEXT_BEGIN)
        begin_anew(m);
    else if (next == SERVICE_NEXT_PAUSE)
        enter(m, SERVICE_PAUSED);
    else
        enter(m, SERVICE_STOPPED);
}

static void rule_proceed(struct machine *m)
{
    m->facts->prepared = true;
    end_remains(m, SERVICE_NEXT_PROCEED);
}

static void rule_fail(struct machine *m)
{
    struct service_facts *facts = m->facts;

    if (facts->state == SERVICE_PREPARING) {
        facts->cause = SERVICE_CAUSE_PREPARE;
        explain(m, FLOCKS_STATE_REASON_PREPARE_FAILED,
            "the prepare step did not end within its timeout");
    } else if (m->input->event == SERVICE_EVENT_DUE) {
        facts->cause = SERVICE_CAUSE_START_TIMEOUT;
        explain(m, FLOCKS_STATE_REASON_START_TIMEOUT, "not ready within the start timeout");
    } else {
        facts->cause = m->input->reason == FLOCKS_STATE_REASON_LISTENER_LOST ||
                               m->input->reason == FLOCKS_STATE_REASON_PORT_HELD
                           ? SERVICE_CAUSE_LISTENER
                           : SERVICE_CAUSE_PROBE;
        explain(m, FLOCKS_STATE_REASON_HEALTH_FAILED, "its probe failed too often");
    }
    if (m->input->event == SERVICE_EVENT_PREPARE_FAILED)
        end_remains(m, SERVICE_NEXT_RETRY);
    else
        end_politely(m, SERVICE_NEXT_RETRY);
}

static void rule_succeed(struct machine *m)
{
    struct service_facts *facts = m->facts;

    if (facts->state == SERVICE_DEGRADED)
        facts->reason = FLOCKS_STATE_REASON_REQUESTED;
    facts->skip_prepare = false;
    enter(m, SERVICE_HEALTHY);
    /* Nothing to forget: no timer, and an idle daemon stays asleep. */
    if (facts->burst > 0 || facts->trial)
        due_in(m, m->policy->stable_after_ms);
    act(m, SERVICE_ACTION_WATCH);
}

static void rule_degrade(struct machine *m)
{
    explain(m, FLOCKS_STATE_REASON_HEALTH_FAILED, "its probe fails");
    enter(m, SERVICE_DEGRADED);
}

static void rule_settle(struct machine *m)
{
    reset_counters(m->facts);
    m->facts->due_at = CLOCK_NEVER;
}

static void rule_end(struct machine *m)
{
    m->facts->wanted = false;
    explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    end_politely(m, SERVICE_NEXT_STAY);
}

static void rule_replace(struct machine *m)
{
    m->facts->wanted = true;
    m->facts->skip_prepare = m->input->skip_prepare;
    explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    end_politely(m, SERVICE_NEXT_BEGIN);
}

static void rule_afterwards(struct machine *m)
{
    struct service_facts *facts = m->facts;

    facts->wanted = m->input->event != SERVICE_EVENT_STOP;
    explain(m, FLOCKS_STATE_REASON_REQUESTED, "");
    if (!facts->wanted) {
        facts->next = SERVICE_NEXT_STAY;
        return;
    }
    facts->skip_prepare = m->input->skip_prepare;
    if (facts->next != SERVICE_NEXT_PROCEED)
        facts->next = SERVICE_NEXT_BEGIN;
}

static void rule_obituary(struct machine *m)
{
    struct service_facts *facts = m->facts;
    bool completes = m->input->success && m->policy->restart != SERVICE_RESTART_ALWAYS;

    if (m->input->oom)
        facts->cause = SERVICE_CAUSE_OOM;
    else
        facts->cause =
            facts->state == SERVICE_STARTING ? SERVICE_CAUSE_EARLY_EXIT : SERVICE_CAUSE_LATE_EXIT;
    explain(m, FLOCKS_STATE_REASON_EXITED, "its process ended");
    end_remains(m, completes ? SERVICE_NEXT_COMPLETE : SERVICE_NEXT_RETRY);
}

static void rule_bury(struct machine *m)
{
    struct service_facts *facts = m->facts;

    facts->leader_gone = true;
    /* It was the leader that asked for more time, not who is left. */
    facts->kill_at =
        earlier(facts->kill_at, clock_add_ms(facts->since_at, m->policy->stop_grace_ms));
    facts->due_at = earlier(facts->due_at, clock_add_ms(m->input->now, SERVICE_END_CHECK_MS));
    act(m, SERVICE_ACTION_LOOK);
}

static void rule_escalate(struct machine *m)
{
    struct service_facts *facts = m->facts;

    if (m->input->now >= facts->kill_at)
        facts->killing = true;
    due_in(m, SERVICE_END_CHECK_MS);
    if (facts->killing)
        act(m, SERVICE_ACTION_KILL);
    else
        facts->due_at = earlier(facts->due_at, facts->kill_at);
    act(m, SERVICE_ACTION_LOOK);
}

static void rule_prolong(struct machine *m)
{
    struct service_facts *facts = m->facts;
    int64_t extend_ms = m->input->extend_ms;

    if (facts->state == SERVICE_STARTING) {
        facts->due_at = notify_extended(facts->due_at, facts->since_at, extend_ms, m->input->now);
    } else if (!facts->killing && !facts->leader_gone) {
        facts->kill_at = notify_extended(facts->kill_at, facts->since_at, extend_ms, m->input->now);
        facts->due_at = facts->kill_at;
    }
}

static void follow(struct machine *m)
{
    switch (m->facts->next) {
    case SERVICE_NEXT_BEGIN:
        begin_anew(m);
        return;
    case SERVICE_NEXT_PROCEED:
        ask_to_start(m);
        return;
    case SERVICE_NEXT_RETRY:
        after_failure(m);
        return;
    case SERVICE_NEXT_COMPLETE:
        enter(m, SERVICE_COMPLETED);
        return;
    case SERVICE_NEXT_PAUSE:
        enter(m, SERVICE_PAUSED);
        return;
    case SERVICE_NEXT_STAY:
    case SERVICE_NEXT_COUNT:
        enter(m, SERVICE_STOPPED);
        return;
    }
}

static void rule_follow(struct machine *m)
{
    forget_run(m->facts);
    follow(m);
}

static void (*const rules[SERVICE_RULE_COUNT])(struct machine *m) = {
    [SERVICE_RULE_KEEP] = rule_keep,
    [SERVICE_RULE_BEGIN] = rule_begin,
    [SERVICE_RULE_RETRY] = rule_retry,
    [SERVICE_RULE_HOLD] = rule_hold,
    [SERVICE_RULE_LAUNCH] = rule_launch,
    [SERVICE_RULE_CANCEL] = rule_cancel,
    [SERVICE_RULE_PAUSE] = rule_pause,
    [SERVICE_RULE_SUSPEND] = rule_suspend,
    [SERVICE_RULE_DEFER] = rule_defer,
    [SERVICE_RULE_NOTE] = rule_note,
    [SERVICE_RULE_UNBORN] = rule_unborn,
    [SERVICE_RULE_ABANDON] = rule_abandon,
    [SERVICE_RULE_PROCEED] = rule_proceed,
    [SERVICE_RULE_FAIL] = rule_fail,
    [SERVICE_RULE_SUCCEED] = rule_succeed,
    [SERVICE_RULE_DEGRADE] = rule_degrade,
    [SERVICE_RULE_SETTLE] = rule_settle,
    [SERVICE_RULE_END] = rule_end,
    [SERVICE_RULE_REPLACE] = rule_replace,
    [SERVICE_RULE_AFTERWARDS] = rule_afterwards,
    [SERVICE_RULE_OBITUARY] = rule_obituary,
    [SERVICE_RULE_BURY] = rule_bury,
    [SERVICE_RULE_ESCALATE] = rule_escalate,
    [SERVICE_RULE_PROLONG] = rule_prolong,
    [SERVICE_RULE_FOLLOW] = rule_follow,
};

struct service_facts service_machine_initial(int64_t now)
{
    return (struct service_facts){
        .state = SERVICE_STOPPED, .since_at = now, .due_at = CLOCK_NEVER, .kill_at = CLOCK_NEVER};
}

/* Legal by the table but not by the facts. */
static bool is_premature(const struct service_facts *facts, const struct service_input *input)
{
    if (input->event == SERVICE_EVENT_DUE)
        return input->now < facts->due_at;
    if (input->event == SERVICE_EVENT_EMPTIED)
        return facts->spawning || (facts->pid != 0 && !facts->leader_gone);
    return false;
}

struct service_step service_machine_apply(const struct service_policy *policy,
    const struct service_facts *facts, const struct service_input *input)
{
    struct service_step step = {.facts = *facts};
    struct machine machine = {
        .policy = policy, .input = input, .step = &step, .facts = &step.facts};

    step.rule = service_table_rule(facts->state, input->event);
    if (step.rule == SERVICE_RULE_ILLEGAL || is_premature(facts, input)) {
        step.rule = SERVICE_RULE_ILLEGAL;
        return step;
    }
    rules[step.rule](&machine);
    assert(service_table_allows(step.rule, facts->state, step.facts.state));
    return step;
}

static void resume_run(struct machine *m, bool process_known)
{
    if (m->facts->spawning && !process_known) {
        /* The keeper may have tried, and then takes this number no more. */
        m->facts->run = ++m->facts->last_run;
        act(m,
            m->facts->state == SERVICE_PREPARING ? SERVICE_ACTION_PREPARE : SERVICE_ACTION_SPAWN);
    } else if (m->facts->state != SERVICE_PREPARING)
        act(m, SERVICE_ACTION_WATCH);
}

static void resume_stopping(struct machine *m, bool process_known)
{
    if (!process_known) {
        m->facts->spawning = false;
        m->facts->leader_gone = true;
    }
    due_in(m, 0);
}

struct service_step service_machine_resume(const struct service_policy *policy,
    const struct service_facts *facts, bool process_known, int64_t now)
{
    const struct service_input input = {.event = SERVICE_EVENT_DUE, .now = now};
    struct service_step step = {.facts = *facts, .rule = SERVICE_RULE_KEEP};
    struct machine machine = {
        .policy = policy, .input = &input, .step = &step, .facts = &step.facts};

    switch (facts->state) {
    case SERVICE_WAITING:
        act(&machine, SERVICE_ACTION_CHECK);
        break;
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_HEALTHY:
    case SERVICE_DEGRADED:
        resume_run(&machine, process_known);
        break;
    case SERVICE_STOPPING:
        resume_stopping(&machine, process_known);
        break;
    case SERVICE_STOPPED:
    case SERVICE_BACKOFF:
    case SERVICE_PAUSED:
    case SERVICE_FAILED:
    case SERVICE_COMPLETED:
    case SERVICE_STATE_END:
        break;
    }
    return step;
}

int64_t service_machine_delay_ms(
    const struct service_policy *policy, uint32_t burst, uint32_t random)
{
    int64_t delay = policy->delay_ms;

    if (burst <= SERVICE_IMMEDIATE_RESTARTS)
        return 0;
    if (delay < SERVICE_DELAY_MIN_MS)
        delay = SERVICE_DELAY_MIN_MS;
    for (uint32_t n = SERVICE_IMMEDIATE_RESTARTS + 1; n < burst && delay < policy->max_delay_ms;
         n++)
        delay *= 2;
    if (delay > policy->max_delay_ms && policy->max_delay_ms >= SERVICE_DELAY_MIN_MS)
        delay = policy->max_delay_ms;
    return delay - (int64_t)((uint64_t)random % ((uint64_t)delay / 4 + 1));
}

bool service_facts_has_run(const struct service_facts *facts)
{
    return facts->run != 0;
}
