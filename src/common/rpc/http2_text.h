/* How gRPC writes times and texts in header fields (PROTOCOL-HTTP2.md). Pure. */
#ifndef CRPC_HTTP2_TEXT_H
#define CRPC_HTTP2_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rpc/envelope.h"

/* One to eight digits and one of H M S m u n, in nanoseconds; what is longer than 292 years is
 * that. 0 becomes -1: it has passed. False: it is nothing like that. */
bool http2_timeout_read(const char *text, int64_t *out_nano);

/* grpc-message: what is not printable ASCII, and %, as %XX. */
size_t http2_percent_size(struct rpc_bytes text);
/* Writes so many bytes. */
void http2_percent_write(struct rpc_bytes text, uint8_t *out);

#endif
