/* What a new configuration does to services that run, stop or are gone; and the hash of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/config_plan.h"

enum { ARENA_BYTES = 4 * 1024 * 1024, SERVICES = 3 };

/* Services "a", "b" and "c", as many as wanted of them. */
struct configuration {
    flocks_config config;
    flocks_config_services_entry entries[SERVICES];
    flocks_config_services_entry *items[SERVICES];
    flocks_service_config services[SERVICES];
    const char *commands[SERVICES][1];
};

static void fill(struct configuration *c, const char *const *names, size_t n)
{
    c->config = (flocks_config)FLOCKS_CONFIG_INIT;
    c->config.services = c->items;
    c->config.n_services = n;
    for (size_t i = 0; i < n; i++) {
        c->commands[i][0] = "run";
        c->services[i] = (flocks_service_config)FLOCKS_SERVICE_CONFIG_INIT;
        c->services[i].command = c->commands[i];
        c->services[i].n_command = 1;
        c->services[i].start = true;
        c->entries[i] = (flocks_config_services_entry)FLOCKS_CONFIG_SERVICES_ENTRY_INIT;
        c->entries[i].key = names[i];
        c->entries[i].value = &c->services[i];
        c->items[i] = &c->entries[i];
    }
}

static const char *const all_names[SERVICES] = {"a", "b", "c"};

struct world {
    struct arena arena;
    struct configuration old_one;
    struct configuration new_one;
    struct config_plan_service services[SERVICES];
    size_t n_services;
    struct config_diff diff;
    struct config_plan plan;
};

/* "a" and "b" run as both configurations say. */
static int set_up(void **state)
{
    static struct world world;

    arena_init(&world.arena, ARENA_BYTES);
    fill(&world.old_one, all_names, 2);
    fill(&world.new_one, all_names, 2);
    world.n_services = 2;
    for (size_t i = 0; i < SERVICES; i++)
        world.services[i] = (struct config_plan_service){.name = all_names[i], .is_wanted = true};
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    arena_deinit(&world->arena);
    return 0;
}

static void make(struct world *world)
{
    const struct config_plan_request request = {.diff = &world->diff,
        .new_config = &world->new_one.config,
        .old_digest = "old",
        .new_digest = "new",
        .services = world->services,
        .n_services = world->n_services};

    assert_int_equal(config_diff_make(&world->old_one.config, &world->new_one.config, &world->arena,
                         &world->diff),
        0);
    assert_int_equal(config_plan_make(&request, &world->arena, &world->plan), 0);
}

static const struct config_plan_impact *impact_of(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->plan.n; i++) {
        if (strcmp(world->plan.impacts[i].name, name) == 0)
            return &world->plan.impacts[i];
    }
    fail_msg("no impact on %s", name);
    return NULL;
}

static void test_plan_of_nothing_is_none(void **state)
{
    struct world *world = *state;

    make(world);
    assert_int_equal(world->plan.n, 2);
    assert_int_equal(impact_of(world, "a")->impact, FLOCKS_CONFIG_IMPACT_NONE);
    assert_int_equal(impact_of(world, "a")->n_because, 0);
    assert_int_equal(strlen(world->plan.hash), 64);
}

static void test_plan_restarts_what_was_started_with_other_values(void **state)
{
    struct world *world = *state;

    world->new_one.commands[0][0] = "other";
    world->new_one.services[0].start = false;
    make(world);
    assert_int_equal(impact_of(world, "a")->impact, FLOCKS_CONFIG_IMPACT_RESTART);
    /* Only what leads to it. */
    assert_int_equal(impact_of(world, "a")->n_because, 1);
    assert_string_equal(impact_of(world, "a")->because[0], "services.a.command");
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_NONE);
}

static void test_plan_leaves_alone_what_nobody_wants(void **state)
{
    struct world *world = *state;

    world->new_one.commands[0][0] = "other";
    world->services[0].is_wanted = false;
    make(world);
    assert_int_equal(impact_of(world, "a")->impact, FLOCKS_CONFIG_IMPACT_NONE);
    assert_int_equal(impact_of(world, "a")->effect, CONFIG_EFFECT_RESTART);
}

static void test_plan_of_a_change_without_effect_is_none_and_says_why(void **state)
{
    struct world *world = *state;

    world->new_one.services[1].start = false;
    make(world);
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_NONE);
    assert_int_equal(impact_of(world, "b")->effect, CONFIG_EFFECT_NONE);
    assert_string_equal(impact_of(world, "b")->because[0], "services.b.start");
}

