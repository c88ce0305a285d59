/* Every message has an arena of its own, so that a change frees what it replaces. */
#include "client/cli/board.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/types.info.h"

#include "common/base/arena.h"
#include "common/base/status.h"
#include "common/schema/message.h"

enum {
    /* One message with its texts; the schema's bounds are below it. */
    ITEM_BYTES = 1024 * 1024
};

/* A copied message. */
struct item {
    struct arena arena;
    ProtobufCMessage *message;
};

struct list_of_items {
    struct item **items;
    size_t n;
    size_t capacity;
};

struct board {
    struct item *daemon;
    struct list_of_items services; /* by name */
    struct list_of_items leases;   /* as they came */
    bool has_news;
    /* What board_status shows; its lists. */
    flocks_get_status_response status;
    flocks_service_status **shown_services;
    flocks_lease **shown_leases;
};

/* ---- items ---- */

static struct item *item_new(const struct crpc_message_info *info, const ProtobufCMessage *message)
{
    struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return NULL;
    arena_init(&item->arena, ITEM_BYTES);
    item->message = schema_message_copy(info, message, &item->arena);
    if (item->message)
        return item;
    arena_deinit(&item->arena);
    free(item);
    return NULL;
}

static void item_free(struct item *item)
{
    if (!item)
        return;
    arena_deinit(&item->arena);
    free(item);
}

static void clear(struct list_of_items *list)
{
    for (size_t i = 0; i < list->n; i++)
        item_free(list->items[i]);
    list->n = 0;
}

static bool make_room(struct list_of_items *list)
{
    if (list->n < list->capacity)
        return true;
    size_t capacity = list->capacity > 0 ? list->capacity * 2 : 16;
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    struct item **items = realloc(list->items, capacity * sizeof(*items));
    if (!items)
        return false;
    list->items = items;
    list->capacity = capacity;
    return true;
}

static void remove_at(struct list_of_items *list, size_t index)
{
    item_free(list->items[index]);
    list->n--;
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    memmove(list->items + index, list->items + index + 1, (list->n - index) * sizeof(*list->items));
}

/* Consumes `item`, also when it cannot. */
static int insert_at(struct list_of_items *list, size_t index, struct item *item)
{
    if (!item || !make_room(list)) {
        item_free(item);
        return -STATUS_RESOURCE_EXHAUSTED;
    }
    /* An array of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    memmove(list->items + index + 1, list->items + index, (list->n - index) * sizeof(*list->items));
    list->items[index] = item;
    list->n++;
    return 0;
}

static const flocks_service_status *service_at(const struct board *board, size_t index)
{
    return (const flocks_service_status *)board->services.items[index]->message;
}

static const flocks_lease *lease_at(const struct board *board, size_t index)
{
    return (const flocks_lease *)board->leases.items[index]->message;
}

/* ---- what changes ---- */

static int put_daemon(struct board *board, const flocks_daemon_status *daemon)
{
    struct item *item = item_new(&flocks_daemon_status_info, &daemon->base);
    if (!item)
        return -STATUS_RESOURCE_EXHAUSTED;
    item_free(board->daemon);
    board->daemon = item;
    return 0;
}

static int put_service(struct board *board, const flocks_service_status *service)
{
    size_t low = 0;
    size_t high = board->services.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(service_at(board, middle)->name, service->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct item *item = item_new(&flocks_service_status_info, &service->base);
    if (item && low < board->services.n &&
        strcmp(service_at(board, low)->name, service->name) == 0) {
        item_free(board->services.items[low]);
        board->services.items[low] = item;
        return 0;
    }
    return insert_at(&board->services, low, item);
}

/* One that has ended is no longer shown. */
static int put_lease(struct board *board, const flocks_lease *lease)
{
    size_t index = 0;
    while (index < board->leases.n && strcmp(lease_at(board, index)->id, lease->id) != 0)
        index++;
    if (index < board->leases.n)
        remove_at(&board->leases, index);
    if (lease->ended_at)
        return 0;
    return insert_at(&board->leases, index, item_new(&flocks_lease_info, &lease->base));
}

static int take_snapshot(struct board *board, const flocks_snapshot *snapshot)
{
    int result = snapshot->daemon ? put_daemon(board, snapshot->daemon) : 0;
    clear(&board->services);
    clear(&board->leases);
    for (size_t i = 0; result == 0 && i < snapshot->n_services; i++)
        result = put_service(board, snapshot->services[i]);
    for (size_t i = 0; result == 0 && i < snapshot->n_leases; i++)
        result = put_lease(board, snapshot->leases[i]);
    return result;
}

static int take_event(struct board *board, const flocks_event *event)
{
    switch (event->kind_case) {
    case FLOCKS__V1__EVENT__KIND_SERVICE:
        return event->service->status ? put_service(board, event->service->status) : 0;
    case FLOCKS__V1__EVENT__KIND_LEASE:
        return put_lease(board, event->lease);
    case FLOCKS__V1__EVENT__KIND_DAEMON:
        return put_daemon(board, event->daemon);
    case FLOCKS__V1__EVENT__KIND_OPERATION:
    case FLOCKS__V1__EVENT__KIND__NOT_SET:
    default:
        return 0;
    }
}

/* ---- what it shows ---- */

static int show(struct board *board)
{
    /* Arrays of pointers. */
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    flocks_service_status **services = calloc(board->services.n + 1, sizeof(*services));
    // NOLINTNEXTLINE(bugprone-sizeof-expression)
    flocks_lease **leases = calloc(board->leases.n + 1, sizeof(*leases));
    free(board->shown_services);
    free(board->shown_leases);
    board->shown_services = services;
    board->shown_leases = leases;
    board->status = (flocks_get_status_response)FLOCKS_GET_STATUS_RESPONSE_INIT;
    if (!services || !leases)
        return -STATUS_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < board->services.n; i++)
        services[i] = (flocks_service_status *)board->services.items[i]->message;
    for (size_t i = 0; i < board->leases.n; i++)
        leases[i] = (flocks_lease *)board->leases.items[i]->message;
    if (board->daemon)
        board->status.daemon = (flocks_daemon_status *)board->daemon->message;
    board->status.services = services;
    board->status.n_services = board->services.n;
    board->status.leases = leases;
    board->status.n_leases = board->leases.n;
    return 0;
}

struct board *board_new(void)
{
    struct board *board = calloc(1, sizeof(*board));
    if (board && show(board) < 0) {
        board_free(board);
        return NULL;
    }
    return board;
}

void board_free(struct board *board)
{
    if (!board)
        return;
    clear(&board->services);
    clear(&board->leases);
    item_free(board->daemon);
    free(board->services.items);
    free(board->leases.items);
    free(board->shown_services);
    free(board->shown_leases);
    free(board);
}

int board_apply(struct board *board, const flocks_watch_events_response *item)
{
    int result = 0;
    if (item->item_case == FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_SNAPSHOT)
        result = take_snapshot(board, item->snapshot);
    else if (item->item_case == FLOCKS__V1__WATCH_EVENTS_RESPONSE__ITEM_EVENT)
        result = take_event(board, item->event);
    else
        return 0;
    board->has_news = true;
    int shown = show(board);
    return result < 0 ? result : shown;
}

bool board_has_news(const struct board *board)
{
    return board->has_news;
}

const flocks_get_status_response *board_status(const struct board *board)
{
    return &board->status;
}
