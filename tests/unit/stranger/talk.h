/* Both ends of one method each, typed, blocking and attached: what is sent must arrive, as often as
 * it was sent. A server runs its handlers in whatever thread it lives in, so mistakes abort. */
#ifndef TESTS_UNIT_STRANGER_TALK_H
#define TESTS_UNIT_STRANGER_TALK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "crpc/crpc.h"
#include "crpc/listener.h"

enum {
    /* Of every stream, each way. More than RPC_INBOUND_MESSAGES_MAX would also need a reader that
     * keeps up, which is not what is tested here. */
    TALK_MESSAGES = 7
};

/* Aborts unless both are the same message, byte for byte. */
void talk_same(const ProtobufCMessage *got, const ProtobufCMessage *expected);
/* Aborts with the error's text. */
void talk_fine(const struct rpc_error *error);

/* What one end of a stream has seen. Of the server's side on the heap, until `closed`. */
struct talk {
    unsigned sent;
    unsigned received;
    bool half_closed;
    bool ended;
};
struct talk *talk_new(void);
void talk_closed(void *state, enum rpc_code code);

/* An attached client and its server in one thread: turns both until `*done`. */
struct talk_loop {
    struct rpc_listener *listener;
    struct rpc_client *client;
};
void talk_until(const struct talk_loop *loop, const bool *done);

/* ---- a method of each kind: NAME is that of its calls, IN and OUT are its types, REQUEST and
 * RESPONSE objects of these. serve_NAME is the handler, block_NAME and attach_NAME call it. ---- */

#define TALK_UNARY(NAME, IN, OUT, REQUEST, RESPONSE)                                               \
    static void serve_##NAME(void *self, struct NAME##_call *call, const IN *request)              \
    {                                                                                              \
        (void)self;                                                                                \
        talk_same(&request->base, &(REQUEST).base);                                                \
        NAME##_reply(call, &(RESPONSE));                                                           \
    }                                                                                              \
    static void block_##NAME(struct rpc_client *client)                                            \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        const OUT *response = NULL;                                                                \
        enum rpc_result result = NAME(client, NULL, &(REQUEST), &response, &error);                \
        talk_fine(error);                                                                          \
        assert(result == RPC_DONE);                                                                \
        talk_same(&response->base, &(RESPONSE).base);                                              \
        rpc_message_free(&response->base);                                                         \
    }                                                                                              \
    static void done_##NAME(void *data, const struct rpc_error *error, const OUT *response)        \
    {                                                                                              \
        bool *is_done = data;                                                                      \
        talk_fine(error);                                                                          \
        talk_same(&response->base, &(RESPONSE).base);                                              \
        *is_done = true;                                                                           \
    }                                                                                              \
    static void attach_##NAME(const struct talk_loop *loop)                                        \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        bool is_done = false;                                                                      \
        const struct rpc_pending *pending =                                                        \
            NAME##_begin(loop->client, NULL, &(REQUEST), done_##NAME, &is_done, &error);           \
        talk_fine(error);                                                                          \
        assert(pending != NULL);                                                                   \
        talk_until(loop, &is_done);                                                                \
    }

/* The server's hooks, as far as the kinds share them. */
#define TALK_SERVER_NEXT(NAME, RESPONSE, IS_OVER)                                                  \
    static enum rpc_pull next_##NAME(void *state, struct NAME##_call *call)                        \
    {                                                                                              \
        struct talk *talk = state;                                                                 \
        if (talk->sent < TALK_MESSAGES) {                                                          \
            enum rpc_code code = NAME##_send(call, &(RESPONSE));                                   \
            assert(code == RPC_OK);                                                                \
            talk->sent++;                                                                          \
            return RPC_PULL_SENT;                                                                  \
        }                                                                                          \
        return (IS_OVER) ? RPC_PULL_DONE : RPC_PULL_LATER;                                         \
    }

#define TALK_SERVER_MESSAGE(NAME, IN, REQUEST)                                                     \
    static enum rpc_take message_##NAME(void *state, struct NAME##_call *call, const IN *message)  \
    {                                                                                              \
        struct talk *talk = state;                                                                 \
        (void)call;                                                                                \
        talk_same(&message->base, &(REQUEST).base);                                                \
        talk->received++;                                                                          \
        return RPC_TAKE_DONE;                                                                      \
    }

