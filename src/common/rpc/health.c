/* grpc.health.v1 over a table of names. A name is in it while it is set or somebody watches it; a
 * watcher holds its place in it and what it was told last, however slowly it reads. */
#include "crpc/health.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/search.h"
#include "common/base/utf8.h"
#include "crpc/limits.h"
#include "grpc/health/v1/health.server.h"

enum {
    SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING,
    NOT_SERVING = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING,
    SERVICE_UNKNOWN = HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVICE_UNKNOWN,
    NOTHING_TOLD = -1,
    /* Of a name within an error's text. */
    SHOWN_BYTES = 200
};

struct health_entry {
    int status; /* SERVICE_UNKNOWN: it is only watched */
    struct list watchers;
    char name[];
};

struct rpc_health {
    size_t n_entries;
    size_t capacity;
    struct health_entry **entries; /* by name */
    /* Of names that are too long to be known. */
    struct list strangers;
    bool is_shut;
};

struct health_watcher {
    struct list link; /* in entry->watchers, or health->strangers */
    struct rpc_health *health;
    struct health_entry *entry; /* NULL: a stranger, or health is gone */
    struct health_watch_call *call;
    int told;
};

/* ---- the table ---- */

struct entry_key {
    const struct rpc_health *health;
    const char *name;
};

static int compare_entry(const void *data, size_t place)
{
    const struct entry_key *key = data;
    return strcmp(key->health->entries[place]->name, key->name);
}

/* Where `name` is, or would be. */
static size_t place_of(const struct rpc_health *health, const char *name)
{
    const struct entry_key key = {.health = health, .name = name};
    return search_first(&key, health->n_entries, compare_entry);
}

static struct health_entry *find(const struct rpc_health *health, const char *name)
{
    size_t place = place_of(health, name);
    if (place >= health->n_entries || strcmp(health->entries[place]->name, name) != 0)
        return NULL;
    return health->entries[place];
}

static bool make_room(struct rpc_health *health)
{
    enum { FIRST = 16 };
    if (health->n_entries < health->capacity)
        return true;
    size_t capacity = health->capacity == 0 ? FIRST : 2 * health->capacity;
    struct health_entry **entries =
        realloc((void *)health->entries, capacity * sizeof(struct health_entry *));
    if (entries == NULL)
        return false;
    health->entries = entries;
    health->capacity = capacity;
    return true;
}

/* The entry of `name`, unknown if it is new; NULL without memory. */
static struct health_entry *find_or_add(struct rpc_health *health, const char *name)
{
    struct health_entry *entry = find(health, name);
    if (entry != NULL || !make_room(health))
        return entry;
    size_t size = strlen(name) + 1;
    entry = malloc(sizeof *entry + size);
    if (entry == NULL)
        return NULL;
    entry->status = SERVICE_UNKNOWN;
    list_init(&entry->watchers);
    memcpy(entry->name, name, size);
    size_t place = place_of(health, name);
    memmove((void *)(health->entries + place + 1), (const void *)(health->entries + place),
        (health->n_entries - place) * sizeof(struct health_entry *));
    health->entries[place] = entry;
    health->n_entries++;
    return entry;
}

static void drop_if_unused(struct rpc_health *health, struct health_entry *entry)
{
    if (entry->status != SERVICE_UNKNOWN || !list_is_empty(&entry->watchers))
        return;
    size_t place = place_of(health, entry->name);
    health->n_entries--;
    memmove((void *)(health->entries + place), (const void *)(health->entries + place + 1),
        (health->n_entries - place) * sizeof(struct health_entry *));
    free(entry);
}

/* ---- watchers ---- */

static int status_of(const struct health_watcher *watcher)
{
    return watcher->entry != NULL ? watcher->entry->status : SERVICE_UNKNOWN;
}

static void wake_all(const struct list *watchers)
{
    LIST_FOR_EACH(link, watchers)
    health_watch_wake(CONTAINER_OF(link, struct health_watcher, link)->call);
}

static void fail_for_end(struct rpc_call *call)
{
    rpc_call_fail(call, RPC_UNAVAILABLE, NULL, "the server is ending");
}

