/* What a follower of health is told: what has changed, once, and never what nobody could see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/supervisor_private.h"
#include "world.h"

/* "app+ base- app! well " */
static char told[512];

static void add(const char *name, const char *what)
{
    size_t len = strlen(told);
    int n = snprintf(told + len, sizeof told - len, "%s%s ", name, what);

    assert_true(n > 0 && (size_t)n < sizeof told - len);
}

static void on_service(void *data, const char *name, bool is_healthy)
{
    (void)data;
    add(name, is_healthy ? "+" : "-");
}

static void on_gone(void *data, const char *name)
{
    (void)data;
    add(name, "!");
}

static void on_whole(void *data, enum supervisor_condition condition)
{
    static const char *const NAMES[] = {[SUPERVISOR_WELL] = "well",
        [SUPERVISOR_UNWELL] = "unwell",
        [SUPERVISOR_LEAVING] = "leaving"};

    (void)data;
    add(NAMES[condition], "");
}

static const struct supervisor_health_follower follower = {
    .service = on_service, .gone = on_gone, .whole = on_whole};

static void expect(const char *text)
{
    assert_string_equal(told, text);
    told[0] = '\0';
}

static void follow(struct world *world)
{
    told[0] = '\0';
    supervisor_follow_health(world->supervisor, &follower);
}

static void test_supervisor_health_tells_everything_at_once_then_changes(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    follow(world);
    expect("app- base+ spare- well ");
    world_turn(world);
    expect("");
    world_begin(world, FLOCKS_OPERATION_KIND_STOP, "base", id);
    world_turn(world);
    /* Its end is wanted: the whole is as well as before. */
    expect("base- ");
}

static void test_supervisor_health_of_the_whole_follows_what_is_wanted(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    follow(world);
    told[0] = '\0';
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_spawns(world, 2);
    expect("base- unwell ");
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    expect("base+ well ");
    world_begin(world, FLOCKS_OPERATION_KIND_START, "spare", id);
    world_turn(world);
    expect("unwell ");
    world_answer_spawns(world);
    world_run_until_state(world, 2, FLOCKS_SERVICE_STATE_HEALTHY);
    expect("spare+ well ");
}

static void test_supervisor_health_of_a_fresh_start_is_not_well_before_it_began(void **state)
{
    struct world *world = *state;

    world_open(world, true, true);
    follow(world);
    expect("app- base- spare- unwell ");
    fake_link_answer_list(&world->link);
    world_turn(world);
    expect("");
}

/* A flocksd after another one says what the one before said, before its keeper has answered. */
static void test_supervisor_health_of_a_take_over_is_as_it_was(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    world_drop(world);
    world_open(world, false, false);
    follow(world);
    expect("app- base+ spare- well ");
    fake_link_answer_list(&world->link);
    world_turn(world);
    expect("");
}

static void test_supervisor_health_leaving_is_told_once_and_for_good(void **state)
{
    struct world *world = *state;
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_start_base(world);
    follow(world);
    told[0] = '\0';
    world_begin(world, FLOCKS_OPERATION_KIND_SHUTDOWN, NULL, id);
    world_turn(world);
    expect("base- leaving ");
    world_turn(world);
    expect("");
}

static void test_supervisor_health_of_a_service_that_goes_is_taken_back(void **state)
{
    struct world *world = *state;
    struct service *spare;

    world_start_base(world);
    follow(world);
    told[0] = '\0';
    spare = supervisor_find(world->supervisor, "spare");
    service_ask(spare, SERVICE_EVENT_START, FLOCKS_STATE_REASON_REQUESTED, false);
    world_turn(world);
    expect("unwell ");
    supervisor_forget_health(spare);
    supervisor_tell_health(world->supervisor);
    expect("spare! well ");
}

static void test_supervisor_health_nobody_follows_nobody_is_told(void **state)
{
    struct world *world = *state;

    world_start_base(world);
    follow(world);
    supervisor_follow_health(world->supervisor, NULL);
    told[0] = '\0';
    (void)fake_link_end_child(&world->keeper, &world->link, 1, KILLED);
    world_run_until_spawns(world, 2);
    expect("");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_supervisor_health_tells_everything_at_once_then_changes),
        TEST(test_supervisor_health_of_the_whole_follows_what_is_wanted),
        TEST(test_supervisor_health_of_a_fresh_start_is_not_well_before_it_began),
        TEST(test_supervisor_health_of_a_take_over_is_as_it_was),
        TEST(test_supervisor_health_leaving_is_told_once_and_for_good),
        TEST(test_supervisor_health_of_a_service_that_goes_is_taken_back),
        TEST(test_supervisor_health_nobody_follows_nobody_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
