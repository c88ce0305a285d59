/* Texts of varying length in one fixed block, for programs without a heap: a table of thousands of
 * paths then costs the memory of the paths it holds, not of the longest each could be. */
#ifndef FLOCKS_OUTPUT_TEXT_POOL_H
#define FLOCKS_OUTPUT_TEXT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"

enum {
    /* Texts at once. */
    TEXT_POOL_TEXTS = 4096,
    /* Bytes of all texts with their NULs: 128 for each on average. Beyond: text_pool_set refuses.
     */
    TEXT_POOL_BYTES = TEXT_POOL_TEXTS * 128
};

/* Zero-filled storage is an empty pool. The fields are the pool's own. */
struct text_pool {
    size_t used;
    /* Where the text of this id begins, + 1; 0: no text. */
    uint32_t at[TEXT_POOL_TEXTS];
    char bytes[TEXT_POOL_BYTES];
};

/* Replaces the text of `id` with a copy. False: it does not fit, and the old text stays. Moves
 * other texts: pointers from text_pool_get die. */
NODISCARD bool text_pool_set(struct text_pool *pool, size_t id, const char *text);
/* The text of `id`, "" if none; until the next set. */
const char *text_pool_get(const struct text_pool *pool, size_t id);
void text_pool_remove(struct text_pool *pool, size_t id);

#endif
