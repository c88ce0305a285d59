#include "server/supervise/state_watch.h"

#include <stdio.h>
#include <string.h>

#include "server/supervise/supervisor_private.h"

/* ---- saving ---- */

void state_save_probes(const struct service *service, state_service *message, struct arena *arena)
{
    message->probes =
        arena_calloc(arena, (size_t)PROBE_ROLE_COUNT * PROBE_HISTORY_MAX, sizeof(state_probe *));
    for (int role = 0; message->probes != NULL && role < (int)PROBE_ROLE_COUNT; role++) {
        size_t n = 0;
        const struct probe_record *records =
            probe_history_of(&service->history, (enum probe_role)role, &n);

        for (size_t i = 0; i < n; i++) {
            state_probe *item = arena_alloc(arena, sizeof *item);

            if (item == NULL)
                return;
            *item = (state_probe)STATE_PROBE_INIT;
            item->role = (uint32_t)role + 1;
            item->at_wall_ns = records[i].at_wall_ns;
            item->took_ms = records[i].took_ms;
            item->passed = records[i].passed;
            item->message = records[i].message;
            message->probes[message->n_probes++] = item;
        }
    }
}

static void save_watch(const struct service *service, state_service *message, struct arena *arena)
{
    const struct service_watch *watch = &service->watch;
    state_watch *item = arena_alloc(arena, sizeof *item);

    if (watch->phase == WATCH_OFF || item == NULL)
        return;
    *item = (state_watch)STATE_WATCH_INIT;
    item->phase = (uint32_t)watch->phase;
    item->has_probe = watch->has_probe;
    item->role = (uint32_t)watch->role;
    item->is_started = watch->is_started;
    item->verdict = (uint32_t)watch->schedule.verdict;
    item->failures = watch->schedule.failures;
    item->successes = watch->schedule.successes;
    item->bad_since_ms = watch->schedule.bad_since;
    /* A check that runs has no result yet: it is made again at once. */
    item->due_at_ms = watch->schedule.is_running ? 0 : watch->schedule.due_at;
    message->watch = item;
}

static void save_task(const struct service *service, state_service *message, struct arena *arena)
{
    const struct service_task *task = &service->task;
    state_task *item = arena_alloc(arena, sizeof *item);

    if (task->state == TASK_NONE || item == NULL)
        return;
    *item = (state_task)STATE_TASK_INIT;
    item->mark = task->identity.mark;
    item->invocation = task->identity.invocation;
    item->start_ticks = task->identity.leader.start_ticks;
    message->task = item;
}

static void save_notified(const struct notified *notified, state_service *message)
{
    message->notified_status = notified->status;
    message->notified_ready = notified->ready;
    message->watchdog_at_ms = notified->watchdog_at;
    message->watchdog_ms = notified->watchdog_ms;
    message->stopping_since_ms = notified->stopping ? notified->stopping_since : 0;
    message->stopping_by_ms = notified->stopping_by;
    message->notified_errno = notified->error_number;
    message->watchdog_triggered = notified->is_triggered;
}

void state_save_watch(const struct service *service, state_service *message, struct arena *arena)
{
    save_watch(service, message, arena);
    save_task(service, message, arena);
    save_notified(&service->notified, message);
}

uint64_t state_watch_key(const struct service *service, uint64_t key)
{
    const struct service_watch *watch = &service->watch;
    const struct notified *notified = &service->notified;
    const uint64_t numbers[] = {service->history.n_added, (uint64_t)watch->phase, watch->has_probe,
        (uint64_t)watch->role, watch->is_started, (uint64_t)watch->schedule.verdict,
        watch->schedule.failures, watch->schedule.successes, (uint64_t)watch->schedule.bad_since,
        (uint64_t)watch->schedule.due_at, watch->schedule.is_running, (uint64_t)service->task.state,
        service->task.identity.mark, service->task.identity.leader.start_ticks, notified->ready,
        notified->stopping, notified->is_triggered, (uint64_t)notified->error_number,
        (uint64_t)notified->watchdog_at, (uint64_t)notified->watchdog_ms,
        (uint64_t)notified->stopping_since, (uint64_t)notified->stopping_by};

    key = state_checksum(numbers, sizeof numbers, key);
    return state_checksum(notified->status, strlen(notified->status), key);
}

/* ---- loading ---- */

static void load_probes(struct service *service, const state_service *message)
{
    /* Newest first: the other way round. */
    for (size_t i = message->n_probes; i > 0; i--) {
        const state_probe *item = message->probes[i - 1];

        if (item->role > 0 && item->role <= (uint32_t)PROBE_ROLE_COUNT)
            probe_history_add(&service->history, (enum probe_role)(item->role - 1),
                item->at_wall_ns, item->took_ms, item->passed, item->message);
    }
}

static void load_watch(struct service *service, const state_watch *item)
{
    struct service_watch *watch = &service->watch;

    if (item == NULL || item->role >= (uint32_t)PROBE_ROLE_COUNT ||
        item->verdict > (uint32_t)PROBE_VERDICT_FAILING)
        return;
    watch->is_restored = true;
    watch->has_probe = item->has_probe;
    watch->role = (enum probe_role)item->role;
    watch->is_started = item->is_started;
    watch->schedule.verdict = (enum probe_verdict)item->verdict;
    watch->schedule.failures = item->failures;
    watch->schedule.successes = item->successes;
    watch->schedule.bad_since = item->bad_since_ms;
    watch->schedule.due_at = item->due_at_ms;
}

static void load_task(struct service *service, const state_task *item)
{
    struct process_identity *identity = &service->task.identity;

    service->task.due_at = CLOCK_NEVER;
    if (item == NULL)
        return;
    identity->mark = item->mark;
    identity->leader.start_ticks = item->start_ticks;
    (void)snprintf(identity->invocation, sizeof identity->invocation, "%s", item->invocation);
}

/* The last WATCHDOG=1 is in the store, whether or not the state has been written since. */
static int64_t load_watchdog(const struct service *service, const state_service *message)
{
    int64_t pulse_at = state_store_pulse(service->owner->store, service->slot);
    int64_t due_at = clock_add_ms(pulse_at, message->watchdog_ms);

    /* Of an earlier run, or nothing is due at all. */
    if (pulse_at < message->spawned_at_ms || message->watchdog_ms == 0 ||
        message->watchdog_at_ms == CLOCK_NEVER || message->watchdog_triggered)
        return message->watchdog_at_ms;
    return due_at > message->watchdog_at_ms ? due_at : message->watchdog_at_ms;
}

static void load_notified(struct service *service, const state_service *message)
{
    struct notified *notified = &service->notified;

    (void)snprintf(notified->status, sizeof notified->status, "%s", message->notified_status);
    notified->ready = message->notified_ready;
    notified->watchdog_ms = message->watchdog_ms;
    notified->watchdog_at = load_watchdog(service, message);
    notified->stopping = message->stopping_since_ms != 0;
    notified->stopping_since = message->stopping_since_ms;
    notified->stopping_by = message->stopping_by_ms;
    notified->error_number = message->notified_errno;
    notified->is_triggered = message->watchdog_triggered;
}

void state_load_watch(struct service *service, const state_service *message)
{
    load_probes(service, message);
    load_watch(service, message->watch);
    load_task(service, message->task);
    load_notified(service, message);
    service_promises_restore(service, clock_monotonic_ms());
}
