/* Which services an upgrade pauses, and what version each has to tell afterwards. Pure. */
#ifndef FLOCKS_UPGRADE_SERVICES_H
#define FLOCKS_UPGRADE_SERVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "flocks/v1/config.names.h"
#include "flocks/v1/release.names.h"

#include "client/upgrade/server.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct update_services {
    /* Paused and started anew, in the order of the configuration; none of them: every service goes
     * on running. */
    const char **paused;
    size_t n_paused;
    struct update_expected_version *versions;
    size_t n_versions;
    /* `update.holding_page` is one of those paused. */
    bool holding_page;
};

/* Whether the release would have it go on (`*`: all). */
bool update_services_keeps(const flocks_release *file, const char *service);
/* What its `versions` say of it; NULL: nothing. */
const char *update_services_version(const flocks_release *file, const char *service);

/* `config` is what runs; `file` of the release `version`. Services in `keep_running` go on, but for
 * those that are `doubted` (by index; NULL: none), which must tell their `versions` entry. Of the
 * others, those that can tell their version have to tell the release's (its `versions` entry, else
 * `version` without "+build"); not where that entry is empty, nor of release "0.0.0", which is the
 * adopted one whose version nobody told. Texts are borrowed or in the arena.
 * -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int update_services_choose(const flocks_config *config, const char *holding_page,
    const flocks_release *file, const bool *doubted, const char *version, struct arena *arena,
    struct update_services *out, struct error *error);

#endif
