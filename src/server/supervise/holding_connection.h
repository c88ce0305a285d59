/* One client of the holding page: says its request, takes the answer, closes. Private to
 * holding_page.c; what the page promises of its sockets is kept here. */
#ifndef FLOCKS_SUPERVISE_HOLDING_CONNECTION_H
#define FLOCKS_SUPERVISE_HOLDING_CONNECTION_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/supervise/holding_page_http.h"

/* What the connections of one page share. */
struct holding_crowd {
    struct list all; /* of holding_connection, oldest first */
    size_t n;
    enum holding_notice notice;
};

struct holding_connection;

void holding_crowd_init(struct holding_crowd *crowd);
/* Who goes when there is no room: the oldest that has its answer, else the oldest; NULL: nobody. */
struct holding_connection *holding_crowd_victim(const struct holding_crowd *crowd);
/* What is due at `now`; connections may go. */
void holding_crowd_tick(struct holding_crowd *crowd, int64_t now);
/* All are reset. */
void holding_crowd_clear(struct holding_crowd *crowd);

/* `fd` is a connected socket that does not block, with SO_LINGER of no time; it is taken, and reset
 * where memory is short: there is nobody to tell. The crowd must outlive the connection. */
void holding_connection_open(uv_loop_t *loop, int fd, struct holding_crowd *crowd);
/* Its socket is gone when this returns, reset unless both ends had closed. */
void holding_connection_drop(struct holding_connection *connection);

#endif
