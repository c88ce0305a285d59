/* One attempt at a download: libcurl, redirects one by one, what an answer must be like. Decides
 * nothing about trying again. */
#ifndef FLOCKS_UPDATER_TRANSFER_H
#define FLOCKS_UPDATER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/updater/download.h"
#include "client/updater/part.h"

struct transfer;

struct transfer_limits {
    uint64_t bytes_max;
    int64_t stall_ms;
    int64_t connect_ms;
    /* Monotonic. */
    int64_t deadline_at;
};

struct transfer_result {
    enum download_failure failure;
    /* The same may go better another time. */
    bool is_transient;
    int http_status;
    /* -1: the server did not say. */
    int64_t retry_after_ms;
};

/* All is borrowed until transfer_free. NULL: no memory. */
struct transfer *transfer_new(const struct download_request *request,
    const struct transfer_limits *limits, struct part *part);
void transfer_free(struct transfer *transfer);

/* Appends to the part what is missing of it, from its first byte when the server has another file
 * now. Returns 0 when it is whole as far as the server says. `attempt` is for on_progress. `out` is
 * written whatever the result. */
NODISCARD int transfer_attempt(
    struct transfer *transfer, unsigned attempt, struct transfer_result *out, struct error *error);

#endif
