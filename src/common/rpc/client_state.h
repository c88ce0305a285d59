/* A client and its calls as the files client*.c know them; private to these.
 *
 *     client --deadlines--> call <--owner-- session call
 *
 * A call is whatever began one in the session: a blocking unary call on its caller's stack, a
 * stream, or a pending call of an attached client. The session's events are told to the call that
 * they name, one at a time: between two of them anything may be begun, cancelled and closed. */
#ifndef CRPC_CLIENT_STATE_H
#define CRPC_CLIENT_STATE_H

#include "common/base/attributes.h"
#include "common/base/list.h"
#include "common/rpc/client_error.h"
#include "common/rpc/session.h"
#include "crpc/crpc.h"

/* One read, and so the most that one turn of an attached client brings. */
enum { CLIENT_READ_BYTES = 64 * 1024 };

struct client_call;

/* What a session's events mean to each sort of call. */
struct client_call_kind {
    /* `message` is borrowed, and gone with the next function of the session. */
    void (*message)(struct client_call *call, struct rpc_bytes message);
    /* Once, last. The kind releases the session call. */
    void (*ended)(struct client_call *call, const struct rpc_status *status);
    /* Attached clients: the deadline has passed. */
    void (*expired)(struct client_call *call);
};

struct rpc_client {
    int fd;
    struct rpc_session *session;
    bool is_attached;
    /* The connection has ended. */
    bool is_gone;
    /* errno of what ended it; 0: the server closed it, or it is alive. */
    int system_error;
    /* Nothing can be sent any more; what the server said before may still be read. */
    bool is_mute;
    /* All ids of this connection have been used. */
    bool is_used_up;
    /* Attached: */
    int64_t tick_at; /* when the session wants rpc_session_tick */
    bool is_processing;
    bool is_due;           /* rpc_client_process has something to do at once */
    struct list deadlines; /* client_call.in_deadlines, soonest first */
    struct list ready;     /* rpc_stream.in_ready: woken */
    struct list crowded;   /* rpc_stream.in_crowded: waiting for room */
    struct list pending;   /* rpc_pending.in_pending */
    uint8_t input[CLIENT_READ_BYTES];
};

struct client_call {
    struct rpc_client *client;
    const struct rpc_method *method;
    const struct client_call_kind *kind;
    /* NULL: given back. */
    struct rpc_session_call *session_call;
    /* 0: none. */
    int64_t timeout_ms;
    int64_t deadline_at;
    struct list in_deadlines;
};

struct rpc_stream {
    struct client_call call;
    /* Messages as they came, oldest first: struct stream_message. */
    struct list queue;
    bool is_half_closed;
    bool has_ended;
    struct rpc_error *end; /* NULL: with OK */

    /* Blocking. */
    int64_t patience_ms;

    /* Attached; hooks are NULL for a blocking stream. */
    const struct rpc_watch_hooks *hooks;
    const void *typed;
    void *data;
    /* The message that was answered LATER, decoded, and how long it was on the wire. */
    const ProtobufCMessage *held;
    size_t held_len;
    bool is_asleep;
    bool has_told_end;
    struct list in_ready;   /* client->ready */
    struct list in_crowded; /* client->crowded */
    /* A hook runs; when it closes the stream, the memory goes after it. */
    bool is_in_hook;
    bool is_closed;
};

/* ---- client.c: bytes ---- */

/* Writes what the socket takes now. */
void client_send(struct rpc_client *client);
/* Reads what is there now, at most CLIENT_READ_BYTES. Only when the session has told everything. */
void client_read(struct rpc_client *client);
/* Tells one event to its call; false: there is none. */
bool client_tell(struct rpc_client *client);
/* One step on the way to an answer: tells an event, or else writes, waits and reads. False: `until`
 * has come, or the connection is gone and everything told. */
bool client_step(struct rpc_client *client, int64_t until_at);
/* The connection cannot go on: every call ends with `code`. */
void client_lose(struct rpc_client *client, enum rpc_code code, const char *text, int system_error);
/* Bytes that wait to be written. */
size_t client_output_length(const struct rpc_client *client);

/* ---- client_begin.c: how calls begin and are given up ---- */

/* `call` is zeroed but for `kind`. RPC_DONE: the session call is open. */
enum rpc_result client_begin(struct client_call *call, struct rpc_client *client,
    const struct rpc_method *method, const struct rpc_options *options,
    const ProtobufCMessage *request, struct rpc_error **error);
/* Gives the session call back, cancelled if it has not ended. Idempotent. */
void client_give_back(struct client_call *call);
enum rpc_result client_late(const struct client_call *call, struct rpc_error **error);
struct rpc_payload client_payload(const ProtobufCMessage *message);
/* Whether `len` more bytes of a message may be queued. */
bool client_has_room(const struct rpc_client *client, size_t len);

/* ---- client_message.c ---- */

/* Scans and decodes a received message. RPC_DONE: *out is to be freed with rpc_message_free. */
enum rpc_result client_decode(const struct rpc_method *method, struct rpc_bytes message,
    const ProtobufCMessage **out, struct rpc_error **error);

/* ---- client_stream.c ---- */

extern const struct client_call_kind client_stream_kind;
/* NULL and *error. `hooks` NULL: blocking. */
struct rpc_stream *client_stream_new(struct rpc_client *client, const struct rpc_method *method,
    const struct rpc_options *options, const ProtobufCMessage *request,
    const struct rpc_watch_hooks *hooks, struct rpc_error **error);
/* Takes the oldest message out of the queue; NULL when it is empty. */
struct stream_message *client_stream_pop(struct rpc_stream *stream);
/* The stream is over on our account, whatever was to end it: nothing of the session concerns it any
 * more, what is queued is dropped. Consumes `end`. */
void client_stream_break(struct rpc_stream *stream, struct rpc_error *end);

struct stream_message {
    struct list in_queue;
    size_t len;
    uint8_t bytes[];
};

/* ---- client_attached.c ---- */

/* A message came for an attached stream that has nothing queued and is awake. */
void client_attached_message(struct rpc_stream *stream, struct rpc_bytes message);
/* An attached stream has ended; tells it unless messages are queued before it. */
void client_attached_ended(struct rpc_stream *stream);
/* The stream is being closed: it leaves every list. */
void client_attached_leave(struct rpc_stream *stream);
/* Frees what is pending; no callback runs. */
void client_attached_drop_pending(struct rpc_client *client);

#endif
