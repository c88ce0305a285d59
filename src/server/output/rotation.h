/* Names of rotated log files: path.1 is the newest, path.<keep> the oldest. */
#ifndef FLOCKS_OUTPUT_ROTATION_H
#define FLOCKS_OUTPUT_ROTATION_H

#include <stdint.h>

#include "common/base/attributes.h"

enum {
    /* Rotated files of one log; a larger `keep` is taken as this. */
    ROTATION_KEEP_MAX = 999
};

/* Moves `path` to path.1 after making room there; with `keep` 0 deletes it. Whoever is killed in
 * the middle leaves a gap in the numbers that the next rotation fills: no file is lost by it.
 * Returns 0, or the errno value of the step that failed (`path` then still has its name). */
NODISCARD int rotation_run(const char *path, uint32_t keep);

#endif
