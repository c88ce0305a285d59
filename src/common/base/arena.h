/* Memory freed all at once, with a cap: what one call or one parse may use. */
#ifndef FLOCKS_BASE_ARENA_H
#define FLOCKS_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"

struct arena_block;

/* Embedded by value; private members. */
struct arena {
    struct arena_block *blocks;
    size_t cap_bytes;
    size_t used_bytes;
    bool exhausted;
};

/* No memory is taken before the first allocation.
 * `cap_bytes` bounds the sum of all that is handed out. */
void arena_init(struct arena *arena, size_t cap_bytes);
/* Frees everything; the arena may be used again. */
void arena_deinit(struct arena *arena);

/* `size` bytes, uninitialised, aligned for any type; NULL when the cap or the machine's memory is
 * reached (arena_is_exhausted then answers true). Size 0 gives a valid pointer. */
NODISCARD void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed `count` * `size` bytes; NULL also on overflow. */
NODISCARD void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* NUL-terminated copy of `len` bytes of `text`. */
NODISCARD char *arena_strndup(struct arena *arena, const char *text, size_t len);
NODISCARD char *arena_strdup(struct arena *arena, const char *text);
NODISCARD char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
NODISCARD char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
    PRINTF_LIKE(2, 0);

/* True once an allocation has been refused. */
bool arena_is_exhausted(const struct arena *arena);

#endif
