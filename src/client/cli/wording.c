/* Enums are translated by name, so that a value that this command does not know is shown as its
 * number. */
#include "client/cli/wording.h"

#include <stdio.h>
#include <time.h>

#include "common/base/attributes.h"

enum { NS_PER_MS = 1000000, MS_PER_S = 1000, KIB = 1024 };

/* ---- times ---- */

struct wording wording_age(int64_t seconds)
{
    struct wording out = {""};
    if (seconds < 0)
        seconds = 0;
    if (seconds < 60)
        (void)snprintf(out.text, sizeof(out.text), "%ds", (int)seconds);
    else if (seconds < 3600)
        (void)snprintf(
            out.text, sizeof(out.text), "%dm %02ds", (int)(seconds / 60), (int)(seconds % 60));
    else if (seconds < 86400)
        (void)snprintf(out.text, sizeof(out.text), "%dh %02dm", (int)(seconds / 3600),
            (int)(seconds / 60 % 60));
    else
        (void)snprintf(out.text, sizeof(out.text), "%lldd %02dh", (long long)(seconds / 86400),
            (int)(seconds / 3600 % 24));
    return out;
}

struct wording wording_duration(int64_t ns)
{
    struct wording out = {""};
    int64_t ms = ns / NS_PER_MS;
    if (ns < 0)
        return wording_age(0);
    if (ms < 10)
        (void)snprintf(out.text, sizeof(out.text), "%d.%dms", (int)ms,
            (int)(ns % NS_PER_MS / (NS_PER_MS / 10)));
    else if (ms < MS_PER_S)
        (void)snprintf(out.text, sizeof(out.text), "%dms", (int)ms);
    else if (ms < INT64_C(10) * MS_PER_S)
        (void)snprintf(out.text, sizeof(out.text), "%d.%ds", (int)(ms / MS_PER_S),
            (int)(ms % MS_PER_S / (MS_PER_S / 10)));
    else
        return wording_age(ms / MS_PER_S);
    return out;
}

