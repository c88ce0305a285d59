/* One line of flocks-update: a JSON object, read by the schema. */
#ifndef FLOCKS_CLI_UPDATE_MESSAGE_H
#define FLOCKS_CLI_UPDATE_MESSAGE_H

#include "flocks/v1/upgrade.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Memory of one line. */
    UPDATE_MESSAGE_ARENA_BYTES = 8 * 1024 * 1024
};

/* One of them. */
struct update_message {
    const flocks_upgrade_progress *progress;
    const flocks_update_check *check;
    bool is_failure; /* {"error": {"code": ..., "message": ..., "details": [...]}} */
    struct error failure;
    const flocks_error_detail *detail; /* of the failure; NULL: it has none */
};

/* Into the arena. -STATUS_INTERNAL: it is none of these, or too large. */
NODISCARD int update_message_read(const char *line, size_t len, struct arena *arena,
    struct update_message *out, struct error *error);

/* It says that all is over. */
bool update_message_is_end(const flocks_upgrade_progress *progress);
/* Of one that is over: 0, or the failure as an error of this program, negative. */
int update_message_failure(const flocks_upgrade_progress *progress, struct error *error);

#endif
