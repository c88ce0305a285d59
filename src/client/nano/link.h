/* The bytes of one call: a request out, the frame of its answer in. Owns the deadline and what must
 * hold of the stream between calls; knows nothing of messages. */
#ifndef FLOCKS_NANO_LINK_H
#define FLOCKS_NANO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/nano.h"

struct nano_link {
    struct flocks_nano *nano;
    /* CLOCK_MONOTONIC milliseconds. */
    int64_t deadline_at;
    uint32_t stream_id;
    /* What ended it: RPC_OK while nothing has. */
    enum rpc_code code;
    const char *what;
    /* Of a system call; 0: none. */
    int system_error;
};

int64_t nano_clock_ms(void);

/* For every function below: false, the call is over, `link->code` and `what` tell why. */

/* Takes the next stream id. */
bool nano_link_open(struct nano_link *link, struct flocks_nano *nano, int64_t deadline_at);
/* Sends a whole frame. Between writes, whatever earlier calls left unanswered is read and dropped,
 * or a server that is writing it would never read this. */
bool nano_link_send(struct nano_link *link, const uint8_t *frame, size_t len);
/* Reads to the body of this call's answer, *out_len bytes. */
bool nano_link_await(struct nano_link *link, size_t *out_len);
/* The next `len` bytes of that body. */
bool nano_link_read(struct nano_link *link, uint8_t *out, size_t len);

#endif
