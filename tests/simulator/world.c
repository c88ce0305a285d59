#include "simulator/world.h"

#include "world_private.h"

enum {
    /* A stop of everything takes the longest grace and what its last looks need. */
    STOP_ALLOWANCE_MS = 2000,
    /* Turns of the loop without time passing; more: it spins. */
    TURNS_AT_ONCE_MAX = 500
};

/* splitmix64 */
uint32_t world_random(struct world *world, uint32_t below)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return below == 0 ? 0 : (uint32_t)((z >> 32) * below >> 32);
}

bool world_chance(struct world *world, unsigned in_1000)
{
    return world_random(world, 1000) < in_1000;
}

void world_complain(struct world *world, const struct being *being, const char *text)
{
    if (world->result->complaint[0] != '\0')
        return;
    (void)snprintf(world->result->complaint, WORLD_COMPLAINT_SIZE,
        "at %lld ms, service %u in %s: %s", (long long)world->now, (unsigned)being->number,
        service_state_text(being->facts.state), text);
}

void world_expect(struct world *world, int64_t in_ms, enum happening what, struct being *being)
{
    if (world->n_pending == PENDING_MAX) {
        world_complain(world, being, "more is pending than a life can hold");
        return;
    }
    world->pending[world->n_pending++] = (struct pending){.at = world->now + in_ms,
        .what = what,
        .being = being,
        .run = being->run,
        .watch = being->watch};
}

/* ---- making one ---- */

static const struct character *choose_character(struct world *world)
{
    static const struct character characters[] = {
        /* what one hopes for */
        {.ends_late = 100, .ignores_stop = 20, .leaves_strays = 50, .strays_obey = 900},
        /* a crash loop, now and then before it serves */
        {.ends_early = 400, .ends_late = 800, .leaves_strays = 200, .strays_obey = 500},
        /* a program that is not there */
        {.exec_fails = 900},
        /* one that ends by itself */
        {.ends_early = 600, .ends_late = 900, .ends_well = 700},
        /* stubborn, with children */
        {.ignores_stop = 800, .leaves_strays = 800, .strays_obey = 100, .ends_late = 300},
        /* unwell */
        {.never_ready = 300, .probe_fails = 800, .prepare_fails = 400, .port_is_held = 300},
        /* everything at once */
        {.exec_fails = 100,
            .ends_early = 200,
            .ends_late = 300,
            .ends_well = 200,
            .never_ready = 100,
            .ignores_stop = 300,
            .leaves_strays = 300,
            .strays_obey = 300,
            .probe_fails = 300,
            .port_is_held = 200,
            .prepare_fails = 200},
    };

    return &characters[world_random(world, sizeof characters / sizeof characters[0])];
}

static struct service_policy choose_policy(struct world *world)
{
    return (struct service_policy){.has_prepare = world_chance(world, 300),
        .restart = (enum service_restart)world_random(world, 3),
        .give_up_after = world_random(world, 12),
        .delay_ms = world_random(world, 500),
        .max_delay_ms = world_random(world, 20000),
        .stable_after_ms = world_random(world, 100000),
        .stop_grace_ms = world_random(world, 12000),
        .prepare_timeout_ms = 1 + world_random(world, 5000),
        .start_timeout_ms = 1 + world_random(world, 5000)};
}

static void make_being(struct world *world, uint32_t number)
{
    struct being *being = &world->beings[number];

    *being = (struct being){.number = number,
        .policy = choose_policy(world),
        .character = *choose_character(world),
        .facts = service_machine_initial(world->now),
        .told_state = SERVICE_STOPPED,
        .end_is_told = true,
        .memory = {.was_stopped = true}};
    being->saved = being->facts;
    being->saved_memory = being->memory;
    /* On earlier ones only: cycles are refused with the configuration. */
    if (number > 0 && world_chance(world, 400))
        being->after = 1 + world_random(world, (1U << number) - 1);
}

