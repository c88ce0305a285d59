/* Memory of one run of the plugin: an arena that is never NULL. A compiler that has no memory left
 * has nothing better to do than to say so and exit, so callers need no error path. Must never be
 * used by a program that lives longer than one run. */
#ifndef PROTOC_GEN_CRPC_POOL_H
#define PROTOC_GEN_CRPC_POOL_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"

enum {
    /* All that one run may take; beyond: message on stderr, exit 1. Our whole API needs 1 MiB. */
    POOL_BYTES_MAX = 1 << 30
};

/* Zeroed. */
void *pool_calloc(struct arena *pool, size_t count, size_t size);
char *pool_strdup(struct arena *pool, const char *text);
char *pool_strndup(struct arena *pool, const char *text, size_t len);
char *pool_printf(struct arena *pool, const char *format, ...) PRINTF_LIKE(2, 3);
/* "out of memory" on stderr, exit 1. */
_Noreturn void pool_die(void);

#endif
