/* Server, connection, call and stream as they know each other; private to the engine's files.
 *
 *     server --calls--> call <--calls-- connection --session--> session call
 *                       call --stream-> stream <--awake-- connection
 *
 * A call is born in its connection and dies when its handler has finished it. When the caller goes
 * away first it loses its connection and lives on as an orphan of the server. A call that has begun
 * a stream belongs to the engine, which ends it at once: it never is an orphan. */
#ifndef CRPC_ENGINE_H
#define CRPC_ENGINE_H

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/rpc/inbox.h"
#include "common/rpc/metadata.h"
#include "common/rpc/pace.h"
#include "common/rpc/reply_metadata.h"
#include "common/rpc/session.h"
#include "crpc/server.h"

struct rpc_server {
    struct rpc_server_hooks hooks;
    const struct rpc_service **services;
    size_t n_services;
    bool is_shut;
    size_t n_calls;
    size_t orphaned_bytes; /* what they held when their callers went away */
    struct list orphans;   /* rpc_call.in_owner */
    struct list deadlines; /* rpc_call.in_deadlines, soonest first */
};

struct rpc_connection {
    struct rpc_server *server;
    struct rpc_session *session;
    struct rpc_peer peer;
    void (*output_ready)(void *data);
    void *output_data;
    bool (*enter)(void *data, struct rpc_call *call, const char *authority);
    void *enter_data;
    struct list calls; /* rpc_call.in_owner */
    size_t n_calls;
    struct list awake; /* rpc_call_stream.in_awake, the one whose turn it is first */
    /* The transport knows that there are streams to be asked. */
    bool has_told_awake;
    /* Inside one of its own functions: whoever called will look at the output afterwards. */
    bool is_active;
    bool has_ended;
    /* No new call is served, but for those that crossed the news where the peer is told. */
    bool is_shut;
    bool tells_shut;
    const char *close_reason;
    int64_t now_ms;
    /* When the output reached the stall bound; INT64_MAX: it is below. */
    int64_t stalled_since;
    struct rpc_pace pace;
    /* Of answers to what was received last. */
    size_t answered_len;
};

struct rpc_call {
    struct rpc_server *server;
    /* NULL: the caller is gone. */
    struct rpc_connection *connection;
    /* NULL: an answer would be dropped. */
    struct rpc_session_call *session_call;
    struct list in_owner;     /* connection->calls or server->orphans */
    struct list in_deadlines; /* server->deadlines, while it waits for its request or handler */
    const struct rpc_service *service;
    const struct rpc_method *method;
    struct rpc_peer peer;
    int64_t deadline_at;
    struct arena arena;
    struct rpc_metadata_copy *metadata; /* NULL: none */
    struct rpc_reply_metadata headers;
    struct rpc_reply_metadata trailers;
    struct rpc_call_stream *stream; /* NULL: the method is unary */
    void (*cancelled)(void *data);
    void *cancelled_data;
    /* How it ended for its caller, or its stream for its hooks; RPC_OK as long as neither has. */
    enum rpc_code end_code;
    /* Of the server's orphaned_bytes. */
    size_t orphaned_bytes;
    /* Its handler was told of it: only the handler ends it for good. */
    bool has_run;
    /* The engine is still at work on it, below the handler: it must not be freed yet. */
    bool is_held;
    bool is_finished;
    bool has_sent_headers;
};

/* What a call of a streaming method has more. It is begun by its handler; until then messages wait
 * in the inbox. */
struct rpc_call_stream {
    struct rpc_call *call;
    const struct rpc_stream_hooks *hooks; /* NULL: not begun, or closed */
    const void *source;
    void *state;
    struct list in_awake; /* connection->awake, while there may be something to do for it */
    struct rpc_inbox inbox;
    /* The first of the inbox was admitted and answered LATER: nothing is given until woken. */
    bool is_first_admitted;
    bool waits_to_give;
    bool is_half_close_due;
    /* `next` is to be asked, as soon as there is room. */
    bool wants_pull;
    /* Inside `next`, and nothing sent yet. */
    bool may_send;
};

static inline bool rpc_method_takes_stream(const struct rpc_method *method)
{
    return method->kind == RPC_CLIENT_STREAM || method->kind == RPC_BIDI;
}

static inline bool rpc_method_gives_stream(const struct rpc_method *method)
{
    return method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI;
}

/* ---- call.c ---- */

/* In connection->calls and bound to `session_call`; NULL without memory. */
struct rpc_call *rpc_call_new(
    struct rpc_connection *connection, struct rpc_session_call *session_call);
