#include "server/supervise/lease_table.h"

#include <stddef.h>

#define IN(phase) (1U << LEASE_##phase)
/* The rule leads where it began. */
#define LEASE_SAME UINT32_MAX
#define CELL(event, rule) [LEASE_EVENT_##event] = LEASE_RULE_##rule

/* An absent cell is ILLEGAL, which is 0. */
/* clang-format off */
static const uint8_t table[LEASE_PHASE_END][LEASE_EVENT_COUNT] = {
    [LEASE_OPENING] = {
        CELL(WRITTEN, HOLD), CELL(REFUSED, DROP), CELL(STOP, DROP),
    },
    [LEASE_HELD] = {
        CELL(RENEW, EXTEND), CELL(COMMIT, BEGIN), CELL(ABORT, ROLL_BACK), CELL(STOP, ROLL_BACK),
        CELL(LOST, ROLL_BACK), CELL(DUE, ROLL_BACK),
    },
    [LEASE_COMMITTING] = {
        CELL(COMMIT, KEEP), CELL(ABORT, ROLL_BACK), CELL(STOP, ROLL_BACK), CELL(PASSED, OBSERVE),
        CELL(FAILED, ROLL_BACK), CELL(LOST, ROLL_BACK), CELL(DUE, ROLL_BACK),
    },
    [LEASE_OBSERVING] = {
        CELL(COMMIT, KEEP), CELL(ABORT, ROLL_BACK), CELL(STOP, ROLL_BACK),
        CELL(FAILED, ROLL_BACK), CELL(LOST, ROLL_BACK), CELL(DUE, SEAL),
    },
    [LEASE_SEALING] = {
        CELL(WRITTEN, FINISH), CELL(REFUSED, AGAIN), CELL(COMMIT, KEEP), CELL(ABORT, ROLL_BACK),
        CELL(STOP, ROLL_BACK), CELL(LOST, ROLL_BACK), CELL(DUE, SEAL),
    },
    [LEASE_COMMITTED] = {
        CELL(COMMIT, KEEP), CELL(LOST, KEEP),
    },
    [LEASE_ROLLING_BACK] = {
        CELL(ABORT, KEEP), CELL(STOP, KEEP), CELL(RESTORED, RESTORE), CELL(STUCK, GIVE_UP),
        CELL(LOST, ROLL_BACK),
    },
    [LEASE_RESTORING] = {
        CELL(ABORT, KEEP), CELL(STOP, KEEP), CELL(STARTED, END), CELL(LOST, ROLL_BACK),
    },
    [LEASE_ROLLED_BACK] = {
        CELL(ABORT, KEEP), CELL(LOST, KEEP),
    },
    [LEASE_ROLLBACK_FAILED] = {
        CELL(ABORT, ROLL_BACK), CELL(STOP, KEEP), CELL(LOST, ROLL_BACK),
    },
};
/* clang-format on */

static const uint32_t rule_targets[LEASE_RULE_COUNT] = {
#define LEASE_RULE_TARGETS(name, targets, text) [LEASE_RULE_##name] = (targets),
    LEASE_RULES(LEASE_RULE_TARGETS)
#undef LEASE_RULE_TARGETS
};

struct text {
    const char *name;
    const char *meaning;
};

static const struct text phase_texts[LEASE_PHASE_END] = {
#define LEASE_PHASE_TEXT(name, number, shown, text) [LEASE_##name] = {#name, text},
    LEASE_PHASES(LEASE_PHASE_TEXT)
#undef LEASE_PHASE_TEXT
};

static const struct text event_texts[LEASE_EVENT_COUNT] = {
#define LEASE_EVENT_TEXT(name, text) [LEASE_EVENT_##name] = {#name, text},
    LEASE_EVENTS(LEASE_EVENT_TEXT)
#undef LEASE_EVENT_TEXT
};

static const struct text rule_texts[LEASE_RULE_COUNT] = {
#define LEASE_RULE_TEXT(name, targets, text) [LEASE_RULE_##name] = {#name, text},
    LEASE_RULES(LEASE_RULE_TEXT)
#undef LEASE_RULE_TEXT
};

static const uint8_t shown_phases[LEASE_PHASE_END] = {
#define LEASE_PHASE_SHOWN(name, number, shown, text) [LEASE_##name] = LEASE_##shown,
    LEASE_PHASES(LEASE_PHASE_SHOWN)
#undef LEASE_PHASE_SHOWN
};

enum lease_rule lease_table_rule(enum lease_phase phase, enum lease_event event)
{
    if ((unsigned)phase >= LEASE_PHASE_END || (unsigned)event >= LEASE_EVENT_COUNT)
        return LEASE_RULE_ILLEGAL;
    return (enum lease_rule)table[phase][event];
}

bool lease_table_allows(enum lease_rule rule, enum lease_phase from, enum lease_phase to)
{
    if ((unsigned)rule >= LEASE_RULE_COUNT || (unsigned)to >= LEASE_PHASE_END)
        return false;
    if (rule_targets[rule] == LEASE_SAME)
        return from == to;
    return (rule_targets[rule] & (1U << to)) != 0;
}

enum lease_phase lease_phase_shown(enum lease_phase phase)
{
    return (unsigned)phase < LEASE_PHASE_END ? (enum lease_phase)shown_phases[phase] : phase;
}

bool lease_phase_is_final(enum lease_phase phase)
{
    return phase == LEASE_COMMITTED || phase == LEASE_ROLLED_BACK ||
           phase == LEASE_ROLLBACK_FAILED || phase == LEASE_DROPPED;
}

bool lease_phase_pauses(enum lease_phase phase)
{
    return phase == LEASE_OPENING || phase == LEASE_HELD || phase == LEASE_ROLLING_BACK ||
           phase == LEASE_ROLLBACK_FAILED;
}

static const char *text_of(
    const struct text *texts, unsigned count, unsigned number, bool wants_name)
{
    const char *text = NULL;

    if (number < count)
        text = wants_name ? texts[number].name : texts[number].meaning;
    return text != NULL ? text : "?";
}

const char *lease_phase_text(enum lease_phase phase)
{
    return text_of(phase_texts, LEASE_PHASE_END, (unsigned)phase, true);
}

const char *lease_phase_meaning(enum lease_phase phase)
{
    return text_of(phase_texts, LEASE_PHASE_END, (unsigned)phase, false);
}

const char *lease_event_text(enum lease_event event)
{
    return text_of(event_texts, LEASE_EVENT_COUNT, (unsigned)event, true);
}

const char *lease_event_meaning(enum lease_event event)
{
    return text_of(event_texts, LEASE_EVENT_COUNT, (unsigned)event, false);
}

const char *lease_rule_text(enum lease_rule rule)
{
    return text_of(rule_texts, LEASE_RULE_COUNT, (unsigned)rule, true);
}

const char *lease_rule_meaning(enum lease_rule rule)
{
    return text_of(rule_texts, LEASE_RULE_COUNT, (unsigned)rule, false);
}
