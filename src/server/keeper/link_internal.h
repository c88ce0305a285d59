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
    /* Answered at once by a keeper that does not hang; not so the long poll, and spawns. */
    bool is_prompt;
    /* The long poll: it may take for ever. */
    bool is_patient;
    /* Of an output. */
    uint32_t slot;
    /* Of a listing: what earlier answers brought. */
    struct keeper_child *children;
    size_t n_children;
};

/* Both pipes of a slot's output, kept for the keeper after this one; -1: none. */
struct link_pipes {
    int pipe_fd;
    int private_fd;
};

struct keeper_link {
    uv_poll_t poll;
    /* Runs while a call waits that a living keeper has answered. */
    uv_timer_t silence;
    int open_handles;
    size_t n_timed;
    /* The oldest call that waited when the timer last ran out; 0: none. */
    uint32_t silent_stream_id;
    int keeper_pidfd;
    int32_t keeper_pid;
    /* The number that both speak. */
    uint32_t protocol;
    /* The keeper's own image, also when its file has been replaced; -1: not known. */
    int image_fd;
    /* For keeper_link_become. */
    int shared_fd;
    int lock_fd;
    int inventory_fd;
    struct link_pipes daemon_pipes;
    struct link_pipes *pipes; /* by slot */
    size_t n_pipes;
    /* Descriptors of the answer that is being handled; what is taken becomes -1. */
    int *answer_fds;
    size_t n_answer_fds;
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
    uint64_t shared_id; /* its inode */
    uint8_t out[KEEPER_PACKET_BYTES];
    uint8_t in[KEEPER_PACKET_BYTES];
};

/* One request's packet in `link->out`; its length, 0: it does not fit. */
size_t link_encode_request(struct keeper_link *link, const struct crpc_nano_method *method,
    const void *message, uint32_t stream_id);
/* Of the packet in `link->in`. False: not a response. */
bool link_decode_response(const struct keeper_link *link, size_t len, uint32_t *out_stream_id,
    struct rpc_response_envelope *out);
/* Encodes and sends one request; descriptors are borrowed. `call` becomes the link's. */
NODISCARD int link_send(struct keeper_link *link, const char *method, const void *request,
    const int *fds, size_t n_fds, struct link_call *call, struct error *error);
/* A call with everything zero but these; NULL without memory (`error` is set). */
struct link_call *link_call_new(
    struct keeper_link *link, link_finish_fn finish, void *data, struct error *error);
void link_call_free(struct link_call *call);

/* The link cannot go on: calls are done, and `lost` is told. */
void link_lose(struct keeper_link *link, const char *why);

/* The pipes of an output: kept, replacing others; given up. */
void link_keep_pipes(struct keeper_link *link, uint32_t slot);
void link_drop_pipes(struct keeper_link *link, uint32_t slot);

/* ---- link_hello.c ---- */
/* Says Hello and takes what is handed over. KEEPER_LINK_ORPHANED: what was left in advance. */
NODISCARD int link_greet(
    struct keeper_link *link, int advance_fd, struct keeper_welcome *out, struct error *error);

/* ---- link_silence.c ---- */
NODISCARD int link_silence_open(struct keeper_link *link, uv_loop_t *loop);
/* A call that waits for an answer was sent, has ended: all but the long poll. */
void link_silence_began(struct keeper_link *link);
void link_silence_ended(struct keeper_link *link);
/* Asks something that is answered at once. */
void link_ping(struct keeper_link *link);

/* The keeper is another image of itself now, which its successor is to be, too. */
void link_renewed(struct keeper_link *link);

/* Sends the long poll; its answers become events. */
NODISCARD int link_wait(struct keeper_link *link, struct error *error);

#endif