static void make_requests(struct world *world)
{
    static const uint32_t spans[] = {100, 5000, 200000};
    uint32_t span = spans[world_random(world, 3)];
    uint32_t n = 1 + world_random(world, 12);

    for (uint32_t i = 0; i < n; i++)
        world_expect(world, world_random(world, span), HAPPEN_REQUEST,
            &world->beings[world_random(world, world->n_beings)]);
}

/* ---- time ---- */

static size_t next_pending(const struct world *world)
{
    size_t first = 0;

    for (size_t i = 1; i < world->n_pending; i++) {
        if (world->pending[i].at < world->pending[first].at)
            first = i;
    }
    return first;
}

static struct being *next_due(struct world *world)
{
    struct being *first = NULL;

    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        if (being->facts.due_at != CLOCK_NEVER &&
            (first == NULL || being->facts.due_at < first->facts.due_at))
            first = being;
    }
    return first;
}

static void advance_to(struct world *world, int64_t at)
{
    if (at > world->now) {
        world->now = at;
        world->turns_at_once = 0;
    }
    if (++world->turns_at_once > TURNS_AT_ONCE_MAX)
        world_complain(world, &world->beings[0], "the loop spins");
}

/* One turn of the loop. False: there is nothing to wait for. */
static bool turn(struct world *world)
{
    struct being *due = next_due(world);
    size_t first = next_pending(world);
    struct pending pending;

    if (due == NULL && world->n_pending == 0)
        return false;
    if (world->n_pending > 0 && (due == NULL || world->pending[first].at <= due->facts.due_at)) {
        pending = world->pending[first];
        world->pending[first] = world->pending[--world->n_pending];
        advance_to(world, pending.at);
        kernel_happens(world, &pending);
    } else {
        advance_to(world, due->facts.due_at);
        drive_observe(world, due, SERVICE_EVENT_DUE);
    }
    drive_end_turn(world);
    rules_after_turn(world);
    return world->result->complaint[0] == '\0';
}

/* ---- a life ---- */

static bool is_over(const struct world *world)
{
    for (uint32_t i = 0; i < world->n_beings; i++) {
        if (world->beings[i].facts.state != SERVICE_STOPPED)
            return false;
    }
    return true;
}

static void end_everything(struct world *world)
{
    int64_t deadline = world->now + STOP_ALLOWANCE_MS;

    world->is_ending = true;
    for (uint32_t i = 0; i < world->n_beings; i++) {
        struct being *being = &world->beings[i];

        deadline = deadline > world->now + being->policy.stop_grace_ms + STOP_ALLOWANCE_MS
                       ? deadline
                       : world->now + being->policy.stop_grace_ms + STOP_ALLOWANCE_MS;
        drive_observe(world, being, SERVICE_EVENT_STOP);
    }
    drive_end_turn(world);
    while (!is_over(world) && world->now <= deadline && turn(world))
        ;
    if (!is_over(world))
        world_complain(world, &world->beings[0], "a stop of everything does not end");
}

bool world_live(uint64_t seed, FILE *trace, struct world_result *out)
{
    /* Most faults show early; some only after a long life. */
    static const uint64_t lengths[] = {20, 20, 50, 50, 100, 500};
    struct world world = {.random = seed, .now = 1000, .trace = trace, .result = out};

    uint64_t length = lengths[world_random(&world, 6)];

    *out = (struct world_result){.events = 0};
    world.n_beings = 1 + world_random(&world, WORLD_SERVICES_MAX);
    world.deaths_in_1000 = world_chance(&world, 500) ? world_random(&world, 100) : 0;
    for (uint32_t i = 0; i < world.n_beings; i++)
        make_being(&world, i);
    make_requests(&world);
    while (out->events < length && turn(&world))
        ;
    if (out->complaint[0] == '\0' && out->events < length)
        rules_at_rest(&world);
    if (out->complaint[0] == '\0')
        end_everything(&world);
    out->lived_ms = world.now;
    return out->complaint[0] == '\0';
}
