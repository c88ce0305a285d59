/* ttrpc's Response, decoded while it is read: the status into the caller's error, the payload into
 * the caller's message. */
#ifndef FLOCKS_NANO_ANSWER_H
#define FLOCKS_NANO_ANSWER_H

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/nano/link.h"

/* Reads a body of `len` bytes. Answers its code; RPC_INTERNAL: it is not readable; link->code: it
 * did not come to its end. `message` is filled with `type`, callbacks in it stay; `error` is
 * written. */
enum rpc_code nano_answer_read(struct nano_link *link, size_t len, const pb_msgdesc_t *type,
    void *message, struct flocks_nano_error *error);

/* The failure of the link as text; answers its code. */
enum rpc_code nano_answer_missing(const struct nano_link *link, struct flocks_nano_error *error);

#endif
