/* A message in its packed form, kept so that it can be written again while nothing in it has
 * changed. */
#ifndef FLOCKS_SUPERVISE_PACKED_H
#define FLOCKS_SUPERVISE_PACKED_H

#include <stdint.h>
#include <stdlib.h>

struct packed {
    uint8_t *bytes; /* NULL: nothing is kept */
    size_t len;
    /* Told by whoever packs: equal means unchanged. */
    uint64_t key;
};

static inline void packed_clear(struct packed *packed)
{
    free(packed->bytes);
    *packed = (struct packed){.len = 0};
}

#endif
