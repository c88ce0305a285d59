/* Clients, streams and pending calls as the files of the library know them; private to these.
 *
 *     client --streams--> stream --link--> connection
 *            --calls----> pending
 *            --link-----> connection (of the unary calls)
 *
 * Every stream has a connection of its own: ttrpc has no flow control, and so one that is not read
 * would have to be kept or killed. */
#ifndef FLOCKS_LIB_STATE_H
#define FLOCKS_LIB_STATE_H

#include "flocks/client.h"

#include "client/lib/failure.h"
#include "client/lib/reach.h"
#include "client/lib/repeat.h"
#include "client/lib/resume.h"
#include "common/base/list.h"

/* A connection of a driven client: made when it is needed, and again when it broke. */
struct link {
    struct flocks_client *client;
    struct list in_links; /* client->links */
    /* NULL: not connected. */
    struct rpc_client *rpc;
    uint32_t watched; /* EPOLL*; 0: not in the epoll set */
    /* The set could not be changed: when to try that again; else CLOCK_NEVER. */
    int64_t watch_at;
    /* When to try again what waits, CLOCK_NEVER: nothing does; and how long the wait after that. */
    int64_t retry_at;
    int64_t wait_ms;
    /* What waits has waited too long then. */
    int64_t deadline_at;
    /* What the last attempt saw; owned, NULL: it went well. */
    struct flocks_error *last;
    /* Time for what waits: connected (`failure` NULL), not now (a failure to be borne), or not at
     * all (client_is_final). `failure` is borrowed. */
    void (*up)(struct link *link, const struct flocks_error *failure);
    void *owner;
    /* Calls on `rpc`. */
    size_t n_calls;
    /* The connection is not to be read for now. */
    bool is_held;
    bool is_ready;
    bool is_processing;
    bool is_closed;
};

struct flocks_client {
    struct reach reach;
    bool (*is_running)(void *data);
    void *data;
    /* Blocking: NULL: not connected. */
    struct rpc_client *rpc;
    /* Driven. */
    bool is_driven;
    bool is_processing;
    int epoll_fd;
    int timer_fd;
    int64_t timer_at;
    struct list links;
    struct list pending; /* flocks_pending.in_pending */
    struct link *link;   /* of the unary calls */
};

struct flocks_pending {
    struct flocks_client *client;
    struct list in_pending;
    const struct rpc_method *method;
    const ProtobufCMessage *request; /* ours */
    struct rpc_pair *metadata;       /* ours, one allocation with its texts */
    size_t n_metadata;
    int64_t deadline_at;
    bool is_harmless;
    /* NULL: waiting for a connection. */
    struct rpc_pending *rpc;
    flocks_deliver_fn deliver;
    rpc_typed_fn typed;
    void *data;
};

struct flocks_stream {
    struct flocks_client *client;
    struct resume resume;
    struct rpc_pair *metadata;
    size_t n_metadata;
    int64_t deadline_at;
    /* Since when nobody has answered; CLOCK_NEVER: the last one did. */
    int64_t outage_at;
    /* When it was begun last, CLOCK_NEVER: that has broken. */
    int64_t begun_at;
    /* NULL: not begun, or broken. */
    struct rpc_stream *rpc;
    bool has_ended;
    struct flocks_error *end; /* NULL: with OK */
    /* Nothing came since it was begun last. */
    bool is_fresh;
    /* Blocking. */
    struct rpc_client *connection;
    int64_t wait_ms;
    int64_t patience_ms;
    /* Driven. */
    const struct flocks_stream_hooks *hooks;
    const void *typed;
    void *hook_data;
    struct link *link;
    /* The message hook runs; when it closes the stream, the memory goes after it. */
    bool is_in_hook;
    bool is_closed;
};

/* ---- client.c ---- */

/* Milliseconds until `deadline_at`; CLOCK_NEVER for none. */
int64_t client_left_ms(int64_t deadline_at);
enum rpc_result client_refuse_mode(
    const struct flocks_client *client, const struct rpc_method *method, struct flocks_error **out);
/* Copies pairs into one allocation, freed with free(), and what lets the call in with them. */
enum rpc_result client_copy_metadata(struct flocks_client *client,
    const struct rpc_options *options, struct rpc_pair **out, size_t *out_n,
    struct flocks_error **error);
bool client_is_running(const struct flocks_client *client);
/* The daemon has closed an idle connection, or was replaced: a call sent there would be lost, and
 * one with effects could not be repeated. */
bool client_is_stale(const struct rpc_client *rpc);
/* Whether repeating cannot help. */
bool client_is_final(const struct flocks_error *error);

/* ---- stream.c ---- */

/* NULL and *error. Nothing has begun. */
struct flocks_stream *stream_new(struct flocks_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    struct flocks_error **error);
void stream_free(struct flocks_stream *stream);
/* Whether to begin again after this end. */
bool stream_may_resume(const struct flocks_stream *stream, const struct rpc_error *error);
/* It was sent to somebody. */
void stream_note_begun(struct flocks_stream *stream);
/* Notes that nobody answered; false: for too long now. */
bool stream_bears_outage(struct flocks_stream *stream);
/* Somebody answered with a message. */
void stream_note(struct flocks_stream *stream, const ProtobufCMessage *message);

/* ---- link.c ---- */

struct link *link_new(struct flocks_client *client,
    void (*up)(struct link *link, const struct flocks_error *failure), void *owner);
/* Also from inside its own callbacks. NULL is fine. */
void link_close(struct link *link);
/* Something waits for this link: `up` is called from the next processing. */
void link_want(struct link *link);
/* Nobody answered: `up` is called again after the back-off. */
void link_note_failure(struct link *link, const struct rpc_error *error);
/* Somebody answered. */
void link_note_success(struct link *link);
/* Tells the kernel what the link waits for. */
void link_watch(struct link *link);
void link_process(struct link *link);
/* When link_process is due. */
int64_t link_next_at(const struct link *link);

/* ---- drive.c ---- */

/* After anything that may have changed when to come again. */
void drive_arm(struct flocks_client *client);
void drive_end(struct flocks_client *client);

/* ---- drive_call.c, drive_stream.c ---- */

void drive_call_up(struct link *link, const struct flocks_error *failure);
/* Ends what waited too long. */
void drive_call_expire(struct flocks_client *client, int64_t now_ms);
int64_t drive_call_next_at(const struct flocks_client *client);
void drive_call_drop_all(struct flocks_client *client);
void drive_stream_close(struct flocks_stream *stream);

#endif
