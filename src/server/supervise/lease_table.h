/* The life of an upgrade lease as a table: which event is legal in which phase, which rule it
 * follows and where that rule may lead. Names, the tables of docs/leases.md, the machine and its
 * exhaustive test come from these lists. It holds no facts and decides nothing: lease_machine.h
 * does. */
#ifndef FLOCKS_SUPERVISE_LEASE_TABLE_H
#define FLOCKS_SUPERVISE_LEASE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Names and numbers of flocks.v1.UpgradePhase (asserted equal where they are translated), then the
 * steps between them, which clients see as the phase named last. */
/* clang-format off */
#define LEASE_PHASES(X)                                                                            \
    X(HELD,            1,  HELD,            "the services are the holder's: what dies is not started") \
    X(COMMITTING,      2,  COMMITTING,      "new generations are being started and asked for their version") \
    X(OBSERVING,       3,  OBSERVING,       "they are HEALTHY and have to stay so for a while")    \
    X(COMMITTED,       4,  COMMITTED,       "over: what answers is what was meant")                \
    X(ROLLING_BACK,    5,  ROLLING_BACK,    "the links are being put back; nothing is started")    \
    X(ROLLED_BACK,     6,  ROLLED_BACK,     "over: links and services are as before")              \
    X(ROLLBACK_FAILED, 7,  ROLLBACK_FAILED, "a link could not be put back; a person is needed")    \
    X(OPENING,         8,  HELD,            "the record is being written; nobody has the id yet")  \
    X(SEALING,         9,  OBSERVING,       "all is well; that it is committed is being written")  \
    X(RESTORING,       10, ROLLING_BACK,    "the links are back; what was wanted before is being started") \
    X(DROPPED,         11, HELD,            "it never was: its record could not be written, or a stop came first")

#define LEASE_EVENTS(X)                                                                            \
    X(WRITTEN,  "its record is on the disk")                                                       \
    X(REFUSED,  "its record cannot be written, or a link is not what it was said to be")           \
    X(RENEW,    "the holder lives")                                                                \
    X(COMMIT,   "the holder has done its part: start, ask for the version, observe")               \
    X(ABORT,    "somebody wants the old state back")                                               \
    X(STOP,     "a person stopped a service of it, or the daemon shuts down")                      \
    X(PASSED,   "every service that was wanted is HEALTHY in a new generation and told its version") \
    X(FAILED,   "a service did not become so, or did not stay so")                                 \
    X(RESTORED, "every link has its old target")                                                   \
    X(STUCK,    "a link could not be put back")                                                    \
    X(STARTED,  "what was wanted before has been started, well or not")                            \
    X(LOST,     "flocksd and its keeper both died: it comes from run/lease.pb")                    \
    X(DUE,      "the time that the phase had set has come")

/* Rules: name, phases that it may lead to, what is done. */
#define LEASE_RULES(X)                                                                             \
    X(ILLEGAL,  0,                              "answered with the lease as it is; nothing is done") \
    X(KEEP,     LEASE_SAME,                     "it is so already")                                \
    X(HOLD,     IN(HELD),                       "the holder is told its id; the TTL runs")         \
    X(DROP,     IN(DROPPED),                    "the holder is told why; what died meanwhile is started") \
    X(EXTEND,   LEASE_SAME,                     "the TTL begins anew")                             \
    X(BEGIN,    IN(COMMITTING),                 "the TTL ends; new generations are started")       \
    X(OBSERVE,  IN(OBSERVING) | IN(SEALING),    "looks on for as long as was asked")               \
    X(SEAL,     IN(SEALING),                    "writes that it is committed")                     \
    X(AGAIN,    IN(SEALING),                    "writes it again a little later")                  \
    X(FINISH,   IN(COMMITTED),                  "the result is kept")                              \
    X(ROLL_BACK, IN(ROLLING_BACK),              "puts the links back")                             \
    X(RESTORE,  IN(RESTORING),                  "starts what was wanted before")                   \
    X(END,      IN(ROLLED_BACK),                "the result is kept")                              \
    X(GIVE_UP,  IN(ROLLBACK_FAILED),            "the services stay PAUSED until a person decides")
/* clang-format on */

enum lease_phase {
#define LEASE_PHASE_ENTRY(name, number, shown, text) LEASE_##name = (number),
    LEASE_PHASES(LEASE_PHASE_ENTRY)
#undef LEASE_PHASE_ENTRY
        LEASE_PHASE_END
};

enum lease_event {
#define LEASE_EVENT_ENTRY(name, text) LEASE_EVENT_##name,
    LEASE_EVENTS(LEASE_EVENT_ENTRY)
#undef LEASE_EVENT_ENTRY
        LEASE_EVENT_COUNT
};

enum lease_rule {
#define LEASE_RULE_ENTRY(name, targets, text) LEASE_RULE_##name,
    LEASE_RULES(LEASE_RULE_ENTRY)
#undef LEASE_RULE_ENTRY
        LEASE_RULE_COUNT
};

/* The rule of one cell; LEASE_RULE_ILLEGAL also for numbers that are no phase or event. */
enum lease_rule lease_table_rule(enum lease_phase phase, enum lease_event event);
/* May `rule`, applied in `from`, lead to `to`? KEEP and EXTEND lead where they began. */
bool lease_table_allows(enum lease_rule rule, enum lease_phase from, enum lease_phase to);

/* What clients see: one of the first seven. */
enum lease_phase lease_phase_shown(enum lease_phase phase);
/* COMMITTED, ROLLED_BACK, ROLLBACK_FAILED, DROPPED. */
bool lease_phase_is_final(enum lease_phase phase);
/* Nothing of its services may be started in it. */
bool lease_phase_pauses(enum lease_phase phase);

/* Static texts; "?" for numbers that are none. */
const char *lease_phase_text(enum lease_phase phase);
const char *lease_phase_meaning(enum lease_phase phase);
const char *lease_event_text(enum lease_event event);
const char *lease_event_meaning(enum lease_event event);
const char *lease_rule_text(enum lease_rule rule);
const char *lease_rule_meaning(enum lease_rule rule);

#endif
