/* Processes and their keeper: they are forked, end, are signalled, leave others behind. */
#include "world_private.h"

void kernel_launch(struct world *world, struct being *being)
{
    rules_before_launch(world, being);
    if (world->result->complaint[0] != '\0')
        return;
    /* The number was used by the flocksd before: the keeper refuses it. */
    if (being->facts.run <= being->run) {
        drive_observe(world, being, SERVICE_EVENT_SPAWN_FAILED);
        return;
    }
    being->run = being->facts.run;
    being->run_state = RUN_FORKING;
    being->is_prepare = being->facts.state == SERVICE_PREPARING;
    being->end_is_told = false;
    being->strays = 0;
    world_expect(world, 1 + world_random(world, 30), HAPPEN_SPAWN_ANSWERED, being);
}

static bool comes_to_life(struct world *world, struct being *being)
{
    const struct character *character = &being->character;

    if (world_chance(world, character->exec_fails)) {
        being->run_state = RUN_NONE;
        return false;
    }
    being->run_state = RUN_ALIVE;
    world->result->starts++;
    if (world_chance(world, character->leaves_strays))
        being->strays = 1 + world_random(world, 3);
    being->ended_well = world_chance(
        world, being->is_prepare ? 1000 - character->prepare_fails : character->ends_well);
    if (being->is_prepare || world_chance(world, character->ends_early))
        world_expect(world, world_random(world, 1000), HAPPEN_LEADER_ENDS, being);
    else if (world_chance(world, character->ends_late))
        world_expect(world, world_random(world, 400000), HAPPEN_LEADER_ENDS, being);
    return true;
}

void kernel_settle_fork(struct world *world, struct being *being)
{
    if (being->run_state == RUN_FORKING)
        (void)comes_to_life(world, being);
}

static void expect_strays_to_end(struct world *world, struct being *being, uint32_t within)
{
    for (unsigned i = 0; i < being->strays; i++)
        world_expect(world, world_random(world, within), HAPPEN_STRAY_ENDS, being);
}

void kernel_signal(struct world *world, struct being *being)
{
    if (being->run_state == RUN_ALIVE && !world_chance(world, being->character.ignores_stop))
        world_expect(world, world_random(world, 2 * (uint32_t)being->policy.stop_grace_ms + 1),
            HAPPEN_LEADER_ENDS, being);
    if (world_chance(world, being->character.strays_obey))
        expect_strays_to_end(world, being, 1000);
}

void kernel_kill(struct world *world, struct being *being)
{
    if (being->run_state == RUN_ALIVE) {
        being->ended_well = false;
        world_expect(world, world_random(world, 20), HAPPEN_LEADER_ENDS, being);
    }
    expect_strays_to_end(world, being, 40);
}

bool kernel_is_empty(const struct being *being)
{
    return being->run_state != RUN_FORKING && being->run_state != RUN_ALIVE && being->strays == 0;
}

/* ---- what happens ---- */

static void spawn_is_answered(struct world *world, struct being *being)
{
    struct service_input input = {.event = SERVICE_EVENT_SPAWN_FAILED};

    /* Settled when flocksd died. */
    if (being->run_state != RUN_FORKING)
        return;
    if (comes_to_life(world, being)) {
        input.event = SERVICE_EVENT_SPAWNED;
        input.pid = 1;
    }
    if (being->facts.run == being->run && being->facts.spawning)
        drive_feed(world, being, &input);
    else
        world_complain(world, being, "its spawn was answered and nobody waited for it");
}

static void tell_exit(struct world *world, struct being *being)
{
    const struct service_input input = {
        .event = SERVICE_EVENT_EXITED, .success = being->ended_well};

    if (being->facts.run != being->run || being->facts.leader_gone)
        return;
    if (being->facts.state == SERVICE_PREPARING)
        drive_observe(world, being,
            being->ended_well ? SERVICE_EVENT_PREPARED : SERVICE_EVENT_PREPARE_FAILED);
    else
        drive_feed(world, being, &input);
}

static void leader_ends(struct world *world, struct being *being)
{
    if (being->run_state == RUN_ALIVE)
        being->run_state = RUN_ENDED;
    else if (being->run_state != RUN_ENDED || being->end_is_told)
        return;
    tell_exit(world, being);
}

static void stray_ends(struct world *world, struct being *being)
{
    if (being->strays == 0)
        return;
    being->strays--;
    drive_recheck_ending(world, being);
}

static void port_is_freed(struct being *being)
{
    being->port_is_held = false;
}

/* Does the machine want to hear it, by the run and the watch it belongs to? */
static bool is_watched(const struct pending *pending)
{
    const struct being *being = pending->being;

    return pending->watch == being->watch && being->run_state == RUN_ALIVE &&
           being->facts.run == being->run;
}

static void is_seen(struct world *world, const struct pending *pending, enum service_event event)
{
    if (is_watched(pending))
        drive_observe(world, pending->being, event);
}

static void become_unhealthy(struct world *world, const struct pending *pending)
{
    struct being *being = pending->being;

    if (!is_watched(pending))
        return;
    drive_observe(world, being, SERVICE_EVENT_UNHEALTHY);
    if (being->facts.state == SERVICE_DEGRADED)
        world_expect(world, world_random(world, 10000),
            world_chance(world, 500) ? HAPPEN_RECOVERED : HAPPEN_UNRESPONSIVE, being);
}

static void somebody_asks(struct world *world, struct being *being)
{
    static const enum service_event events[] = {
        SERVICE_EVENT_START, SERVICE_EVENT_STOP, SERVICE_EVENT_RESTART};
    const struct service_input input = {
        .event = events[world_random(world, 3)], .skip_prepare = world_chance(world, 200)};

    if (world->is_ending)
        return;
    drive_feed(world, being, &input);
}

void kernel_happens(struct world *world, const struct pending *pending)
{
    struct being *being = pending->being;
    bool is_of_run = pending->run == being->run;

    switch (pending->what) {
    case HAPPEN_SPAWN_ANSWERED:
        if (is_of_run)
            spawn_is_answered(world, being);
        return;
    case HAPPEN_LEADER_ENDS:
        if (is_of_run)
            leader_ends(world, being);
        return;
    case HAPPEN_STRAY_ENDS:
        if (is_of_run)
            stray_ends(world, being);
        return;
    case HAPPEN_READY:
        is_seen(world, pending, SERVICE_EVENT_READY);
        return;
    case HAPPEN_UNHEALTHY:
        become_unhealthy(world, pending);
        return;
    case HAPPEN_RECOVERED:
        is_seen(world, pending, SERVICE_EVENT_RECOVERED);
        return;
    case HAPPEN_UNRESPONSIVE:
        is_seen(world, pending, SERVICE_EVENT_UNRESPONSIVE);
        return;
    case HAPPEN_PORT_FREED:
        port_is_freed(being);
        return;
    case HAPPEN_REQUEST:
        somebody_asks(world, being);
        return;
    }
}