/* The client's, likewise. */
#define TALK_CLIENT_HOOKS(NAME, OUT, RESPONSE)                                                     \
    static enum rpc_take got_##NAME(                                                               \
        void *data, struct NAME##_client_stream *stream, const OUT *message)                       \
    {                                                                                              \
        struct talk *talk = data;                                                                  \
        (void)stream;                                                                              \
        talk_same(&message->base, &(RESPONSE).base);                                               \
        talk->received++;                                                                          \
        return RPC_TAKE_DONE;                                                                      \
    }                                                                                              \
    static void ended_##NAME(                                                                      \
        void *data, struct NAME##_client_stream *stream, const struct rpc_error *error)            \
    {                                                                                              \
        struct talk *talk = data;                                                                  \
        (void)stream;                                                                              \
        talk_fine(error);                                                                          \
        talk->ended = true;                                                                        \
    }                                                                                              \
    static const struct NAME##_hooks HOOKS_##NAME = {.message = got_##NAME, .ended = ended_##NAME};

#define TALK_CLIENT_WRITES(NAME, IN, REQUEST)                                                      \
    static void write_##NAME(struct NAME##_client_stream *stream)                                  \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        for (unsigned i = 0; i < TALK_MESSAGES; i++) {                                             \
            enum rpc_result result = NAME##_write(stream, &(REQUEST), &error);                     \
            talk_fine(error);                                                                      \
            assert(result == RPC_DONE || result == RPC_AGAIN);                                     \
        }                                                                                          \
        enum rpc_result result = NAME##_half_close(stream, &error);                                \
        talk_fine(error);                                                                          \
        assert(result == RPC_DONE);                                                                \
    }

#define TALK_CLIENT_READS(NAME, OUT, RESPONSE)                                                     \
    static void read_##NAME(struct NAME##_client_stream *stream)                                   \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        const OUT *message = NULL;                                                                 \
        unsigned received = 0;                                                                     \
        enum rpc_result result;                                                                    \
        while ((result = NAME##_next(stream, &message, &error)) == RPC_DONE) {                     \
            talk_same(&message->base, &(RESPONSE).base);                                           \
            rpc_message_free(&message->base);                                                      \
            received++;                                                                            \
        }                                                                                          \
        talk_fine(error);                                                                          \
        assert(result == RPC_END && message == NULL && received == TALK_MESSAGES);                 \
    }

#define TALK_SERVER_STREAM(NAME, IN, OUT, REQUEST, RESPONSE)                                       \
    TALK_SERVER_NEXT(NAME, RESPONSE, true)                                                         \
    TALK_CLIENT_READS(NAME, OUT, RESPONSE)                                                         \
    TALK_CLIENT_HOOKS(NAME, OUT, RESPONSE)                                                         \
    static const struct NAME##_stream STREAM_##NAME = {                                            \
        .next = next_##NAME, .closed = talk_closed};                                               \
    static void serve_##NAME(void *self, struct NAME##_call *call, const IN *request)              \
    {                                                                                              \
        (void)self;                                                                                \
        talk_same(&request->base, &(REQUEST).base);                                                \
        NAME##_begin(call, &STREAM_##NAME, talk_new());                                            \
    }                                                                                              \
    static void block_##NAME(struct rpc_client *client)                                            \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        struct NAME##_client_stream *stream = NAME(client, NULL, &(REQUEST), &error);              \
        talk_fine(error);                                                                          \
        read_##NAME(stream);                                                                       \
        NAME##_close(stream);                                                                      \
    }                                                                                              \
    static void attach_##NAME(const struct talk_loop *loop)                                        \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        struct talk talk = {0};                                                                    \
        struct NAME##_client_stream *stream =                                                      \
            NAME##_watch(loop->client, NULL, &(REQUEST), &HOOKS_##NAME, &talk, &error);            \
        talk_fine(error);                                                                          \
        talk_until(loop, &talk.ended);                                                             \
        assert(talk.received == TALK_MESSAGES);                                                    \
        NAME##_close(stream);                                                                      \
    }

