/* flocksd's part of the play: performs the machine's actions as service.c does, saves, dies and
 * takes over. */
#include "flocks/v1/types.names.h"

#include "world_private.h"

static bool is_ready(const struct being *being)
{
    return being->facts.state == SERVICE_HEALTHY || being->facts.state == SERVICE_DEGRADED ||
           being->facts.state == SERVICE_COMPLETED;
}

static void check_start(struct world *world, struct being *being)
{
    struct service_input input = {.event = SERVICE_EVENT_CLEARED};

    for (uint32_t i = 0; i < world->n_beings; i++) {
        if ((being->after & 1U << i) != 0 && !is_ready(&world->beings[i])) {
            input.event = SERVICE_EVENT_BLOCKED;
            input.reason = FLOCKS_STATE_REASON_DEPENDENCY_FAILED;
        }
    }
    if (input.event == SERVICE_EVENT_CLEARED && !being->port_is_held && !world->is_ending &&
        world_chance(world, being->character.port_is_held)) {
        being->port_is_held = true;
        world_expect(world, 1 + world_random(world, 20000), HAPPEN_PORT_FREED, being);
    }
    if (being->port_is_held) {
        input.event = SERVICE_EVENT_BLOCKED;
        input.reason = FLOCKS_STATE_REASON_PORT_HELD;
    }
    drive_feed(world, being, &input);
}

/* What will be seen of the run from now on. */
static void watch(struct world *world, struct being *being)
{
    const struct character *character = &being->character;

    being->watch++;
    if (being->run_state != RUN_ALIVE)
        return;
    if (being->facts.state == SERVICE_STARTING && !world_chance(world, character->never_ready))
        world_expect(world, world_random(world, 3000), HAPPEN_READY, being);
    else if (being->facts.state == SERVICE_HEALTHY && world_chance(world, character->probe_fails))
        world_expect(world, world_random(world, 100000), HAPPEN_UNHEALTHY, being);
    else if (being->facts.state == SERVICE_DEGRADED)
        world_expect(world, world_random(world, 10000),
            world_chance(world, 500) ? HAPPEN_RECOVERED : HAPPEN_UNRESPONSIVE, being);
}

static void look(struct world *world, struct being *being)
{
    const struct service_facts *facts = &being->facts;

    if (!facts->spawning && (facts->pid == 0 || facts->leader_gone) && kernel_is_empty(being))
        drive_observe(world, being, SERVICE_EVENT_EMPTIED);
}

static void perform(struct world *world, struct being *being, enum service_action action)
{
    switch (action) {
    case SERVICE_ACTION_CHECK:
        check_start(world, being);
        return;
    case SERVICE_ACTION_PREPARE:
    case SERVICE_ACTION_SPAWN:
        being->launch_due = true;
        return;
    case SERVICE_ACTION_WATCH:
        watch(world, being);
        return;
    case SERVICE_ACTION_UNWATCH:
        being->watch++;
        return;
    case SERVICE_ACTION_SIGNAL:
        kernel_signal(world, being);
        return;
    case SERVICE_ACTION_KILL:
        kernel_kill(world, being);
        return;
    case SERVICE_ACTION_LOOK:
        look(world, being);
        return;
    }
}

static void perform_all(struct world *world, struct being *being, const struct service_step *step)
{
    being->depth++;
    for (size_t i = 0; i < step->n_actions; i++)
        perform(world, being, step->actions[i]);
    being->depth--;
}

/* Whoever waits for it asks again. */
static void tell_dependents(struct world *world, const struct being *being)
{
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *other = &world->beings[i];

        if ((other->after & 1U << being->number) != 0 && other->depth == 0 &&
            other->facts.state == SERVICE_WAITING) {
            other->facts.due_at = world->now;
            drive_observe(world, other, SERVICE_EVENT_DUE);
        }
    }
}

void drive_feed(struct world *world, struct being *being, const struct service_input *input)
{
    const struct service_facts before = being->facts;
    struct service_input timed = *input;
    struct service_step step;

    timed.now = world->now;
    timed.random = world_random(world, UINT32_MAX);
    step = service_machine_apply(&being->policy, &before, &timed);
    world->result->events++;
    if (world->trace != NULL)
        (void)fprintf(world->trace, "%10lld service %u %s: %s -> %s (%s)\n", (long long)world->now,
            (unsigned)being->number, service_event_text(input->event),
            service_state_text(before.state), service_state_text(step.facts.state),
            service_rule_text(step.rule));
    being->facts = step.facts;
    rules_after_step(world, being, &before, &timed, &step);
    if (world->result->complaint[0] != '\0')
        return;
    perform_all(world, being, &step);
    if (being->depth > 0 || being->facts.state == being->told_state)
        return;
    being->told_state = being->facts.state;
    tell_dependents(world, being);
}

