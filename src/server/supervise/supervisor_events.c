/* Changes become events: at most one for each service, operation and lease in a turn of the loop,
 * written before the state that they belong to, and told after it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/supervise/status.h"

enum {
    /* Memory while one event is put together; an operation on two thousand services with full
     * outcomes needs a third. */
    EVENT_ARENA_BYTES = 24 * 1024 * 1024
};

/* A lease that has changed, as packed flocks.v1.Event. */
struct lease_news {
    struct list link; /* in supervisor.news.leases */
    char id[LEASE_ID_SIZE];
    uint64_t names;
    size_t len;
    uint8_t bytes[];
};

/* ---- marks ---- */

void supervisor_status_changed(struct service *service)
{
    list_remove(&service->news.link);
    list_append(&service->owner->news.services, &service->news.link);
    supervisor_mark_dirty(service->owner);
}

void supervisor_daemon_changed(struct supervisor *supervisor)
{
    supervisor->news.has_daemon = true;
    supervisor_mark_dirty(supervisor);
}

/* Copies a text that fits unless its maker is wrong. True: it is another one than before. */
static bool take_text(char *out, size_t size, const char *text)
{
    bool is_other = strncmp(out, text, size - 1) != 0;

    (void)snprintf(out, size, "%s", text);
    return is_other;
}

void supervisor_set_door(struct supervisor *supervisor, const struct supervisor_door *door)
{
    struct supervisor_door_texts *texts = &supervisor->door;
    bool is_other = texts->n_addresses != door->n_addresses;

    texts->n_addresses = door->n_addresses;
    for (size_t i = 0; i < door->n_addresses; i++)
        is_other = take_text(texts->addresses[i], sizeof texts->addresses[i], door->addresses[i]) ||
                   is_other;
    is_other = take_text(texts->problem, sizeof texts->problem, door->problem) || is_other;
    if (is_other)
        supervisor_daemon_changed(supervisor);
}

void supervisor_services_changed(struct supervisor *supervisor)
{
    /* Before, nobody has been shown any. */
    if (!supervisor->is_reconciled)
        return;
    supervisor->news.begins_anew = true;
    supervisor->news.n_changes++;
    supervisor_mark_dirty(supervisor);
}

static flocks_event make_event(Google__Protobuf__Timestamp *at)
{
    flocks_event event = FLOCKS_EVENT_INIT;
    int64_t wall_ns = clock_wall_ns();

    *at = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    at->seconds = wall_ns / 1000000000;
    at->nanos = (int32_t)(wall_ns % 1000000000);
    event.at = at;
    return event;
}

static void forget_lease(struct supervisor *supervisor, const char *id)
{
    LIST_FOR_EACH_SAFE(link, &supervisor->news.leases)
    {
        struct lease_news *news = CONTAINER_OF(link, struct lease_news, link);

        if (id == NULL || strcmp(news->id, id) == 0) {
            list_remove(link);
            free(news);
        }
    }
}

/* Nobody: every service. */
static uint64_t names_of_lease(const flocks_lease *lease)
{
    uint64_t names = 0;

    for (size_t i = 0; i < lease->n_services; i++)
        names |= event_name_bit(lease->services[i]);
    return names;
}

void supervisor_lease_changed(struct supervisor *supervisor, const flocks_lease *lease)
{
    Google__Protobuf__Timestamp at;
    flocks_event event = make_event(&at);
    const union {
        const flocks_lease *given;
        flocks_lease *read; /* protobuf-c's members are not const although packing only reads */
    } kind = {.given = lease};
    struct lease_news *news;
    size_t len;

    event.kind_case = FLOCKS_EVENT_KIND_LEASE;
    event.lease = kind.read;
    len = protobuf_c_message_get_packed_size(&event.base);
    forget_lease(supervisor, lease->id);
    supervisor_mark_dirty(supervisor);
    news = calloc(1, sizeof *news + len);
    if (news == NULL)
        return;
    (void)snprintf(news->id, sizeof news->id, "%s", lease->id);
    news->names = names_of_lease(lease);
    news->len = protobuf_c_message_pack(&event.base, news->bytes);
    list_append(&supervisor->news.leases, &news->link);
}

/* ---- writing ---- */

/* What cannot be put together is missing for every reader, and they are told so. Returns how many
 * bytes it has. */
static size_t write_event(
    struct supervisor *supervisor, const flocks_event *event, uint64_t names, struct arena *arena)
{
    struct event written = {.kind = EVENT_TOLD, .names = names};
    uint8_t *bytes = NULL;

    if (!arena_is_exhausted(arena)) {
        written.len = protobuf_c_message_get_packed_size(&event->base);
        bytes = arena_alloc(arena, written.len + 1);
    }
    if (bytes != NULL)
        (void)protobuf_c_message_pack(&event->base, bytes);
    else
        written = (struct event){.kind = EVENT_MISSING, .names = names};
    written.bytes = bytes;
    events_append(supervisor->news.ring, &written);
    return written.len;
}

/* Over what a watcher would see as another status: not over what only grows meanwhile, nor over a
 * time that is computed from the present one. */
static uint64_t key_of(
    flocks_service_status *status, const struct service *service, struct arena *arena)
{
    Google__Protobuf__Timestamp *retry_at = status->retry_at;
    uint64_t lost = status->log_bytes_lost;
    uint64_t seed = retry_at != NULL ? (uint64_t)service->facts.due_at : 0;
    size_t len;
    uint8_t *bytes;

    status->retry_at = NULL;
    status->log_bytes_lost = 0;
    len = protobuf_c_message_get_packed_size(&status->base);
    bytes = arena_alloc(arena, len + 1);
    if (bytes != NULL)
        (void)protobuf_c_message_pack(&status->base, bytes);
    status->retry_at = retry_at;
    status->log_bytes_lost = lost;
    return bytes != NULL ? state_checksum(bytes, len, seed) : 0;
}

