/* One request of grpc.reflection and its answer, apart from streams: what is asked, kept as a few
 * texts; and the response, which borrows the index's own bytes. */
#ifndef CRPC_REFLECTION_ANSWER_H
#define CRPC_REFLECTION_ANSWER_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "crpc/index.h"
#include "crpc/limits.h"
#include "crpc/server.h"
#include "grpc/reflection/v1/reflection.names.h"

struct reflection_question {
    int kind; /* message_request_case; 0: none, or one that we do not know */
    int32_t number;
    const char *host;
    const char *text; /* the name of a file, a symbol or a message */
    char texts[];
};

/* A copy, which the caller frees; NULL without memory. *out_is_too_long: its texts are longer than
 * RPC_REFLECTION_REQUEST_BYTES_MAX together, and there is none either. */
struct reflection_question *reflection_question_new(
    const reflection_server_reflection_request *request, bool *out_is_too_long);

/* `indexes` ends with NULL; behind them comes our own, with the services of this library. */
const struct crpc_index *reflection_index_at(const struct crpc_index *const *indexes, size_t which);
size_t reflection_count_files(const struct crpc_index *const *indexes);

struct reflection_answering {
    const struct rpc_server *server;
    const struct crpc_index *const *indexes;
    /* One for each file of the indexes in their order; set for those that are in an answer. */
    bool *was_sent;
    struct arena *arena;
};

/* The response, in the arena like all it points to besides index and question; NULL: the arena is
 * exhausted. It fits one message. */
const reflection_server_reflection_response *reflection_answer(
    const struct reflection_answering *answering, const struct reflection_question *question);

#endif
