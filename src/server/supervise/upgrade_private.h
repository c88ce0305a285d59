/* What the files that perform upgrades share. Private to them. */
#ifndef FLOCKS_SUPERVISE_UPGRADE_PRIVATE_H
#define FLOCKS_SUPERVISE_UPGRADE_PRIVATE_H

#include "server/supervise/supervisor_private.h"
#include "server/supervise/supervisor_upgrades.h"
#include "server/supervise/upgrades.h"

/* supervisor_upgrades.c */
/* Something that people are told is another: watchers, the state; `matters`: the record on the
 * disk, too. */
void upgrade_changed(struct supervisor *supervisor, bool matters);

#endif
