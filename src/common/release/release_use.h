/* Which releases below a root processes stand in: by working directory, or executable. Removing one
 * of them would pull the ground from under somebody. */
#ifndef FLOCKS_RELEASE_RELEASE_USE_H
#define FLOCKS_RELEASE_RELEASE_USE_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/release_dir.h"

struct release_use {
    /* Into `names`; as release_dir_retain takes them. */
    const char *named[RELEASE_DIR_ENTRIES_MAX];
    char names[RELEASE_DIR_ENTRIES_MAX][VERSION_TEXT_MAX + 1];
    size_t n_named;
};

/* Of every process whose links in /proc this user may read; the caller's own are not counted. One
 * that ends, or moves, meanwhile is seen or not. -STATUS_RESOURCE_EXHAUSTED: more releases than
 * `named` holds. */
NODISCARD int release_use_look(
    const struct release_dir *dir, struct release_use *out, struct error *error);

#endif
