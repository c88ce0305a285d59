/* Who watches events: a place in the ring, and nothing else, however slowly it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/supervise/status.h"

/* What is to be said before the next event. */
enum watch_turn { WATCH_TELLS_EVENTS, WATCH_TELLS_GAP, WATCH_TELLS_SNAPSHOT };

struct supervisor_watch {
    struct list link; /* in supervisor.news.watches */
    struct supervisor *supervisor;
    void (*wake)(void *data);
    void *data;
    enum watch_turn phase;
    uint64_t next; /* number of the event that is to be read */
    uint64_t lost;
    char token[EVENTS_TOKEN_SIZE]; /* WATCH_TELLS_GAP: where it comes from */
    uint64_t names;                /* bits of the services; all set: every one */
    size_t n_services;
    const char *services[]; /* sorted, the caller's; none: every one */
};

/* ---- beginning ---- */

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;

    return strcmp(*a, *b);
}

static int choose(
    struct supervisor_watch *watch, const struct supervisor_watching *watching, struct error *error)
{
    watch->names = watching->n_services > 0 ? 0 : UINT64_MAX;
    watch->n_services = watching->n_services;
    for (size_t i = 0; i < watching->n_services; i++) {
        if (supervisor_find(watch->supervisor, watching->services[i]) == NULL)
            return supervisor_refuse_unknown(watch->supervisor, watching->services[i], error);
        watch->services[i] = watching->services[i];
        watch->names |= event_name_bit(watching->services[i]);
    }
    if (watch->n_services > 1)
        qsort(watch->services, watch->n_services, sizeof watch->services[0], compare_names);
    return 0;
}

static int find_place(
    struct supervisor_watch *watch, const struct supervisor_watching *watching, struct error *error)
{
    struct events_place place;

    watch->phase = WATCH_TELLS_SNAPSHOT;
    if (watching->after == NULL || watching->after[0] == '\0')
        return 0;
    if (events_find(watch->supervisor->news.ring, watching->after, &place) < 0) {
        int result = error_set(error, STATUS_INVALID_ARGUMENT, "after: not a token of an event");

        error_set_hint(error, "give the token of an earlier answer as it was, or none");
        return result;
    }
    watch->phase = place.has_gap ? WATCH_TELLS_GAP : WATCH_TELLS_EVENTS;
    watch->next = place.next;
    watch->lost = place.lost;
    (void)snprintf(watch->token, sizeof watch->token, "%s", watching->after);
    return 0;
}

static int refuse_more(struct error *error)
{
    int result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "there are %d watchers of events",
        (int)SUPERVISOR_WATCHES_MAX);

    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

int supervisor_watch(struct supervisor *supervisor, const struct supervisor_watching *watching,
    struct supervisor_watch **out, struct error *error)
{
    struct supervisor_watch *watch;
    int result;

    if (supervisor->news.n_watches >= SUPERVISOR_WATCHES_MAX)
        return refuse_more(error);
    watch = calloc(1, sizeof *watch + watching->n_services * sizeof watch->services[0]);
    if (watch == NULL)
        return error_set_errno(error, ENOMEM, "watch events");
    watch->supervisor = supervisor;
    watch->wake = watching->wake;
    watch->data = watching->data;
    result = choose(watch, watching, error);
    if (result == 0)
        result = find_place(watch, watching, error);
    if (result < 0) {
        free(watch);
        return result;
    }
    list_append(&supervisor->news.watches, &watch->link);
    supervisor->news.n_watches++;
    *out = watch;
    return 0;
}

void supervisor_watch_close(struct supervisor_watch *watch)
{
    if (watch == NULL)
        return;
    list_remove(&watch->link);
    if (watch->supervisor != NULL)
        watch->supervisor->news.n_watches--;
    free(watch);
}

void supervisor_wake_watches(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->news.watches)
    {
        const struct supervisor_watch *watch = CONTAINER_OF(link, struct supervisor_watch, link);

        watch->wake(watch->data);
    }
}

void supervisor_drop_watches(struct supervisor *supervisor)
{
    LIST_FOR_EACH_SAFE(link, &supervisor->news.watches)
    {
        CONTAINER_OF(link, struct supervisor_watch, link)->supervisor = NULL;
        list_remove(link);
    }
}

/* ---- whom an event concerns ---- */

