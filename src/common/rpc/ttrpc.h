/* What both ends of a ttrpc session share; private to ttrpc*.c. */
#ifndef CRPC_TTRPC_H
#define CRPC_TTRPC_H

#include "common/base/buffer.h"
#include "common/base/list.h"
#include "common/rpc/frame_reader.h"
#include "common/rpc/session.h"

/* The metadata pair by which a client says that it sends CANCEL frames. */
#define TTRPC_EXTENSION_KEY "crpc-ext"
#define TTRPC_EXTENSION_CANCEL "cancel"

struct rpc_session_call {
    struct rpc_session *session;
    struct list in_calls; /* session->calls, until released */
    void *owner;
    uint32_t id;
    /* Finished by us, or ENDED is decided: no frame of this id concerns the call any more. */
    bool is_over;
    /* ENDED is still to be told, with these. */
    bool has_end_to_tell;
    enum rpc_code end_code;
    const char *end_text;
};

/* Events of the frame parsed last that are still to be told. */
enum { TTRPC_TELL_MESSAGE = 1, TTRPC_TELL_HALF_CLOSED = 2, TTRPC_TELL_END_OK = 4 };

struct rpc_session {
    bool is_client;
    rpc_find_method_fn find;
    const void *table;
    struct rpc_frame_reader reader;
    struct buffer output;
    struct list calls;
    size_t n_ends_to_tell;
    /* One released call kept for the next: most connections have one call at a time. */
    struct rpc_session_call *spare;
    const char *broken;
    bool is_lost;
    /* Client: the id of the next call. Server: the highest id seen. */
    uint64_t last_id;
    bool cancel_is_negotiated;
    struct rpc_session_call *current;
    unsigned to_tell;
    struct rpc_bytes message;
};

/* False: the frame made no event. Each end has its own. */
bool ttrpc_server_take(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out);
bool ttrpc_client_take(struct rpc_session *session, const struct rpc_frame *frame,
    const uint8_t *body, bool is_oversize, struct rpc_session_event *out);

struct rpc_session *ttrpc_new(bool is_client);
/* In session->calls; NULL without memory, and the session is broken. */
struct rpc_session_call *ttrpc_add_call(struct rpc_session *session, uint32_t id);
/* The call of this id that is not over, or NULL. */
struct rpc_session_call *ttrpc_find_call(const struct rpc_session *session, uint32_t id);
/* The call is over; ENDED will be told. `text` is static. */
void ttrpc_end_call(struct rpc_session_call *call, enum rpc_code code, const char *text);
/* Room for a frame's body in the output, its header
 * written; NULL: no room, and the session is broken. */
uint8_t *ttrpc_put_frame(
    struct rpc_session *session, enum rpc_frame_type type, uint32_t id, size_t body_len);
void ttrpc_put_response(
    struct rpc_session *session, uint32_t id, enum rpc_code code, const char *text);
/* Fills the kind and the call, empties the rest. */
void ttrpc_begin_event(struct rpc_session_event *event, enum rpc_session_event_kind kind,
    struct rpc_session_call *call);
void ttrpc_set_status(struct rpc_session_event *event, enum rpc_code code, const char *text);

#endif
