/* A list of "NAME=VALUE" texts, read as the environment it is. Internal to this room. */
#ifndef FLOCKS_CONFIG_ENVIRONMENT_H
#define FLOCKS_CONFIG_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* Value of the variable whose name is `name_len` bytes of `name`; NULL: not set. `environment` ends
 * in NULL. */
const char *environment_get(const char *const *environment, const char *name, size_t name_len);
/* [A-Za-z_][A-Za-z0-9_]* */
bool environment_name_is_valid(const char *name, size_t name_len);

#endif
