/* The descriptors of all files of a run, for reflection: <PATH>.index.{h,c} (crpc/index.h). */
#ifndef PROTOC_GEN_CRPC_EMIT_INDEX_H
#define PROTOC_GEN_CRPC_EMIT_INDEX_H

#include "index.h"
#include "text.h"

/* `path` is the option's: "demo/v1/store" declares store_index. */
void emit_index_header(
    struct text *text, const struct index *index, const char *path, struct arena *pool);
void emit_index_source(
    struct text *text, const struct index *index, const char *path, struct arena *pool);

#endif
