/* An effective configuration as a person reads it: the shape of flocks.yaml, each value with its
 * origin. */
#ifndef FLOCKS_CLI_CONFIG_VIEW_H
#define FLOCKS_CLI_CONFIG_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "flocks/v1/config.names.h"

#include "common/base/arena.h"
#include "common/base/error.h"

struct config_view {
    const flocks_config *message; /* secrets masked already */
    /* One for every value there is: a value without an origin is one that its server does not know,
     * and is not shown. */
    flocks_config_origin *const *origins;
    size_t n_origins;
    bool with_origins; /* as comments */
    bool color;
};

/* -STATUS_RESOURCE_EXHAUSTED when `arena`, used for texts, ends. */
NODISCARD int config_view_print(
    const struct config_view *view, struct arena *arena, FILE *stream, struct error *error);

#endif
