/* One upgrade from finding to its end. */
#ifndef FLOCKS_UPGRADE_UPGRADE_H
#define FLOCKS_UPGRADE_UPGRADE_H

#include <stdbool.h>

#include "client/upgrade/report.h"
#include "client/upgrade/server.h"
#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Renewed every third of it. The server shortens it by itself when this process dies. */
    UPDATE_LEASE_TTL_MS = 30 * 1000,
    /* An instance that ends or comes while we work is looked for again so long. */
    UPDATE_PATIENCE_MS = 30 * 1000
};

/* Texts "" where they were not given. Borrowed. */
struct update_apply_request {
    const char *version;
    const char *from;
    bool roll_back;
    bool force;
    const char *id;
    /* For people: who asked. */
    const char *owner;
    const struct update_settings *settings;
    const struct update_server *server;
    struct update_reporter *reporter;
    /* Undo and leave, when it becomes readable. */
    int cancel_fd;
};

/* All of it: recovers an unfinished one first. The reporter has been told the end when it answers.
 * The caller holds the upgrade lock, and root, run and logs are there. 0: committed, or nothing was
 * to be done; negative: *error as the end told it. */
NODISCARD int update_apply(const struct update_apply_request *request, struct error *error);

#endif
