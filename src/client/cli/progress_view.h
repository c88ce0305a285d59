/* How far an operation is, as a person reads it: a block of lines to be drawn over, or one line for
 * each change. Pure but for the stream. */
#ifndef FLOCKS_CLI_PROGRESS_VIEW_H
#define FLOCKS_CLI_PROGRESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flocks/v1/supervisor.names.h"

enum {
    /* Of more services only those are shown that are not done, so many at most; changes of theirs
     * are not told one by one. */
    PROGRESS_SERVICES = 16
};

struct progress_view {
    const flocks_operation *operation;
    /* What is known of its services; NULL or without some of them: nothing. */
    const flocks_get_status_response *status;
    int64_t elapsed_ms;
    int64_t now_s; /* wall clock, for ages */
    bool color;
};

/* First the operation, then a line for each service. */
void progress_view_print(const struct progress_view *view, FILE *stream);

/* What one service's line says in a word or two: its state, or how its part of the operation ended.
 * Equal texts: nothing has changed. */
enum { PROGRESS_WORD_MAX = 32 };
void progress_view_word(
    const struct progress_view *view, size_t index, char out[PROGRESS_WORD_MAX]);
/* Why that is; "" for nothing. */
enum { PROGRESS_DETAIL_MAX = 512 };
void progress_view_detail(
    const struct progress_view *view, size_t index, char out[PROGRESS_DETAIL_MAX]);

#endif
