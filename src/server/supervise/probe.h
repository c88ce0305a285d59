/* One check of one service over the network, on the loop: HTTP/1.1 or TCP. One connection, closed
 * after; no proxies, no redirects, no resolver. Decides nothing: probe_schedule.h judges the
 * results. */
#ifndef FLOCKS_SUPERVISE_PROBE_H
#define FLOCKS_SUPERVISE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/endpoint.h"

enum {
    /* Body of an answer; a longer one fails the probe if members are expected, and is not read
       otherwise. */
    PROBE_BODY_MAX = 256 * 1024,
    /* Header bytes of an answer; more fail the probe. */
    PROBE_HEADER_MAX = 32 * 1024,
    /* The request we send: path and configured headers. */
    PROBE_REQUEST_MAX = 64 * 1024,
    PROBE_MESSAGE_MAX = 256,
    /* A timeout that is noticed later than this says nothing: we were stopped, or had no
       processor, and have not seen what came meanwhile. */
    PROBE_LATE_MS = 500
};

struct probe_pair {
    const char *name;
    const char *value;
};

/* Borrowed during probe_start only. */
struct probe_http {
    /* Begins with "/". */
    const char *path;
    /* 0: any status below 400. */
    unsigned status;
    /* Members of the JSON answer ("a.b" goes into objects), compared as text: strings as they are,
     * true, false, null, numbers as jansson prints them. */
    const struct probe_pair *expect;
    size_t expect_count;
    /* Replace our own where the name is the same (Host, User-Agent, Accept). */
    const struct probe_pair *headers;
    size_t header_count;
};

/* Borrowed during probe_start only. */
struct probe_request {
    union endpoint_address address;
    /* NULL: TCP, passed when the connection is accepted. */
    const struct probe_http *http;
    /* For the whole check, from the connect on; > 0. */
    int64_t timeout_ms;
};

struct probe_result {
    bool passed;
    /* It says nothing about the service: descriptors, memory, ports or time were short on our side.
     */
    bool is_void;
    /* HTTP status, 0 if none came. */
    unsigned status;
    /* It answered as asked, but a member has another value than the expected one. */
    bool is_other;
    int64_t duration_ms;
    /* For people, one line, escaped: "answered 503, expected below 400", "no answer within 5000
     * ms". */
    char message[PROBE_MESSAGE_MAX];
};

struct probe;

/* `result` lives during the call. Called once, never from within probe_start. The probe may be
 * closed in it. */
typedef void (*probe_done_fn)(void *context, const struct probe_result *result);

/* Starts one check. On success *out must be given to probe_close, before or after `done`. */
NODISCARD int probe_start(uv_loop_t *loop, const struct probe_request *request, probe_done_fn done,
    void *context, struct probe **out, struct error *error);

/* Cancels if still running: `done` is not called any more. Sets *probe to NULL; NULL in it is fine.
 * The memory goes with the loop's next turns. */
void probe_close(struct probe **probe);

#endif
