/* Upgrades as messages: for the state memfd, and for run/lease.pb, which outlives it. Nothing is
 * decided here. Private to the room. */
#ifndef FLOCKS_SUPERVISE_UPGRADE_STATE_H
#define FLOCKS_SUPERVISE_UPGRADE_STATE_H

#include "flocks/state/v1/state.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "server/supervise/upgrades.h"

/* Borrows from the upgrade; memory of the arena. NULL: no memory. */
state_upgrade *upgrade_save(const struct upgrade *upgrade, struct arena *arena);
/* Adds it at the end. What has no good id, what has one twice, or more than UPGRADES_MAX is left
 * out: they tell people something, nothing depends on them. */
void upgrade_load(struct upgrades *upgrades, const state_upgrade *message);

#endif
