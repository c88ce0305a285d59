/* What a flocksd whose keeper was killed leaves to the keeper that it becomes: by exec of the
 * keeper's image in its own process, so at no instant are there two who act, and the descriptors
 * never leave the process. They are named in a memfd of this layout.
 *
 * Giver and taker are of one installation: the image is the dead keeper's own. */
#ifndef FLOCKS_KEEPER_LEGACY_H
#define FLOCKS_KEEPER_LEGACY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/keeper/link.h"

/* What is given besides the pipes of outputs, by its descriptor. */
#define KEEPER_LEGACY_PARTS(X)                                                                     \
    X(state)                                                                                       \
    X(shared)                                                                                      \
    X(listener)                                                                                    \
    X(notify)                                                                                      \
    X(lock)                                                                                        \
    X(inventory)

struct keeper_legacy_output {
    uint32_t slot;
    int32_t pipe_fd;
    int32_t private_fd;
};

struct keeper_legacy {
    uint64_t magic;
#define KEEPER_LEGACY_FIELD(name) int32_t name##_fd;
    KEEPER_LEGACY_PARTS(KEEPER_LEGACY_FIELD)
#undef KEEPER_LEGACY_FIELD
    uint32_t n_outputs;
    struct keeper_legacy_output outputs[KEEPER_SLOTS];
};

#define KEEPER_LEGACY_MAGIC UINT64_C(0x31796361676c6b66)

struct keeper;

/* ---- the taker: legacy.c; before the loop, in place of making all that ---- */

/* Takes the descriptors (close-on-exec from here on). Closes `fd`. */
NODISCARD int legacy_take(struct keeper *keeper, int fd, struct error *error);
/* When the children are known: ends the dead keeper's capture, having taken from it and them what
 * pipes were not left to us. Blocks until it has ended, KEEPER_CAPTOR_END_MS at most. */
void legacy_end_captor(struct keeper *keeper);

#endif