void drive_observe(struct world *world, struct being *being, enum service_event event)
{
    const struct service_input input = {.event = event};

    drive_feed(world, being, &input);
}

void drive_recheck_ending(struct world *world, struct being *being)
{
    if (being->facts.state != SERVICE_STOPPING || !being->facts.leader_gone || being->depth > 0)
        return;
    being->facts.due_at = world->now;
    drive_observe(world, being, SERVICE_EVENT_DUE);
}

/* ---- death and take-over ---- */

/* The end of a run whose news the last flocksd had not saved is told again. */
static void tell_end_again(struct world *world, struct being *being)
{
    const struct pending end = {.what = HAPPEN_LEADER_ENDS, .being = being, .run = being->run};

    if (being->run_state == RUN_ENDED && !being->end_is_told)
        kernel_happens(world, &end);
}

static void resume(struct world *world, struct being *being)
{
    const struct service_facts *facts = &being->facts;
    bool is_known =
        facts->run == being->run &&
        (being->run_state == RUN_ALIVE || (being->run_state == RUN_ENDED && !being->end_is_told));
    struct service_step step;

    if (!service_facts_has_run(facts) && being->run > facts->last_run)
        world_complain(world, being, "runs and the state does not know of it");
    if (is_known && facts->spawning) {
        const struct service_input input = {.event = SERVICE_EVENT_SPAWNED, .pid = 1};

        drive_feed(world, being, &input);
        return;
    }
    if (service_facts_has_run(facts) && !is_known && !facts->spawning &&
        facts->state != SERVICE_STOPPING) {
        drive_observe(world, being,
            facts->state == SERVICE_PREPARING ? SERVICE_EVENT_PREPARE_FAILED
                                              : SERVICE_EVENT_EXITED);
        return;
    }
    step = service_machine_resume(&being->policy, facts, is_known, world->now);
    being->facts = step.facts;
    perform_all(world, being, &step);
}

static void take_over(struct world *world)
{
    world->result->deaths++;
    if (world->trace != NULL)
        (void)fprintf(world->trace, "%10lld flocksd died\n", (long long)world->now);
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        kernel_settle_fork(world, being);
        being->facts = being->saved;
        being->memory = being->saved_memory;
        being->told_state = being->facts.state;
        being->launch_due = false;
        being->watch++;
    }
    for (uint32_t i = 0; i < world->n_beings; i++)
        resume(world, &world->beings[i]);
    for (uint32_t i = 0; i < world->n_beings; i++)
        tell_end_again(world, &world->beings[i]);
}

static void save(struct world *world)
{
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        being->saved = being->facts;
        being->saved_memory = being->memory;
        being->end_is_told = being->run_state == RUN_ENDED && being->facts.leader_gone;
        if (being->facts.run != being->run)
            being->end_is_told = true;
    }
}

static bool launch(struct world *world)
{
    bool any = false;

    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        if (!being->launch_due)
            continue;
        any = true;
        being->launch_due = false;
        /* A stop was faster. */
        if (being->facts.state == SERVICE_STOPPING)
            drive_observe(world, being, SERVICE_EVENT_SPAWN_FAILED);
        else
            kernel_launch(world, being);
    }
    return any;
}

void drive_end_turn(struct world *world)
{
    enum death death = DEATH_NONE;

    if (!world->is_ending && world_chance(world, world->deaths_in_1000))
        death = (enum death)(1 + world_random(world, 3));
    if (death == DEATH_BEFORE_SAVING)
        take_over(world);
    do {
        save(world);
        if (death == DEATH_BEFORE_LAUNCHING) {
            death = DEATH_NONE;
            take_over(world);
            save(world);
        }
    } while (launch(world) && world->result->complaint[0] == '\0');
    if (death == DEATH_AFTERWARDS) {
        take_over(world);
        save(world);
        while (launch(world) && world->result->complaint[0] == '\0')
            save(world);
    }
}
