/* Which release `--rollback` goes back to. */
#ifndef FLOCKS_UPGRADE_BACK_H
#define FLOCKS_UPGRADE_BACK_H

#include "client/upgrade/settings.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/release_dir.h"

/* Where the upgrade that made what is current came from, whatever was tried since, if that is on
 * the disk; else the newest older release there. -STATUS_NOT_FOUND: there is none. */
NODISCARD int update_back_choose(const struct update_settings *settings,
    const struct release_dir *dir, char out[VERSION_TEXT_MAX + 1], struct error *error);

#endif
