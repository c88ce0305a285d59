/* A keeper that exists only in memory: remembers what flocksd asks for, answers when the test says
 * so. */
#ifndef FLOCKS_TEST_FAKE_LINK_H
#define FLOCKS_TEST_FAKE_LINK_H

#include "common/base/paths.h"
#include "server/keeper/link.h"

enum { FAKE_SLOTS = 8, FAKE_CALLS_MAX = 64 };

struct fake_child {
    bool alive;
    uint32_t generation;
    int32_t pid;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    uint64_t mark;
};

/* Outlives links, as the keeper outlives flocksd. */
struct fake_keeper {
    struct fake_child children[FAKE_SLOTS];
    char outputs[FAKE_SLOTS][256]; /* log paths; "": none */
    uint64_t output_sizes[FAKE_SLOTS];
    unsigned spawns;                    /* asked for in all */
    unsigned signals;                   /* to groups, without SIGCONT */
    uint32_t signalled[FAKE_CALLS_MAX]; /* slots, in order */
    uint64_t sequence;
    uint64_t acknowledged;
    int32_t next_pid;
    uint64_t start_ticks; /* of all its children; 0: of no process that there is */
    uint64_t strays;
    char prepared[3 * 256]; /* paths and version of the last images */
    keeper_done_fn prepared_done;
    void *prepared_data;
    uint64_t strays_per_look; /* reaped between one question and the next */
    /* Not 0: the next spawn leaves a copy of this memory as it was then, in state_copy_fd. */
    int copies_state_from;
    int state_copy_fd;
};

/* A link of one flocksd. `refuses` makes the next spawns fail with this errno. */
struct keeper_link {
    struct fake_keeper *keeper;
    const struct keeper_link_events *events;
    void *events_data;
    keeper_listed_fn listed;
    void *listed_data;
    struct {
        keeper_spawned_fn done;
        void *data;
        uint32_t slot;
    } spawning[FAKE_CALLS_MAX];
    unsigned n_spawning;
    int refuses;
};

/* An instance that is not on disk, of this process alone: the control groups that go by its root
 * are real ones where the machine lets us make some. */
void fake_paths(struct paths *out);
void fake_link_open(struct fake_keeper *keeper, struct keeper_link *out);
/* Answers the list of children, after which the supervisor is reconciled. */
void fake_link_answer_list(struct keeper_link *link);
/* Answers all spawns that wait. */
void fake_link_answer_spawns(struct keeper_link *link);
/* A copy of the state as it is now, in keeper->state_copy_fd. */
void fake_keeper_copy_state(struct fake_keeper *keeper, int state_fd);
/* As keeper_link_close: what waits is answered with UNAVAILABLE. */
void fake_link_close(struct keeper_link *link);
/* The child of a slot ends; told if a link is given, else kept by its number only. Returns its
 * exit. */
struct keeper_exit fake_link_end_child(
    struct fake_keeper *keeper, struct keeper_link *link, uint32_t slot, int wait_status);

#endif
