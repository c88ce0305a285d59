/* The version that an installation tells before it is a release: what its running services answer
 * where their `version` says (config.proto). */
#ifndef FLOCKS_UPGRADE_TOLD_H
#define FLOCKS_UPGRADE_TOLD_H

#include <stdbool.h>

#include "flocks/v1/config.names.h"

#include "common/release/version.h"

enum {
    /* One service; a busy one that does not answer is passed over. */
    UPDATE_TOLD_MS = 5000,
    UPDATE_TOLD_BYTES_MAX = 64 * 1024
};

/* What every service that answers tells alike, as the name of a release; "": none does, or they
 * differ. `config` is what runs; `cancel_fd` as cancel.h has it. */
void update_told_version(
    const flocks_config *config, int cancel_fd, char out[VERSION_TEXT_MAX + 1]);

/* Whether the service tells `version`, to the letter. */
bool update_told_is(const flocks_service_config *service, const char *version, int cancel_fd);

#endif
