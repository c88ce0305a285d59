/* What may be repeated, and when. Pure. */
#ifndef FLOCKS_LIB_REPEAT_H
#define FLOCKS_LIB_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "crpc/crpc.h"

/* Whether a call that was sent and got no answer may be sent again: the method is idempotent, or
 * the request carries a request_id. */
bool repeat_is_harmless(const struct rpc_method *method, const ProtobufCMessage *request);
/* The wait after one of `wait_ms`, the first being 0. */
int64_t repeat_longer_wait_ms(int64_t wait_ms);

#endif
