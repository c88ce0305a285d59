#include "server/supervise/lease_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "server/supervise/state_store.h"
#include "server/supervise/upgrade_state.h"

enum {
    RECORD_FORMAT = 1,
    /* Cap of what a record is packed from. */
    RECORD_ARENA_BYTES = 64 * 1024 * 1024,
    /* Not 0: a record that is torn before its checksum has none. */
    CHECKSUM_SEED = 0x6c656173
};

/* ---- saving ---- */

static state_leased_service *save_service(const struct leased_service *service, struct arena *arena)
{
    state_leased_service *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_leased_service)STATE_LEASED_SERVICE_INIT;
    message->name = service->name;
    message->wanted = service->wanted;
    message->from_generation = service->from_generation;
    message->to_generation = service->to_generation;
    message->released = service->released;
    if (service->expected_version != NULL)
        message->expected_version = service->expected_version;
    return message;
}

static state_link_undo *save_undo(const struct lease_undo *undo, struct arena *arena)
{
    state_link_undo *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_link_undo)STATE_LINK_UNDO_INIT;
    message->link = undo->link;
    message->target = undo->target;
    return message;
}

static bool save_lists(const struct lease *lease, state_lease *message, struct arena *arena)
{
    message->services = arena_calloc(arena, lease->n_services + 1, sizeof(state_leased_service *));
    message->undo = arena_calloc(arena, lease->n_undo + 1, sizeof(state_link_undo *));
    if (message->services == NULL || message->undo == NULL)
        return false;
    for (size_t i = 0; i < lease->n_services; i++) {
        message->services[i] = save_service(&lease->services[i], arena);
        if (message->services[i] == NULL)
            return false;
        message->n_services++;
    }
    for (size_t i = 0; i < lease->n_undo; i++) {
        message->undo[i] = save_undo(&lease->undo[i], arena);
        if (message->undo[i] == NULL)
            return false;
        message->n_undo++;
    }
    return true;
}

state_lease *lease_save(const struct lease *lease, struct arena *arena)
{
    state_lease *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_lease)STATE_LEASE_INIT;
    message->id = lease->id;
    message->owner = lease->owner;
    message->reason = lease->reason;
    message->request_id = lease->request_id;
    message->operation_id = lease->operation_id;
    message->message = lease->message;
    message->error_reason = lease->error_reason;
    message->phase = (uint32_t)lease->facts.phase;
    message->due_at_ms = lease->facts.due_at;
    message->ttl_ms = lease->facts.ttl_ms;
    message->start_timeout_ms = lease->facts.start_timeout_ms;
    message->observe_ms = lease->facts.observe_ms;
    message->settled = lease->facts.is_settled;
    message->began_wall_ns = lease->began_wall_ns;
    message->ended_wall_ns = lease->ended_wall_ns;
    message->holding_page = lease->holding_page;
    message->owner_pid = lease->owner_pid;
    message->owner_start_ticks = lease->owner_start_ticks;
    message->owner_uid = lease->owner_uid;
    return save_lists(lease, message, arena) ? message : NULL;
}

/* ---- loading ---- */

static int no_memory(struct error *error)
{
    return error_set_errno(error, ENOMEM, "read the leases");
}

static int load_lists(struct lease *lease, const state_lease *message, struct error *error)
{
    for (size_t i = 0; i < message->n_services; i++) {
        const state_leased_service *from = message->services[i];
        struct leased_service *to = &lease->services[i];

        (void)snprintf(to->name, sizeof to->name, "%s", from->name);
        to->wanted = from->wanted;
        to->released = from->released;
        to->from_generation = from->from_generation;
        to->to_generation = from->to_generation;
        to->ask_at = CLOCK_NEVER;
        if (from->expected_version[0] != '\0' && !lease_expect(to, from->expected_version))
            return no_memory(error);
    }
    lease_sort_services(lease);
    for (size_t i = 0; i < message->n_undo && i < LEASE_UNDO_MAX; i++) {
        if (!lease_add_undo(lease, message->undo[i]->link, message->undo[i]->target))
            return no_memory(error);
    }
    return 0;
}

static void load_texts(struct lease *lease, const state_lease *message)
{
    (void)snprintf(lease->id, sizeof lease->id, "%s", message->id);
    (void)snprintf(lease->owner, sizeof lease->owner, "%s", message->owner);
    (void)snprintf(lease->reason, sizeof lease->reason, "%s", message->reason);
    (void)snprintf(lease->request_id, sizeof lease->request_id, "%s", message->request_id);
    (void)snprintf(lease->operation_id, sizeof lease->operation_id, "%s", message->operation_id);
    (void)snprintf(lease->message, sizeof lease->message, "%s", message->message);
    lease->has_operation = lease->operation_id[0] != '\0';
    lease->error_reason = message->error_reason;
}

int lease_load(struct leases *leases, const state_lease *message, struct error *error)
{
    struct lease *lease;
    int result;

    if (message->phase == 0 || message->phase >= LEASE_PHASE_END)
        return error_set(error, STATUS_DATA_LOSS, "lease %s is in phase %u, which is unknown",
            message->id, (unsigned)message->phase);
    lease = lease_new(leases, message->n_services);
    if (lease == NULL)
        return no_memory(error);
    load_texts(lease, message);
    lease->facts = (struct lease_facts){.phase = (enum lease_phase)message->phase,
        .due_at = message->due_at_ms,
        .ttl_ms = message->ttl_ms,
        .start_timeout_ms = message->start_timeout_ms,
        .observe_ms = message->observe_ms,
        .is_settled = message->settled};
    lease->is_loaded = true;
    lease->began_wall_ns = message->began_wall_ns;
    lease->ended_wall_ns = message->ended_wall_ns;
    lease->holding_page = message->holding_page;
    lease->owner_pid = message->owner_pid;
    lease->owner_start_ticks = message->owner_start_ticks;
    lease->owner_uid = message->owner_uid;
    result = load_lists(lease, message, error);
    if (result < 0)
        lease_free(lease);
    return result;
}

