/* The process's descriptors: the soft limit, and one kept in hand for the moment when none is left.
 */
#ifndef FLOCKS_TRANSPORT_DESCRIPTORS_H
#define FLOCKS_TRANSPORT_DESCRIPTORS_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* Raises the soft limit of descriptors to the hard one (children are started by the keeper, which
 * gives them the original). *out is the limit then. */
NODISCARD int descriptors_raise_limit(size_t *out, struct error *error);

/* How many connections a process with this limit may hold: at least one, at most
 * TRANSPORT_CONNECTIONS_MAX, and TRANSPORT_DESCRIPTORS_RESERVED stay free. */
size_t descriptors_connections_max(size_t limit);

/* A descriptor without use, to be closed for a moment when accept() answers EMFILE; -1: none left.
 */
int descriptors_reserve(void);

#endif