static void test_plan_ends_what_is_gone_unless_it_is_stopped(void **state)
{
    struct world *world = *state;

    fill(&world->new_one, all_names, 1);
    make(world);
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_STOP);
    assert_string_equal(impact_of(world, "b")->because[0], "services.b");
    assert_false(impact_of(world, "b")->is_planned);
    world->services[1].is_stopped = true;
    make(world);
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_NONE);
}

static void test_plan_starts_what_is_new_unless_it_starts_by_name_only(void **state)
{
    struct world *world = *state;

    fill(&world->new_one, all_names, 3);
    make(world);
    assert_int_equal(impact_of(world, "c")->impact, FLOCKS_CONFIG_IMPACT_START);
    assert_false(impact_of(world, "c")->is_there);
    world->new_one.services[2].start = false;
    make(world);
    assert_int_equal(impact_of(world, "c")->impact, FLOCKS_CONFIG_IMPACT_NONE);
}

/* A restart that was never carried out: what runs decides, not what should. */
static void test_plan_compares_with_what_runs(void **state)
{
    struct world *world = *state;
    struct configuration running;

    fill(&running, all_names, 2);
    running.commands[0][0] = "older";
    world->services[0].outdated = &running.services[0];
    make(world);
    assert_int_equal(world->diff.n, 0);
    assert_int_equal(impact_of(world, "a")->impact, FLOCKS_CONFIG_IMPACT_RESTART);
    /* Back to what runs: nothing is to be done. */
    world->new_one.commands[0][0] = "older";
    make(world);
    assert_int_equal(impact_of(world, "a")->impact, FLOCKS_CONFIG_IMPACT_NONE);
    assert_int_equal(impact_of(world, "a")->effect, CONFIG_EFFECT_NONE);
}

/* "b" was removed, is being ended, and is in the configuration again. */
static void test_plan_starts_again_what_returns_while_it_ends(void **state)
{
    struct world *world = *state;

    fill(&world->old_one, all_names, 1);
    world->services[1].is_wanted = false;
    world->services[1].outdated = &world->new_one.services[1];
    make(world);
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_START);
    assert_true(impact_of(world, "b")->is_there);
    /* It was not to be ended after all. */
    world->services[1].is_wanted = true;
    make(world);
    assert_int_equal(impact_of(world, "b")->impact, FLOCKS_CONFIG_IMPACT_NONE);
}

/* In no configuration, old or new, but not gone yet. */
static void test_plan_names_what_is_still_being_ended(void **state)
{
    struct world *world = *state;

    world->n_services = 3;
    world->services[2].is_wanted = false;
    make(world);
    assert_int_equal(impact_of(world, "c")->impact, FLOCKS_CONFIG_IMPACT_STOP);
    assert_null(impact_of(world, "c")->diff);
}

static void test_plan_hash_stands_for_texts_and_impacts(void **state)
{
    struct world *world = *state;
    char first[CONFIG_DIGEST_SIZE];

    world->new_one.commands[0][0] = "other";
    make(world);
    memcpy(first, world->plan.hash, sizeof first);
    make(world);
    assert_string_equal(world->plan.hash, first);
    /* Same texts, but what is wanted is not the same any more. */
    world->services[0].is_wanted = false;
    make(world);
    assert_string_not_equal(world->plan.hash, first);
}

static void test_plan_without_memory_says_so(void **state)
{
    struct world *world = *state;
    const struct config_plan_request request = {.diff = &world->diff,
        .new_config = &world->new_one.config,
        .old_digest = "old",
        .new_digest = "new",
        .services = world->services,
        .n_services = 2};
    int result = -STATUS_RESOURCE_EXHAUSTED;

    world->new_one.commands[0][0] = "other";
    make(world);
    for (size_t cap = 0; result != 0; cap += 16) {
        struct arena small;

        arena_init(&small, cap);
        result = config_plan_make(&request, &small, &world->plan);
        assert_true(result == 0 || result == -STATUS_RESOURCE_EXHAUSTED);
        assert_true(cap < ARENA_BYTES);
        arena_deinit(&small);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plan_of_nothing_is_none),
        TEST(test_plan_restarts_what_was_started_with_other_values),
        TEST(test_plan_leaves_alone_what_nobody_wants),
        TEST(test_plan_of_a_change_without_effect_is_none_and_says_why),
        TEST(test_plan_ends_what_is_gone_unless_it_is_stopped),
        TEST(test_plan_starts_what_is_new_unless_it_starts_by_name_only),
        TEST(test_plan_compares_with_what_runs),
        TEST(test_plan_starts_again_what_returns_while_it_ends),
        TEST(test_plan_names_what_is_still_being_ended),
        TEST(test_plan_hash_stands_for_texts_and_impacts),
        TEST(test_plan_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
