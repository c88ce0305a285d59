/* What both ends of a ttrpc session share; private to ttrpc*.c. */
#ifndef CRPC_TTRPC_H
#define CRPC_TTRPC_H

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/list.h"
#include "common/rpc/frame_reader.h"
#include "common/rpc/session.h"

/* The metadata pair by which a client says that it sends CANCEL frames. */
#define TTRPC_EXTENSION_KEY "crpc-ext"
#define TTRPC_EXTENSION_CANCEL "cancel"

enum {
    /* Chains in which live calls are looked up: at most seven calls each on one connection. */
    TTRPC_CHAINS = 16,
    /* Ended calls whose queued frames are still to be dropped; one more, and it is done. */
    TTRPC_DOOMED_MAX = 32
};

struct ttrpc_call {
    struct rpc_session_call base;
    struct ttrpc_session *session;
    struct ttrpc_call *next_in_chain; /* session->live, until it is over */
    struct list in_ended;             /* session->ended, while ENDED is to be told */
    uint32_t id;
    /* Messages told and not yet taken, and their bytes. */
    uint16_t n_untaken;
    /* Whether our side and the peer's send messages in frames of their own. */
    bool sends_stream;
    bool receives_stream;
    /* No further message from us; from the peer. */
    bool is_out_closed;
    bool is_in_closed;
    /* The peer may still say that it closes a side which was closed from the start. */
    bool may_close_again;
    /* Finished by us, or ENDED is decided: no frame of this id concerns the call any more. */
    bool is_over;
    enum rpc_code end_code;
    uint32_t untaken_len;
    const char *end_text;
    /* Where the last of its frames ends that may be dropped when the call ends early, counted as
     * session->sent_len; later than it is when frames before it were dropped. */
    uint64_t droppable_end;
    /* Bytes of all such frames, sent or not. */
    size_t droppable_len;
};

/* Events of the frame parsed last that are still to be told. */
enum { TTRPC_TELL_MESSAGE = 1, TTRPC_TELL_HALF_CLOSED = 2, TTRPC_TELL_END_OK = 4 };

struct ttrpc_session {
    struct rpc_session base;
    bool is_client;
    bool is_lost;
    /* ttrpc_is_stalled, at the last tick. */
    bool was_stalled;
    /* Client: the extension was announced, by the request of `announced_by`. */
    bool cancel_is_negotiated;
    uint32_t announced_by;
    rpc_find_method_fn find;
    const void *table;
    struct rpc_frame_reader reader;
    /* Client: the id of the next call. Server: the highest id seen. */
    uint64_t last_id;

    /* Calls that are not over, by id; those that are, with ENDED to be told; and all that were not
     * released. */
    struct ttrpc_call *live[TTRPC_CHAINS];
    struct list ended;
    size_t n_calls;
    /* One released call kept for the next: most connections have one call at a time. */
    struct ttrpc_call *spare;
    /* Of all calls. */
    size_t untaken_len;

    struct buffer output;
    uint64_t sent_len;
    /* What is left of a frame at its front that was sent in part. */
    size_t output_begun_len;
    uint32_t doomed[TTRPC_DOOMED_MAX];
    size_t n_doomed;
    /* At least what their queued frames take. */
    size_t doomed_len;

    struct ttrpc_call *current;
    unsigned to_tell;
    struct rpc_bytes message;
};

static inline struct ttrpc_session *ttrpc_session_of(struct rpc_session *session)
{
    return CONTAINER_OF(session, struct ttrpc_session, base);
}

static inline struct ttrpc_call *ttrpc_call_of(struct rpc_session_call *call)
{
    return CONTAINER_OF(call, struct ttrpc_call, base);
}

/* ---- each end has its own ---- */

/* The verbs of either; a client's sessions have no end of a call. */
enum rpc_send_result ttrpc_call_finish(struct rpc_session_call *call,
    const struct rpc_status *status, const struct rpc_payload *answer);

/* False: the frame made no event. */
bool ttrpc_server_take(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out);
bool ttrpc_client_take(struct ttrpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out);

/* ---- ttrpc.c ---- */

struct ttrpc_session *ttrpc_new(bool is_client);
/* Live; NULL without memory, and the session is broken. */
struct ttrpc_call *ttrpc_add_call(struct ttrpc_session *session, uint32_t id);
/* The call of this id that is not over, or NULL. */
struct ttrpc_call *ttrpc_find_call(const struct ttrpc_session *session, uint32_t id);
/* The call is over, and nothing is told of it besides what `to_tell` says. */
void ttrpc_close_call(struct ttrpc_call *call);
/* The call, which has nothing else to tell, is over; ENDED will be told. `text` is static. */
void ttrpc_end_call(struct ttrpc_call *call, enum rpc_code code, const char *text);
/* Counts a message of a peer that streams against the bounds of what was not taken; false: it is
 * beyond them. */
bool ttrpc_count_message(struct ttrpc_call *call, size_t len);
/* The next event of `current`; false: there is none. */
bool ttrpc_tell(struct ttrpc_session *session, struct rpc_session_event *out);
/* Forgets the events of `current`. */
void ttrpc_tell_nothing(struct ttrpc_session *session);
/* Fills the kind and the call, empties message and status. */
static inline void ttrpc_begin_event(
    struct rpc_session_event *event, enum rpc_session_event_kind kind, struct ttrpc_call *call)
{
    /* Member by member: the pairs are 2 KiB that nobody reads unless they are counted, and the
     * facts belong to OPENED alone. */
    event->kind = kind;
    event->call = &call->base;
    event->message = (struct rpc_bytes){.data = NULL};
    event->status = (struct rpc_status){.code = RPC_OK};
}
void ttrpc_set_status(struct rpc_session_event *event, enum rpc_code code, const char *text);

void ttrpc_call_release(struct rpc_session_call *call);

/* ---- ttrpc_output.c ---- */

const uint8_t *ttrpc_output(struct rpc_session *session, size_t *out_len);
bool ttrpc_has_output(const struct rpc_session *session);
void ttrpc_sent(struct rpc_session *session, size_t len);
bool ttrpc_call_is_writable(const struct rpc_session_call *call);
enum rpc_send_result ttrpc_call_send(
    struct rpc_session_call *call, const struct rpc_payload *message);

/* Room for a frame's body in the output, its header
 * written; NULL: no room, and the session is broken. */
uint8_t *ttrpc_put_frame(struct ttrpc_session *session, const struct rpc_frame *frame);
void ttrpc_put_response(
    struct ttrpc_session *session, uint32_t id, enum rpc_code code, const char *text);
/* One of the call's own frames, which its early end may take back. */
uint8_t *ttrpc_put_droppable(
    struct ttrpc_call *call, enum rpc_frame_type type, uint8_t flags, size_t body_len);
/* "No further message from me": a frame of its own, because Go's server refuses a body in it. */
bool ttrpc_put_close(struct ttrpc_call *call);
/* The call ended before its queued messages were wanted: they are dropped, now or a little later,
 * unless their first byte was sent. With its request, if that one is among them and is not needed
 * to announce the extension, goes its CANCEL. */
void ttrpc_drop_output(struct ttrpc_call *call);
/* The id is used anew: what is queued stays. */
void ttrpc_keep_output(struct ttrpc_session *session, uint32_t id);
/* So much waits that a server reads no further. */
static inline bool ttrpc_is_stalled(const struct ttrpc_session *session)
{
    return !session->is_client && buffer_length(&session->output) >= RPC_OUTPUT_STALL_BYTES;
}

#endif
