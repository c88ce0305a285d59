/* One service as the daemon drives it: the machine's facts, the processes behind them, and whoever
 * performs its actions. Private to the room: api and main see supervisor.h only.
 *
 * Holds no policy: that is service_machine.h (life), probe_schedule.h (health) and operations.h
 * (who asked). */
#ifndef FLOCKS_SUPERVISE_SERVICE_H
#define FLOCKS_SUPERVISE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "flocks/v1/config.names.h"

#include "server/keeper/link.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/listener.h"
#include "server/supervise/notify.h"
#include "server/supervise/operations.h"
#include "server/supervise/packed.h"
#include "server/supervise/probe.h"
#include "server/supervise/probe_history.h"
#include "server/supervise/probe_schedule.h"
#include "server/supervise/process_set.h"
#include "server/supervise/service_machine.h"
#include "server/supervise/service_spec.h"
#include "server/supervise/spawn_plan.h"
#include "server/supervise/sweeper.h"

enum {
    /* Last exits remembered (the schema's max_items); older ones are forgotten. */
    SERVICE_EXITS_MAX = 16,
    /* How often a starting service's ports are looked at: nothing tells of a listener that appears.
     */
    SERVICE_PORT_POLL_MS = 20,
    /* ... a serving one's, besides every probe, where the kernel does not tell of the end of
     * listeners. */
    SERVICE_PORT_CHECK_MS = 1000,
    /* ... where it does, if it has no probe as frequent as that: shutdown() makes no message. */
    SERVICE_PORT_SLOW_MS = 10000,
    /* ... and one that was lost: one part in so many of the time since, between the first two. */
    SERVICE_PORT_LOST_SHARE = 8,
    /* Looks at one service that the kernel's messages may cause within such a time; then only at
     * its end. */
    SERVICE_PORT_ALARMS_MAX = 16,
    SERVICE_PORT_ALARMS_MS = 100,
    /* A service that has neither port nor startup or ready probe is ready when it has lived this
       long: one that ends at once must not be called healthy. */
    SERVICE_SETTLE_MS = 200,
    /* Quick looks at one set each may take so much of the loop's time; beyond, the shared pass of
       the sweeper answers. */
    SERVICE_LOOKS_BUDGET_MS = 10,
    SERVICE_LOOKS_WINDOW_MS = 100,
    /* A pass that takes longer may hang: the group is killed through the keeper meanwhile. */
    SERVICE_SWEEP_PATIENCE_MS = 5000,
    /* An exec check that cannot be ended for so long counts as a failed one, each period. */
    SERVICE_TASK_STUCK_MS = 5000,
    /* After a take-over a promise may be so late, however many take-overs there are by no more than
       the second in all: what says that it was kept may still have to be sent, because the socket
       was full. */
    SERVICE_HEAR_GRACE_MS = 1000,
    SERVICE_HEAR_OUT_MS = 5000,
    /* Longest wait for the answer of a service that is asked for its version. */
    SERVICE_ASK_TIMEOUT_MS = 5000
};

/* No slot for exec probes. */
#define SERVICE_NO_SLOT UINT32_MAX

struct supervisor;

/* How a run ended. */
struct service_exit {
    uint32_t generation;
    int64_t ended_wall_ns;
    int64_t lived_ms;
    uint32_t reason;
    int wait_status;
    int error; /* errno of a failed start; then the rest of the outcome means nothing */
};

/* What has to be true before it is ready, in this order. */
enum watch_phase {
    WATCH_OFF,
    WATCH_SETTLE,   /* nothing to be seen: until it has lived for a moment */
    WATCH_PORTS,    /* until every port is its own */
    WATCH_STARTUP,  /* until the startup probe has passed, once */
    WATCH_NOTIFIED, /* until it says READY=1 */
    WATCH_READY,    /* until the ready probe passes */
    WATCH_SERVING   /* alive probe, else the ready one; the ports; its watchdog */
};

/* What is being observed of the present run (service_watch.c). */
struct service_watch {
    enum watch_phase phase;
    int64_t settle_at;    /* WATCH_SETTLE: its end */
    bool has_probe;       /* a probe of the phase runs; the next three are its own */
    enum probe_role role; /* ... by its place in the configuration */
    struct probe_schedule schedule;
    struct probe *running; /* HTTP or TCP check; exec: service_task */
    bool is_started;       /* the startup probe has passed */
    bool is_restored;      /* as a flocksd before left it: goes on there when it begins */
    bool void_told;        /* since the last check that said something */
    int64_t hear_again_at; /* a promise may be overdue, but not everything has been heard yet */
};

