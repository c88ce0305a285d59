/* The two Flocks services, as text: what runs when
 * there is no flocks.yaml. Internal to this room. */
#ifndef FLOCKS_CONFIG_BUILTIN_H
#define FLOCKS_CONFIG_BUILTIN_H

#include "common/base/arena.h"
#include "common/base/attributes.h"

/* Shown where a file's name would be. */
#define BUILTIN_FILE_NAME "built-in configuration"

/* The product's directory: FLOCKS_REPO_ROOT, else FLOCKS_INSTALL_ROOT, else `root`. Borrowed. */
const char *builtin_directory(const char *const *environment, const char *root);
/* The YAML text; looks for <directory>/.venv/bin/python
 * and for a bundled Node.js. NULL: arena exhausted. */
NODISCARD const char *builtin_text(
    const char *const *environment, const char *directory, struct arena *arena);

#endif
