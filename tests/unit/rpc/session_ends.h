/* Two ends of a ttrpc session with a model beside them: what either may do at any moment, and what
 * it is told. No bytes move here. The server's end does for HTTP/2, too, against a client that is
 * none of ours. */
#ifndef FLOCKS_TESTS_SESSION_ENDS_H
#define FLOCKS_TESTS_SESSION_ENDS_H

#include "common/rpc/session.h"
#include "model.h"

struct session_ends {
    struct model model;
    struct rpc_session *sessions[2];
    size_t max_message;
    /* How many calls are at work at once, and how often their messages are taken. */
    size_t n_busy;
    size_t take_odds;
    /* How long calls last, and how seldom another one begins. */
    size_t end_odds;
    size_t open_odds;
    bool may_lose;
    /* Sends whether or not there is room. */
    bool is_sloppy;
};

/* With the habits of this schedule, by chance. */
void session_ends_open(struct session_ends *ends, uint64_t seed);
/* The same with a server of HTTP/2 and without a client: only MODEL_SERVER may act and be pumped.
 */
void session_ends_open_http2(struct session_ends *ends, uint64_t seed);
/* Both sessions must have been lost, or everything in them ended. */
void session_ends_close(struct session_ends *ends);

/* The client begins a call. */
void session_ends_begin_call(struct session_ends *ends);
/* Something that `side` may do with one of its calls. */
void session_ends_act(struct session_ends *ends, enum model_side side);
/* One more step of a call towards its end. */
void session_ends_settle(struct session_ends *ends, struct model_call *call);
/* The methods by kind. */
extern const struct rpc_method session_ends_methods[RPC_BIDI + 1];
/* Takes all events there are, with acts of the same side in between. */
void session_ends_pump(struct session_ends *ends, enum model_side side);
/* Both ends learn of it; the events that follow from it are for the next pump. */
void session_ends_lose(struct session_ends *ends);
bool session_ends_are_broken(const struct session_ends *ends);

#endif
