/* What a command line of `flocks update` asks for. Plain value; texts are borrowed. */
#ifndef FLOCKS_CLI_UPDATE_PLAN_H
#define FLOCKS_CLI_UPDATE_PLAN_H

#include <limits.h>
#include <stdbool.h>

#include "client/cli/cli.h"
#include "client/cli/update_child.h"
#include "common/base/error.h"

enum update_mode { UPDATE_MODE_APPLY, UPDATE_MODE_CHECK, UPDATE_MODE_LIST, UPDATE_MODE_ABORT };

struct update_plan {
    enum update_mode mode;
    bool roll_back;
    const char *version; /* NULL: the newest, or with `roll_back` the one before */
    const char *source;  /* NULL: as configured */
    const char *region;  /* NULL: as configured */
    bool force;
    char path[PATH_MAX]; /* where `source` is a path: from the root directory */
};

/* -STATUS_INVALID_ARGUMENT: options that do not go together. */
NODISCARD int update_plan_make(const struct cli *cli, struct update_plan *out, struct error *error);

/* The options of flocks-update that say the same; for `check` and `apply`. */
void update_plan_add(const struct update_plan *plan, struct update_arguments *arguments);

#endif
