/* What a service says of itself, and the promises in it: READY=1 is waited for, WATCHDOG=1 and the
 * end after STOPPING=1 are due by a time. notify.h says what follows from which words. */
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "server/supervise/service.h"
#include "server/supervise/supervisor_private.h"

static void begin_stopping(struct service *service)
{
    static const char message[] = "it says that it is stopping (STOPPING=1)";

    service_watch_be_silent(service);
    service_note_problem(service, message);
    if (service->watch.phase == WATCH_SERVING)
        service_observe(service, SERVICE_EVENT_UNHEALTHY, FLOCKS_STATE_REASON_STOPPING, message);
}

static void extend(struct service *service, int64_t extend_ms)
{
    const struct service_input input = {
        .event = SERVICE_EVENT_EXTENDED, .now = clock_monotonic_ms(), .extend_ms = extend_ms};

    if (service->facts.state == SERVICE_STARTING || service->facts.state == SERVICE_STOPPING)
        service_feed(service, &input);
}

bool service_watch_notified(
    struct service *service, const struct notify_message *message, int64_t now)
{
    struct notified *notified = &service->notified;
    bool was_stopping = notified->stopping;
    bool is_watched = service->watch.phase != WATCH_OFF || service->facts.spawning;
    enum notified_change change =
        notified_apply(notified, message, service->policy.stop_grace_ms, now);

    if (message->watchdog)
        state_store_set_pulse(service->owner->store, service->slot, now);
    if (!is_watched) {
        /* It is being ended: nothing it promises is waited for. */
        notified->watchdog_at = CLOCK_NEVER;
        notified->stopping_by = CLOCK_NEVER;
    }
    if (change != NOTIFIED_BEAT) {
        supervisor_status_changed(service);
        supervisor_mark_dirty(service->owner);
    }
    if (message->extend_ms != NOTIFY_NOT_SAID)
        extend(service, message->extend_ms);
    if (notified->stopping && !was_stopping && is_watched)
        begin_stopping(service);
    else if (service->watch.phase == WATCH_NOTIFIED && notified->ready)
        service_watch_proceed(service, now);
    service_arm(service);
    return change == NOTIFIED_PHASE;
}

/* A promise is broken. What it has said, but nobody has heard yet, was heard before. */
static void break_promise(struct service *service)
{
    const struct notified *notified = &service->notified;
    char message[SERVICE_MESSAGE_SIZE];
    uint32_t reason = FLOCKS_STATE_REASON_WATCHDOG;

    if (notified->stopping) {
        reason = FLOCKS_STATE_REASON_STOPPING;
        (void)snprintf(message, sizeof message, "it said STOPPING=1 and did not end");
    } else if (notified->is_triggered) {
        (void)snprintf(message, sizeof message, "it asked for a restart (WATCHDOG=trigger)");
    } else {
        (void)snprintf(message, sizeof message, "no WATCHDOG=1 within %lld ms",
            (long long)notified->watchdog_ms);
    }
    service_observe(service, SERVICE_EVENT_UNRESPONSIVE, reason, message);
}

void service_add_last_words(const struct service *service, char *message, size_t size)
{
    const struct notified *notified = &service->notified;
    size_t len = strlen(message);

    if (notified->error_number != 0)
        len += (size_t)snprintf(
            message + len, size - len, " (%s)", error_errno_name(notified->error_number));
    if (notified->status[0] != '\0' && len + sizeof "; it said: " < size)
        (void)snprintf(message + len, size - len, "; it said: %.*s",
            (int)utf8_cut(
                notified->status, strlen(notified->status), size - len - sizeof "; it said: "),
            notified->status);
}

/* Not written, or each take-over would move it further. */
void service_promises_restore(struct service *service, int64_t now)
{
    int64_t due_at = notified_due_at(&service->notified);
    int64_t latest = clock_add_ms(due_at, SERVICE_HEAR_OUT_MS);

    if (due_at == CLOCK_NEVER)
        return;
    service->watch.hear_again_at = now + SERVICE_HEAR_GRACE_MS;
    if (service->watch.hear_again_at > latest)
        service->watch.hear_again_at = latest;
}

void service_promises_judge(struct service *service, int64_t now)
{
    if (service_promises_due_at(service) > now)
        return;
    /* Perhaps it has spoken in time and waits in the socket, behind what others say. */
    if (supervisor_hear(service->owner) &&
        now - notified_due_at(&service->notified) < service->notified.watchdog_ms) {
        service->watch.hear_again_at = now + SERVICE_PORT_POLL_MS;
        return;
    }
    service->watch.hear_again_at = 0;
    if (service->watch.phase != WATCH_OFF && notified_due_at(&service->notified) <= now)
        break_promise(service);
}

int64_t service_promises_due_at(const struct service *service)
{
    int64_t due_at = notified_due_at(&service->notified);

    return due_at > service->watch.hear_again_at ? due_at : service->watch.hear_again_at;
}
