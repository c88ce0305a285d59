/* Listeners, and how fast they are emptied. */
#include "server/supervise/holding_page.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/supervise/holding_connection.h"

enum {
    /* Connections accepted in one turn of the loop, at one door. */
    ACCEPTS_PER_TURN = 16
};

struct door {
    uv_poll_t poll;
    int fd;
};

struct holding_page {
    struct holding_crowd crowd;
    union endpoint_address address; /* that reaches it */
    struct door doors[ENDPOINT_ADDRESSES_MAX];
    size_t n_doors;
    uv_timer_t ticks;
    unsigned n_accepted; /* since the last tick */
    bool is_paused;      /* nobody is accepted before the next one */
    unsigned n_handles;
};

/* ---- sockets ---- */

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

static int set_options(int fd, const union endpoint_address *address, bool takes_both)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    /* What the service has left in TIME_WAIT must not keep us away. */
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        return -1;
    return address->any.sa_family == AF_INET6
               ? set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, takes_both ? 0 : 1)
               : 0;
}

static bool is_missing(int failure)
{
    return failure == EADDRNOTAVAIL || failure == EAFNOSUPPORT || failure == EPROTONOSUPPORT;
}

/* 0, HOLDING_PAGE_BUSY or negative; *out_missing: the machine has no such address. */
static int listen_at(const union endpoint_address *address, bool takes_both, int *out_fd,
    bool *out_missing, struct error *error)
{
    CLEANUP(fd_close)
    int fd =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    char text[ENDPOINT_TEXT_MAX];

    *out_missing = false;
    if (fd >= 0 && set_options(fd, address, takes_both) == 0 &&
        bind(fd, &address->any, endpoint_address_length(address)) == 0 &&
        listen(fd, HOLDING_BACKLOG) == 0) {
        *out_fd = fd_take(&fd);
        return 0;
    }
    if (errno == EADDRINUSE)
        return HOLDING_PAGE_BUSY;
    *out_missing = is_missing(errno);
    endpoint_address_text(address, text);
    return error_set_errno(error, errno, "listen at %s for the holding page", text);
}

/* ---- places ---- */

/* Wildcards that a service takes for both families, where the machine has both. */
static bool means_both(const char *host)
{
    return strcmp(host, "0.0.0.0") != 0;
}

static int add_door(struct holding_page *page, const union endpoint_address *address,
    bool takes_both, bool *out_missing, struct error *error)
{
    int result = listen_at(address, takes_both, &page->doors[page->n_doors].fd, out_missing, error);

    if (result == 0)
        page->n_doors++;
    return result;
}

static int listen_everywhere(
    struct holding_page *page, const char *host, uint16_t port, struct error *error)
{
    const union endpoint_address v6 = {
        .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT}};
    const union endpoint_address v4 = {
        .v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {INADDR_ANY}}};
    bool is_v6 = page->address.any.sa_family == AF_INET6;
    bool is_missing_here;
    int result = 1;

    if (means_both(host))
        result = add_door(page, &v6, true, &is_missing_here, error);
    /* Its IPv6 half may be another's, or there is no IPv6 here at all. */
    if (result != 0 && !is_v6)
        result = add_door(page, &v4, false, &is_missing_here, error);
    return result;
}

static int listen_at_each(
    struct holding_page *page, const struct endpoint *endpoint, struct error *error)
{
    for (size_t i = 0; i < endpoint->count; i++) {
        bool is_missing_here;
        int result = add_door(page, &endpoint->addresses[i], false, &is_missing_here, error);
        bool may_be_missing = is_missing_here && (page->n_doors > 0 || i + 1 < endpoint->count);

        if (result != 0 && !may_be_missing)
            return result;
    }
    return 0;
}

/* ---- accepting ---- */

static void on_door(uv_poll_t *poll, int status, int events);

static void pause_doors(struct holding_page *page)
{
    page->is_paused = true;
    for (size_t i = 0; i < page->n_doors; i++)
        (void)uv_poll_stop(&page->doors[i].poll);
}

static void on_tick(uv_timer_t *timer)
{
    struct holding_page *page = timer->data;

    holding_crowd_tick(&page->crowd, clock_monotonic_ms());
    page->n_accepted = 0;
    for (size_t i = 0; page->is_paused && i < page->n_doors; i++)
        (void)uv_poll_start(&page->doors[i].poll, UV_READABLE, on_door);
    page->is_paused = false;
    if (page->crowd.n == 0)
        (void)uv_timer_stop(timer);
}

