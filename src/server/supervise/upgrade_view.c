/* What people and programs are told of upgrades: the updater's last word, and over it what the
 * server knows itself. A lease without an updater that reports is an upgrade, too. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/message.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/upgrade_private.h"

enum {
    TOKEN_SUM_DIGITS = 16,
    /* Not 0: nothing that was told has it. */
    TOKEN_SEED = 0x75706772
};

/* Either may be NULL, not both. */
struct subject {
    const struct upgrade *upgrade;
    const struct lease *lease;
};

/* ---- which one ---- */

static bool is_over(const struct subject *subject)
{
    assert(subject->upgrade != NULL || subject->lease != NULL);
    return subject->upgrade != NULL ? subject->upgrade->is_over
                                    : lease_phase_is_final(subject->lease->facts.phase);
}

static int64_t ended_at(const struct subject *subject)
{
    return subject->upgrade != NULL ? subject->upgrade->ended_wall_ns
                                    : subject->lease->ended_wall_ns;
}

/* The present one, else the one that ended last. */
static struct subject find_latest(const struct supervisor *supervisor)
{
    struct subject told = {.upgrade = upgrades_latest(&supervisor->upgrades)};
    struct subject leased = {.lease = leases_latest(&supervisor->leases)};

    if (told.upgrade != NULL)
        told.lease = leases_find(&supervisor->leases, told.upgrade->lease_id);
    if (leased.lease == NULL || told.lease == leased.lease)
        return told;
    leased.upgrade = upgrades_find(&supervisor->upgrades, leased.lease->id);
    if (told.upgrade == NULL || (is_over(&told) && !is_over(&leased)))
        return leased;
    return is_over(&told) && ended_at(&leased) > ended_at(&told) ? leased : told;
}

/* The one that began last, if its holder's own id is `id`; NULL: none is. */
static const struct lease *find_requested(const struct supervisor *supervisor, const char *id)
{
    const struct lease *found = NULL;

    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        const struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->facts.phase != LEASE_DROPPED && strcmp(lease->request_id, id) == 0)
            found = lease;
    }
    return found;
}

static int find_subject(
    struct supervisor *supervisor, const char *id, struct subject *out, struct error *error)
{
    int result;

    if (id[0] == '\0') {
        *out = find_latest(supervisor);
    } else {
        out->upgrade = upgrades_find(&supervisor->upgrades, id);
        out->lease =
            leases_find(&supervisor->leases, out->upgrade != NULL ? out->upgrade->lease_id : id);
        if (out->upgrade == NULL && out->lease == NULL)
            out->lease = find_requested(supervisor, id);
    }
    if (out->upgrade != NULL || out->lease != NULL)
        return 0;
    result =
        error_set(error, STATUS_NOT_FOUND, "there is no upgrade%s%s", id[0] != '\0' ? " " : "", id);
    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_LEASE_ENDED;
    error_set_hint(error, "the last %d are remembered", (int)UPGRADES_MAX);
    return result;
}

static const char *id_of(const struct subject *subject)
{
    assert(subject->upgrade != NULL || subject->lease != NULL);
    return subject->upgrade != NULL ? subject->upgrade->id : subject->lease->id;
}

/* ---- how it is ---- */

static enum flocks_upgrade_step step_of(const struct lease *lease)
{
    switch (lease_phase_shown(lease->facts.phase)) {
    case LEASE_COMMITTING:
    case LEASE_OBSERVING:
        return FLOCKS_UPGRADE_STEP_COMMITTING;
    case LEASE_ROLLING_BACK:
        return FLOCKS_UPGRADE_STEP_ROLLING_BACK;
    case LEASE_COMMITTED:
    case LEASE_ROLLED_BACK:
    case LEASE_ROLLBACK_FAILED:
        return FLOCKS_UPGRADE_STEP_DONE;
    case LEASE_HELD:
    case LEASE_OPENING:
    case LEASE_SEALING:
    case LEASE_RESTORING:
    case LEASE_DROPPED:
    case LEASE_PHASE_END:
        break;
    }
    /* Only the updater knows. */
    return FLOCKS_UPGRADE_STEP_UNSPECIFIED;
}

flocks_upgrade_progress *upgrade_last_report(const struct upgrade *upgrade, struct arena *arena)
{
    if (upgrade->report.bytes == NULL)
        return (flocks_upgrade_progress *)schema_message_new_raw(
            &flocks__v1__upgrade_progress__descriptor, arena);
    return (flocks_upgrade_progress *)schema_message_unpack(
        &flocks__v1__upgrade_progress__descriptor, upgrade->report.bytes, upgrade->report.len,
        arena);
}

