/* The driven client: all its connections and times behind one epoll descriptor. */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum rpc_result flocks_client_drive(struct flocks_client *client, struct flocks_error **error)
{
    if (client->is_driven)
        return RPC_DONE;
    CLEANUP(fd_close) int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CLEANUP(fd_close) int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_fd < 0 || timer_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) != 0)
        return failure_of_system(
            error, RPC_RESOURCE_EXHAUSTED, errno, "preparing a client for a loop");
    client->link = link_new(client, drive_call_up, client);
    if (client->link == NULL)
        return failure_make(error, RPC_RESOURCE_EXHAUSTED, "no memory for a connection");
    client->epoll_fd = fd_take(&epoll_fd);
    client->timer_fd = fd_take(&timer_fd);
    client->timer_at = CLOCK_NEVER;
    client->is_driven = true;
    return RPC_DONE;
}

void drive_end(struct flocks_client *client)
{
    assert(!client->is_processing);
    drive_call_drop_all(client);
    link_close(client->link);
    assert(list_is_empty(&client->links));
    fd_close(&client->timer_fd);
    fd_close(&client->epoll_fd);
}

int flocks_client_fd(const struct flocks_client *client)
{
    return client->epoll_fd;
}

/* ---- time ---- */

static int64_t next_at(const struct flocks_client *client)
{
    int64_t at = drive_call_next_at(client);
    LIST_FOR_EACH(link, &client->links)
    {
        int64_t link_at = link_next_at(CONTAINER_OF(link, struct link, in_links));
        at = link_at < at ? link_at : at;
    }
    return at;
}

void drive_arm(struct flocks_client *client)
{
    if (client->is_processing)
        return;
    LIST_FOR_EACH(link, &client->links)
    link_watch(CONTAINER_OF(link, struct link, in_links));
    int64_t at = next_at(client);
    if (at == client->timer_at)
        return;
    client->timer_at = at;
    struct itimerspec timer = {.it_value = {.tv_sec = 0}};
    if (at != CLOCK_NEVER) {
        timer.it_value.tv_sec = (time_t)(at / 1000);
        /* Zero would disarm it: what is due at once was due long ago. */
        timer.it_value.tv_nsec = (long)(at % 1000 * 1000000) + (at == 0 ? 1 : 0);
    }
    (void)timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

static void take_timer(struct flocks_client *client)
{
    uint64_t n_expired;
    if (read(client->timer_fd, &n_expired, sizeof n_expired) > 0)
        client->timer_at = CLOCK_NEVER;
}

/* ---- turns ---- */

static void mark_ready(struct flocks_client *client)
{
    struct epoll_event events[16];
    int n = epoll_wait(client->epoll_fd, events, 16, 0);
    for (int i = 0; i < n; i++) {
        struct link *link = events[i].data.ptr;
        if (link != NULL)
            link->is_ready = true;
    }
}

/* Each once, whatever the callbacks close and begin. */
static void process_links(struct flocks_client *client)
{
    struct list links;
    list_init(&links);
    list_move_all(&links, &client->links);
    while (!list_is_empty(&links)) {
        struct link *link = CONTAINER_OF(links.next, struct link, in_links);
        list_remove(&link->in_links);
        list_append(&client->links, &link->in_links);
        if (link->is_ready || link_next_at(link) <= clock_monotonic_ms())
            link_process(link);
    }
}

void flocks_client_process(struct flocks_client *client)
{
    if (!client->is_driven || client->is_processing)
        return;
    client->is_processing = true;
    take_timer(client);
    mark_ready(client);
    process_links(client);
    drive_call_expire(client, clock_monotonic_ms());
    client->is_processing = false;
    drive_arm(client);
}
