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
#include "server/supervise/sweeper.h"

enum {
    /* Last exits remembered; older ones are forgotten. */
    SERVICE_EXITS_MAX = 8,
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
    SERVICE_SWEEP_PATIENCE_MS = 500
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

enum watch_phase {
    WATCH_OFF,
    WATCH_SETTLE,  /* nothing to be seen: until it has lived for a moment */
    WATCH_PORTS,   /* until every port is its own */
    WATCH_STARTUP, /* until the startup probe passes */
    WATCH_READY,   /* until the ready probe passes */
    WATCH_SERVING  /* alive probe, else the ready one; and the ports */
};

/* What is being observed of the present run (service_watch.c). */
struct service_watch {
    enum watch_phase phase;
    int64_t settle_at;         /* WATCH_SETTLE: its end */
    const flocks_probe *probe; /* of the phase; NULL: none */
    struct probe_schedule schedule;
    struct probe *running;
    bool task_running;   /* an exec probe whose result is awaited */
    int64_t task_due_at; /* its timeout */
};

/* Whose sockets answer on its ports, the worst of them, as last looked at (service_ports.c). */
struct service_listening {
    uint32_t state;                /* flocks.v1.ListenerState */
    uint16_t port;                 /* the one that `state` is about */
    struct listener_holder holder; /* FOREIGN, also before a start; else zeroed */
    int64_t due_at;                /* when they are looked at again */
    int64_t lost_at; /* since when a port is not its own, or, while it starts, is another's;
                        CLOCK_NEVER: all are well */
    int64_t alarms_since; /* the kernel's messages since then ... */
    unsigned n_alarms;    /* ... of which so many were acted on */
};

struct service {
    struct supervisor *owner;
    char *name;
    uint32_t slot;
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
    bool is_retiring;         /* no configuration has it any more: gone when it is STOPPED */
    uint32_t config_revision; /* grows with each change of what stands above */
    struct service_facts facts;
    int64_t since_wall_ns;

    struct list launch; /* in supervisor.launches: its spawn waits for the state to be written */
    struct process_identity identity; /* of the present run; leader.pid 0: not known yet */
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    struct sweep sweep;              /* looks for what is left of it (service_end.c) */
    bool strays_told;                /* what is outside its group has had the stop signal */
    struct signalled_list signalled; /* of the present or last ending */
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
    bool task_alive;                       /* its slot is taken */
    struct process_identity task_identity; /* of its last exec probe */

    uv_timer_t timer;
    unsigned depth;                /* of service_feed */
    enum service_state told_state; /* last one logged */
    bool is_advancing;
    struct packed packed; /* state_save.c's */
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
void service_note_exit(struct service *service, const struct service_exit *exit);

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
/* Ports and probe are well: RECOVERED, if it was DEGRADED. */
void service_watch_recover(struct service *service);
/* The exec probe in its task slot ended. */
void service_task_exited(struct service *service, const struct keeper_exit *exit);

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
/* The kernel says that something on a port of it is gone. */
void service_ports_alarm(struct service *service, int64_t now);
/* Whoever holds its port may have been found. */
void service_ports_named(struct service *service, int64_t now);
void service_ports_end(struct service *service);

/* Runs one check by exec; the result comes to service_watch_result. */
void service_task_start(struct service *service, const flocks_exec_check *check, int64_t now);
void service_task_kill(struct service *service);
/* The probe has ended: with what it left behind, wherever that went. */
void service_task_bury(struct service *service);
void service_watch_result(struct service *service, bool passed, const char *message, int64_t now);

#endif
