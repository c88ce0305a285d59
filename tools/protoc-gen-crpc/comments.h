/* Where things stand in their .proto file and what is written beside them (SourceCodeInfo). */
#ifndef PROTOC_GEN_CRPC_COMMENTS_H
#define PROTOC_GEN_CRPC_COMMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "google/protobuf/descriptor.pb-c.h"

enum {
    /* Messages nest at most this deep in the path of a location (protoc itself stops at 32). */
    COMMENTS_PATH_MAX = 80
};

/* A path as google/protobuf/descriptor.proto defines
 * it: field numbers and indices, from the file down. */
struct comment_path {
    size_t length;
    int32_t steps[COMMENTS_PATH_MAX];
};

/* `path` with `field`, `index` behind it. */
struct comment_path comment_path_in(const struct comment_path *path, int32_t field, int32_t index);

/* Line and column from 1; 0 where protoc tells none. */
struct comment_place {
    int line;
    int column;
};

struct comment_place comments_place(
    const Google__Protobuf__FileDescriptorProto *file, const struct comment_path *path);
/* Leading comment, else trailing, without comment marks and leading blanks, lines ended by \n
 * except the last. "" if there is none. */
const char *comments_text(const Google__Protobuf__FileDescriptorProto *file,
    const struct comment_path *path, struct arena *pool);

#endif
