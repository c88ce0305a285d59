/* A connection that is made when it is needed and made again when it broke; never waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "client/lib/state.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

struct link *link_new(struct flocks_client *client,
    void (*up)(struct link *link, const struct flocks_error *failure), void *owner)
{
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->client = client;
    link->up = up;
    link->owner = owner;
    link->retry_at = CLOCK_NEVER;
    link->deadline_at = CLOCK_NEVER;
    link->watch_at = CLOCK_NEVER;
    list_append(&client->links, &link->in_links);
    return link;
}

static void forget_last(struct link *link)
{
    flocks_error_free(link->last);
    link->last = NULL;
}

/* Closing alone would leave it in the epoll set, with a link that is gone, for as long as a forked
 * child has the connection open. */
static void disconnect(struct link *link)
{
    if (link->watched != 0)
        (void)epoll_ctl(link->client->epoll_fd, EPOLL_CTL_DEL, rpc_client_fd(link->rpc), NULL);
    rpc_client_close(link->rpc);
    link->rpc = NULL;
    link->watched = 0;
}

static void destroy(struct link *link)
{
    list_remove(&link->in_links);
    disconnect(link);
    forget_last(link);
    free(link);
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    /* Inside one of its own callbacks the connection cannot be closed yet. */
    link->is_closed = true;
    if (!link->is_processing)
        destroy(link);
}

/* ---- connecting ---- */

static enum rpc_code code_of_connect(int error_number)
{
    switch (error_number) {
    case EACCES:
    case EPERM:
        return RPC_PERMISSION_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return RPC_RESOURCE_EXHAUSTED;
    case ENAMETOOLONG:
        return RPC_INVALID_ARGUMENT;
    default:
        return RPC_UNAVAILABLE;
    }
}

/* RPC_DONE: connected and watched. */
static enum rpc_result connect_link(struct link *link, struct flocks_error **error)
{
    int fd = reach_open(&link->client->reach);
    if (fd < 0) {
        int error_number = errno;
        return failure_of_system(error, code_of_connect(error_number), error_number,
            "connecting to %s", link->client->reach.text);
    }
    struct rpc_error *failure = NULL;
    link->rpc = rpc_client_take_fd(fd, &failure);
    if (link->rpc == NULL)
        return failure_from(failure, error);
    rpc_client_attach(link->rpc);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    if (epoll_ctl(link->client->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        int error_number = errno;
        disconnect(link);
        return failure_of_system(
            error, RPC_RESOURCE_EXHAUSTED, error_number, "watching a connection");
    }
    link->watched = EPOLLIN;
    return RPC_DONE;
}

/* ---- trying and failing ---- */

void link_want(struct link *link)
{
    if (link->retry_at == CLOCK_NEVER)
        link->retry_at = 0;
}

static void back_off(struct link *link)
{
    link->retry_at = clock_add_ms(clock_monotonic_ms(), link->wait_ms);
    link->wait_ms = repeat_longer_wait_ms(link->wait_ms);
}

void link_note_failure(struct link *link, const struct rpc_error *error)
{
    forget_last(link);
    (void)failure_of(error, &link->last);
    if (link->retry_at == CLOCK_NEVER || link->retry_at == 0)
        back_off(link);
}

void link_note_success(struct link *link)
{
    link->wait_ms = 0;
    forget_last(link);
}

/* Consumes `error`, after telling it. A daemon may yet come, or one will not. */
static void refuse(struct link *link, struct flocks_error *error)
{
    if (error->code == RPC_UNAVAILABLE && !client_is_running(link->client)) {
        flocks_error_free(error);
        (void)failure_not_running(link->client->reach.text, &error);
    } else if (error->code == RPC_UNAVAILABLE) {
        back_off(link);
    }
    forget_last(link);
    link->last = error;
    link->up(link, error);
}

static void try_now(struct link *link)
{
    link->retry_at = CLOCK_NEVER;
    bool is_used_up = link->rpc != NULL && !rpc_client_is_alive(link->rpc);
    if (is_used_up && link->n_calls > 0) {
        back_off(link);
        return;
    }
    if (is_used_up)
        disconnect(link);
    struct flocks_error *error = NULL;
    if (link->rpc == NULL && connect_link(link, &error) != RPC_DONE)
        refuse(link, error);
    else
        link->up(link, NULL);
}

static void expire(struct link *link)
{
    link->deadline_at = CLOCK_NEVER;
    struct flocks_error *error = NULL;
    (void)failure_make(&error, RPC_DEADLINE_EXCEEDED, "no answer until the deadline%s%s",
        link->last == NULL ? "" : "; last: ", link->last == NULL ? "" : link->last->message);
    link->up(link, error);
    flocks_error_free(error);
}

/* ---- turns ---- */

static uint32_t events_of(const struct link *link)
{
    unsigned wants = rpc_client_wants(link->rpc);
    uint32_t events = (wants & RPC_WANTS_READ) != 0 && !link->is_held ? EPOLLIN : 0;
    if ((wants & RPC_WANTS_WRITE) != 0)
        events |= EPOLLOUT;
    return events;
}

/* Out of the set when nothing is wanted: a hang-up would be told all the same, again and again. */
void link_watch(struct link *link)
{
    uint32_t events = link->rpc == NULL ? link->watched : events_of(link);
    if (events == link->watched) {
        link->watch_at = CLOCK_NEVER;
        return;
    }
    int operation = link->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (events == 0)
        operation = EPOLL_CTL_DEL;
    struct epoll_event event = {.events = events, .data.ptr = link};
    bool is_set =
        epoll_ctl(link->client->epoll_fd, operation, rpc_client_fd(link->rpc), &event) == 0;
    if (is_set)
        link->watched = events;
    /* Fails only for want of memory; then it is tried again. */
    link->watch_at = is_set ? CLOCK_NEVER : clock_monotonic_ms() + FLOCKS_CLIENT_FIRST_RETRY_MS;
}

static void process_connection(struct link *link)
{
    rpc_client_process(link->rpc);
    if (!link->is_closed && (rpc_client_wants(link->rpc) & RPC_WANTS_CLOSE) != 0 &&
        link->n_calls == 0)
        disconnect(link);
}

void link_process(struct link *link)
{
    link->is_processing = true;
    link->is_ready = false;
    if (link->rpc != NULL)
        process_connection(link);
    if (!link->is_closed && link->deadline_at <= clock_monotonic_ms())
        expire(link);
    if (!link->is_closed && link->retry_at <= clock_monotonic_ms())
        try_now(link);
    link->is_processing = false;
    if (link->is_closed)
        destroy(link);
    else
        link_watch(link);
}

int64_t link_next_at(const struct link *link)
{
    int64_t next_at = link->rpc == NULL ? CLOCK_NEVER : rpc_client_next_at(link->rpc);
    next_at = link->deadline_at < next_at ? link->deadline_at : next_at;
    next_at = link->watch_at < next_at ? link->watch_at : next_at;
    return next_at < link->retry_at ? next_at : link->retry_at;
}
