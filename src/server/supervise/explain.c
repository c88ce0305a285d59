#include "server/supervise/explain.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

/* Why it does not run, or runs badly, and what to do about that; {s} is its name. Of each reason
 * that can end or keep back a run. */
static const char *text_of_reason(enum flocks_state_reason reason)
{
    switch (reason) {
    case FLOCKS_STATE_REASON_EXITED:
        return "It ends by itself: `flocks logs {s}` shows what it said before.";
    case FLOCKS_STATE_REASON_SIGNALLED:
        return "A signal kills it: `flocks logs {s}` shows whether it crashes, else look for who "
               "sends it.";
    case FLOCKS_STATE_REASON_OOM_KILLED:
        return "The kernel kills it for want of memory: raise its limit, or let it use less.";
    case FLOCKS_STATE_REASON_EXEC_FAILED:
        return "Its program cannot be run: correct its command, directory or user in the "
               "configuration.";
    case FLOCKS_STATE_REASON_START_TIMEOUT:
        return "It does not become ready in time: `flocks logs {s}` shows what it does instead.";
    case FLOCKS_STATE_REASON_PORT_HELD:
        return "{h} holds its port {p}: end that, or give it another port.";
    case FLOCKS_STATE_REASON_LISTENER_LOST:
        return "It runs without listening on port {p}: `flocks logs {s}` may show why it gave "
               "that up.";
    case FLOCKS_STATE_REASON_HEALTH_FAILED:
        return "Its probe fails: the history of its probes shows how, `flocks logs {s}` what it "
               "says itself.";
    case FLOCKS_STATE_REASON_DEPENDENCY_FAILED:
        return "{w} is not ready: `flocks why {w}` explains that.";
    case FLOCKS_STATE_REASON_LEASE_HELD:
        return "The upgrade of {l} holds it: wait for its end, or end it with `flocks update "
               "--abort`.";
    case FLOCKS_STATE_REASON_LEASE_EXPIRED:
        return "The upgrade of {l} was rolled back: `flocks logs {s}` shows whether the old "
               "version runs.";
    case FLOCKS_STATE_REASON_PREPARE_FAILED:
        return "Its prepare step fails: `flocks logs {s}` shows its output; `--skip-webui-build` "
               "starts what an earlier one made.";
    case FLOCKS_STATE_REASON_WATCHDOG:
        return "It promised to report (WATCHDOG=1) and does not: `flocks logs {s}` may show where "
               "it hangs.";
    case FLOCKS_STATE_REASON_STOPPING:
        return "It said that it ends (STOPPING=1): `flocks logs {s}` may show why.";
    case FLOCKS_STATE_REASON_CONFIG_CHANGED:
        return "Its configuration was changed.";
    case FLOCKS_STATE_REASON_SHUTDOWN:
        return "The daemon is going down.";
    case FLOCKS_STATE_REASON_UNSPECIFIED:
    case FLOCKS_STATE_REASON_REQUESTED:
        return "";
    }
    return "";
}

static bool waits_without_a_mistake(const struct explain_facts *facts)
{
    return facts->reason == FLOCKS_STATE_REASON_UNSPECIFIED ||
           facts->reason == FLOCKS_STATE_REASON_REQUESTED ||
           facts->reason == FLOCKS_STATE_REASON_SHUTDOWN ||
           facts->reason == FLOCKS_STATE_REASON_CONFIG_CHANGED;
}

