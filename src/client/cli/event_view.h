/* What happened, as a person reads it: one line for each event. Pure but for the stream and the
 * time zone. */
#ifndef FLOCKS_CLI_EVENT_VIEW_H
#define FLOCKS_CLI_EVENT_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "flocks/v1/supervisor.names.h"

struct event_view {
    int64_t now_s; /* wall clock, for ages, and for what is another day */
    /* A snapshot is shown, a line for each service; else it is not. */
    bool with_snapshot;
    bool color;
};

/* Nothing, or a line: of an event, or of a gap; or those of a snapshot. */
void event_view_print(
    const struct event_view *view, const flocks_watch_events_response *item, FILE *stream);

#endif
