/* Cleanups of memory. */
#ifndef FLOCKS_BASE_MEMORY_H
#define FLOCKS_BASE_MEMORY_H

#include <stdlib.h>

/* For CLEANUP(). */
static inline void free_text(char **text)
{
    free(*text);
}

#endif
