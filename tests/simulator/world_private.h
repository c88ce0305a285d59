/* What the files of world.c's noun share. */
#ifndef FLOCKS_SIMULATOR_WORLD_PRIVATE_H
#define FLOCKS_SIMULATOR_WORLD_PRIVATE_H

#include "server/supervise/service_machine.h"
#include "simulator/world.h"

enum { PENDING_MAX = 256 };

/* Odds in a thousand. */
struct character {
    unsigned exec_fails;
    unsigned ends_early;    /* before it is ready */
    unsigned ends_late;     /* some time after */
    unsigned ends_well;     /* with exit code 0 */
    unsigned never_ready;   /* until the start timeout */
    unsigned ignores_stop;  /* the leader does */
    unsigned leaves_strays; /* up to three */
    unsigned strays_obey;
    unsigned probe_fails;
    unsigned port_is_held; /* by somebody else, when it wants to start */
    unsigned prepare_fails;
};

/* The present run as the keeper and the kernel have it. */
enum run_state { RUN_NONE, RUN_FORKING, RUN_ALIVE, RUN_ENDED };

/* What the rules remember of a service, to judge what comes. */
struct memory {
    bool was_stopped; /* the last request was a stop */
    bool is_blocked;  /* a dependency is not ready, or the port is held */
    bool has_failed;  /* since then, and since the last stable time */
    bool has_given_up;
    bool on_trial;
    uint32_t burst;
    uint32_t failures[SERVICE_CAUSE_COUNT];
    int64_t failed_at; /* when its set was found empty */
    int64_t healthy_at;
};

struct being {
    uint32_t number;
    struct service_policy policy;
    struct character character;
    uint32_t after; /* bits of the services it waits for */

    struct service_facts facts;
    struct service_facts saved; /* in the keeper's memory */
    bool launch_due;            /* its spawn waits for the state to be written */
    unsigned depth;
    enum service_state told_state;
    uint32_t watch; /* changes when what was being watched is no longer */

    enum run_state run_state;
    uint32_t run; /* highest that the keeper was asked for */
    bool is_prepare;
    bool end_is_told; /* and what came of it is saved */
    bool ended_well;
    unsigned strays;
    bool port_is_held;

    struct memory memory;
    struct memory saved_memory;
};

enum happening {
    HAPPEN_SPAWN_ANSWERED,
    HAPPEN_LEADER_ENDS,
    HAPPEN_STRAY_ENDS,
    HAPPEN_READY,
    HAPPEN_UNHEALTHY,
    HAPPEN_RECOVERED,
    HAPPEN_UNRESPONSIVE,
    HAPPEN_PORT_FREED,
    HAPPEN_REQUEST
};

struct pending {
    int64_t at;
    enum happening what;
    struct being *being;
    uint32_t run;
    uint32_t watch;
};

enum death { DEATH_NONE, DEATH_BEFORE_SAVING, DEATH_BEFORE_LAUNCHING, DEATH_AFTERWARDS };

struct world {
    uint64_t random;
    int64_t now;
    unsigned turns_at_once;
    struct being beings[WORLD_SERVICES_MAX];
    uint32_t n_beings;
    struct pending pending[PENDING_MAX];
    size_t n_pending;
    bool is_ending; /* the last stop: nothing more is asked, nothing fails by itself */
    unsigned requests_left;
    unsigned deaths_in_1000;
    FILE *trace;
    struct world_result *result;
};

/* world.c */
uint32_t world_random(struct world *world, uint32_t below);
bool world_chance(struct world *world, unsigned in_1000);
/* The first complaint counts. */
void world_complain(struct world *world, const struct being *being, const char *text);
void world_expect(struct world *world, int64_t in_ms, enum happening what, struct being *being);

/* drive.c: flocksd's part, as service.c plays it. */
void drive_feed(struct world *world, struct being *being, const struct service_input *input);
void drive_observe(struct world *world, struct being *being, enum service_event event);
/* The end of a turn of the loop: state is saved, then spawns are asked for; or flocksd dies. */
void drive_end_turn(struct world *world);
/* Looks again at what an exit may have changed. */
void drive_recheck_ending(struct world *world, struct being *being);

/* kernel.c: processes. */
void kernel_launch(struct world *world, struct being *being);
void kernel_signal(struct world *world, struct being *being);
void kernel_kill(struct world *world, struct being *being);
bool kernel_is_empty(const struct being *being);
/* flocksd died: a fork that was under way comes to its end unheard. */
void kernel_settle_fork(struct world *world, struct being *being);
void kernel_happens(struct world *world, const struct pending *pending);

/* rules.c: what must never happen. */
void rules_before_launch(struct world *world, struct being *being);
void rules_after_step(struct world *world, struct being *being, const struct service_facts *before,
    const struct service_input *input, const struct service_step *step);
void rules_after_turn(struct world *world);
/* Nothing is pending and no timer runs. */
void rules_at_rest(struct world *world);

#endif
