/* A supervisor on a real loop with a keeper made of memory, and the daemon's three services: "app"
 * (after "base"), "base" and "spare" (start: false), in slots 0, 1, 2. */
#ifndef FLOCKS_TEST_SUPERVISE_WORLD_H
#define FLOCKS_TEST_SUPERVISE_WORLD_H

#include <stdbool.h>
#include <uv.h>

#include "fake_link.h"
#include "patience.h"
#include "server/supervise/supervisor.h"

enum {
    STATE_BYTES = 1024 * 1024,
    KILLED = 9 /* wait status of SIGKILL */
};

struct world {
    uv_loop_t loop;
    int state_fd;
    struct fake_keeper keeper;
    struct keeper_link link;
    struct paths paths;
    const struct config_request *config_request; /* NULL: nothing is planned */
    struct supervisor *supervisor;
    const char *replacement;                     /* as the keeper says Hello; NULL: none */
    char replaced[SUPERVISOR_OPERATION_ID_SIZE]; /* main was asked to give its place for it */
    unsigned ended;
    unsigned closed;
};

/* As main does: everything that starts with the daemon, before the keeper has told its children. */
void world_begin_all(struct world *world);
/* A flocksd: `fresh` with the configuration, else from the state; `start`: as main begins. */
void world_open(struct world *world, bool fresh, bool start);
/* One turn that waits for nothing: what was changed is written. */
void world_turn(struct world *world);
/* Spawns are asked for when the state that speaks of them has been written: at the turn's end. */
void world_answer_spawns(struct world *world);
/* Asked for in all. */
unsigned world_spawns_of(struct world *world);
/* flocksd is gone; the keeper and the state stay. */
void world_drop(struct world *world);
/* The state as it was when the copy was made: flocksd was killed then. */
void world_use_state_copy(struct world *world);
/* For cmocka. */
int world_set_up(void **state);
int world_tear_down(void **state);
/* As GetStatus says. */
enum flocks_service_state world_state_of(struct world *world, size_t slot);
uint32_t world_generation_of(struct world *world, size_t slot);
/* Fails the test after PATIENCE_MS. */
void world_run_until_state(struct world *world, size_t slot, enum flocks_service_state wanted);
/* How soon an end is known to be one is not for the test to say: until so many spawns were asked
 * for in all. */
void world_run_until_spawns(struct world *world, unsigned wanted);
/* NULL: of all services. */
void world_begin(struct world *world, enum flocks_operation_kind kind, const char *service,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE]);
enum flocks_operation_state world_operation_state(struct world *world, const char *id);
/* A fresh flocksd with "base" HEALTHY. */
void world_start_base(struct world *world);

#endif
