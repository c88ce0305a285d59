/* Every mutation as an object: who asked, for what, how far it is, what came of it. Serialised per
 * service by a queue of steps, parallel across services; identical ones join; a stop ends what
 * others still want. Values in, values out: it tells no machine anything and calls nobody back. */
#ifndef FLOCKS_SUPERVISE_OPERATIONS_H
#define FLOCKS_SUPERVISE_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/packed.h"
#include "server/supervise/supervisor.h"

enum {
    /* Signalled processes remembered of one ending; more are signalled all the same. */
    SIGNALLED_MAX = 256,
    OPERATION_REQUEST_ID_SIZE = 64,
    OPERATION_SERVICE_SIZE = 64,
    /* Callers that joined whose request_id is remembered, besides the first one's; of more the
     * latest, who may still repeat their requests. */
    OPERATION_JOINED_IDS_MAX = 64,
    /* Watchers hear of progress when so many bytes could have been told of it per millisecond since
     * the last time: one operation on a thousand services must not push everything else out of the
     * ring. Its beginning and its end are told at once. */
    OPERATION_TOLD_BYTES_PER_MS = 64,
    OPERATION_MESSAGE_SIZE = 256,
    OPERATION_EXECUTABLE_SIZE = 256
};

/* A process that had to be signalled. */
struct signalled {
    pid_t pid;
    int signal_number;
    bool stray; /* outside the leader's group */
    char executable[OPERATION_EXECUTABLE_SIZE];
};

/* Owns its items. Zeroed: empty. */
struct signalled_list {
    struct signalled *items;
    size_t n;
};
/* Also remembers a second signal to the same process as such; silently full. */
void signalled_add(struct signalled_list *list, const struct signalled *item);
bool signalled_has(const struct signalled_list *list, pid_t pid, int signal_number);
void signalled_clear(struct signalled_list *list);

struct operation;

/* One service's part. */
struct operation_step {
    struct list queue_link; /* in operations.queues[slot] until it has ended */
    struct operation *operation;
    uint32_t slot;                        /* another's, perhaps, once it has ended */
    char service[OPERATION_SERVICE_SIZE]; /* its name */
    enum flocks_config_impact impact;     /* of APPLY_CONFIG */
    enum flocks_operation_state state;
    uint32_t reason; /* flocks.v1.StateReason */
    char message[OPERATION_MESSAGE_SIZE];
    uint32_t from_generation;
    uint32_t to_generation;
    bool issued;     /* the service has been told */
    bool launched;   /* a generation of it has been asked for: too late to join a restart */
    bool was_wanted; /* when it was told */
    bool preempted;  /* another operation ended it before its time */
    int64_t issued_at;
    struct signalled_list signalled;
};

struct operation {
    struct list link; /* in operations.all, oldest first */
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    char request_id[OPERATION_REQUEST_ID_SIZE];
    char (*joined_ids)[OPERATION_REQUEST_ID_SIZE]; /* oldest first */
    size_t n_joined_ids;
    enum flocks_operation_kind kind;
    enum flocks_operation_state state;
    bool skip_prepare;
    bool pauses; /* STOP by the holder of a lease: what it ends stays wanted */
    int64_t began_wall_ns;
    int64_t ended_wall_ns;
    int64_t ended_at;
    int64_t deadline_at; /* CLOCK_NEVER: none */
    int64_t deadline_wall_ns;
    int32_t requester_pid;
    uint32_t requester_uid;
    uint32_t joined;
    /* Of one without steps (REPLACE_DAEMON): what it is at, and in the end why it failed. */
    char message[OPERATION_MESSAGE_SIZE];
    uint32_t revision;      /* grows with each change */
    bool is_changed;        /* since operations_take_changed */
    uint32_t told_revision; /* that watchers and waiters have been told */
    int64_t tell_at;        /* not before, unless it has ended */
    bool is_told;           /* since operations_take_told: its waiters are to hear */
    struct list waits;      /* of supervisor_wait */
    size_t n_steps;
    size_t n_ended;
    struct operation_step *steps;
    struct packed packed; /* state_save.c's; of one that has ended */
};

struct operations {
    struct list all;
    size_t count;
    uint32_t n_queues;
    struct list *queues; /* by slot: steps, the first one is active */
    uint32_t next;       /* number in the next id */
    uint32_t instance;   /* and the other half of it */
};

NODISCARD int operations_init(
    struct operations *operations, uint32_t n_slots, uint32_t instance, struct error *error);
/* Waits must be gone. */
void operations_deinit(struct operations *operations);

