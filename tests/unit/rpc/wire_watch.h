/* Looks at one direction of a ttrpc connection, bytes cut anywhere, and checks the order of frames
 * of every stream: a request first and once, nothing after the last. */
#ifndef FLOCKS_TESTS_WIRE_WATCH_H
#define FLOCKS_TESTS_WIRE_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"

struct wire_watch {
    const struct model *model;
    enum model_side sender;
    uint8_t header[10];
    size_t header_len;
    size_t body_left;
    /* By half of the stream's id. */
    enum { WIRE_UNSEEN, WIRE_OPEN, WIRE_CLOSED, WIRE_CANCELLED } streams[MODEL_CALLS_MAX];
    uint32_t last_id;
};

void wire_watch_init(struct wire_watch *watch, const struct model *model, enum model_side sender);
void wire_watch_see(struct wire_watch *watch, const uint8_t *bytes, size_t len);

#endif
