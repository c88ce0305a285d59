/* The state message and the supervisor it is made of. Everything that must survive flocksd is named
 * here, and nothing is decided. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/state/v1/state.names.h"

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_state.h"
#include "server/supervise/state_watch.h"
#include "server/supervise/supervisor_private.h"
#include "server/supervise/upgrade_state.h"

enum {
    /* Cap of what one service or operation is packed from; far beyond what fits a slot. */
    MESSAGE_ARENA_BYTES = 64 * 1024 * 1024,
    /* What had no room is tried again so much later: meanwhile only what has changed is packed. */
    EXTENT_RETRY_MS = 60 * 1000
};

/* How much of the past is written: less when a slot would overflow. */
enum snapshot_extent { SNAPSHOT_WHOLE, SNAPSHOT_WITHOUT_PROBES, SNAPSHOT_WITHOUT_HISTORY };

/* ---- saving ---- */

static state_signalled **save_signalled(
    const struct signalled_list *list, size_t *out_n, struct arena *arena)
{
    state_signalled **items = arena_calloc(arena, list->n + 1, sizeof(state_signalled *));

    *out_n = 0;
    for (size_t i = 0; items != NULL && i < list->n; i++) {
        state_signalled *item = arena_alloc(arena, sizeof *item);

        if (item == NULL)
            break;
        *item = (state_signalled)STATE_SIGNALLED_INIT;
        item->pid = list->items[i].pid;
        item->signal = list->items[i].signal_number;
        item->executable = list->items[i].executable;
        item->stray = list->items[i].stray;
        items[(*out_n)++] = item;
    }
    return items;
}

static void save_exits(const struct service *service, state_service *message, struct arena *arena)
{
    message->exits = arena_calloc(arena, service->n_exits + 1, sizeof(state_exit *));
    for (size_t i = 0; message->exits != NULL && i < service->n_exits; i++) {
        state_exit *record = arena_alloc(arena, sizeof *record);

        if (record == NULL)
            return;
        *record = (state_exit)STATE_EXIT_INIT;
        record->generation = service->exits[i].generation;
        record->ended_wall_ns = service->exits[i].ended_wall_ns;
        record->lived_ms = service->exits[i].lived_ms;
        record->reason = service->exits[i].reason;
        record->wait_status = service->exits[i].wait_status;
        record->error = service->exits[i].error;
        message->exits[message->n_exits++] = record;
    }
}

/* Borrowed arrays are only read by the packing. */
static void save_facts(const struct service_facts *facts, state_service *message)
{
    message->state = (uint32_t)facts->state;
    message->reason = facts->reason;
    message->next = (uint32_t)facts->next;
    message->cause = (uint32_t)facts->cause;
    message->wanted = facts->wanted;
    message->prepared = facts->prepared;
    message->skip_prepare = facts->skip_prepare;
    message->trial = facts->trial;
    message->killing = facts->killing;
    message->leader_gone = facts->leader_gone;
    message->spawning = facts->spawning;
    message->generation = facts->generation;
    message->last_run = facts->last_run;
    message->run = facts->run;
    message->restart_count = facts->restart_count;
    message->burst = facts->burst;
    message->pid = facts->pid;
    message->start_ticks = facts->start_ticks;
    message->since_at_ms = facts->since_at;
    message->due_at_ms = facts->due_at;
    message->kill_at_ms = facts->kill_at;
    message->spawned_at_ms = facts->spawned_at;
    message->message = facts->message;
}

/* What it runs with, where no configuration says it any more. */
static void save_config(const struct service *service, state_service *message, struct arena *arena)
{
    const ProtobufCMessage *config = &service->config->base;

    if (service->next.config == NULL && !service->is_retiring)
        return;
    message->config.len = protobuf_c_message_get_packed_size(config);
    message->config.data = arena_alloc(arena, message->config.len);
    if (message->config.data == NULL)
        message->config.len = 0;
    else
        (void)protobuf_c_message_pack(config, message->config.data);
}

