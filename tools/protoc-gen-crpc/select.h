/* A descriptor set cut down to some methods: their services, the types that they reach, and the
 * comments of both. For clients that live in fixed memory and want a part of an API only: nanopb
 * and the nano flavour then read a schema in which nothing else needs a size. */
#ifndef PROTOC_GEN_CRPC_SELECT_H
#define PROTOC_GEN_CRPC_SELECT_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "google/protobuf/descriptor.pb-c.h"

/* Changes `set` in place. `methods` are full names, "flocks.v1.SupervisorService.GetStatus". Files
 * stay, if need be empty; a type stays with everything nested in it; extensions go. What is added
 * lives in `pool`. NULL, or the first name that is no method of the set: then nothing is changed.
 */
NODISCARD const char *select_methods(Google__Protobuf__FileDescriptorSet *set,
    const char *const *methods, size_t n_methods, struct arena *pool);

#endif
