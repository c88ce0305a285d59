/* What the parts of update_apply share. Inner header. */
#ifndef FLOCKS_UPGRADE_FLOW_H
#define FLOCKS_UPGRADE_FLOW_H

#include "client/upgrade/find.h"
#include "client/upgrade/services.h"
#include "client/upgrade/stage.h"
#include "client/upgrade/upgrade.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/release/release_dir.h"
#include "common/release/upgrade_journal.h"

enum { FLOW_ARENA_BYTES = 64 * 1024 * 1024 };

struct flow {
    const struct update_apply_request *request;
    struct release_dir dir;
    struct update_found found;
    struct update_staged staged;
    struct upgrade_journal journal;
    /* From here on an end is the business of update_recover. */
    bool has_journal;
    /* As last seen. */
    bool has_server;
    /* An installation in place becomes a release first. */
    bool adopts;
    struct arena arena;
    struct update_services services;
    struct update_lease lease;
    int64_t renew_at;
};

/* Advances the journal, and has it on the disk. */
NODISCARD int flow_record(struct flow *flow, enum upgrade_step step, struct error *error);
/* -STATUS_CANCELLED when somebody asked for the end. */
NODISCARD int flow_check(const struct flow *flow, struct error *error);

/* Says which steps are ahead; `pauses`: services are stopped and started. */
void flow_plan(struct flow *flow, bool pauses);

/* From PREPARED to COMMITTED with the server's lease (flow_lease.c). UPDATE_SERVER_NONE, with
 * nothing changed: there is no server. */
NODISCARD int flow_with_server(struct flow *flow, struct error *error);
/* The same while the lock of instances is held. INSTANCE_LIVES, with nothing changed: somebody has
 * it. */
NODISCARD int flow_without_server(struct flow *flow, struct error *error);

#endif