enum task_state {
    TASK_NONE,
    TASK_SPAWNING, /* asked for */
    TASK_RUNNING,  /* its result is awaited */
    TASK_ENDING    /* killed, or its leader has ended: until nothing of it is left */
};

/* An exec check: a set of processes of its own (service_task.c). */
struct service_task {
    enum task_state state;
    uint32_t run;     /* what the keeper calls it */
    bool is_spawning; /* its exec has not been answered yet */
    bool leader_gone;
    struct process_identity identity;
    int64_t started_at;
    int64_t due_at;     /* its timeout */
    struct sweep sweep; /* ENDING: of what is left */
    int64_t ending_since;
    bool has_killed; /* something of it was found */
};

/* Whose sockets answer on its ports, the worst of them, as last looked at (service_ports.c). */
struct service_listening {
    uint32_t state;                /* flocks.v1.ListenerState */
    uint16_t port;                 /* the one that `state` is about */
    struct listener_holder holder; /* FOREIGN, also before a start; else zeroed */
    bool is_search_pending;        /* the holder is being looked for */
    int64_t due_at;                /* when they are looked at again */
    int64_t lost_at;      /* since when a port is not its own, or, while it starts, is another's;
                             CLOCK_NEVER: all are well */
    int64_t alarms_since; /* the kernel's messages since then ... */
    unsigned n_alarms;    /* ... of which so many were acted on */
};

/* What watchers have been told of it (supervisor_events.c). */
struct service_news {
    struct list link;         /* in supervisor.news.services: there may be more to tell */
    uint64_t key;             /* of the status that was told last */
    enum service_state state; /* in it */
    bool has_exit;            /* exits[0] has not been told */
    int told_health;          /* supervisor_health.c */
    bool is_unwell;           /* counted in supervisor.health.n_unwell */
};

struct service {
    struct supervisor *owner;
    char *name;
    uint32_t slot;
    uint32_t config_revision; /* grows with each change of what follows */
    /* What it is made of (service_spec.h). While a run lasts these are of that run, but for what
     * has no effect on it. */
    flocks_service_config *config;
    struct service_policy policy;
    struct service_port *ports; /* most services have one or none */
    size_t n_ports;
    uint32_t *after; /* slots of what must be ready first */
    size_t n_after;
    size_t n_dependents;      /* services that have its slot in their `after` */
    struct service_spec next; /* takes the place of all that when no run is left; empty: nothing */
    struct service_facts facts;
    int64_t since_wall_ns;

    struct list launch; /* in supervisor.launches: its spawn waits for the state to be written */
    struct process_identity identity; /* of the present run; leader.pid 0: not known yet */
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    struct sweep sweep;              /* looks for what is left of it (service_end.c) */
    struct signalled_list signalled; /* of the present or last ending */
    char cgroup[CGROUP_NAME_MAX];    /* of the present run; "": none */
    bool is_uncounted;               /* the present run's orphans are not the keeper's */
    unsigned cgroup_missing;         /* enum cgroup_controller: configured and not in force */
    struct service_exit exits[SERVICE_EXITS_MAX]; /* newest first */
    size_t n_exits;

    union endpoint_address address; /* that reaches its first port */
    struct service_listening listening;
    struct service_watch watch;
    struct probe_history history;       /* of its probes, across generations */
    struct notified notified;           /* what the present run has said by sd_notify */
    char problem[SERVICE_MESSAGE_SIZE]; /* why it is not ready yet; "" : nothing known */
    uint32_t task_slot;                 /* of its exec probes; SERVICE_NO_SLOT: has none */
    uint32_t last_task;
    bool task_alive; /* its slot is taken: task.state is not TASK_NONE */
    struct service_task task;

    uv_timer_t timer;
    unsigned depth;                /* of service_feed */
    enum service_state told_state; /* last one logged */
    bool is_advancing;
    bool is_retiring;     /* no configuration has it any more: gone when it is STOPPED */
    bool strays_told;     /* what is outside its group has had the stop signal */
    bool is_owed;         /* a lease of before wanted it: the first start starts it, too */
    struct packed packed; /* state_save.c's */
    struct service_news news;
};