static bool wants(const struct supervisor_watch *watch, const char *name)
{
    size_t low = 0;
    size_t high = watch->n_services;

    if (watch->n_services == 0)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(watch->services[middle], name);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool wants_operation(const struct supervisor_watch *watch, const flocks_operation *operation)
{
    for (size_t i = 0; i < operation->n_outcomes; i++) {
        if (wants(watch, operation->outcomes[i]->service))
            return true;
    }
    return operation->n_outcomes == 0;
}

static bool wants_lease(const struct supervisor_watch *watch, const flocks_lease *lease)
{
    for (size_t i = 0; i < lease->n_services; i++) {
        if (wants(watch, lease->services[i]))
            return true;
    }
    return lease->n_services == 0;
}

/* What is about the daemon concerns everybody. */
static bool wants_event(const struct supervisor_watch *watch, const flocks_event *event)
{
    if (event->kind_case == FLOCKS_EVENT_KIND_SERVICE)
        return event->service->status != NULL && wants(watch, event->service->status->name);
    if (event->kind_case == FLOCKS_EVENT_KIND_OPERATION)
        return wants_operation(watch, event->operation);
    if (event->kind_case == FLOCKS_EVENT_KIND_LEASE)
        return wants_lease(watch, event->lease);
    return true;
}

/* ---- items ---- */

static void set_token(const struct supervisor_watch *watch, uint64_t number,
    flocks_watch_events_response *out, struct arena *arena)
{
    char token[EVENTS_TOKEN_SIZE];

    events_token(watch->supervisor->news.ring, number, token);
    out->token = arena_strdup(arena, token);
}

/* Whoever resumes behind the gap has still not had its snapshot: the token is the one before. */
static void fill_gap(
    struct supervisor_watch *watch, struct arena *arena, flocks_watch_events_response *out)
{
    flocks_gap *gap = arena_alloc(arena, sizeof *gap);

    watch->phase = WATCH_TELLS_SNAPSHOT;
    if (gap == NULL)
        return;
    *gap = (flocks_gap)FLOCKS_GAP_INIT;
    gap->events_lost = watch->lost;
    out->token = arena_strdup(arena, watch->token);
    out->item_case = FLOCKS_WATCH_EVENTS_RESPONSE_ITEM_GAP;
    out->gap = gap;
}

/* A service that is gone is not in it, though somebody asked for it by name. */
static void fill_services(
    const struct supervisor_watch *watch, struct arena *arena, flocks_snapshot *snapshot)
{
    const struct supervisor *supervisor = watch->supervisor;

    snapshot->services =
        arena_calloc(arena, supervisor->n_services + 1, sizeof(flocks_service_status *));
    for (uint32_t i = 0; snapshot->services != NULL && i < supervisor->n_services; i++) {
        flocks_service_status *status;

        if (!wants(watch, supervisor->services[i]->name))
            continue;
        status = status_of_service(supervisor, supervisor->services[i], arena);
        if (status == NULL)
            return;
        snapshot->services[snapshot->n_services++] = status;
    }
}

static void fill_snapshot(
    struct supervisor_watch *watch, struct arena *arena, flocks_watch_events_response *out)
{
    struct supervisor *supervisor = watch->supervisor;
    flocks_snapshot *snapshot = arena_alloc(arena, sizeof *snapshot);

    supervisor_settle_events(supervisor);
    watch->phase = WATCH_TELLS_EVENTS;
    watch->next = events_told(supervisor->news.ring) + 1;
    if (snapshot == NULL)
        return;
    *snapshot = (flocks_snapshot)FLOCKS_SNAPSHOT_INIT;
    snapshot->daemon = status_of_daemon(supervisor, arena);
    fill_services(watch, arena, snapshot);
    snapshot->leases = supervisor_fill_leases(watch->supervisor, arena, &snapshot->n_leases);
    set_token(watch, watch->next - 1, out, arena);
    out->item_case = FLOCKS_WATCH_EVENTS_RESPONSE_ITEM_SNAPSHOT;
    out->snapshot = snapshot;
}

static void *allocate(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void release(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

/* False: it does not concern the watcher. */
static bool fill_event(struct supervisor_watch *watch, const struct event *read,
    struct arena *arena, flocks_watch_events_response *out)
{
    ProtobufCAllocator allocator = {allocate, release, arena};
    flocks_event *event = (flocks_event *)protobuf_c_message_unpack(
        &flocks__v1__event__descriptor, &allocator, read->len, read->bytes);

    if (event == NULL || !wants_event(watch, event))
        return false;
    set_token(watch, watch->next, out, arena);
    out->item_case = FLOCKS_WATCH_EVENTS_RESPONSE_ITEM_EVENT;
    out->event = event;
    return true;
}

static void begin_gap(struct supervisor_watch *watch, uint64_t lost)
{
    watch->phase = WATCH_TELLS_GAP;
    watch->lost = lost;
    events_token(watch->supervisor->news.ring, watch->next - 1, watch->token);
}

/* The next event that concerns it, or what has become of it. False: there is none. */
static bool find_event(
    struct supervisor_watch *watch, struct arena *arena, flocks_watch_events_response *out)
{
    const struct events *ring = watch->supervisor->news.ring;
    struct event event;

    if (watch->next < events_first(ring)) {
        begin_gap(watch, events_first(ring) - watch->next);
        return false;
    }
    for (; events_read(ring, watch->next, &event); watch->next++) {
        if (event.kind == EVENT_BEGIN_ANEW) {
            watch->phase = WATCH_TELLS_SNAPSHOT;
            return false;
        }
        if (event.names != 0 && (event.names & watch->names) == 0)
            continue;
        if (event.kind == EVENT_MISSING) {
            begin_gap(watch, 1);
            return false;
        }
        if (fill_event(watch, &event, arena, out)) {
            watch->next++;
            return true;
        }
    }
    return false;
}

int supervisor_watch_next(struct supervisor_watch *watch, struct arena *arena,
    flocks_watch_events_response *out, struct error *error)
{
    bool found = true;

    *out = (flocks_watch_events_response)FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    if (watch->phase == WATCH_TELLS_EVENTS)
        found = find_event(watch, arena, out);
    if (watch->phase == WATCH_TELLS_GAP)
        fill_gap(watch, arena, out);
    else if (watch->phase == WATCH_TELLS_SNAPSHOT)
        fill_snapshot(watch, arena, out);
    else if (!found)
        return SUPERVISOR_NOTHING;
    if (arena_is_exhausted(arena))
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "the answer is larger than one call may use");
    return 0;
}