#define TALK_CLIENT_STREAM(NAME, IN, OUT, REQUEST, RESPONSE)                                       \
    TALK_SERVER_MESSAGE(NAME, IN, REQUEST)                                                         \
    TALK_CLIENT_WRITES(NAME, IN, REQUEST)                                                          \
    TALK_CLIENT_HOOKS(NAME, OUT, RESPONSE)                                                         \
    static void half_closed_##NAME(void *state, struct NAME##_call *call)                          \
    {                                                                                              \
        const struct talk *talk = state;                                                           \
        assert(talk->received == TALK_MESSAGES);                                                   \
        NAME##_reply(call, &(RESPONSE));                                                           \
    }                                                                                              \
    static const struct NAME##_stream STREAM_##NAME = {                                            \
        .message = message_##NAME, .half_closed = half_closed_##NAME, .closed = talk_closed};      \
    static void serve_##NAME(void *self, struct NAME##_call *call)                                 \
    {                                                                                              \
        (void)self;                                                                                \
        NAME##_begin(call, &STREAM_##NAME, talk_new());                                            \
    }                                                                                              \
    static void block_##NAME(struct rpc_client *client)                                            \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        const OUT *response = NULL;                                                                \
        struct NAME##_client_stream *stream = NAME(client, NULL, &error);                          \
        talk_fine(error);                                                                          \
        write_##NAME(stream);                                                                      \
        enum rpc_result result = NAME##_finish(stream, &response, &error);                         \
        talk_fine(error);                                                                          \
        assert(result == RPC_DONE);                                                                \
        talk_same(&response->base, &(RESPONSE).base);                                              \
        rpc_message_free(&response->base);                                                         \
        NAME##_close(stream);                                                                      \
    }                                                                                              \
    static void attach_##NAME(const struct talk_loop *loop)                                        \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        struct talk talk = {0};                                                                    \
        struct NAME##_client_stream *stream =                                                      \
            NAME##_watch(loop->client, NULL, &HOOKS_##NAME, &talk, &error);                        \
        talk_fine(error);                                                                          \
        write_##NAME(stream);                                                                      \
        talk_until(loop, &talk.ended);                                                             \
        assert(talk.received == 1);                                                                \
        NAME##_close(stream);                                                                      \
    }

#define TALK_BIDI(NAME, IN, OUT, REQUEST, RESPONSE)                                                \
    TALK_SERVER_NEXT(NAME, RESPONSE, talk->half_closed)                                            \
    TALK_SERVER_MESSAGE(NAME, IN, REQUEST)                                                         \
    TALK_CLIENT_WRITES(NAME, IN, REQUEST)                                                          \
    TALK_CLIENT_READS(NAME, OUT, RESPONSE)                                                         \
    TALK_CLIENT_HOOKS(NAME, OUT, RESPONSE)                                                         \
    static void half_closed_##NAME(void *state, struct NAME##_call *call)                          \
    {                                                                                              \
        struct talk *talk = state;                                                                 \
        assert(talk->received == TALK_MESSAGES);                                                   \
        talk->half_closed = true;                                                                  \
        NAME##_wake(call);                                                                         \
    }                                                                                              \
    static const struct NAME##_stream STREAM_##NAME = {.next = next_##NAME,                        \
        .message = message_##NAME,                                                                 \
        .half_closed = half_closed_##NAME,                                                         \
        .closed = talk_closed};                                                                    \
    static void serve_##NAME(void *self, struct NAME##_call *call)                                 \
    {                                                                                              \
        (void)self;                                                                                \
        NAME##_begin(call, &STREAM_##NAME, talk_new());                                            \
    }                                                                                              \
    static void block_##NAME(struct rpc_client *client)                                            \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        struct NAME##_client_stream *stream = NAME(client, NULL, &error);                          \
        talk_fine(error);                                                                          \
        write_##NAME(stream);                                                                      \
        read_##NAME(stream);                                                                       \
        NAME##_close(stream);                                                                      \
    }                                                                                              \
    static void attach_##NAME(const struct talk_loop *loop)                                        \
    {                                                                                              \
        struct rpc_error *error = NULL;                                                            \
        struct talk talk = {0};                                                                    \
        struct NAME##_client_stream *stream =                                                      \
            NAME##_watch(loop->client, NULL, &HOOKS_##NAME, &talk, &error);                        \
        talk_fine(error);                                                                          \
        write_##NAME(stream);                                                                      \
        talk_until(loop, &talk.ended);                                                             \
        assert(talk.received == TALK_MESSAGES);                                                    \
        NAME##_close(stream);                                                                      \
    }

#endif
