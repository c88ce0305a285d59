/* Ends an unfinished upgrade with what the server says of it: upgrade_settle, and adoption. */
#ifndef FLOCKS_UPGRADE_RECOVER_H
#define FLOCKS_UPGRADE_RECOVER_H

#include <stdint.h>

#include "client/upgrade/report.h"
#include "client/upgrade/server.h"
#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/upgrade_settle.h"

enum {
    /* What a server may need besides start_timeout and observe: stopping, links, starting the old.
     */
    UPDATE_SETTLE_MORE_MS = 3 * 60 * 1000
};

struct update_recover_request {
    const struct update_settings *settings;
    const struct update_server *server;
    /* May be NULL. Tells ROLLING_BACK where `why` is given and something was changed (`undoes`). */
    struct update_reporter *reporter;
    bool undoes;
    /* Nobody waits for the server any more when it becomes readable; -1: none. */
    int cancel_fd;
    /* As in upgrade_settle_request. */
    const struct error *why;
    const char *source;
};

/* As upgrade_settle; what is committed brings its programs of the supervisor (replace.h), and
 * *out_replacement says why they did not take over (STATUS_OK: nothing to say). The caller holds
 * the upgrade lock. */
NODISCARD int update_recover(const struct update_recover_request *request,
    struct upgrade_settlement *out, struct error *out_replacement, struct error *error);

/* What is left to say of an upgrade that is not over: NEEDS_SERVER, WAITING, NEEDS_PERSON. Answers
 * -code. */
int update_recover_explain(const struct upgrade_settlement *settlement, struct error *error);

#endif
