/* `flocks status --watch`: what the events tell, on the screen or as one table after the other. */
#ifndef FLOCKS_CLI_STATUS_WATCH_H
#define FLOCKS_CLI_STATUS_WATCH_H

#include "client/cli/cli.h"

enum {
    /* The screen is drawn at least this often, for the ages on it. */
    STATUS_WATCH_REDRAW_MS = 1000
};

/* Until Ctrl-C, the reader's end or that of the daemon; has told everything. */
enum outcome status_watch(const struct cli *cli);

#endif
