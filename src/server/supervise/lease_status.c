/* What people and programs are told of leases. */
#include "common/base/clock.h"
#include "server/supervise/lease_private.h"

Google__Protobuf__Timestamp *lease_timestamp(struct arena *arena, int64_t wall_ns)
{
    Google__Protobuf__Timestamp *out = arena_alloc(arena, sizeof *out);

    if (out == NULL)
        return NULL;
    *out = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    out->seconds = wall_ns / 1000000000;
    out->nanos = (int32_t)(wall_ns % 1000000000);
    return out;
}

static Google__Protobuf__Duration *duration(struct arena *arena, int64_t ms)
{
    Google__Protobuf__Duration *out = arena_alloc(arena, sizeof *out);

    if (out == NULL)
        return NULL;
    *out = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
    out->seconds = ms / 1000;
    out->nanos = (int32_t)(ms % 1000) * 1000000;
    return out;
}

static void fill_times(const struct lease *lease, struct arena *arena, flocks_lease *out)
{
    int64_t left = lease->facts.due_at - clock_monotonic_ms();

    out->began_at = lease_timestamp(arena, lease->began_wall_ns);
    if (lease_phase_is_final(lease->facts.phase)) {
        out->ended_at = lease_timestamp(arena, lease->ended_wall_ns);
    } else if (lease->facts.phase == LEASE_HELD) {
        left = left > 0 ? left : 0;
        out->remaining = duration(arena, left);
        out->expires_at = lease_timestamp(arena, clock_wall_ns() + left * 1000000);
    }
}

static void fill_page(const struct lease *lease, struct arena *arena, flocks_lease *out)
{
    const union endpoint_address *address = supervisor_page_of(lease);
    char text[ENDPOINT_TEXT_MAX];

    if (address == NULL)
        return;
    endpoint_address_text(address, text);
    out->holding_page_address = arena_strdup(arena, text);
}

flocks_lease *lease_fill(const struct lease *lease, struct arena *arena)
{
    flocks_lease *out = arena_alloc(arena, sizeof *out);
    const char **names = arena_calloc(arena, lease->n_services + 1, sizeof *names);

    if (out == NULL || names == NULL)
        return NULL;
    *out = (flocks_lease)FLOCKS_LEASE_INIT;
    out->id = arena_strdup(arena, lease->id);
    out->owner = arena_strdup(arena, lease->owner);
    out->reason = arena_strdup(arena, lease->reason);
    out->operation_id = arena_strdup(arena, lease->operation_id);
    out->message = arena_strdup(arena, lease->message);
    out->request_id = arena_strdup(arena, lease->request_id);
    for (size_t i = 0; i < lease->n_services; i++)
        names[i] = arena_strdup(arena, lease->services[i].name);
    out->services = names;
    out->n_services = lease->n_services;
    out->phase = flocks_upgrade_phase_from((int)lease_phase_shown(lease->facts.phase));
    out->holding_page = lease->holding_page;
    fill_page(lease, arena, out);
    out->owner_pid = lease->owner_pid;
    out->owner_uid = lease->owner_uid;
    fill_times(lease, arena, out);
    return arena_is_exhausted(arena) ? NULL : out;
}

int supervisor_get_lease(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_lease **out, struct error *error)
{
    const struct lease *lease =
        id[0] != '\0' ? leases_find(&supervisor->leases, id) : leases_latest(&supervisor->leases);

    if (lease == NULL) {
        int result = error_set(
            error, STATUS_NOT_FOUND, "there is no upgrade%s%s", id[0] != '\0' ? " " : "", id);

        if (error != NULL)
            error->reason = FLOCKS_ERROR_REASON_LEASE_ENDED;
        error_set_hint(error, "the last 16 are remembered");
        return result;
    }
    *out = lease_fill(lease, arena);
    if (*out == NULL)
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
    return 0;
}
