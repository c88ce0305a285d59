/* New programs of the supervisor, which a release may bring: ReplaceDaemon, followed to its end. */
#ifndef FLOCKS_UPGRADE_REPLACE_H
#define FLOCKS_UPGRADE_REPLACE_H

#include "client/upgrade/report.h"
#include "client/upgrade/server.h"
#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* flocksd and keeper have 10 s each to say that they are ready, and so have the old ones. */
    UPDATE_REPLACE_MS = 120 * 1000,
    UPDATE_DUE_SIZE = 32
};

/* That of release `name`, which is on the disk: its flocks-release.yaml says which programs there
 * are. 0 also where there are none, or no instance runs: the next start takes what is installed.
 * Can be repeated. `reporter` may be NULL. Negative: the old ones go on. */
NODISCARD int update_replace(const struct update_settings *settings,
    const struct update_server *server, struct update_reporter *reporter, const char *name,
    struct error *error);

/* Which programs of release `name` are not what runs, "flocksd and flocks-keeper", "flocksd",
 * "flocks-keeper"; "": all do, it has none, no instance runs, or nobody can tell. The same file
 * runs, or one of the same content: versions would not tell one build from another. */
void update_replace_due(const struct update_settings *settings, const struct update_server *server,
    const char *name, char out[UPDATE_DUE_SIZE]);

#endif
