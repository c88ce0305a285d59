/* The progress of one upgrade as it comes: on a terminal steps that stay and one that is drawn
 * over, elsewhere lines, or JSON. */
#ifndef FLOCKS_CLI_UPDATE_SHOW_H
#define FLOCKS_CLI_UPDATE_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "flocks/v1/upgrade.names.h"

#include "client/cli/cli.h"
#include "client/cli/live.h"
#include "client/cli/transfer_rate.h"
#include "common/base/arena.h"

enum {
    /* Of what is drawn, at most so often; and where nothing comes, so that time is seen to pass. */
    UPDATE_SHOW_REDRAW_MS = 250,
    /* Between two lines about bytes, where nothing is drawn. */
    UPDATE_SHOW_LINE_MS = 10 * 1000,
    /* Memory of one progress. */
    UPDATE_SHOW_ARENA_BYTES = 64 * 1024
};

/* Embedded by value; between update_show_begin and update_show_end. */
struct update_show {
    const struct cli *cli;
    struct live live;
    struct transfer_rate rate;
    int64_t began_at;
    int64_t step_at; /* when the present step was first told */
    int64_t drawn_at;
    int64_t line_at; /* of the last line about bytes */
    bool cannot_write;
    struct arena arena;                 /* of `now` */
    const flocks_upgrade_progress *now; /* NULL: nothing came yet */
};

void update_show_begin(struct update_show *show, const struct cli *cli);
/* News. One that cannot be kept for want of memory is told as JSON, and not shown. */
void update_show_take(struct update_show *show, const flocks_upgrade_progress *progress);
/* Time has passed. */
void update_show_tick(struct update_show *show);
/* Words that stay, "flocks: ...", made safe; nothing with --quiet. */
void update_show_note(struct update_show *show, const char *text);
/* Removes what is drawn; nothing is left of it. Instead of update_show_end. */
void update_show_clear(struct update_show *show);
/* Removes what is drawn, tells how the last step went. */
enum update_show_how { UPDATE_SHOW_WELL, UPDATE_SHOW_FAILED, UPDATE_SHOW_LEFT };
void update_show_end(struct update_show *show, enum update_show_how how);

#endif
