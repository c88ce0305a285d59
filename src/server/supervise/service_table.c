#include "server/supervise/service_table.h"

#include "common/base/attributes.h"

#define IN(state) (1U << SERVICE_##state)
/* The rule leads where it began. */
#define SERVICE_SAME UINT32_MAX
#define CELL(event, rule) [SERVICE_EVENT_##event] = SERVICE_RULE_##rule

/* An absent cell is ILLEGAL, which is 0. */
/* clang-format off */
static const uint8_t table[SERVICE_STATE_END][SERVICE_EVENT_COUNT] = {
    [SERVICE_STOPPED] = {
        CELL(START, BEGIN), CELL(RESTART, BEGIN), CELL(STOP, KEEP),
    },
    [SERVICE_WAITING] = {
        CELL(START, KEEP), CELL(RESTART, KEEP), CELL(STOP, CANCEL),
        CELL(CLEARED, LAUNCH), CELL(BLOCKED, HOLD), CELL(PAUSE, PAUSE), CELL(DUE, RETRY),
    },
    [SERVICE_PREPARING] = {
        CELL(START, KEEP), CELL(RESTART, KEEP), CELL(STOP, END),
        CELL(SPAWNED, NOTE), CELL(SPAWN_FAILED, UNBORN),
        CELL(PREPARED, PROCEED), CELL(PREPARE_FAILED, FAIL), CELL(PAUSE, SUSPEND),
        CELL(DUE, FAIL),
    },
    [SERVICE_STARTING] = {
        CELL(START, KEEP), CELL(RESTART, REPLACE), CELL(STOP, END),
        CELL(SPAWNED, NOTE), CELL(SPAWN_FAILED, UNBORN), CELL(READY, SUCCEED),
        CELL(UNRESPONSIVE, FAIL), CELL(EXITED, OBITUARY), CELL(PAUSE, SUSPEND), CELL(DUE, FAIL),
        CELL(EXTENDED, PROLONG),
    },
    [SERVICE_HEALTHY] = {
        CELL(START, KEEP), CELL(RESTART, REPLACE), CELL(STOP, END),
        CELL(UNHEALTHY, DEGRADE), CELL(UNRESPONSIVE, FAIL), CELL(EXITED, OBITUARY),
        CELL(PAUSE, SUSPEND), CELL(DUE, SETTLE),
    },
    [SERVICE_DEGRADED] = {
        CELL(START, KEEP), CELL(RESTART, REPLACE), CELL(STOP, END),
        CELL(UNHEALTHY, DEGRADE), CELL(RECOVERED, SUCCEED), CELL(UNRESPONSIVE, FAIL),
        CELL(EXITED, OBITUARY), CELL(PAUSE, SUSPEND),
    },
    [SERVICE_STOPPING] = {
        CELL(START, AFTERWARDS), CELL(RESTART, AFTERWARDS), CELL(STOP, AFTERWARDS),
        CELL(SPAWNED, NOTE), CELL(SPAWN_FAILED, ABANDON),
        CELL(EXITED, BURY), CELL(EMPTIED, FOLLOW), CELL(PAUSE, DEFER), CELL(DUE, ESCALATE),
        CELL(EXTENDED, PROLONG),
    },
    [SERVICE_BACKOFF] = {
        CELL(START, BEGIN), CELL(RESTART, BEGIN), CELL(STOP, CANCEL), CELL(PAUSE, PAUSE),
        CELL(DUE, RETRY),
    },
    /* A wanted service that does not run because of a lease. Time alone never leaves it. */
    [SERVICE_PAUSED] = {
        CELL(START, BEGIN), CELL(RESTART, BEGIN), CELL(STOP, CANCEL),
    },
    [SERVICE_FAILED] = {
        CELL(START, BEGIN), CELL(RESTART, BEGIN), CELL(STOP, CANCEL), CELL(PAUSE, PAUSE),
        CELL(DUE, RETRY),
    },
    [SERVICE_COMPLETED] = {
        CELL(START, BEGIN), CELL(RESTART, BEGIN), CELL(STOP, CANCEL),
    },
};
/* clang-format on */

static const uint32_t rule_targets[SERVICE_RULE_COUNT] = {
#define SERVICE_RULE_TARGETS(name, targets, text) [SERVICE_RULE_##name] = (targets),
    SERVICE_RULES(SERVICE_RULE_TARGETS)
#undef SERVICE_RULE_TARGETS
};

static const char *const state_texts[SERVICE_STATE_END] = {
#define SERVICE_STATE_TEXT(name, number) [SERVICE_##name] = #name,
    SERVICE_STATES(SERVICE_STATE_TEXT)
#undef SERVICE_STATE_TEXT
};

static const struct {
    const char *name;
    const char *meaning;
} event_texts[SERVICE_EVENT_COUNT] =
    {
#define SERVICE_EVENT_TEXT(name, text) [SERVICE_EVENT_##name] = {#name, text},
        SERVICE_EVENTS(SERVICE_EVENT_TEXT)
#undef SERVICE_EVENT_TEXT
},
  rule_texts[SERVICE_RULE_COUNT] = {
#define SERVICE_RULE_TEXT(name, targets, text) [SERVICE_RULE_##name] = {#name, text},
      SERVICE_RULES(SERVICE_RULE_TEXT)
#undef SERVICE_RULE_TEXT
};

enum service_rule service_table_rule(enum service_state state, enum service_event event)
{
    if ((unsigned)state >= SERVICE_STATE_END || (unsigned)event >= SERVICE_EVENT_COUNT)
        return SERVICE_RULE_ILLEGAL;
    return (enum service_rule)table[state][event];
}

bool service_table_allows(enum service_rule rule, enum service_state from, enum service_state to)
{
    if ((unsigned)rule >= SERVICE_RULE_COUNT)
        return false;
    if (rule_targets[rule] == SERVICE_SAME)
        return from == to;
    return (rule_targets[rule] & (1U << to)) != 0;
}

const char *service_state_text(enum service_state state)
{
    const char *text = (unsigned)state < SERVICE_STATE_END ? state_texts[state] : NULL;
    return text != NULL ? text : "?";
}

const char *service_event_text(enum service_event event)
{
    return (unsigned)event < SERVICE_EVENT_COUNT ? event_texts[event].name : "?";
}

const char *service_event_meaning(enum service_event event)
{
    return (unsigned)event < SERVICE_EVENT_COUNT ? event_texts[event].meaning : "?";
}

const char *service_rule_text(enum service_rule rule)
{
    return (unsigned)rule < SERVICE_RULE_COUNT ? rule_texts[rule].name : "?";
}

const char *service_rule_meaning(enum service_rule rule)
{
    return (unsigned)rule < SERVICE_RULE_COUNT ? rule_texts[rule].meaning : "?";
}
