/* A request that can be made again behind what it has brought already: the schema's convention of a
 * `token` in each message of a stream and an `after` in its request. No I/O. */
#ifndef FLOCKS_LIB_RESUME_H
#define FLOCKS_LIB_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "crpc/crpc.h"

/* Embedded by value; private members. */
struct resume {
    const struct rpc_method *method;
    const ProtobufCMessage *request; /* ours */
    /* As `request`, with `after`; shares all of it. NULL: the request itself will do. */
    ProtobufCMessage *behind;
    char *token;
    /* Messages were seen of which no token is known. */
    bool is_lost;
    bool has_seen;
};

/* A copy of a message, freed with rpc_message_free; NULL without memory. */
const ProtobufCMessage *resume_clone(const ProtobufCMessage *message);

/* False: no memory. */
bool resume_init(
    struct resume *resume, const struct rpc_method *method, const ProtobufCMessage *request);
void resume_deinit(struct resume *resume);
/* A message was given to the caller. */
void resume_note(struct resume *resume, const ProtobufCMessage *message);
/* Whether the stream can be begun again without losing or repeating anything. */
bool resume_is_possible(const struct resume *resume);
/* What to begin it with, borrowed until the next function; NULL without memory. */
const ProtobufCMessage *resume_request(struct resume *resume);

#endif
