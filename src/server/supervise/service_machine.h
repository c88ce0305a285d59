/* The life of one service as a pure function: facts, an event and the time give new facts and a
 * list of things to do. It knows no process, loop, clock or message; whoever performs the actions
 * feeds what comes of them back as events, so a simulator can drive it as well as the daemon does.
 */
#ifndef FLOCKS_SUPERVISE_SERVICE_MACHINE_H
#define FLOCKS_SUPERVISE_SERVICE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "server/supervise/service_table.h"

enum {
    /* From exec to READY; then the start counts as failed (START_TIMEOUT). */
    SERVICE_START_TIMEOUT_MS = 3 * 60 * 1000,
    /* Restarts of a burst that come at once; restart.delay begins after them. */
    SERVICE_IMMEDIATE_RESTARTS = 3,
    /* Shortest delay after those: a service configured without one must not spin the machine. */
    SERVICE_DELAY_MIN_MS = 10,
    /* A service that may not start yet asks again this often. */
    SERVICE_RECHECK_MS = 500,
    /* A set that is being ended is asked about this often, should nothing else tell that it is
       empty. */
    SERVICE_END_CHECK_MS = 1000,
    /* An open breaker tries again after this many times max_delay, within the two bounds below. */
    SERVICE_TRIAL_FACTOR = 10,
    SERVICE_TRIAL_MIN_MS = 60 * 1000,
    SERVICE_TRIAL_MAX_MS = 24 * 60 * 60 * 1000,
    /* Bytes of the sentence that explains the state, with its NUL. */
    SERVICE_MESSAGE_SIZE = 256
};

/* Why a run failed, each with its own count (the breaker). */
#define SERVICE_CAUSES(X)                                                                          \
    X(NONE)                                                                                        \
    X(EXEC)                                                                                        \
    X(PREPARE)                                                                                     \
    X(EARLY_EXIT)                                                                                  \
    X(LATE_EXIT)                                                                                   \
    X(START_TIMEOUT)                                                                               \
    X(PROBE)                                                                                       \
    X(LISTENER)                                                                                    \
    X(OOM)

enum service_cause {
#define SERVICE_CAUSE_ENTRY(name) SERVICE_CAUSE_##name,
    SERVICE_CAUSES(SERVICE_CAUSE_ENTRY)
#undef SERVICE_CAUSE_ENTRY
        SERVICE_CAUSE_COUNT
};

/* What comes when the present set is empty. */
enum service_next {
    SERVICE_NEXT_STAY,     /* STOPPED */
    SERVICE_NEXT_BEGIN,    /* a new generation, as asked */
    SERVICE_NEXT_PROCEED,  /* the prepare step is done: the service itself */
    SERVICE_NEXT_RETRY,    /* a failed run: again at once, later or no more */
    SERVICE_NEXT_COMPLETE, /* COMPLETED */
    SERVICE_NEXT_PAUSE,    /* PAUSED: still wanted, but a lease holds it */
    SERVICE_NEXT_COUNT
};

/* flocks.v1.RestartPolicy without its zero. */
enum service_restart { SERVICE_RESTART_ALWAYS, SERVICE_RESTART_ON_FAILURE, SERVICE_RESTART_NEVER };

/* What the configuration says about it. */
struct service_policy {
    bool has_prepare;
    enum service_restart restart;
    uint32_t give_up_after; /* 0: never */
    int64_t delay_ms;
    int64_t max_delay_ms;
    int64_t stable_after_ms;
    int64_t stop_grace_ms;
    int64_t prepare_timeout_ms;
    int64_t start_timeout_ms;
};

/* Everything that is remembered about its life; a plain value that outlives flocksd in the state.
 */
