/* Whether what a release would keep running is what the release has. */
#ifndef FLOCKS_UPGRADE_KEPT_H
#define FLOCKS_UPGRADE_KEPT_H

#include <stdbool.h>

#include "flocks/v1/config.names.h"
#include "flocks/v1/release.names.h"

struct update_settings;

/* Sets out[i] for each service of `config` that `file` would keep running, that lies in the
 * release, and of which it is not true that nothing changes: it does not tell what `versions` says
 * of it; or nothing is said of it, and the way leads back (not `is_newer`), of which the file knows
 * nothing. Asks those services; `cancel_fd` as cancel.h has it. */
void update_kept_doubt(const struct update_settings *settings, const flocks_config *config,
    const flocks_release *file, bool is_newer, int cancel_fd, bool *out);

#endif
