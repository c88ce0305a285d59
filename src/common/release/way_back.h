/* Which release was left for the current one, in run/upgrade-back: where `flocks update --rollback`
 * leads, and what retention keeps for that. It outlives upgrades that fail, and says nothing once
 * somebody else has changed what is current. */
#ifndef FLOCKS_RELEASE_WAY_BACK_H
#define FLOCKS_RELEASE_WAY_BACK_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/version.h"

/* 0: it is on the disk. Mode 0600. Both are names of releases. */
NODISCARD int way_back_write(
    const char *path, const char *current, const char *before, struct error *error);
/* False: none is known of this current one, or what is there cannot be read. */
bool way_back_read(const char *path, const char *current, char out[VERSION_TEXT_MAX + 1]);

#endif
