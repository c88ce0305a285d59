/* What flocksd does when what it stands on goes: it becomes the keeper when the keeper was killed,
 * and lets itself be run again when the instance's files were deleted, which the keeper then makes
 * anew. Both are take-overs like any other: the state has been written, the services notice
 * nothing.
 */
#ifndef FLOCKS_DAEMON_SUCCESSION_H
#define FLOCKS_DAEMON_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"
#include "server/keeper/link.h"
#include "server/transport/path_watch.h"

enum {
    /* Becoming the keeper failed (no memory, no program): tried again after this, which doubles,
     * until the patience is over. Then the services are ended, by whoever supervises them already.
     */
    SUCCESSION_RETRY_MS = 100,
    SUCCESSION_PATIENCE_MS = 60 * 1000,
    /* A file that was deleted could not be made again: so long until flocksd is run again for it.
     */
    SUCCESSION_RESTORE_MS = 30 * 1000
};

struct succession {
    /* Borrowed until succession_close. */
    struct keeper_link *link;
    const struct keeper_welcome *welcome;
    const struct paths *paths;
    char *const *server_options;
    void (*failed)(void *data);
    void (*leave)(void *data);
    void *data;

    uv_timer_t timer;
    struct path_watch *watch;
    int64_t gives_up_at; /* 0: the keeper lives */
    int retry_ms;
    bool is_closed;
};

/* Watches the files. `failed`: the keeper is gone and cannot be replaced. `leave`: flocksd should
 * end itself. Both from the loop. The struct must stay until the loop has ended. */
NODISCARD int succession_open(struct succession *succession, uv_loop_t *loop, struct error *error);
/* Idempotent. */
void succession_close(struct succession *succession);

/* The keeper is gone. Does not return when all goes well. */
void succession_begin(struct succession *succession);

#endif
