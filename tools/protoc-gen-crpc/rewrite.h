/* The descriptor set that protoc-c is given instead of the files: without the options of build time
 * and the services, which it cannot use, and with const strings, which it offers as an option of
 * its own. Nothing that reaches the wire changes. */
#ifndef PROTOC_GEN_CRPC_REWRITE_H
#define PROTOC_GEN_CRPC_REWRITE_H

#include "common/base/arena.h"
#include "google/protobuf/descriptor.pb-c.h"

/* Changes `set` in place; what is added lives in `pool`, which must be the set's own memory. */
void rewrite_set(Google__Protobuf__FileDescriptorSet *set, struct arena *pool);
/* Takes imports out of `file` of which it uses no type: those that served options, or what was cut.
 * Whoever reads the set would include their headers. Public ones stay, and so does what lends a
 * type by a public import of its own. `pool` as above. */
void rewrite_drop_unused_imports(const Google__Protobuf__FileDescriptorSet *set,
    Google__Protobuf__FileDescriptorProto *file, struct arena *pool);

#endif