/* What its state means for whoever wants it to run. */
static const char *text_of_state(const struct explain_facts *facts)
{
    switch (facts->state) {
    case SERVICE_STOPPED:
        return "Nobody wants it to run: `flocks start {s}` starts it.";
    case SERVICE_WAITING:
        if (facts->waits_for[0] != '\0' && waits_without_a_mistake(facts))
            return "It starts when {w} is ready: `flocks why {w}` shows how far that is.";
        return "It starts by itself when nothing stands in its way.";
    case SERVICE_PREPARING:
        return "Its prepare step runs: `flocks logs {s}` shows its output.";
    case SERVICE_STARTING:
        return "It is given three minutes to listen and to pass its probes: `flocks logs {s}` "
               "shows what it does.";
    case SERVICE_DEGRADED:
        return waits_without_a_mistake(facts)
                   ? "It serves badly: the history of its probes shows how."
                   : "";
    case SERVICE_STOPPING:
        return "It is being ended: what does not end by itself is killed after `stop.grace`.";
    case SERVICE_BACKOFF:
        return "It is started again soon.";
    case SERVICE_PAUSED:
        return facts->reason == FLOCKS_STATE_REASON_LEASE_HELD
                   ? ""
                   : "An upgrade has paused it: `flocks start {s}` or its end starts it again.";
    case SERVICE_FAILED:
        return "It has failed too often: `flocks restart {s}` tries at once.";
    case SERVICE_COMPLETED:
        return "It ended with success and is not to run again: `flocks start {s}` runs it anew.";
    case SERVICE_HEALTHY:
    case SERVICE_STATE_END:
        break;
    }
    return "";
}

/* A state that is not about a failure says nothing of the reason for the last one. */
static bool tells_reason(const struct explain_facts *facts)
{
    return facts->state == SERVICE_WAITING || facts->state == SERVICE_DEGRADED ||
           facts->state == SERVICE_BACKOFF || facts->state == SERVICE_FAILED ||
           facts->state == SERVICE_PAUSED;
}

/* ---- names ---- */

static void make_holder(const struct explain_facts *facts, char *out, size_t size)
{
    if (facts->holder_pid != 0)
        (void)snprintf(out, size, "Process %d", (int)facts->holder_pid);
    else
        (void)snprintf(out, size, "A process of another user");
}

static const char *name_of(const struct explain_facts *facts, char key, char *scratch, size_t size)
{
    switch (key) {
    case 's':
        return facts->service;
    case 'w':
        return facts->waits_for[0] != '\0' ? facts->waits_for : "what it waits for";
    case 'l':
        return facts->lease_owner[0] != '\0' ? facts->lease_owner : "somebody";
    case 'p':
        (void)snprintf(scratch, size, "%u", (unsigned)facts->port);
        return scratch;
    default:
        make_holder(facts, scratch, size);
        return scratch;
    }
}

/* {x} stands for the name with that key. */
static size_t expand(const struct explain_facts *facts, const char *text, char *out, size_t size)
{
    char scratch[64];
    size_t length = 0;

    while (*text != '\0' && length + 1 < size) {
        if (text[0] == '{' && text[1] != '\0' && text[2] == '}') {
            int added = snprintf(out + length, size - length, "%s",
                name_of(facts, text[1], scratch, sizeof scratch));

            length += added > 0 ? (size_t)added : 0;
            text += 3;
        } else {
            out[length++] = *text++;
        }
    }
    length = length < size ? length : size - 1;
    out[length] = '\0';
    return length;
}

void explain_hint(const struct explain_facts *given, char out[EXPLAIN_HINT_SIZE])
{
    struct explain_facts facts = *given;
    char state[EXPLAIN_HINT_SIZE];
    size_t length = 0;
    size_t state_length;

    /* A reason of a newer daemon is none that we know. */
    facts.reason = (uint32_t)flocks_state_reason_from((int)given->reason);
    out[0] = '\0';
    if (tells_reason(&facts))
        length = expand(
            &facts, text_of_reason((enum flocks_state_reason)facts.reason), out, EXPLAIN_HINT_SIZE);
    state_length = expand(&facts, text_of_state(&facts), state, sizeof state);
    /* Why comes first; with long names there may be no room for more. */
    if (state_length > 0 && length + 1 + state_length < EXPLAIN_HINT_SIZE)
        (void)snprintf(
            out + length, EXPLAIN_HINT_SIZE - length, "%s%s", length > 0 ? " " : "", state);
}
