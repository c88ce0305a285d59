/* A client's and a server's session whose bytes the test moves by hand. */
#ifndef FLOCKS_TESTS_SESSION_PAIR_H
#define FLOCKS_TESTS_SESSION_PAIR_H

#include "common/rpc/session.h"

/* By kind; the names begin with U, S, K and D. */
extern const struct rpc_method session_pair_methods[4];

enum { SESSION_PAIR_CALLS = 128 };

struct session_pair {
    struct rpc_session *client;
    struct rpc_session *server;
    /* The server's, in the order they were opened. */
    struct rpc_session_call *served[SESSION_PAIR_CALLS];
    size_t n_served;
    /* Of both sides. */
    size_t n_messages;
    size_t message_bytes;
    enum rpc_code ended[SESSION_PAIR_CALLS];
    struct rpc_session_call *ended_calls[SESSION_PAIR_CALLS];
    size_t n_ended;
    /* Whether messages are taken as they come. */
    bool takes;
};

void session_pair_open(struct session_pair *pair);
/* Loses both ends and releases what has ended. */
void session_pair_close(struct session_pair *pair);
const struct rpc_method *session_pair_find(
    const void *table, struct rpc_bytes service, struct rpc_bytes method);

/* The client begins a call, with an empty request where it has one. */
struct rpc_session_call *session_pair_call(
    struct session_pair *pair, const struct rpc_method *method);
enum rpc_send_result session_pair_send(struct rpc_session_call *call, size_t len);
/* The first `len` bytes at most, from one end to the other, which takes its events. */
void session_pair_move(struct session_pair *pair, struct rpc_session *from, size_t max_len);
void session_pair_take_events(struct session_pair *pair, struct rpc_session *session);
size_t session_pair_output_len(struct rpc_session *session);

#endif