struct service_facts {
    enum service_state state;
    uint32_t reason; /* flocks.v1.StateReason */
    enum service_next next;
    enum service_cause cause; /* of the run that failed, until the next one begins */
    bool wanted;
    bool prepared;       /* the prepare step is not due (again) */
    bool skip_prepare;   /* ... for the start under way only */
    bool trial;          /* the breaker was open: one failure opens it again */
    bool killing;        /* STOPPING: no more grace */
    bool leader_gone;    /* STOPPING: only others can be left */
    bool spawning;       /* SPAWNED or SPAWN_FAILED has not come yet */
    uint32_t generation; /* of the service's last run that was asked for; 0: none yet */
    /* Prepare steps and generations together: what the keeper calls them. */
    uint32_t last_run;
    uint32_t run;           /* the present one; 0: none */
    uint32_t restart_count; /* new generations that nobody asked for */
    uint32_t burst;         /* failures since the last stable time */
    uint32_t failures[SERVICE_CAUSE_COUNT];
    int32_t pid; /* leader of the present run, 0 while there is none */
    uint64_t start_ticks;
    int64_t since_at;   /* when this state began */
    int64_t due_at;     /* when DUE is to come; CLOCK_NEVER: not */
    int64_t kill_at;    /* STOPPING: end of the grace */
    int64_t spawned_at; /* 0 while nothing runs */
    char message[SERVICE_MESSAGE_SIZE];
};

/* An event with what belongs to it. Only EXITED and the failing ones read `reason` and `message`.
 */
struct service_input {
    enum service_event event;
    int64_t now;
    uint32_t reason;     /* flocks.v1.StateReason; 0: the machine's own choice */
    const char *message; /* for people; NULL: none */
    bool success;        /* EXITED: code 0 */
    bool oom;            /* EXITED: the kernel's memory killer */
    bool skip_prepare;   /* START, RESTART */
    int32_t pid;         /* SPAWNED */
    uint64_t start_ticks;
    int64_t extend_ms; /* EXTENDED: from now on */
    uint32_t random;   /* any number: jitter */
};

enum service_action {
    /* Find out whether it may start; answer CLEARED or BLOCKED. */
    SERVICE_ACTION_CHECK,
    /* Run the prepare step or the service as `facts.run`; answer SPAWNED or SPAWN_FAILED. */
    SERVICE_ACTION_PREPARE,
    SERVICE_ACTION_SPAWN,
    /* Watch ports and probes: READY, then UNHEALTHY, RECOVERED, UNRESPONSIVE. */
    SERVICE_ACTION_WATCH,
    /* No such event may come any more. */
    SERVICE_ACTION_UNWATCH,
    /* The configured signal to the group of the present run. */
    SERVICE_ACTION_SIGNAL,
    /* Everything of the present run is killed. */
    SERVICE_ACTION_KILL,
    /* Answer EMPTIED as soon as nothing of the present run is left. */
    SERVICE_ACTION_LOOK
};

enum { SERVICE_ACTIONS_MAX = 4 };

/* What came of one event. */
struct service_step {
    struct service_facts facts;
    enum service_rule rule; /* ILLEGAL: facts are unchanged and there is nothing to do */
    size_t n_actions;
    /* To be done in this order; only the last one may be answered at once. */
    enum service_action actions[SERVICE_ACTIONS_MAX];
};

/* A service nobody has asked anything of. */
struct service_facts service_machine_initial(int64_t now);

/* Applies one event. ILLEGAL besides the table's empty cells: DUE before `facts->due_at`, and
 * EMPTIED while the leader lives or is being spawned. The run of what was observed must have been
 * compared with `facts->run` before. */
struct service_step service_machine_apply(const struct service_policy *policy,
    const struct service_facts *facts, const struct service_input *input);

/* What must be done so that a machine whose owner died goes on: pure as the rest. `process_known`:
 * the keeper still has the present run, or its exit has been reported and will be fed as an event.
 */
struct service_step service_machine_resume(const struct service_policy *policy,
    const struct service_facts *facts, bool process_known, int64_t now);

/* Delay before restart number `burst` (from 1) of a burst: 0 for the first ones, then exponential
 * between three quarters and the whole of its step, up to max_delay. */
int64_t service_machine_delay_ms(
    const struct service_policy *policy, uint32_t burst, uint32_t random);

/* Does a process of it run, or may one? */
bool service_facts_has_run(const struct service_facts *facts);

#endif
