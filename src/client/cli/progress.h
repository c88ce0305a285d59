/* The progress of one operation on standard error: drawn over on a terminal, else told line by
 * line; or not at all. */
#ifndef FLOCKS_CLI_PROGRESS_H
#define FLOCKS_CLI_PROGRESS_H

#include <stdint.h>

#include "client/cli/cli.h"
#include "client/cli/live.h"
#include "client/cli/progress_view.h"

enum {
    /* A live display is drawn at least this often. */
    PROGRESS_REDRAW_MS = 1000
};

/* Embedded by value. */
struct progress {
    const struct cli *cli;
    struct live live;
    int64_t began_at;
    char step[128];
    /* What was told of each service. */
    char words[PROGRESS_SERVICES][PROGRESS_WORD_MAX];
};

void progress_begin(struct progress *progress, const struct cli *cli);
/* Whether anybody wants to see more than the operation's own steps; a program that reads JSON does
 * not. */
bool progress_shows_services(const struct progress *progress);
/* `status` may be NULL. */
void progress_show(struct progress *progress, const flocks_operation *operation,
    const flocks_get_status_response *status);
/* Removes what is drawn. */
void progress_end(struct progress *progress);

#endif
