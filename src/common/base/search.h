/* Binary search in whatever is sorted: an array, or a table that is reached through something else.
 */
#ifndef FLOCKS_BASE_SEARCH_H
#define FLOCKS_BASE_SEARCH_H

#include <stddef.h>

/* The first of `n` places that is not below what `key` asks for; `n`: all are. `compare` says how a
 * place stands to it: below 0, 0, above 0; it must not fall from one place to the next. */
static inline size_t search_first(
    const void *key, size_t n, int (*compare)(const void *key, size_t place))
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(key, middle) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
