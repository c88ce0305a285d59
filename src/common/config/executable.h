/* Which file a command's first word runs. Used when a configuration is checked and again before
 * each spawn. */
#ifndef FLOCKS_CONFIG_EXECUTABLE_H
#define FLOCKS_CONFIG_EXECUTABLE_H

#include <limits.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* `name` with a '/': relative to `directory`, as after chdir. Without: searched in `search_path`
 * (the service's PATH; NULL or "": /usr/local/bin:/usr/bin:/bin), relative entries again from
 * `directory`. *out is absolute. NOT_FOUND; PERMISSION_DENIED when the only candidate is a file
 * without execute permission, or is no file; text and hint say what to do. Looks with this
 * process's rights. */
NODISCARD int executable_find(const char *name, const char *directory, const char *search_path,
    char out[PATH_MAX], struct error *error);

#endif
