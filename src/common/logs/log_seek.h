/* Where reading begins: so many lines or bytes before the end of a log. Lines are searched in
 * steps, each of one read, for whoever must not wait for a long search. */
#ifndef FLOCKS_LOGS_LOG_SEEK_H
#define FLOCKS_LOGS_LOG_SEEK_H

#include "common/logs/log_view.h"

/* A plain value. */
struct log_seek {
    struct log_place place; /* where the search has come to; when it is done, the answer */
    uint64_t lines_left;
    bool is_at_end; /* no byte has been looked at */
};

enum log_seek_result { LOG_SEEK_DONE = 1 };

/* Begins at the end of the log; 0 lines are done at once. LOG_SEEK_DONE, or 0: step on. */
NODISCARD int log_seek_begin(
    struct log_seek *seek, const char *path, uint64_t lines, struct error *error);
/* Looks at up to LOG_VIEW_BYTES more, or goes to the next older file. `scratch` is written to. */
NODISCARD int log_seek_step(
    struct log_seek *seek, const char *path, struct log_view *scratch, struct error *error);

/* The place that has `bytes` behind it; before everything, when the log has fewer. */
NODISCARD int log_seek_bytes(
    const char *path, uint64_t bytes, struct log_place *out, struct error *error);

#endif