struct wording wording_bytes(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct wording out = {""};
    size_t unit = 0;
    double value = (double)bytes / KIB;
    if (bytes < KIB) {
        (void)snprintf(
            out.text, sizeof(out.text), "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
        return out;
    }
    while (value >= KIB && unit + 1 < ARRAY_LENGTH(units)) {
        value /= KIB;
        unit++;
    }
    (void)snprintf(out.text, sizeof(out.text), "%.1f %s", value, units[unit]);
    return out;
}

struct wording wording_time(int64_t at_s, int64_t now_s)
{
    struct tm at;
    struct tm now;
    time_t at_time = (time_t)at_s;
    time_t now_time = (time_t)now_s;
    if (!localtime_r(&at_time, &at) || !localtime_r(&now_time, &now))
        return (struct wording){"?"};
    struct wording out = {""};
    size_t len = 0;
    if (at.tm_year != now.tm_year)
        len = strftime(out.text, sizeof(out.text), "%b %e %Y %H:%M:%S", &at);
    else if (at.tm_yday != now.tm_yday)
        len = strftime(out.text, sizeof(out.text), "%b %e %H:%M:%S", &at);
    else
        len = strftime(out.text, sizeof(out.text), "%H:%M:%S", &at);
    return len > 0 ? out : (struct wording){"?"};
}

struct wording wording_exact_time(int64_t at_s, int32_t nanos, int64_t now_s)
{
    struct wording whole = wording_time(at_s, now_s);
    struct wording out = {""};
    (void)snprintf(out.text, sizeof(out.text), "%.40s.%03d", whole.text, (int)(nanos / NS_PER_MS));
    return out;
}

int64_t wording_ns(const Google__Protobuf__Duration *duration)
{
    return duration ? duration->seconds * INT64_C(1000000000) + duration->nanos : 0;
}

/* ---- states and reasons ---- */

static struct wording of_number(const char *kind, int number)
{
    struct wording out = {""};
    (void)snprintf(out.text, sizeof(out.text), "%s(%d)", kind, number);
    return out;
}

/* `row` NULL: a number that this command does not know. */
static struct wording of_row(const char *row, const char *kind, int number)
{
    struct wording out = {""};
    if (!row)
        return of_number(kind, number);
    (void)snprintf(out.text, sizeof(out.text), "%s", row);
    return out;
}

static const char *at(const char *const *rows, size_t n, int number)
{
    return number >= 0 && (size_t)number < n ? rows[number] : NULL;
}

struct wording wording_state(int state)
{
    enum flocks_service_state known = flocks_service_state_from(state);
    if (state != 0 && known == FLOCKS_SERVICE_STATE_UNSPECIFIED)
        return of_number("STATE", state);
    return of_row(flocks_service_state_name(known), "STATE", state);
}

enum terminal_color wording_state_color(int state)
{
    switch (flocks_service_state_from(state)) {
    case FLOCKS_SERVICE_STATE_HEALTHY:
    case FLOCKS_SERVICE_STATE_COMPLETED:
        return TERMINAL_GREEN;
    case FLOCKS_SERVICE_STATE_FAILED:
    case FLOCKS_SERVICE_STATE_DEGRADED:
    case FLOCKS_SERVICE_STATE_BACKOFF:
        return TERMINAL_RED;
    case FLOCKS_SERVICE_STATE_STOPPED:
        return TERMINAL_DIM;
    case FLOCKS_SERVICE_STATE_UNSPECIFIED:
    case FLOCKS_SERVICE_STATE_WAITING:
    case FLOCKS_SERVICE_STATE_PREPARING:
    case FLOCKS_SERVICE_STATE_STARTING:
    case FLOCKS_SERVICE_STATE_STOPPING:
    case FLOCKS_SERVICE_STATE_PAUSED:
        break;
    }
    return TERMINAL_YELLOW;
}

bool wording_is_well(int state)
{
    enum flocks_service_state known = flocks_service_state_from(state);
    return known == FLOCKS_SERVICE_STATE_HEALTHY || known == FLOCKS_SERVICE_STATE_COMPLETED;
}

/* clang-format off */
static const char *const daemons[] = {
    [FLOCKS_DAEMON_STATE_NOT_RUNNING] = "not running",
    [FLOCKS_DAEMON_STATE_STARTING] = "starting",
    [FLOCKS_DAEMON_STATE_RUNNING] = "running",
    [FLOCKS_DAEMON_STATE_STOPPING] = "stopping",
    [FLOCKS_DAEMON_STATE_REPLACING] = "being replaced",
};

static const char *const reasons[] = {
    [FLOCKS_STATE_REASON_UNSPECIFIED] = "",
    [FLOCKS_STATE_REASON_REQUESTED] = "somebody asked for it",
    [FLOCKS_STATE_REASON_EXITED] = "its process ended by itself",
    [FLOCKS_STATE_REASON_SIGNALLED] = "its process was ended by a signal",
    [FLOCKS_STATE_REASON_OOM_KILLED] = "the kernel killed it for want of memory",
    [FLOCKS_STATE_REASON_EXEC_FAILED] = "its program could not be run",
    [FLOCKS_STATE_REASON_START_TIMEOUT] = "it did not become healthy in time",
    [FLOCKS_STATE_REASON_PORT_HELD] = "its port is held by somebody else",
    [FLOCKS_STATE_REASON_LISTENER_LOST] = "its listening socket is gone although it runs",
    [FLOCKS_STATE_REASON_HEALTH_FAILED] = "its probe failed too often in a row",
    [FLOCKS_STATE_REASON_DEPENDENCY_FAILED] = "a service that it needs is not ready",
    [FLOCKS_STATE_REASON_LEASE_HELD] = "an upgrade lease holds it",
    [FLOCKS_STATE_REASON_LEASE_EXPIRED] = "an upgrade lease expired and was rolled back",
    [FLOCKS_STATE_REASON_SHUTDOWN] = "everything is being stopped",
    [FLOCKS_STATE_REASON_PREPARE_FAILED] = "its prepare step failed",
    [FLOCKS_STATE_REASON_WATCHDOG] = "it stopped reporting to its watchdog",
    [FLOCKS_STATE_REASON_CONFIG_CHANGED] = "its configuration was changed",
    [FLOCKS_STATE_REASON_STOPPING] = "it says itself that it is stopping",
};

static const char *const roles[] = {
    [FLOCKS_PROBE_ROLE_STARTUP] = "startup",
    [FLOCKS_PROBE_ROLE_READY] = "ready",
    [FLOCKS_PROBE_ROLE_ALIVE] = "alive",
};

static const char *const kinds[] = {
    [FLOCKS_OPERATION_KIND_START] = "start",
    [FLOCKS_OPERATION_KIND_STOP] = "stop",
    [FLOCKS_OPERATION_KIND_RESTART] = "restart",
    [FLOCKS_OPERATION_KIND_APPLY_CONFIG] = "config apply",
    [FLOCKS_OPERATION_KIND_SHUTDOWN] = "shutdown",
    [FLOCKS_OPERATION_KIND_COMMIT_UPGRADE] = "upgrade",
    [FLOCKS_OPERATION_KIND_ROLL_BACK] = "roll-back",
    [FLOCKS_OPERATION_KIND_UPDATE] = "update",
    [FLOCKS_OPERATION_KIND_REPLACE_DAEMON] = "replacement of the daemon",
};

static const char *const operations[] = {
    [FLOCKS_OPERATION_STATE_QUEUED] = "waits for its turn",
    [FLOCKS_OPERATION_STATE_RUNNING] = "runs",
    [FLOCKS_OPERATION_STATE_SUCCEEDED] = "succeeded",
    [FLOCKS_OPERATION_STATE_FAILED] = "failed",
    [FLOCKS_OPERATION_STATE_CANCELLED] = "was cancelled",
    [FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED] = "exceeded its deadline",
    [FLOCKS_OPERATION_STATE_INTERRUPTED] = "was interrupted by the daemon's death",
};

static const char *const listeners[] = {
    [FLOCKS_LISTENER_STATE_UNSPECIFIED] = "",
    [FLOCKS_LISTENER_STATE_NONE] = "does not listen",
    [FLOCKS_LISTENER_STATE_OURS] = "",
    [FLOCKS_LISTENER_STATE_FOREIGN] = "port held by somebody else",
    [FLOCKS_LISTENER_STATE_UNVERIFIABLE] = "listener not verifiable",
    [FLOCKS_LISTENER_STATE_UNCHECKED] = "listener not checked on this system",
};

static const char *const phases[] = {
    [FLOCKS_UPGRADE_PHASE_HELD] = "held",
    [FLOCKS_UPGRADE_PHASE_COMMITTING] = "committing",
    [FLOCKS_UPGRADE_PHASE_OBSERVING] = "observing",
    [FLOCKS_UPGRADE_PHASE_COMMITTED] = "committed",
    [FLOCKS_UPGRADE_PHASE_ROLLING_BACK] = "rolling back",
    [FLOCKS_UPGRADE_PHASE_ROLLED_BACK] = "rolled back",
    [FLOCKS_UPGRADE_PHASE_ROLLBACK_FAILED] = "roll-back failed",
};

static const char *const upgrade_steps[] = {
    [FLOCKS_UPGRADE_STEP_UNSPECIFIED] = "At work",
    [FLOCKS_UPGRADE_STEP_CHECKING] = "Looking for releases",
    [FLOCKS_UPGRADE_STEP_DOWNLOADING] = "Downloading",
    [FLOCKS_UPGRADE_STEP_VERIFYING] = "Verifying",
    [FLOCKS_UPGRADE_STEP_UNPACKING] = "Unpacking",
    [FLOCKS_UPGRADE_STEP_INSTALLING] = "Installing",
    [FLOCKS_UPGRADE_STEP_STOPPING] = "Stopping services",
    [FLOCKS_UPGRADE_STEP_SWITCHING] = "Switching",
    [FLOCKS_UPGRADE_STEP_COMMITTING] = "Starting and observing services",
    [FLOCKS_UPGRADE_STEP_ROLLING_BACK] = "Rolling back",
    [FLOCKS_UPGRADE_STEP_DONE] = "Done",
    [FLOCKS_UPGRADE_STEP_REPLACING] = "Replacing the supervisor itself",
    [FLOCKS_UPGRADE_STEP_ADOPTING] = "Adopting the present installation",
    [FLOCKS_UPGRADE_STEP_RECOVERING] = "Ending an unfinished upgrade",
};
/* clang-format on */

struct wording wording_daemon(int state)
{
    return of_row(at(daemons, ARRAY_LENGTH(daemons), state), "STATE", state);
}

struct wording wording_reason(int reason)
{
    return of_row(at(reasons, ARRAY_LENGTH(reasons), reason), "REASON", reason);
}

struct wording wording_role(int role)
{
    return of_row(at(roles, ARRAY_LENGTH(roles), role), "ROLE", role);
}

struct wording wording_kind(int kind)
{
    return of_row(at(kinds, ARRAY_LENGTH(kinds), kind), "KIND", kind);
}

struct wording wording_operation(int state)
{
    return of_row(at(operations, ARRAY_LENGTH(operations), state), "STATE", state);
}

struct wording wording_listener(int listener)
{
    return of_row(at(listeners, ARRAY_LENGTH(listeners), listener), "LISTENER", listener);
}

struct wording wording_phase(int phase)
{
    return of_row(at(phases, ARRAY_LENGTH(phases), phase), "PHASE", phase);
}

struct wording wording_upgrade_step(int step)
{
    return of_row(at(upgrade_steps, ARRAY_LENGTH(upgrade_steps), step), "STEP", step);
}

struct wording wording_exit(const flocks_exit_record *exit)
{
    struct wording out = {"ended, nobody knows how"};
    const char *core = exit->core_dumped ? " (core dumped)" : "";
    switch (exit->outcome_case) {
    case FLOCKS__V1__EXIT_RECORD__OUTCOME_EXIT_CODE:
        (void)snprintf(out.text, sizeof(out.text), "exit code %d%s", exit->exit_code, core);
        break;
    case FLOCKS__V1__EXIT_RECORD__OUTCOME_SIGNAL:
        (void)snprintf(out.text, sizeof(out.text), "killed by %.15s%s", exit->signal, core);
        break;
    case FLOCKS__V1__EXIT_RECORD__OUTCOME_EXEC_ERROR:
        (void)snprintf(out.text, sizeof(out.text), "could not be run (%.31s)", exit->exec_error);
        break;
    case FLOCKS__V1__EXIT_RECORD__OUTCOME__NOT_SET:
    default:
        break;
    }
    return out;
}