/* A service nobody has asked anything of. Takes the contents of `spec`, also on failure (memory).
 */
NODISCARD int service_init(struct service *service, struct supervisor *owner, uint32_t slot,
    const char *name, struct service_spec *spec, struct error *error);
/* Memory only; the timer is closed by the owner. */
void service_deinit(struct service *service);
/* Takes the contents of `spec`: at once if it has no run, or if `while_running` (nothing in it
 * changes what a run was started with), else when the present run is over. */
void service_change(struct service *service, struct service_spec *spec, bool while_running);
/* What waits for the end of its run, if it has none now. */
void service_take_next(struct service *service);

/* Applies one event and does what comes of it, other services' business included (dependents,
 * operations). */
void service_feed(struct service *service, const struct service_input *input);
/* What waits for it may start. */
bool service_is_ready(const struct service *service);
/* A request by an operation; `reason` of flocks.v1.StateReason. */
void service_ask(
    struct service *service, enum service_event event, uint32_t reason, bool skip_prepare);
/* Something observed of the present run, in words. */
void service_observe(
    struct service *service, enum service_event event, uint32_t reason, const char *message);
/* The keeper's news of its slot; news of another run than the present one is ignored. */
void service_exited(struct service *service, const struct keeper_exit *exit);
/* Asks again at once whether it may start, or whether its set is empty, if that is what it is at.
 */
void service_recheck(struct service *service);
/* Identity of the present run from its facts and invocation, as a state gave them. */
void service_identify(struct service *service);
/* After a take-over: `child` as the keeper has it, NULL if it has none of the present run. */
void service_resume(struct service *service, const struct keeper_child *child);
/* A child that the state knows nothing of: it becomes a run that is being ended. */
void service_adopt(struct service *service, const struct keeper_child *child);
/* Any number, for jitter; 0 without entropy. */
uint32_t service_random(void);
/* Sets the timer for what is due next. */
void service_arm(struct service *service);

/* service_run.c */
/* Gives the present run its identity; it is asked for by service_launch, when the state that speaks
 * of it has been written. */
void service_spawn(struct service *service);
void service_launch(struct service *service);
/* Which of its limits are not in force, of a run of a flocksd before. */
void service_recall_limits(struct service *service);
void service_note_exit(struct service *service, const struct service_exit *exit);
/* The text that processes carry in their environment. */
void service_note_invocation(struct process_identity *identity, const uint8_t *invocation);
/* A new set's identity but for its leader: what its processes carry. */
NODISCARD int service_choose_identity(
    struct process_identity *identity, uint8_t *invocation, struct error *error);
/* What every program of the service is started with; slot, run and command are left to the caller.
 */
struct spawn_plan_request service_plan(
    const struct service *service, const struct process_identity *identity);
/* Asks the keeper; the answer comes to the run or to the task. */
NODISCARD int service_send_spawn(struct service *service, const struct spawn_plan_request *request,
    bool is_task, struct error *error);

/* service_end.c */
void service_end_init(struct service *service);
/* The stop signal to the group of the present run. */
void service_signal(struct service *service);
/* Everything of the present run is killed, again and again until nothing is left: EMPTIED. */
void service_sweep(struct service *service);
/* EMPTIED as soon as it is proven that nothing is left of the present run, whose leader has ended;
 * perhaps before this returns. */
void service_look(struct service *service);
/* The keeper has reaped orphans: they may have been the last ones. */
void service_hurry_end(struct service *service);
/* Did the kernel's memory killer end the leader, which was sent SIGKILL by nobody of us? */
bool service_was_oom_killed(struct service *service);
/* The present run is over; nothing is looked for any more. */
void service_end_forget(struct service *service);
/* The quick answer for a set whose leader has been reaped; EMPTY is proven. UNSURE also when the
 * loop has spent enough time with such looks. */
enum process_emptiness service_looks_empty(
    struct service *service, const struct process_identity *identity);
/* Kills whatever is left of the present run, without the keeper. */
void service_kill(struct service *service);

/* service_watch.c */
void service_watch_begin(struct service *service, int64_t now);
void service_watch_end(struct service *service);
/* Around a change of its configuration: nothing refers to the old one; then the present phase goes
 * on as the new one says, its verdict kept. */
