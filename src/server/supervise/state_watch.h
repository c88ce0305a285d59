/* What is observed of a service, in the state message and out of it. Private to state_save.c and
 * state_load.c. */
#ifndef FLOCKS_SUPERVISE_STATE_WATCH_H
#define FLOCKS_SUPERVISE_STATE_WATCH_H

#include <stdint.h>

#include "flocks/state/v1/state.names.h"

#include "common/base/arena.h"
#include "server/supervise/service.h"

/* Texts are borrowed from the service. */
void state_save_probes(const struct service *service, state_service *message, struct arena *arena);
void state_save_watch(const struct service *service, state_service *message, struct arena *arena);
/* Over all that these two read. */
uint64_t state_watch_key(const struct service *service, uint64_t key);
void state_load_watch(struct service *service, const state_service *message);

#endif