static void admit(struct holding_page *page, int fd)
{
    if (page->crowd.n >= HOLDING_CONNECTIONS_MAX)
        holding_connection_drop(holding_crowd_victim(&page->crowd));
    holding_connection_open(page->ticks.loop, fd, &page->crowd);
    page->n_accepted++;
}

static void on_door(uv_poll_t *poll, int status, int events)
{
    struct holding_page *page = poll->data;
    struct door *door = CONTAINER_OF(poll, struct door, poll);

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            admit(page, fd);
        else if (errno == EAGAIN)
            break;
        /* No descriptors or no memory: the client waits in the backlog. One that has gone is none.
         */
        else if (errno != ECONNABORTED && errno != EINTR)
            pause_doors(page);
        if (page->n_accepted >= HOLDING_ACCEPTS_MAX)
            pause_doors(page);
        if (page->is_paused)
            break;
    }
    if (!uv_is_active((uv_handle_t *)&page->ticks)) {
        uv_update_time(page->ticks.loop);
        (void)uv_timer_start(&page->ticks, on_tick, HOLDING_TICK_MS, HOLDING_TICK_MS);
    }
}

/* ---- the page ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct holding_page *page = handle->data;

    if (--page->n_handles == 0)
        free(page);
}

static void close_doors(struct holding_page *page)
{
    for (size_t i = 0; i < page->n_doors; i++)
        fd_close(&page->doors[i].fd);
}

/* Both kinds of handle end in on_handle_closed; *out_n of the doors are open. */
static int open_handles(struct holding_page *page, uv_loop_t *loop, struct error *error)
{
    int result = uv_timer_init(loop, &page->ticks);

    page->ticks.data = page;
    page->n_handles = 1;
    for (size_t i = 0; i < page->n_doors && result == 0; i++) {
        struct door *door = &page->doors[i];

        result = uv_poll_init(loop, &door->poll, door->fd);
        if (result != 0)
            break;
        door->poll.data = page;
        page->n_handles++;
        (void)uv_poll_start(&door->poll, UV_READABLE, on_door);
    }
    if (result == 0)
        return 0;
    return error_set(error, STATUS_RESOURCE_EXHAUSTED, "the loop takes no more listeners: %s",
        uv_strerror(result));
}

static void close_handles(struct holding_page *page)
{
    for (unsigned i = 0; i + 1 < page->n_handles; i++)
        uv_close((uv_handle_t *)&page->doors[i].poll, on_handle_closed);
    uv_close((uv_handle_t *)&page->ticks, on_handle_closed);
}

int holding_page_open(uv_loop_t *loop, const char *host, uint16_t port, struct holding_page **out,
    struct error *error)
{
    struct endpoint endpoint;
    struct holding_page *page;
    int result = endpoint_resolve(host, port, &endpoint, error);

    if (result < 0)
        return result;
    page = calloc(1, sizeof *page);
    if (page == NULL)
        return error_set_errno(error, ENOMEM, "open the holding page");
    holding_crowd_init(&page->crowd);
    page->address = endpoint.addresses[0];
    result = endpoint.is_wildcard ? listen_everywhere(page, host, port, error)
                                  : listen_at_each(page, &endpoint, error);
    if (result != 0) {
        close_doors(page);
        free(page);
        return result;
    }
    result = open_handles(page, loop, error);
    if (result < 0) {
        close_handles(page);
        close_doors(page);
        return result;
    }
    *out = page;
    return 0;
}

void holding_page_close(struct holding_page **page)
{
    struct holding_page *closing = *page;

    *page = NULL;
    if (closing == NULL)
        return;
    /* Doors first, so that nobody comes in meanwhile: what waits there is reset by the kernel. */
    close_handles(closing);
    close_doors(closing);
    holding_crowd_clear(&closing->crowd);
}

void holding_page_say(struct holding_page *page, enum holding_notice notice)
{
    page->crowd.notice = notice;
}

const union endpoint_address *holding_page_address(const struct holding_page *page)
{
    return &page->address;
}

size_t holding_page_connections(const struct holding_page *page)
{
    return page->crowd.n;
}