/* ---- the record ---- */

/* Nothing at all has one, too. */
static uint64_t body_checksum(const uint8_t *bytes, size_t len)
{
    return len > 0 ? state_checksum(bytes, len, CHECKSUM_SEED) : CHECKSUM_SEED;
}

static enum lease_phase recorded_phase(
    const struct lease *lease, const struct lease *opening, const struct lease *sealing)
{
    if (lease == opening)
        return LEASE_HELD;
    return lease == sealing ? LEASE_COMMITTED : lease->facts.phase;
}

static bool fill_list(const struct leases *leases, const struct lease *opening,
    const struct lease *sealing, state_lease_list *list, struct arena *arena)
{
    enum { ALL = LEASES_MAX + LEASES_ENDED_MAX + 2 };

    list->leases = arena_calloc(arena, ALL, sizeof(state_lease *));
    if (list->leases == NULL)
        return false;
    LIST_FOR_EACH(link, &leases->all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);
        enum lease_phase phase = recorded_phase(lease, opening, sealing);
        state_lease *message;

        if (phase == LEASE_OPENING || phase == LEASE_DROPPED || list->n_leases == ALL)
            continue;
        message = lease_save(lease, arena);
        if (message == NULL)
            return false;
        message->phase = (uint32_t)phase;
        list->leases[list->n_leases++] = message;
    }
    return true;
}

static bool fill_upgrades(
    const struct upgrades *upgrades, state_lease_list *list, struct arena *arena)
{
    list->upgrades = arena_calloc(arena, upgrades_count(upgrades) + 1, sizeof(state_upgrade *));
    if (list->upgrades == NULL)
        return false;
    LIST_FOR_EACH(link, &upgrades->all)
    {
        state_upgrade *message = upgrade_save(CONTAINER_OF(link, struct upgrade, link), arena);

        if (message == NULL)
            return false;
        list->upgrades[list->n_upgrades++] = message;
    }
    return true;
}

static int pack(const ProtobufCMessage *message, uint8_t **out, size_t *out_len)
{
    *out = malloc(protobuf_c_message_get_packed_size(message) + 1);
    if (*out == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    *out_len = protobuf_c_message_pack(message, *out);
    return 0;
}

int lease_record_pack(const struct leases *leases, const struct upgrades *upgrades,
    const struct lease *opening, const struct lease *sealing, uint8_t **out, size_t *out_len,
    struct error *error)
{
    state_lease_list list = STATE_LEASE_LIST_INIT;
    state_lease_record record = STATE_LEASE_RECORD_INIT;
    struct arena arena;
    uint8_t *body = NULL;
    int result = -STATUS_RESOURCE_EXHAUSTED;

    arena_init(&arena, RECORD_ARENA_BYTES);
    if (fill_list(leases, opening, sealing, &list, &arena) &&
        fill_upgrades(upgrades, &list, &arena))
        result = pack(&list.base, &body, &record.body.len);
    arena_deinit(&arena);
    if (result < 0)
        return no_memory(error);
    record.format = RECORD_FORMAT;
    record.body.data = body;
    record.checksum = body_checksum(body, record.body.len);
    result = pack(&record.base, out, out_len);
    free(body);
    return result < 0 ? no_memory(error) : 0;
}

static int unpack_list(struct leases *leases, struct upgrades *upgrades,
    const state_lease_record *record, struct error *error)
{
    struct leases read;
    state_lease_list *list;
    int result = 0;

    if (record->format != RECORD_FORMAT)
        return error_set(error, STATUS_DATA_LOSS, "it has format %u, this flocksd knows %d",
            (unsigned)record->format, (int)RECORD_FORMAT);
    if (record->checksum != body_checksum(record->body.data, record->body.len))
        return error_set(error, STATUS_DATA_LOSS, "its checksum is wrong");
    list = (state_lease_list *)protobuf_c_message_unpack(
        &flocks__state__v1__lease_list__descriptor, NULL, record->body.len, record->body.data);
    if (list == NULL)
        return error_set(error, STATUS_DATA_LOSS, "it is not a record of leases");
    leases_init(&read);
    for (size_t i = 0; i < list->n_leases && result == 0; i++)
        result = lease_load(&read, list->leases[i], error);
    for (size_t i = 0; i < list->n_upgrades && result == 0; i++)
        upgrade_load(upgrades, list->upgrades[i]);
    protobuf_c_message_free_unpacked(&list->base, NULL);
    if (result == 0)
        list_move_all(&leases->all, &read.all);
    leases_deinit(&read);
    return result;
}

int lease_record_unpack(struct leases *leases, struct upgrades *upgrades, const uint8_t *bytes,
    size_t len, struct error *error)
{
    state_lease_record *record = (state_lease_record *)protobuf_c_message_unpack(
        &flocks__state__v1__lease_record__descriptor, NULL, len, bytes);
    int result;

    if (record == NULL)
        return error_set(error, STATUS_DATA_LOSS, "it is not a record of leases");
    result = unpack_list(leases, upgrades, record, error);
    protobuf_c_message_free_unpacked(&record->base, NULL);
    return result;
}
