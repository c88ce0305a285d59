/* The link's own structures, for link.c (life, packets, events) and link_calls.c (typed calls). */
#ifndef FLOCKS_KEEPER_LINK_INTERNAL_H
#define FLOCKS_KEEPER_LINK_INTERNAL_H

#include "flocks/keeper/v1/keeper.nano.h"

#include "common/base/list.h"
#include "common/rpc/envelope.h"
#include "server/keeper/keeper.h"
#include "server/keeper/link.h"
#include "server/keeper/shared.h"

struct link_call;

/* Ends a call: `payload` is the response's when `result` is 0. May answer positive to mean that the
 * call goes on (it has been sent again); otherwise the call is freed after it. */
typedef int (*link_finish_fn)(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error);

struct link_call {
    struct list in_flight; /* keeper_link.calls, oldest first */
    uint32_t stream_id;
    link_finish_fn finish;
    union {
        keeper_done_fn plain;
        keeper_spawned_fn spawned;
        keeper_listed_fn listed;
    } done;
    void *data;
    /* Of a listing: what earlier answers brought. */
    struct keeper_child *children;
    size_t n_children;
};

struct keeper_link {
    uv_poll_t poll;
    int fd;
    uint32_t next_stream_id;
    bool is_closing;
    /* The peer is gone; told with the next turn of the loop. */
    bool is_lost;
    struct list calls; /* link_call.in_flight */
    size_t n_calls;
    struct list unsent; /* packets that the socket did not take, in order */
    const struct keeper_link_events *events;
    void *events_data;
    uint64_t seen_sequence;
    uint64_t acknowledged_sequence;
    const struct keeper_shared *shared;
    uint8_t out[KEEPER_PACKET_BYTES];
    uint8_t in[KEEPER_PACKET_BYTES];
};

/* Encodes and sends one request; descriptors are borrowed. `call` becomes the link's. */
NODISCARD int link_send(struct keeper_link *link, const char *method, const void *request,
    const int *fds, size_t n_fds, struct link_call *call, struct error *error);
/* A call with everything zero but these; NULL without memory (`error` is set). */
struct link_call *link_call_new(
    struct keeper_link *link, link_finish_fn finish, void *data, struct error *error);
void link_call_free(struct link_call *call);

/* The link cannot go on: calls are done, and `lost` is told. */
void link_lose(struct keeper_link *link, const char *why);

/* Sends the long poll; its answers become events. */
NODISCARD int link_wait(struct keeper_link *link, struct error *error);

#endif