void service_watch_pause(struct service *service);
void service_watch_go_on(struct service *service, int64_t now);
/* Does what is due; may feed events. */
void service_watch_turn(struct service *service, int64_t now);
int64_t service_watch_due_at(const struct service *service);
/* RECOVERED, if it was DEGRADED and ports, probe and what it says are well. */
void service_watch_recover(struct service *service);
/* One check has ended; may feed events. */
void service_watch_result(struct service *service, const struct probe_result *result, int64_t now);
/* The next thing that has to be true before it is ready; READY if there is none. */
void service_watch_proceed(struct service *service, int64_t now);
/* Neither probes nor looks at ports any more: it says that it is stopping. */
void service_watch_be_silent(struct service *service);
/* Why it is not ready yet. */
void service_note_problem(struct service *service, const char *message);
/* The configured probe of a role; NULL: none. */
const flocks_probe *service_probe(const struct service *service, enum probe_role role);

/* service_notified.c */
/* One of its processes has said something by sd_notify; may feed events. True: it is said once, and
 * must be in the state before it may be forgotten. */
bool service_watch_notified(
    struct service *service, const struct notify_message *message, int64_t now);
/* After a take-over: who has promised something is heard first. */
void service_promises_restore(struct service *service, int64_t now);
/* UNRESPONSIVE if a promise is overdue, and what has been said meanwhile is heard. */
void service_promises_judge(struct service *service, int64_t now);
int64_t service_promises_due_at(const struct service *service);
/* Appends its last STATUS and ERRNO to the sentence about its end. */
void service_add_last_words(const struct service *service, char *message, size_t size);

/* service_check.c */
/* Starts one check of the watch's probe; the result comes to service_watch_result, perhaps at once.
 */
void service_check_start(struct service *service, const flocks_probe *probe, int64_t now);
/* No result comes any more. */
void service_check_cancel(struct service *service);
/* Asks by HTTP as `check` says, at the address that reaches the service, with one more expectation
 * than that has. As probe_start. */
NODISCARD int service_check_ask(struct service *service, const flocks_http_check *check,
    const struct probe_pair *expected, probe_done_fn done, void *context, struct probe **out,
    struct error *error);

/* service_ports.c */
/* Does nobody hold a port of it? Else why not, in words. */
bool service_ports_are_free(struct service *service, char *out_message, size_t out_size);
/* Is each its own, as far as anybody can tell? */
bool service_ports_are_own(struct service *service);
/* False: it has none. */
bool service_ports_begin_starting(struct service *service, int64_t now);
/* Is each its own? Else why not, in words; then it may feed UNRESPONSIVE. */
bool service_ports_poll(struct service *service, int64_t now, char *out_message, size_t out_size);
void service_ports_begin_serving(struct service *service, int64_t now);
/* Looks at them, whether due or not; may feed events. */
void service_ports_check(struct service *service, int64_t now);
/* Does the end of a listener mean anything now? Not once it has said that it stops. */
bool service_ports_are_watched(const struct service *service);
/* The kernel says that something on a port of it is gone. */
void service_ports_alarm(struct service *service, int64_t now);
/* Whoever holds its port may have been found. */
void service_ports_named(struct service *service, int64_t now);
void service_ports_end(struct service *service);

/* service_task.c */
void service_task_init(struct service *service);
/* Runs one check by exec, which is legal in TASK_NONE only; the result comes to
 * service_watch_result. */
void service_task_start(
    struct service *service, const flocks_exec_check *check, int64_t timeout_ms, int64_t now);
/* Kills it with everything it started; no result comes any more. */
void service_task_end(struct service *service);
/* The keeper's news of its slot. */
void service_task_answered(struct service *service, uint32_t run, int result,
    const struct keeper_spawned *spawned, const struct error *error);
void service_task_exited(struct service *service, const struct keeper_exit *exit);
/* After a take-over: a check of a flocksd before, as the keeper has it; it is ended. NULL: its
 * leader is gone, what the state knows of it is ended. */
void service_task_adopt(struct service *service, const struct keeper_child *child);
/* Does what is due: its timeout. */
void service_task_turn(struct service *service, int64_t now);
int64_t service_task_due_at(const struct service *service);

#endif