/* Decodes `message`, asks the admit hook and runs the handler. NULL: a method whose client streams,
 * and there is no request. `call` may be gone afterwards. */
void rpc_call_run(struct rpc_call *call, const struct rpc_bytes *message);
/* From now on its deadline ends it. Idempotent. */
void rpc_call_await_deadline(struct rpc_call *call);
/* The caller is gone, or the session has ended the call with `code`: a stream is closed; of another
 * call the cancel hook runs, and its answer is dropped. */
void rpc_call_abandon(struct rpc_call *call, enum rpc_code code);
/* The deadline has passed: a stream is ended; of another call the cancel hook may answer, else the
 * engine does. */
void rpc_call_expire(struct rpc_call *call);
/* The call ends for its caller, whoever has it at this moment. */
void rpc_call_dismiss(struct rpc_call *call, enum rpc_refusal refusal, const char *text);
/* The same for want of memory for what has come. */
void rpc_call_starve(struct rpc_call *call);
/* Memory that its caller makes it hold. */
size_t rpc_call_held_bytes(const struct rpc_call *call);
/* Frees the call wherever it is. */
void rpc_call_destroy(struct rpc_call *call);

/* Around everything that runs a handler or a hook of the call, which may finish it. */
void rpc_call_hold(struct rpc_call *call);
/* False: it has been finished, and is gone. */
bool rpc_call_unhold(struct rpc_call *call);
/* Tells the caller; the call itself stays as it is. */
enum rpc_send_result rpc_call_send_end(
    struct rpc_call *call, const struct rpc_status *status, const struct rpc_payload *answer);
/* What the handler has added goes ahead of a message, or of the end. */
void rpc_call_send_added_headers(struct rpc_call *call);
/* The one place where a call ends for its handler, and a stream for its hooks. */
void rpc_call_conclude(struct rpc_call *call, enum rpc_code code);

/* ---- decode.c ---- */

/* Checks and decodes with memory of `arena`, which is initialised here. NULL: refused, and
 * finished.
 */
const ProtobufCMessage *rpc_call_decode(
    struct rpc_call *call, struct arena *arena, struct rpc_bytes message);
/* Whether the application's admit hook lets it pass; false: it has ended the call. */
bool rpc_call_admit(struct rpc_call *call, const ProtobufCMessage *message);

/* ---- refusal.c ---- */

/* Ends the call with an error of the engine's own
 * making, its detail from the application's hook. */
void rpc_call_refuse(struct rpc_call *call, enum rpc_refusal refusal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the caller so; the call itself stays as it is. */
enum rpc_code rpc_call_send_refusal(
    struct rpc_call *call, enum rpc_refusal refusal, const char *text);

/* ---- stream.c ---- */

/* Not begun; NULL without memory. */
struct rpc_call_stream *rpc_call_stream_new(struct rpc_call *call);
/* NULL is fine. */
void rpc_call_stream_free(struct rpc_call_stream *stream);
bool rpc_call_stream_has_begun(const struct rpc_call_stream *stream);
/* A message, or their end, has come. The call may be gone afterwards. */
void rpc_call_stream_take_message(struct rpc_call_stream *stream, struct rpc_bytes message);
void rpc_call_stream_take_half_close(struct rpc_call_stream *stream);
/* Nothing is asked or given any more. */
void rpc_call_stream_stop(struct rpc_call_stream *stream);
/* Runs `closed`, if the stream was begun. */
void rpc_call_stream_close(struct rpc_call_stream *stream, enum rpc_code code);
/* Whether a turn would do something now. */
bool rpc_call_stream_is_ready(const struct rpc_call_stream *stream);
/* Gives every stream its turn, again and again, one message a turn, until none is ready or one
 * connection has cost enough. */
void rpc_call_streams_ask(struct list *awake);

/* ---- connection.c ---- */

/* Output, a stream to be asked, or a reason to close may have appeared from outside: tells the
 * transport unless the connection itself is at work. */
void rpc_connection_note_output(struct rpc_connection *connection, bool had_output);
void rpc_connection_note_awake(struct rpc_connection *connection);

/* ---- server.c ---- */

/* rpc_find_method_fn over the services of a server. */
const struct rpc_method *rpc_server_find(
    const void *server, struct rpc_bytes service, struct rpc_bytes method);
/* The service that `method` is a row of. */
const struct rpc_service *rpc_server_service_of(
    const struct rpc_server *server, const struct rpc_method *method);

#endif