static state_service *save_service(
    struct service *service, enum snapshot_extent extent, struct arena *arena)
{
    state_service *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_service)STATE_SERVICE_INIT;
    message->name = service->name;
    message->slot = service->slot;
    save_facts(&service->facts, message);
    message->failures = service->facts.failures;
    message->n_failures = service->facts.burst > 0 ? SERVICE_CAUSE_COUNT : 0;
    message->since_wall_ns = service->since_wall_ns;
    if (service_facts_has_run(&service->facts)) {
        message->invocation.data = service->invocation;
        message->invocation.len = sizeof service->invocation;
        message->mark = service->identity.mark;
    }
    if (service->listening.lost_at != CLOCK_NEVER)
        message->listener_lost_at_ms = service->listening.lost_at;
    message->last_task = service->last_task;
    message->retiring = service->is_retiring;
    message->task_slot = service->task_slot != SERVICE_NO_SLOT ? service->task_slot + 1 : 0;
    save_config(service, message, arena);
    state_save_watch(service, message, arena);
    message->signalled = save_signalled(&service->signalled, &message->n_signalled, arena);
    message->told_key = service->news.key;
    message->told_state = (uint32_t)service->news.state;
    if (extent == SNAPSHOT_WHOLE)
        state_save_probes(service, message, arena);
    if (extent <= SNAPSHOT_WITHOUT_PROBES)
        save_exits(service, message, arena);
    return message;
}

static state_step *save_step(const struct operation_step *step, struct arena *arena)
{
    state_step *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_step)STATE_STEP_INIT;
    message->slot = step->slot;
    message->service = step->service;
    message->impact = (uint32_t)step->impact;
    message->state = (uint32_t)step->state;
    message->reason = step->reason;
    message->message = step->message;
    message->from_generation = step->from_generation;
    message->to_generation = step->to_generation;
    message->issued = step->issued;
    message->launched = step->launched;
    message->preempted = step->preempted;
    message->was_wanted = step->was_wanted;
    message->issued_at_ms = step->issued_at;
    message->signalled = save_signalled(&step->signalled, &message->n_signalled, arena);
    return message;
}

static const char **save_request_ids(
    const struct operation *operation, size_t *out_n, struct arena *arena)
{
    const char **ids = arena_calloc(arena, OPERATION_JOINED_IDS_MAX, sizeof *ids);

    *out_n = ids != NULL ? operation->n_joined_ids : 0;
    for (size_t i = 0; i < *out_n; i++)
        ids[i] = operation->joined_ids[i];
    return ids;
}

static state_operation *save_operation(const struct operation *operation, struct arena *arena)
{
    state_operation *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_operation)STATE_OPERATION_INIT;
    message->id = operation->id;
    message->kind = (uint32_t)operation->kind;
    message->state = (uint32_t)operation->state;
    message->request_id = operation->request_id;
    message->began_wall_ns = operation->began_wall_ns;
    message->ended_wall_ns = operation->ended_wall_ns;
    message->ended_at_ms = operation->ended_at;
    message->deadline_at_ms = operation->deadline_at;
    message->deadline_wall_ns = operation->deadline_wall_ns;
    message->requester_pid = operation->requester_pid;
    message->requester_uid = operation->requester_uid;
    message->joined = operation->joined;
    message->revision = operation->revision;
    message->told_revision = operation->told_revision;
    message->joined_request_ids =
        save_request_ids(operation, &message->n_joined_request_ids, arena);
    message->skip_prepare = operation->skip_prepare;
    message->pauses = operation->pauses;
    message->message = operation->message;
    message->steps = arena_calloc(arena, operation->n_steps + 1, sizeof(state_step *));
    for (size_t i = 0; message->steps != NULL && i < operation->n_steps; i++) {
        message->steps[i] = save_step(&operation->steps[i], arena);
        if (message->steps[i] == NULL)
            break;
        message->n_steps++;
    }
    return message;
}

/* ---- writing ---- */

/* Snapshot's repeated fields are appended one by one, as the encoding allows: what has not changed
 * since the last time is copied, not packed again. */
enum {
    TAG_SERVICES = 2 << 3 | 2,
    TAG_OPERATIONS = 3 << 3 | 2,
    TAG_LEASES = 10 << 3 | 2,
    TAG_UPGRADES = 13 << 3 | 2,
    LENGTH_MAX_BYTES = 5
};

