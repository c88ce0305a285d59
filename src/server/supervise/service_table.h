/* The life of a service as a table: which event is legal in which state, which rule it follows and
 * where that rule may lead. Names, the diagram of docs/state-machine.md, the machine and its
 * exhaustive test come from these lists. It holds no facts and decides nothing: service_machine.h
 * does. */
#ifndef FLOCKS_SUPERVISE_SERVICE_TABLE_H
#define FLOCKS_SUPERVISE_SERVICE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Names and order of flocks.v1.ServiceState; the numbers are asserted equal where they are
 * translated. */
/* clang-format off */
#define SERVICE_STATES(X)                                                                          \
    X(STOPPED,   1)                                                                                \
    X(WAITING,   2)                                                                                \
    X(PREPARING, 3)                                                                                \
    X(STARTING,  4)                                                                                \
    X(HEALTHY,   5)                                                                                \
    X(DEGRADED,  6)                                                                                \
    X(STOPPING,  7)                                                                                \
    X(BACKOFF,   8)                                                                                \
    X(PAUSED,    9)                                                                                \
    X(FAILED,    10)                                                                               \
    X(COMPLETED, 11)

/* What is asked for, and what is observed of the present generation. */
#define SERVICE_EVENTS(X)                                                                          \
    X(START,          "somebody wants it to run")                                                  \
    X(STOP,           "somebody wants it to end, or the daemon shuts down")                        \
    X(RESTART,        "somebody wants a new generation")                                           \
    X(CLEARED,        "nothing stands in the way: what it waits for is ready, its ports are free") \
    X(BLOCKED,        "a dependency is not ready, or a foreign process holds a port")              \
    X(PAUSE,          "a lease keeps it from running, its holder wants it out of the way")         \
    X(SPAWNED,        "the keeper has exec'd it")                                                  \
    X(SPAWN_FAILED,   "it could not be exec'd; no process was left behind")                        \
    X(PREPARED,       "the prepare step's leader ended with success")                              \
    X(PREPARE_FAILED, "the prepare step's leader ended otherwise")                                 \
    X(READY,          "it owns its ports and its startup and ready probes passed")                 \
    X(UNHEALTHY,      "a probe fails, or a port is not its own; reported only")                    \
    X(RECOVERED,      "what made it unhealthy is over")                                            \
    X(UNRESPONSIVE,   "a probe failed often enough, or a port was lost long enough, to restart it") \
    X(EXITED,         "the leader has ended")                                                      \
    X(EMPTIED,        "no process of the generation is left")                                      \
    X(DUE,            "the time that the state had set has come")                                  \
    X(EXTENDED,       "it asks for more time to start or to stop (EXTEND_TIMEOUT_USEC)")

/* Rules: name, states that it may lead to, what is done. */
#define SERVICE_RULES(X)                                                                           \
    X(ILLEGAL,   0,                                                "logged and ignored")           \
    X(KEEP,      SERVICE_SAME,                                     "nothing to do")                \
    X(BEGIN,     IN(WAITING),                                      "counters begin anew; may it start?") \
    X(RETRY,     IN(WAITING),                                      "may it start? counters stay")  \
    X(HOLD,      IN(WAITING),                                      "asks again a little later")    \
    X(LAUNCH,    IN(PREPARING) | IN(STARTING),                     "runs the prepare step, then the service") \
    X(CANCEL,    IN(STOPPED),                                      "nothing runs")                 \
    X(PAUSE,     IN(PAUSED),                                       "stays wanted; nothing runs until the lease ends") \
    X(SUSPEND,   IN(STOPPING),                                     "stop signal to the group; stays wanted") \
    X(DEFER,     IN(STOPPING),                                     "what was to start after the end waits for the lease") \
    X(NOTE,      SERVICE_SAME,                                     "remembers the process")        \
    X(UNBORN,    IN(WAITING) | IN(BACKOFF) | IN(FAILED),            "as a failed start")            \
    X(ABANDON,   IN(STOPPED) | IN(WAITING) | IN(BACKOFF) | IN(PAUSED) | IN(FAILED), "there is nothing to end: what was to follow") \
    X(PROCEED,   IN(STOPPING),                                     "ends what the prepare step left, then goes on") \
    X(FAIL,      IN(STOPPING),                                     "ends what is left, then tries again") \
    X(SUCCEED,   IN(HEALTHY),                                      "serves; watched from now on")  \
    X(DEGRADE,   IN(DEGRADED),                                     "serves badly; reported")       \
    X(SETTLE,    IN(HEALTHY),                                      "a stable time has passed: counters begin anew") \
    X(END,       IN(STOPPING),                                     "stop signal to the group, then the grace") \
    X(REPLACE,   IN(STOPPING),                                     "stop signal to the group, then a new generation") \
    X(AFTERWARDS, IN(STOPPING),                                    "changes what follows the end") \
    X(OBITUARY,  IN(STOPPING),                                     "kills what is left, then as the policy says") \
    X(BURY,      IN(STOPPING),                                     "waits for what is left")       \
    X(ESCALATE,  IN(STOPPING),                                     "looks again; kills once the grace is over") \
    X(PROLONG,   SERVICE_SAME,                                     "the start timeout or the grace ends later, within a bound") \
    X(FOLLOW,    IN(STOPPED) | IN(WAITING) | IN(BACKOFF) | IN(PAUSED) | IN(FAILED) | IN(COMPLETED), "does what was to follow the end")
/* clang-format on */

enum service_state {
#define SERVICE_STATE_ENTRY(name, number) SERVICE_##name = (number),
    SERVICE_STATES(SERVICE_STATE_ENTRY)
#undef SERVICE_STATE_ENTRY
        SERVICE_STATE_END
};

enum service_event {
#define SERVICE_EVENT_ENTRY(name, text) SERVICE_EVENT_##name,
    SERVICE_EVENTS(SERVICE_EVENT_ENTRY)
#undef SERVICE_EVENT_ENTRY
        SERVICE_EVENT_COUNT
};

enum service_rule {
#define SERVICE_RULE_ENTRY(name, targets, text) SERVICE_RULE_##name,
    SERVICE_RULES(SERVICE_RULE_ENTRY)
#undef SERVICE_RULE_ENTRY
        SERVICE_RULE_COUNT
};

/* The rule of one cell; SERVICE_RULE_ILLEGAL also for numbers that are no state or event. */
enum service_rule service_table_rule(enum service_state state, enum service_event event);
/* May `rule`, applied in `from`, lead to `to`? KEEP, NOTE and PROLONG lead where they began. */
bool service_table_allows(enum service_rule rule, enum service_state from, enum service_state to);

/* Static texts: "HEALTHY", "EXITED", "OBITUARY"; "?" for numbers that are none. */
const char *service_state_text(enum service_state state);
const char *service_event_text(enum service_event event);
const char *service_event_meaning(enum service_event event);
const char *service_rule_text(enum service_rule rule);
const char *service_rule_meaning(enum service_rule rule);

#endif