/* What is wanted; all borrowed. Slots are distinct and in ascending order. */
struct operation_request {
    enum flocks_operation_kind kind;
    const uint32_t *slots;
    const char *const *names;                 /* of the slots' services */
    const enum flocks_config_impact *impacts; /* APPLY_CONFIG; else NULL */
    size_t n_slots;
    const char *request_id; /* "" : none */
    bool skip_prepare;
    bool pauses;
    int64_t now;
    int64_t wall_ns;
    int64_t timeout_ms; /* 0: none */
    int32_t requester_pid;
    uint32_t requester_uid;
};

/* operations_begin: an operation that is there already answers the request. */
#define OPERATIONS_JOINED 1

/* A new operation with its steps queued, or the one with the same request_id, or an identical
 * running one (a restart only while no generation of it has been launched). STOP and SHUTDOWN
 * cancel the steps of others that are before them in their queues, RESTART those of START.
 * ALREADY_EXISTS: the request_id belongs to another kind. RESOURCE_EXHAUSTED: all
 * SUPERVISOR_OPERATIONS_MAX run, or memory. */
NODISCARD int operations_begin(struct operations *operations,
    const struct operation_request *request, struct operation **out, struct error *error);

/* NULL: unknown, or forgotten. */
struct operation *operations_find(const struct operations *operations, const char *id);
/* The one that began last and has a part for this service; NULL: none is remembered. */
const struct operation *operations_last_of(
    const struct operations *operations, uint32_t slot, const char *service);
/* "start", "shutdown", ... */
const char *operation_kind_text(enum flocks_operation_kind kind);
/* The step that a service is at; NULL: none. */
struct operation_step *operations_active_step(const struct operations *operations, uint32_t slot);
/* Does a step that waits, or is carried out, end the service for good? */
bool operations_is_ending(const struct operations *operations, uint32_t slot);
/* By the client's own name for it; NULL: none. */
struct operation *operations_find_request(
    const struct operations *operations, const char *request_id);
/* The step of an operation for one service; NULL: not part of it. */
struct operation_step *operation_find_step(const struct operation *operation, uint32_t slot);
bool operation_has_ended(const struct operation *operation);

/* How a step ended: SUCCEEDED, FAILED, CANCELLED or DEADLINE_EXCEEDED. */
struct step_outcome {
    enum flocks_operation_state state;
    uint32_t reason;
    const char *message;
    uint32_t to_generation;
    bool preempted;
};
/* Takes the step out of its queue; with the last one the operation has ended, as its worst step
 * did. */
void operation_end_step(
    struct operation_step *step, const struct step_outcome *outcome, int64_t now, int64_t wall_ns);
/* Of one without steps: what it is at; and its end, SUCCEEDED, FAILED, CANCELLED or INTERRUPTED. */
void operation_say(struct operation *operation, const char *message);
void operation_end(struct operation *operation, enum flocks_operation_state state,
    const char *message, int64_t now, int64_t wall_ns);
/* The oldest of this kind that has not ended; NULL: none. */
struct operation *operations_find_running(
    const struct operations *operations, enum flocks_operation_kind kind);
/* Progress that people may see. */
void operation_touch(struct operation *operation);

/* An operation that has changed and may be told of now, whose mark is taken away; NULL: none.
 * Whoever takes it says by operation_told how many bytes that took. */
struct operation *operations_take_changed(struct operations *operations, int64_t now);
void operation_told(struct operation *operation, size_t len, int64_t now);
/* One that was told of, whose waiters have not heard; NULL: none. */
struct operation *operations_take_told(struct operations *operations);
/* A caller that joined it and may repeat its request; "" is not remembered. */
void operation_remember_request(struct operation *operation, const char *request_id);
/* An operation whose deadline has passed; NULL: none. */
struct operation *operations_find_overdue(const struct operations *operations, int64_t now);
/* When operations_find_overdue or operations_forget has work next; CLOCK_NEVER: not. */
int64_t operations_due_at(const struct operations *operations);
/* Forgets what ended SUPERVISOR_OPERATION_KEPT_MS ago and has no waits. */
void operations_forget(struct operations *operations, int64_t now);

/* For a take-over: an operation as the state has it, its queues still to be filled by
 * operation_restore_step in the order of `all`. NULL: memory. */
struct operation *operations_restore(struct operations *operations, size_t n_steps);
/* Puts a restored step into its queue unless it has ended. */
void operation_restore_step(struct operations *operations, struct operation_step *step);

#endif
