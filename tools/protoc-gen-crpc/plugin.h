/* One whole run, bytes to bytes, without files: what protoc hands over, and what it is told. The
 * bytes are believed in nothing (sound.h). */
#ifndef PROTOC_GEN_CRPC_PLUGIN_H
#define PROTOC_GEN_CRPC_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"

/* CodeGeneratorRequest to CodeGeneratorResponse. NULL, or what is wrong with `request` as a whole;
 * mistakes in the files themselves are told within the response, which is then the answer. Answer
 * and text live in `pool`. */
NODISCARD const char *plugin_generate(
    struct arena *pool, const uint8_t *request, size_t len, const uint8_t **out, size_t *out_len);

/* FileDescriptorSet to FileDescriptorSet (rewrite.h), likewise. */
NODISCARD const char *plugin_rewrite(
    struct arena *pool, const uint8_t *set, size_t len, const uint8_t **out, size_t *out_len);

/* FileDescriptorSet to FileDescriptorSet, cut down to `methods` (select.h). NULL, or what is wrong
 * with either. */
NODISCARD const char *plugin_select(struct arena *pool, const char *const *methods,
    size_t n_methods, const uint8_t *set, size_t len, const uint8_t **out, size_t *out_len);

#endif