struct writer {
    uint8_t *to;
    size_t len;
    size_t capacity;
    bool is_full;
};

static void write_entry(struct writer *writer, uint8_t tag, const struct packed *packed)
{
    size_t rest = packed->len;

    if (packed->bytes == NULL || writer->is_full ||
        packed->len + 1 + LENGTH_MAX_BYTES > writer->capacity - writer->len) {
        writer->is_full = true;
        return;
    }
    writer->to[writer->len++] = tag;
    for (; rest >= 0x80; rest >>= 7)
        writer->to[writer->len++] = (uint8_t)(rest | 0x80);
    writer->to[writer->len++] = (uint8_t)rest;
    memcpy(writer->to + writer->len, packed->bytes, packed->len);
    writer->len += packed->len;
}

static void pack(struct packed *packed, const ProtobufCMessage *message, uint64_t key)
{
    size_t len = message != NULL ? protobuf_c_message_get_packed_size(message) : 0;

    packed_clear(packed);
    packed->bytes = message != NULL ? malloc(len + 1) : NULL;
    if (packed->bytes == NULL)
        return;
    packed->len = protobuf_c_message_pack(message, packed->bytes);
    packed->key = key;
}

/* Over all that save_service reads. The list of exits grows at its newest end only. */
static uint64_t service_key(const struct service *service, enum snapshot_extent extent)
{
    const uint64_t numbers[] = {(uint64_t)extent, (uint64_t)service->since_wall_ns,
        service->identity.mark, service->signalled.n, service->last_task, service->n_exits,
        service->task_slot, service->is_retiring, service->config_revision,
        (uint64_t)service->listening.lost_at};
    uint64_t key = state_checksum(numbers, sizeof numbers, 0);

    key = state_checksum(&service->facts, sizeof service->facts, key);
    key = state_checksum(&service->news.key, sizeof service->news.key, key);
    key = state_checksum(&service->news.state, sizeof service->news.state, key);
    key = state_checksum(service->invocation, sizeof service->invocation, key);
    key = state_checksum(&service->exits[0], sizeof service->exits[0], key);
    key = state_watch_key(service, key);
    if (service->signalled.n > 0)
        key = state_checksum(
            service->signalled.items, service->signalled.n * sizeof *service->signalled.items, key);
    return key;
}

static void write_service(
    struct writer *writer, struct service *service, enum snapshot_extent extent)
{
    uint64_t key = service_key(service, extent);

    if (service->packed.bytes == NULL || service->packed.key != key) {
        struct arena arena;
        const state_service *message;

        arena_init(&arena, MESSAGE_ARENA_BYTES);
        message = save_service(service, extent, &arena);
        pack(&service->packed, arena_is_exhausted(&arena) ? NULL : &message->base, key);
        arena_deinit(&arena);
    }
    write_entry(writer, TAG_SERVICES, &service->packed);
}

/* One that has ended stays as it is. */
static void write_operation(struct writer *writer, struct operation *operation)
{
    bool is_kept = operation_has_ended(operation) && operation->packed.key == operation->revision;

    if (operation->packed.bytes == NULL || !is_kept) {
        struct arena arena;
        const state_operation *message;

        arena_init(&arena, MESSAGE_ARENA_BYTES);
        message = save_operation(operation, &arena);
        pack(&operation->packed, arena_is_exhausted(&arena) ? NULL : &message->base,
            operation->revision);
        arena_deinit(&arena);
    }
    write_entry(writer, TAG_OPERATIONS, &operation->packed);
}

static void write_operations(
    struct writer *writer, struct operations *operations, enum snapshot_extent extent)
{
    LIST_FOR_EACH(link, &operations->all)
    {
        struct operation *operation = CONTAINER_OF(link, struct operation, link);

        if (extent <= SNAPSHOT_WITHOUT_PROBES || !operation_has_ended(operation))
            write_operation(writer, operation);
    }
}

