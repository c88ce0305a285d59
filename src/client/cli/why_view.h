/* An ExplainServiceResponse as a person reads it: one screen that tells the chain from the state to
 * what to do. Pure but for the stream and the time zone. */
#ifndef FLOCKS_CLI_WHY_VIEW_H
#define FLOCKS_CLI_WHY_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/upgrade.names.h"

enum {
    /* Of the newest, where the answer has more: the rest is counted. */
    WHY_EXITS = 4,
    WHY_PROBES = 4,
    WHY_LINES = 10
};

struct why_view {
    const flocks_explain_service_response *response;
    /* One that goes on; NULL: none, or not known. Shown where a lease holds the service. */
    const flocks_upgrade_progress *upgrade;
    int64_t now_s;  /* wall clock, for ages */
    size_t n_lines; /* of output, at most */
    bool color;
};

/* Everything. */
void why_view_print(const struct why_view *view, FILE *stream);
/* State, why, the last end, who stands in the way, what to do: a few lines. */
void why_view_print_brief(const struct why_view *view, FILE *stream);

#endif
