/* How the last upgrade of a root ended, in run/upgrade-result.json, for tools that read it: one
 * JSON object with the members of flocks.v1.UpgradeProgress that an end has. Replaced as a whole.
 */
#ifndef FLOCKS_RELEASE_UPGRADE_RESULT_H
#define FLOCKS_RELEASE_UPGRADE_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

/* Texts are borrowed, plain UTF-8. */
struct upgrade_result {
    const char *id;
    const char *from;
    const char *to;
    /* "": no lease was taken. */
    const char *lease;
    /* flocks.v1.UpgradePhase: "UPGRADE_PHASE_COMMITTED", ..._ROLLED_BACK, ..._ROLLBACK_FAILED, or
     * ..._UNSPECIFIED where it ended before anything that others see was changed. */
    const char *phase;
    const char *message;
    /* Where the release came from; "". */
    const char *source;
    bool not_verified;
    int64_t began_wall_ms;
    int64_t ended_wall_ms;
    /* STATUS_OK: it is committed. */
    struct error failure;
    /* flocks.v1.ErrorReason, less its prefix, of the failure's reason; NULL: a number tells it. */
    const char *reason;
};

/* Appends the object and a newline. -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int upgrade_result_text(const struct upgrade_result *result, struct buffer *out);
/* 0: it is on the disk. Mode 0600. */
NODISCARD int upgrade_result_write(
    const char *path, const struct upgrade_result *result, struct error *error);

#endif
