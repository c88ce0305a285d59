/* A service of all four kinds whose handlers do what the test says and note what happens to them.
 */
#ifndef FLOCKS_TESTS_SCRIPTED_STREAMS_H
#define FLOCKS_TESTS_SCRIPTED_STREAMS_H

#include "crpc/server.h"

/* Requests are flocks.v1.GetStatusRequest, answers flocks.v1.GetStatusResponse: texts. */
enum scripted_method {
    SCRIPTED_ASK,     /* unary: held, test answers */
    SCRIPTED_COUNT,   /* server stream */
    SCRIPTED_COLLECT, /* client stream */
    SCRIPTED_CHAT,    /* bidirectional */
    SCRIPTED_MUTATE,  /* bidirectional, refuses unknown fields */
    SCRIPTED_NOTHING, /* no handler, client stream */
    SCRIPTED_METHODS
};

struct scripted_streams;

/* One call and its stream. */
struct scripted_stream {
    struct scripted_streams *streams;
    /* NULL once closed, or answered. */
    struct rpc_call *call;
    bool has_begun;
    /* What happened, in order: "open", "next", "later", "msg:<text>", "half", "closed:<code>",
     * each followed by a blank. */
    char log[4096];
    int n_closed;
    enum rpc_code code;
    int n_cancelled;
    /* Messages that `next` still has. */
    int n_to_send;
    int n_sent;
    /* Memory of the call, which `closed` writes to. */
    int *memory;
};

struct scripted_streams {
    struct scripted_stream calls[128];
    size_t n_calls;
    /* ---- what new calls do ---- */
    bool begins_later;
    int n_to_send;
    size_t message_len;
    /* When there are none left. */
    enum rpc_pull then;
    /* What `message` answers. */
    enum rpc_take take;
    /* A chat sends back each message, one at a time. */
    bool echoes;
    bool replies_at_half_close;
    /* Inside the cancel hook. */
    bool begins_when_cancelled;
    /* Runs inside the hooks, before they do anything else: "next", "message" ... */
    void (*inside)(struct scripted_stream *stream, const char *hook);
    /* Names without the services, in which order `next` was asked: 'a' is the first call. */
    char turns[1024];
    size_t n_turns;
};

extern const struct rpc_method scripted_methods[SCRIPTED_METHODS];
struct rpc_service scripted_service(struct scripted_streams *streams);

void scripted_begin(struct scripted_stream *stream);
void scripted_answer(struct scripted_stream *stream, const char *text);

#endif
