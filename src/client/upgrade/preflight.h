/* Whether the services would find their places in a release that is not yet current. Looks at the
 * disk, changes nothing. */
#ifndef FLOCKS_UPGRADE_PREFLIGHT_H
#define FLOCKS_UPGRADE_PREFLIGHT_H

#include "common/base/attributes.h"
#include "common/base/error.h"

struct update_settings;

/* `directory`: the release, absolute. Each configured service whose directory lies below
 * <root>/current, or below a name of update.adopt, has to find it in the release, and its program
 * as well where that is a path (unless its `prepare` makes it); each name of update.adopt that is
 * in the root has to be in the release. -STATUS_FAILED_PRECONDITION. */
NODISCARD int preflight_check(
    const struct update_settings *settings, const char *directory, struct error *error);

/* Where `path` lies in the release that is current; NULL: in none. */
const char *preflight_place(const struct update_settings *settings, const char *path);

#endif