/* The updater is gone, and how it ends is the server's to do. */
static void tell_orphan(
    const struct subject *subject, struct arena *arena, flocks_upgrade_progress *out)
{
    enum flocks_upgrade_step step =
        subject->lease != NULL ? step_of(subject->lease) : FLOCKS_UPGRADE_STEP_UNSPECIFIED;
    bool is_at_work =
        step == FLOCKS_UPGRADE_STEP_COMMITTING || step == FLOCKS_UPGRADE_STEP_ROLLING_BACK;

    out->step = is_at_work ? step : FLOCKS_UPGRADE_STEP_RECOVERING;
    out->message = subject->lease != NULL && subject->lease->message[0] != '\0'
                       ? arena_strdup(arena, subject->lease->message)
                       : "the updater died; what it left is being ended";
    out->bytes_done = 0;
    out->bytes_total = 0;
}

static flocks_upgrade_progress *fill_told(const struct subject *subject, struct arena *arena)
{
    const struct upgrade *upgrade = subject->upgrade;
    flocks_upgrade_progress *out = upgrade_last_report(upgrade, arena);

    if (out == NULL)
        return NULL;
    out->upgrade_id = arena_strdup(arena, upgrade->id);
    out->lease_id = arena_strdup(arena, upgrade->lease_id);
    if (out->began_at == NULL)
        out->began_at = lease_timestamp(arena, upgrade->began_wall_ns);
    if (upgrade->is_over && out->ended_at == NULL)
        out->ended_at = lease_timestamp(arena, upgrade->ended_wall_ns);
    out->phase = subject->lease != NULL
                     ? flocks_upgrade_phase_from(lease_phase_shown(subject->lease->facts.phase))
                     : upgrade->phase;
    if (out->step == FLOCKS_UPGRADE_STEP_UNSPECIFIED)
        out->step = FLOCKS_UPGRADE_STEP_CHECKING;
    if (upgrade->is_orphan && !upgrade->is_over)
        tell_orphan(subject, arena, out);
    return out;
}

/* Nobody reports: what the lease tells. */
static flocks_upgrade_progress *fill_leased(const struct lease *lease, struct arena *arena)
{
    flocks_upgrade_progress *out = (flocks_upgrade_progress *)schema_message_new_raw(
        &flocks__v1__upgrade_progress__descriptor, arena);
    flocks_error_detail *detail =
        (flocks_error_detail *)schema_message_new_raw(&flocks__v1__error_detail__descriptor, arena);

    assert(lease != NULL);
    if (out == NULL || detail == NULL)
        return NULL;
    out->upgrade_id = arena_strdup(arena, lease->id);
    out->lease_id = out->upgrade_id;
    out->step = step_of(lease);
    out->phase = flocks_upgrade_phase_from(lease_phase_shown(lease->facts.phase));
    out->message = arena_strdup(arena, lease->message);
    out->began_at = lease_timestamp(arena, lease->began_wall_ns);
    if (lease_phase_is_final(lease->facts.phase))
        out->ended_at = lease_timestamp(arena, lease->ended_wall_ns);
    detail->reason = flocks_error_reason_from(lease->error_reason);
    detail->attempted = arena_strdup(arena, lease->reason);
    if (detail->reason != FLOCKS_ERROR_REASON_UNSPECIFIED)
        out->error = detail;
    return out;
}

static int fill(const struct subject *subject, struct arena *arena, flocks_upgrade_progress **out,
    struct error *error)
{
    *out =
        subject->upgrade != NULL ? fill_told(subject, arena) : fill_leased(subject->lease, arena);
    if (*out != NULL && !arena_is_exhausted(arena))
        return 0;
    return error_set(
        error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
}

int supervisor_get_upgrade(struct supervisor *supervisor, const char *id, struct arena *arena,
    flocks_get_upgrade_response *out, struct error *error)
{
    struct subject subject;
    int result = find_subject(supervisor, id, &subject, error);

    if (result == 0)
        result = fill(&subject, arena, &out->progress, error);
    if (result == 0 && subject.lease != NULL) {
        out->lease = lease_fill(subject.lease, arena);
        if (out->lease == NULL)
            result = error_set(
                error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
    }
    return result;
}

/* ---- watching ---- */

struct supervisor_upgrade_watch {
    struct list link;              /* in supervisor.upgrade_watches */
    struct supervisor *supervisor; /* NULL: it is gone */
    void (*wake)(void *data);
    void *data;
    char id[UPGRADE_ID_SIZE];
    uint64_t told; /* sum of what was told last; 0: nothing */
    bool is_told;  /* ... and it was the end */
};

/* "<id>.<sum>" */
static bool parse_token(const char *token, char id[UPGRADE_ID_SIZE], uint64_t *out_sum)
{
    const char *dot = strchr(token, '.');
    size_t len = dot != NULL ? (size_t)(dot - token) : 0;

    if (len == 0 || len >= UPGRADE_ID_SIZE || strlen(dot + 1) != TOKEN_SUM_DIGITS ||
        strspn(dot + 1, "0123456789abcdef") != TOKEN_SUM_DIGITS)
        return false;
    memcpy(id, token, len);
    id[len] = '\0';
    *out_sum = strtoull(dot + 1, NULL, 16);
    return upgrade_id_is_good(id);
}

static int refuse_token(const char *text, struct error *error)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "after: %s", text);

