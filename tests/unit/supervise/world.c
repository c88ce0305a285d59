#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/fd.h"

/* ---- its configuration ---- */

struct configuration {
    flocks_get_config_response response;
    flocks_config config;
    flocks_config_services_entry entries[3];
    flocks_config_services_entry *items[3];
    flocks_service_config services[3];
    flocks_stop_config stop;
    flocks_restart_config restart;
    Google__Protobuf__Duration grace;
    Google__Protobuf__Duration delay;
};

static const char *sleep_command[] = {"/bin/sleep", "1000"};
static const char *base_only[] = {"base"};

static void fill_service(struct configuration *c, size_t i, const char *name)
{
    c->services[i] = (flocks_service_config)FLOCKS_SERVICE_CONFIG_INIT;
    c->services[i].command = sleep_command;
    c->services[i].n_command = 2;
    c->services[i].directory = "/";
    c->services[i].host = "127.0.0.1";
    c->services[i].start = strcmp(name, "spare") != 0;
    c->services[i].stop = &c->stop;
    c->services[i].restart = &c->restart;
    c->entries[i] = (flocks_config_services_entry)FLOCKS_CONFIG_SERVICES_ENTRY_INIT;
    c->entries[i].key = name;
    c->entries[i].value = &c->services[i];
    c->items[i] = &c->entries[i];
}

static void fill_configuration(struct configuration *c)
{
    c->grace = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
    c->grace.seconds = 10;
    c->delay = c->grace;
    c->stop = (flocks_stop_config)FLOCKS_STOP_CONFIG_INIT;
    c->stop.grace = &c->grace;
    c->restart = (flocks_restart_config)FLOCKS_RESTART_CONFIG_INIT;
    c->restart.policy = FLOCKS_RESTART_POLICY_ALWAYS;
    c->restart.delay = &c->delay;
    c->restart.max_delay = &c->delay;
    c->restart.stable_after = &c->delay;
    c->restart.give_up_after = 5;
    fill_service(c, 0, "spare");
    fill_service(c, 1, "app");
    fill_service(c, 2, "base");
    c->services[1].after = base_only;
    c->services[1].n_after = 1;
    c->config = (flocks_config)FLOCKS_CONFIG_INIT;
    c->config.services = c->items;
    c->config.n_services = 3;
    c->response = (flocks_get_config_response)FLOCKS_GET_CONFIG_RESPONSE_INIT;
    c->response.config = &c->config;
    c->response.digest = "digest";
}

/* ---- running it ---- */

static void on_replace(void *data, const char *operation_id)
{
    struct world *world = data;

    (void)snprintf(world->replaced, sizeof world->replaced, "%s", operation_id);
}

static void on_ended(void *data)
{
    ((struct world *)data)->ended++;
}

static void on_closed(void *data)
{
    ((struct world *)data)->closed++;
}

/* As main does: everything that starts with the daemon, before the keeper has told its children. */
void world_begin_all(struct world *world)
{
    const struct supervisor_request request = {.kind = FLOCKS_OPERATION_KIND_START};
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    assert_int_equal(supervisor_begin(world->supervisor, &request, id, NULL), 0);
}

void world_open(struct world *world, bool fresh, bool start)
{
    struct configuration configuration;
    struct supervisor_setup setup = {.loop = &world->loop,
        .link = &world->link,
        .paths = &world->paths,
        .state_fd = world->state_fd,
        .notify_fd = -1,
        .keeper_pid = 1,
        .keeper_version = "test",
        .config_request = world->config_request,
        .ended = on_ended,
        .replacement = world->replacement,
        .replace = on_replace,
        .data = world};

    fill_configuration(&configuration);
    if (fresh)
        setup.config = &configuration.response;
    fake_link_open(&world->keeper, &world->link);
    assert_int_equal(supervisor_new(&setup, &world->supervisor, NULL), 0);
    if (fresh && start)
        world_begin_all(world);
}

/* One turn that waits for nothing: what was changed is written. */
void world_turn(struct world *world)
{
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* Spawns are asked for when the state that speaks of them has been written: at the turn's end. */
void world_answer_spawns(struct world *world)
{
    world_turn(world);
    fake_link_answer_spawns(&world->link);
}

unsigned world_spawns_of(struct world *world)
{
    world_turn(world);
    return world->keeper.spawns;
}

/* flocksd is gone; the keeper and the state stay. */
void world_drop(struct world *world)
{
    supervisor_close(world->supervisor, on_closed, world);
    fake_link_close(&world->link);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    world->supervisor = NULL;
}

/* The state as it was when the copy was made: flocksd was killed then. */
void world_use_state_copy(struct world *world)
{
    fd_close(&world->state_fd);
    world->state_fd = world->keeper.state_copy_fd;
}

int world_set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->state_fd = memfd_create("state", MFD_CLOEXEC);
    assert_int_equal(ftruncate(world->state_fd, KEEPER_STATE_BYTES), 0);
    fake_paths(&world->paths);
    *state = world;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *world = *state;

    if (world->supervisor != NULL)
        world_drop(world);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    fd_close(&world->state_fd);
    free(world);
    return 0;
}

/* ---- looking ---- */

/* "app": 0, "base": 1, "spare": 2. */
enum flocks_service_state world_state_of(struct world *world, size_t slot)
{
    struct arena arena;
    flocks_get_status_response response;
    enum flocks_service_state found;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    assert_int_equal(response.n_services, 3);
    found = response.services[slot]->state;
    arena_deinit(&arena);
    return found;
}

uint32_t world_generation_of(struct world *world, size_t slot)
{
    struct arena arena;
    flocks_get_status_response response;
    uint32_t found;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(supervisor_get_status(world->supervisor, NULL, 0, &arena, &response, NULL), 0);
    found = response.services[slot]->generation;
    arena_deinit(&arena);
    return found;
}

void world_run_until_state(struct world *world, size_t slot, enum flocks_service_state wanted)
{
    RUN_UNTIL(&world->loop, world_state_of(world, slot) == wanted);
}

void world_run_until_spawns(struct world *world, unsigned wanted)
{
    RUN_UNTIL(&world->loop, world->keeper.spawns >= wanted);
}

void world_begin(struct world *world, enum flocks_operation_kind kind, const char *service,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE])
{
    const struct supervisor_request request = {
        .kind = kind, .services = &service, .n_services = service != NULL ? 1 : 0};

    assert_int_equal(supervisor_begin(world->supervisor, &request, out_id, NULL), 0);
}

enum flocks_operation_state world_operation_state(struct world *world, const char *id)
{
    struct arena arena;
    flocks_operation *operation = NULL;
    enum flocks_operation_state state;

    arena_init(&arena, STATE_BYTES);
    assert_int_equal(
        supervisor_get_operation(world->supervisor, id, &arena, &operation, NULL, NULL), 0);
    state = operation->state;
    arena_deinit(&arena);
    return state;
}

void world_start_base(struct world *world)
{
    char id[SUPERVISOR_OPERATION_ID_SIZE];

    world_open(world, true, false);
    fake_link_answer_list(&world->link);
    world_begin(world, FLOCKS_OPERATION_KIND_START, "base", id);
    world_answer_spawns(world);
    world_run_until_state(world, 1, FLOCKS_SERVICE_STATE_HEALTHY);
    assert_int_equal(world_operation_state(world, id), FLOCKS_OPERATION_STATE_SUCCEEDED);
}