static enum rpc_pull tell(struct health_watcher *watcher, int status)
{
    health_health_check_response response = HEALTH_HEALTH_CHECK_RESPONSE_INIT;
    response.status = (enum health_health_check_response_serving_status)status;
    if (health_watch_send(watcher->call, &response) == RPC_OK)
        watcher->told = status;
    else
        rpc_call_fail(health_watch_base(watcher->call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
    return RPC_PULL_SENT;
}

static enum rpc_pull next_status(void *state, struct health_watch_call *call)
{
    struct health_watcher *watcher = state;
    int status = status_of(watcher);
    if (status != watcher->told)
        return tell(watcher, status);
    if (watcher->health->is_shut)
        fail_for_end(health_watch_base(call));
    return RPC_PULL_LATER;
}

static void close_watch(void *state, enum rpc_code code)
{
    struct health_watcher *watcher = state;
    (void)code;
    list_remove(&watcher->link);
    if (watcher->entry != NULL)
        drop_if_unused(watcher->health, watcher->entry);
    free(watcher);
}

static const struct health_watch_stream WATCH = {.next = next_status, .closed = close_watch};

/* ---- handlers ---- */

static void check(
    void *self, struct health_check_call *call, const health_health_check_request *request)
{
    const struct rpc_health *health = self;
    const struct health_entry *entry = find(health, request->service);
    health_health_check_response response = HEALTH_HEALTH_CHECK_RESPONSE_INIT;
    if (entry == NULL || entry->status == SERVICE_UNKNOWN) {
        rpc_call_fail(health_check_base(call), RPC_NOT_FOUND, NULL, "no service is called %.*s",
            (int)utf8_cut(request->service, strlen(request->service), SHOWN_BYTES),
            request->service);
        return;
    }
    response.status = (enum health_health_check_response_serving_status)entry->status;
    health_check_reply(call, &response);
}

static void watch(
    void *self, struct health_watch_call *call, const health_health_check_request *request)
{
    struct rpc_health *health = self;
    bool is_stranger = strlen(request->service) > RPC_HEALTH_NAME_MAX;
    struct health_watcher *watcher = malloc(sizeof *watcher);
    struct health_entry *entry = NULL;
    if (watcher != NULL && !is_stranger)
        entry = find_or_add(health, request->service);
    if (watcher == NULL || (entry == NULL && !is_stranger)) {
        free(watcher);
        rpc_call_fail(health_watch_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    *watcher = (struct health_watcher){
        .health = health, .entry = entry, .call = call, .told = NOTHING_TOLD};
    list_append(is_stranger ? &health->strangers : &entry->watchers, &watcher->link);
    health_watch_begin(call, &WATCH, watcher);
}

static const struct health_handlers HANDLERS = {.check = check, .watch = watch};

struct rpc_service rpc_health_service(struct rpc_health *health)
{
    return health_service(&HANDLERS, health);
}

/* ---- what the program says ---- */

struct rpc_health *rpc_health_new(void)
{
    struct rpc_health *health = calloc(1, sizeof *health);
    if (health == NULL)
        return NULL;
    list_init(&health->strangers);
    if (rpc_health_set(health, "", true) == RPC_OK)
        return health;
    rpc_health_free(health);
    return NULL;
}

/* Their `closed` runs now or later; nothing is found through them any more. */
static void end_all(const struct list *watchers)
{
    while (!list_is_empty(watchers)) {
        struct health_watcher *watcher = CONTAINER_OF(watchers->next, struct health_watcher, link);
        list_remove(&watcher->link);
        watcher->entry = NULL;
        fail_for_end(health_watch_base(watcher->call));
    }
}

void rpc_health_free(struct rpc_health *health)
{
    if (health == NULL)
        return;
    end_all(&health->strangers);
    while (health->n_entries > 0) {
        struct health_entry *entry = health->entries[--health->n_entries];
        end_all(&entry->watchers);
        free(entry);
    }
    free((void *)health->entries);
    free(health);
}

static void change(struct health_entry *entry, int status)
{
    if (entry->status == status)
        return;
    entry->status = status;
    wake_all(&entry->watchers);
}

enum rpc_code rpc_health_set(struct rpc_health *health, const char *name, bool serving)
{
    if (strlen(name) > RPC_HEALTH_NAME_MAX)
        return RPC_INVALID_ARGUMENT;
    struct health_entry *entry = find_or_add(health, name);
    if (entry == NULL)
        return RPC_RESOURCE_EXHAUSTED;
    change(entry, serving && !health->is_shut ? SERVING : NOT_SERVING);
    return RPC_OK;
}

void rpc_health_clear(struct rpc_health *health, const char *name)
{
    struct health_entry *entry = find(health, name);
    if (entry == NULL)
        return;
    change(entry, SERVICE_UNKNOWN);
    drop_if_unused(health, entry);
}

void rpc_health_shut(struct rpc_health *health)
{
    health->is_shut = true;
    for (size_t i = 0; i < health->n_entries; i++) {
        struct health_entry *entry = health->entries[i];
        if (entry->status == SERVING)
            entry->status = NOT_SERVING;
        /* Also those that have been told so already: it is their end. */
        wake_all(&entry->watchers);
    }
    wake_all(&health->strangers);
}