    error_set_hint(error, "give the token of an earlier answer as it was, or none");
    return result;
}

static int find_place(struct supervisor_upgrade_watch *watch,
    const struct supervisor_upgrade_watching *watching, struct error *error)
{
    char id[UPGRADE_ID_SIZE] = "";
    struct subject subject;
    int result;

    if (watching->after[0] != '\0' && !parse_token(watching->after, id, &watch->told))
        return refuse_token("not a token of an upgrade", error);
    result = find_subject(
        watch->supervisor, watching->id[0] != '\0' ? watching->id : id, &subject, error);
    if (result < 0)
        return result;
    (void)snprintf(watch->id, sizeof watch->id, "%s", id_of(&subject));
    if (id[0] != '\0' && strcmp(id, watch->id) != 0)
        return refuse_token("a token of another upgrade", error);
    return 0;
}

int supervisor_watch_upgrade(struct supervisor *supervisor,
    const struct supervisor_upgrade_watching *watching, struct supervisor_upgrade_watch **out,
    struct error *error)
{
    struct supervisor_upgrade_watch *watch;
    int result;

    if (supervisor->n_upgrade_watches >= SUPERVISOR_UPGRADE_WATCHES_MAX) {
        result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "there are %d watchers of upgrades",
            (int)SUPERVISOR_UPGRADE_WATCHES_MAX);
        if (error != NULL)
            error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
        return result;
    }
    watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return error_set_errno(error, ENOMEM, "watch an upgrade");
    list_init(&watch->link);
    watch->supervisor = supervisor;
    watch->wake = watching->wake;
    watch->data = watching->data;
    result = find_place(watch, watching, error);
    if (result < 0) {
        free(watch);
        return result;
    }
    list_append(&supervisor->upgrade_watches, &watch->link);
    supervisor->n_upgrade_watches++;
    *out = watch;
    return 0;
}

static uint64_t sum_of(const flocks_upgrade_progress *progress, struct arena *arena)
{
    size_t len = protobuf_c_message_get_packed_size(&progress->base);
    uint8_t *bytes = arena_alloc(arena, len + 1);

    return bytes != NULL
               ? state_checksum(bytes, protobuf_c_message_pack(&progress->base, bytes), TOKEN_SEED)
               : 0;
}

int supervisor_upgrade_watch_next(struct supervisor_upgrade_watch *watch, struct arena *arena,
    flocks_watch_upgrade_response *out, struct error *error)
{
    struct subject subject;
    uint64_t sum;
    int result;

    if (watch->is_told)
        return SUPERVISOR_UPGRADE_TOLD;
    if (watch->supervisor == NULL)
        return SUPERVISOR_UPGRADE_NOTHING;
    result = find_subject(watch->supervisor, watch->id, &subject, error);
    if (result == 0)
        result = fill(&subject, arena, &out->progress, error);
    if (result < 0)
        return result;
    sum = sum_of(out->progress, arena);
    watch->is_told = is_over(&subject);
    if (sum == watch->told)
        return watch->is_told ? SUPERVISOR_UPGRADE_TOLD : SUPERVISOR_UPGRADE_NOTHING;
    watch->told = sum;
    out->token = arena_printf(arena, "%s.%016" PRIx64, watch->id, sum);
    return out->token != NULL
               ? 0
               : error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for an answer");
}

void supervisor_upgrade_watch_close(struct supervisor_upgrade_watch *watch)
{
    if (watch == NULL)
        return;
    list_remove(&watch->link);
    if (watch->supervisor != NULL)
        watch->supervisor->n_upgrade_watches--;
    free(watch);
}

void upgrades_tell(struct supervisor *supervisor)
{
    if (!supervisor->are_upgrades_news)
        return;
    supervisor->are_upgrades_news = false;
    LIST_FOR_EACH(link, &supervisor->upgrade_watches)
    {
        const struct supervisor_upgrade_watch *watch =
            CONTAINER_OF(link, struct supervisor_upgrade_watch, link);

        watch->wake(watch->data);
    }
}

void upgrade_watches_drop(struct supervisor *supervisor)
{
    while (!list_is_empty(&supervisor->upgrade_watches)) {
        struct supervisor_upgrade_watch *watch =
            CONTAINER_OF(supervisor->upgrade_watches.next, struct supervisor_upgrade_watch, link);

        list_remove(&watch->link);
        watch->supervisor = NULL;
    }
}
