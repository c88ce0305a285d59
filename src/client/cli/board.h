/* The daemon and its services as its events have told so far: snapshots and changes folded into one
 * GetStatusResponse. Pure. */
#ifndef FLOCKS_CLI_BOARD_H
#define FLOCKS_CLI_BOARD_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/attributes.h"

struct board;

/* Empty. NULL when memory is short. */
NODISCARD struct board *board_new(void);
void board_free(struct board *board);

/* Takes one item of the stream in, copied. 0; or -STATUS_RESOURCE_EXHAUSTED, and what the board
 * shows may be out of date. A gap changes nothing: a snapshot follows it. */
NODISCARD int board_apply(struct board *board, const flocks_watch_events_response *item);

/* False until the first snapshot or change. */
bool board_has_news(const struct board *board);
/* Everything, services by name; until the next board_apply or board_free. */
const flocks_get_status_response *board_status(const struct board *board);

#endif
