/* The HTTP half of a probe, without I/O: the request's bytes, and a judge that eats the answer's
 * bytes. Private to probe.c and its tests. */
#ifndef FLOCKS_SUPERVISE_PROBE_HTTP_H
#define FLOCKS_SUPERVISE_PROBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "server/supervise/probe.h"

enum {
    /* Copies of expected names and values. */
    PROBE_EXPECT_MAX = 64 * 1024,
    /* Interim answers (1xx) before the real one. */
    PROBE_INTERIM_MAX = 16
};

/* Appends the request for `http` at `address`. INVALID_ARGUMENT: the path does not begin with "/",
 * or something contains what would end a line; RESOURCE_EXHAUSTED: more than the buffer's bound. */
NODISCARD int probe_http_request(const struct probe_http *http,
    const union endpoint_address *address, struct buffer *out, struct error *error);

struct probe_judge;

/* Copies what it needs of `http`. */
NODISCARD int probe_judge_new(
    const struct probe_http *http, struct probe_judge **out, struct error *error);
void probe_judge_free(struct probe_judge *judge);

/* Eats bytes of the answer; `len` 0 says that the connection was closed. True: the judgement is
 * made (probe_judge_result), no more bytes are wanted. */
bool probe_judge_feed(struct probe_judge *judge, const char *bytes, size_t len);

/* Sets `passed`, `status`, `is_other` and `message`; the rest is left alone. Before the judgement:
 * failed, "no answer". */
void probe_judge_result(const struct probe_judge *judge, struct probe_result *out);

#endif