/* Few, and rarely changed: packed anew each time. */
static void write_leases(
    struct writer *writer, const struct leases *leases, enum snapshot_extent extent)
{
    LIST_FOR_EACH(link, &leases->all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);
        struct packed packed = {.bytes = NULL};
        struct arena arena;
        const state_lease *message;

        if (extent != SNAPSHOT_WHOLE && !lease_holds(lease))
            continue;
        arena_init(&arena, MESSAGE_ARENA_BYTES);
        message = lease_save(lease, &arena);
        pack(&packed, message != NULL ? &message->base : NULL, 0);
        arena_deinit(&arena);
        write_entry(writer, TAG_LEASES, &packed);
        packed_clear(&packed);
    }
}

/* Likewise. */
static void write_upgrades(
    struct writer *writer, const struct upgrades *upgrades, enum snapshot_extent extent)
{
    LIST_FOR_EACH(link, &upgrades->all)
    {
        const struct upgrade *upgrade = CONTAINER_OF(link, struct upgrade, link);
        struct packed packed = {.bytes = NULL};
        struct arena arena;
        const state_upgrade *message;

        if (extent != SNAPSHOT_WHOLE && upgrade->is_over)
            continue;
        arena_init(&arena, MESSAGE_ARENA_BYTES);
        message = upgrade_save(upgrade, &arena);
        pack(&packed, message != NULL ? &message->base : NULL, 0);
        arena_deinit(&arena);
        write_entry(writer, TAG_UPGRADES, &packed);
        packed_clear(&packed);
    }
}

static void write_basics(struct writer *writer, const struct supervisor *supervisor)
{
    state_snapshot snapshot = STATE_SNAPSHOT_INIT;

    snapshot.config.data = supervisor->packed_config;
    snapshot.config.len = supervisor->packed_config_len;
    snapshot.exits_done = supervisor->exits_done;
    snapshot.events_kept = events_last(supervisor->news.ring);
    snapshot.takeovers = supervisor->takeovers;
    snapshot.started_wall_ns = supervisor->started_wall_ns;
    snapshot.leaving = supervisor->is_leaving;
    snapshot.run_floor = supervisor->run_floor;
    snapshot.config_changed = supervisor->config_changed;
    snapshot.next_operation = supervisor->operations.next;
    snapshot.operation_instance = supervisor->operations.instance;
    writer->is_full = protobuf_c_message_get_packed_size(&snapshot.base) > writer->capacity;
    if (!writer->is_full)
        writer->len = protobuf_c_message_pack(&snapshot.base, writer->to);
}

static bool save_extent(struct supervisor *supervisor, enum snapshot_extent extent)
{
    struct writer writer = {.to = state_store_begin(supervisor->store),
        .capacity = state_store_capacity(supervisor->store)};

    write_basics(&writer, supervisor);
    for (uint32_t i = 0; i < supervisor->n_services && !writer.is_full; i++)
        write_service(&writer, supervisor->services[i], extent);
    write_operations(&writer, &supervisor->operations, extent);
    write_leases(&writer, &supervisor->leases, extent);
    write_upgrades(&writer, &supervisor->upgrades, extent);
    if (!writer.is_full)
        state_store_commit(supervisor->store, writer.len);
    return !writer.is_full;
}

void state_save(struct supervisor *supervisor)
{
    int64_t now = clock_monotonic_ms();
    bool is_retried = now >= supervisor->store_retry_at;
    int extent = is_retried ? SNAPSHOT_WHOLE : supervisor->store_extent;
    bool saved = save_extent(supervisor, (enum snapshot_extent)extent);

    while (!saved && extent < (int)SNAPSHOT_WITHOUT_HISTORY) {
        extent++;
        saved = save_extent(supervisor, (enum snapshot_extent)extent);
    }
    if (is_retried || extent != supervisor->store_extent)
        supervisor->store_retry_at =
            extent == (int)SNAPSHOT_WHOLE ? now : clock_add_ms(now, EXTENT_RETRY_MS);
    supervisor->store_extent = extent;
    if (!saved && !supervisor->is_store_full)
        log_error("state not kept: a take-over would begin from an older one", "capacity=%zu",
            state_store_capacity(supervisor->store));
    supervisor->is_store_full = !saved;
}
