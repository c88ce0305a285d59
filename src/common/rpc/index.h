/* Finding things in a descriptor index (crpc/index.h), by binary search. Pure. */
#ifndef CRPC_INDEX_FIND_H
#define CRPC_INDEX_FIND_H

#include <stdbool.h>

#include "crpc/index.h"

/* "demo/v1/store.proto", as others import it. NULL: there is none. */
const struct crpc_index_file *crpc_index_file(const struct crpc_index *index, const char *name);
/* "demo.v1.Entry.key", a full name without a dot before it. NULL: there is none. */
const struct crpc_index_symbol *crpc_index_symbol(
    const struct crpc_index *index, const char *full_name);
/* The first extension of `extendee` whose number is `number` or more; *out_n: how many follow, that
 * one included, whose extendee it is. NULL: none. */
const struct crpc_index_extension *crpc_index_extensions(
    const struct crpc_index *index, const char *extendee, int32_t number, size_t *out_n);

#endif