static void write_service(struct service *service, struct arena *arena)
{
    struct supervisor *supervisor = service->owner;
    struct service_news *news = &service->news;
    flocks_service_change change = FLOCKS_SERVICE_CHANGE_INIT;
    Google__Protobuf__Timestamp at;
    flocks_event event = make_event(&at);
    uint64_t key;

    change.status = status_of_service(supervisor, service, arena);
    key = change.status != NULL ? key_of(change.status, service, arena) : 0;
    if (key != 0 && key == news->key && !news->has_exit)
        return;
    change.previous_state = flocks_service_state_from((int)news->state);
    if (news->has_exit && service->n_exits > 0)
        change.exit = status_of_exit(&service->exits[0], arena);
    news->key = key;
    news->state = service->facts.state;
    news->has_exit = false;
    event.kind_case = FLOCKS_EVENT_KIND_SERVICE;
    event.service = &change;
    (void)write_event(supervisor, &event, event_name_bit(service->name), arena);
}

static void write_services(struct supervisor *supervisor)
{
    struct list changed;

    list_init(&changed);
    list_move_all(&changed, &supervisor->news.services);
    while (!list_is_empty(&changed)) {
        struct service *service = CONTAINER_OF(changed.next, struct service, news.link);
        struct arena arena;

        list_remove(&service->news.link);
        supervisor_note_health(service);
        arena_init(&arena, EVENT_ARENA_BYTES);
        write_service(service, &arena);
        arena_deinit(&arena);
    }
}

static void write_operation(struct supervisor *supervisor, struct operation *operation, int64_t now)
{
    Google__Protobuf__Timestamp at;
    flocks_event event = make_event(&at);
    uint64_t names = 0;
    struct arena arena;

    arena_init(&arena, EVENT_ARENA_BYTES);
    event.kind_case = FLOCKS_EVENT_KIND_OPERATION;
    event.operation = status_of_operation(supervisor, operation, &arena);
    for (size_t i = 0; event.operation != NULL && i < event.operation->n_outcomes; i++)
        names |= event_name_bit(event.operation->outcomes[i]->service);
    operation_told(operation, write_event(supervisor, &event, names, &arena), now);
    arena_deinit(&arena);
}

static void write_operations(struct supervisor *supervisor)
{
    int64_t now = clock_monotonic_ms();
    struct operation *operation;

    while ((operation = operations_take_changed(&supervisor->operations, now)) != NULL)
        write_operation(supervisor, operation, now);
}

static void write_leases(struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->news.leases)
    {
        const struct lease_news *news = CONTAINER_OF(link, struct lease_news, link);

        events_append(supervisor->news.ring,
            &(struct event){
                .kind = EVENT_TOLD, .names = news->names, .bytes = news->bytes, .len = news->len});
    }
    forget_lease(supervisor, NULL);
}

static void write_daemon(struct supervisor *supervisor)
{
    Google__Protobuf__Timestamp at;
    flocks_event event = make_event(&at);
    struct arena arena;

    supervisor->news.has_daemon = false;
    arena_init(&arena, EVENT_ARENA_BYTES);
    event.kind_case = FLOCKS_EVENT_KIND_DAEMON;
    event.daemon = status_of_daemon(supervisor, &arena);
    (void)write_event(supervisor, &event, 0, &arena);
    arena_deinit(&arena);
}

/* Services first: what an operation ended as, they are already. */
void supervisor_write_events(struct supervisor *supervisor)
{
    write_services(supervisor);
    write_operations(supervisor);
    write_leases(supervisor);
    if (supervisor->news.has_daemon)
        write_daemon(supervisor);
    if (supervisor->news.begins_anew)
        events_append(supervisor->news.ring, &(struct event){.kind = EVENT_BEGIN_ANEW});
    supervisor->news.begins_anew = false;
    supervisor_tell_health(supervisor);
}

bool supervisor_has_news(const struct supervisor *supervisor)
{
    const struct supervisor_news *news = &supervisor->news;

    return !list_is_empty(&news->services) || !list_is_empty(&news->leases) || news->has_daemon ||
           news->begins_anew;
}

void supervisor_tell_events(struct supervisor *supervisor)
{
    if (events_told(supervisor->news.ring) == events_last(supervisor->news.ring))
        return;
    events_tell(supervisor->news.ring);
    supervisor_wake_watches(supervisor);
}

const char *supervisor_event_token(const struct supervisor *supervisor, struct arena *arena)
{
    char token[EVENTS_TOKEN_SIZE];

    events_token(supervisor->news.ring, events_told(supervisor->news.ring), token);
    return arena_strdup(arena, token);
}

/* ---- the ring ---- */

int supervisor_open_events(struct supervisor *supervisor, struct error *error)
{
    size_t len;
    uint8_t *memory = state_store_events(supervisor->store, &len);
    uint64_t epoch = 0;

    /* Without entropy yet, the time is as good: epochs only have to differ. */
    if (getrandom(&epoch, sizeof epoch, GRND_NONBLOCK) != sizeof epoch)
        epoch = (uint64_t)clock_wall_ns();
    return events_open(memory, memory != NULL ? len : (size_t)KEEPER_STATE_EVENTS_BYTES,
        supervisor->news.kept, epoch, &supervisor->news.ring, error);
}

void supervisor_close_events(struct supervisor *supervisor)
{
    forget_lease(supervisor, NULL);
    events_close(supervisor->news.ring);
    supervisor->news.ring = NULL;
}
