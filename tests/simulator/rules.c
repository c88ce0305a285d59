/* What must never happen, said independently of how the machine does it. */
#include "world_private.h"

static int64_t limited(int64_t value, int64_t low, int64_t high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

/* The least time from a failure to the next start that nobody asked for. */
static int64_t shortest_pause(const struct service_policy *policy, const struct memory *memory)
{
    int64_t step =
        policy->delay_ms > SERVICE_DELAY_MIN_MS ? policy->delay_ms : SERVICE_DELAY_MIN_MS;
    int64_t most = limited(policy->max_delay_ms, SERVICE_DELAY_MIN_MS, INT64_MAX);

    if (memory->has_given_up)
        return limited(policy->max_delay_ms * SERVICE_TRIAL_FACTOR, SERVICE_TRIAL_MIN_MS,
            SERVICE_TRIAL_MAX_MS);
    if (memory->burst <= SERVICE_IMMEDIATE_RESTARTS)
        return 0;
    for (uint32_t n = SERVICE_IMMEDIATE_RESTARTS + 1; n < memory->burst && step < most; n++)
        step *= 2;
    step = limited(step, 0, policy->max_delay_ms < SERVICE_DELAY_MIN_MS ? step : most);
    return step - step / 4;
}

void rules_before_launch(struct world *world, struct being *being)
{
    const struct memory *memory = &being->memory;

    if (!kernel_is_empty(being))
        world_complain(world, being, "a second generation is started while the first one lives");
    if (memory->was_stopped || !being->facts.wanted)
        world_complain(world, being, "started although it was stopped");
    if (memory->is_blocked)
        world_complain(world, being, "started although something stood in the way");
    if (memory->has_failed &&
        world->now - memory->failed_at < shortest_pause(&being->policy, memory))
        world_complain(world, being, "started again too soon after a failure");
    if (memory->has_failed && being->policy.restart == SERVICE_RESTART_NEVER)
        world_complain(world, being, "started again against its policy");
}

static void forget_failures(struct memory *memory)
{
    *memory = (struct memory){.was_stopped = memory->was_stopped,
        .is_blocked = memory->is_blocked,
        .healthy_at = memory->healthy_at};
}

static void note_obstacle(struct memory *memory, const struct service_input *input)
{
    if (input->event == SERVICE_EVENT_BLOCKED || input->event == SERVICE_EVENT_CLEARED)
        memory->is_blocked = input->event == SERVICE_EVENT_BLOCKED;
}

static void note_request(struct memory *memory, const struct service_input *input)
{
    if (input->event != SERVICE_EVENT_START && input->event != SERVICE_EVENT_STOP &&
        input->event != SERVICE_EVENT_RESTART)
        return;
    forget_failures(memory);
    memory->was_stopped = input->event == SERVICE_EVENT_STOP;
}

static bool has_just_failed(const struct service_facts *before, const struct service_step *step)
{
    if (step->rule == SERVICE_RULE_UNBORN)
        return true;
    return (step->rule == SERVICE_RULE_FOLLOW || step->rule == SERVICE_RULE_ABANDON) &&
           before->next == SERVICE_NEXT_RETRY;
}

static void note_failure(struct world *world, struct being *being,
    const struct service_facts *before, const struct service_step *step)
{
    struct memory *memory = &being->memory;
    uint32_t allowed = being->policy.give_up_after;
    enum service_cause cause = step->facts.cause;

    if (!has_just_failed(before, step))
        return;
    memory->has_failed = true;
    memory->has_given_up = false;
    memory->failed_at = world->now;
    memory->burst++;
    memory->failures[cause]++;
    if (cause == SERVICE_CAUSE_NONE)
        world_complain(world, being, "failed for no cause");
    if ((allowed != 0 && memory->failures[cause] >= allowed) || memory->on_trial) {
        memory->has_given_up = true;
        if (step->facts.state != SERVICE_FAILED)
            world_complain(world, being, "the breaker does not open");
    }
}

static void note_health(struct world *world, struct being *being,
    const struct service_facts *before, const struct service_step *step)
{
    struct memory *memory = &being->memory;

    if (step->facts.state == SERVICE_HEALTHY && before->state != SERVICE_HEALTHY)
        memory->healthy_at = world->now;
    if (step->rule == SERVICE_RULE_SETTLE) {
        if (world->now - memory->healthy_at < being->policy.stable_after_ms)
            world_complain(world, being, "counts begin anew before it was stable");
        forget_failures(memory);
    }
    if (step->rule == SERVICE_RULE_RETRY && before->state == SERVICE_FAILED)
        memory->on_trial = true;
}

static void check_generation(struct world *world, struct being *being,
    const struct service_facts *before, const struct service_step *step)
{
    bool begins = step->rule == SERVICE_RULE_LAUNCH && step->facts.state == SERVICE_STARTING;

    if (step->facts.generation != before->generation + (begins ? 1 : 0))
        world_complain(world, being, "generations are not numbered one after the other");
    if (step->facts.last_run < before->last_run || step->facts.run > step->facts.last_run)
        world_complain(world, being, "runs are not numbered upwards");
}

void rules_after_step(struct world *world, struct being *being, const struct service_facts *before,
    const struct service_input *input, const struct service_step *step)
{
    if (step->rule == SERVICE_RULE_ILLEGAL)
        world_complain(world, being, "an event is lost");
    note_obstacle(&being->memory, input);
    note_request(&being->memory, input);
    note_failure(world, being, before, step);
    note_health(world, being, before, step);
    check_generation(world, being, before, step);
}

/* States that end by themselves. */
static bool is_passing(const struct service_facts *facts)
{
    switch (facts->state) {
    case SERVICE_WAITING:
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
    case SERVICE_STOPPING:
    case SERVICE_BACKOFF:
        return true;
    case SERVICE_STOPPED:
    case SERVICE_HEALTHY:
    case SERVICE_DEGRADED:
    case SERVICE_PAUSED:
    case SERVICE_FAILED:
    case SERVICE_COMPLETED:
    case SERVICE_STATE_END:
        return false;
    }
    return false;
}

void rules_after_turn(struct world *world)
{
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];
        const struct service_facts *facts = &being->facts;

        if (is_passing(facts) && facts->due_at == CLOCK_NEVER)
            world_complain(world, being, "nothing will ever end its state");
        if (facts->state == SERVICE_FAILED && facts->due_at == CLOCK_NEVER &&
            being->policy.restart != SERVICE_RESTART_NEVER)
            world_complain(world, being, "it will never be tried again");
        if (facts->state == SERVICE_STOPPED && facts->wanted)
            world_complain(world, being, "a start is forgotten");
        if (facts->state == SERVICE_STOPPED && !kernel_is_empty(being))
            world_complain(world, being, "called stopped while something of it lives");
    }
}

void rules_at_rest(struct world *world)
{
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        if (being->facts.state == SERVICE_HEALTHY && being->run_state != RUN_ALIVE)
            world_complain(world, being, "called healthy and nothing of it lives");
    }
}
