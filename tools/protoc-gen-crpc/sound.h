/* What protoc promises of the descriptors it hands over, and all other parts rely on: names are
 * there and are names, types are found, indices are within their arrays, nesting is bounded.
 * Checked once, because the bytes may come from anybody; whatever passes can be generated from
 * without a look at NULL. Pure. What is sound but unwanted is refused elsewhere (refuse.h). */
#ifndef PROTOC_GEN_CRPC_SOUND_H
#define PROTOC_GEN_CRPC_SOUND_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "google/protobuf/descriptor.pb-c.h"

enum {
    /* Messages within messages; protoc stops at 32. Beyond, protobuf-c, which parses without a
     * bound on depth, would be given nothing. */
    SOUND_NESTING_MAX = 32
};

/* Of bytes that protobuf-c has not seen yet; `files_field` is the number of the repeated
 * FileDescriptorProto in the outermost message. NULL, or what is wrong. */
NODISCARD const char *sound_bytes(const uint8_t *bytes, size_t len, uint32_t files_field);

/* NULL, or what is wrong, with the file's name where it has one; in `pool`. */
NODISCARD const char *sound_files(
    Google__Protobuf__FileDescriptorProto *const *files, size_t n_files, struct arena *pool);

#endif
