/* What reflection has to find in one run's files, sorted: the files with all that they import, the
 * symbols, the extensions. Built from the descriptors themselves, not from the model, which leaves
 * out what C has no use for. Must not print. */
#ifndef PROTOC_GEN_CRPC_INDEX_H
#define PROTOC_GEN_CRPC_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "crpc/index.h"
#include "google/protobuf/descriptor.pb-c.h"

struct index_file {
    const char *name;
    /* The FileDescriptorProto as protoc wrote it, byte for byte, but for source_code_info: it is
     * three quarters of the bytes, the place and comment of each word, and compiled descriptors,
     * which other servers answer with, do not have it either. Options that we do not know stay. */
    const uint8_t *descriptor;
    size_t descriptor_len;
    /* The file itself first; the others in the order of protoc, imports before importers. */
    size_t n_closure;
    uint32_t *closure;
};

struct index_symbol {
    const char *name;
    uint32_t file;
    enum crpc_symbol_kind kind;
};

struct index_extension {
    const char *extendee;
    int32_t number;
    uint32_t file;
};

struct index {
    size_t n_files;
    struct index_file *files; /* by name */
    size_t n_symbols;
    struct index_symbol *symbols; /* by name */
    size_t n_extensions;
    struct index_extension *extensions; /* by extendee, number */
    size_t n_names;
    const char **names; /* all of the above, by name, each once */
};

/* `files` are sound and have passed through protobuf-c from `request`, in whose bytes they are the
 * repeated field `files_field`. Everything lives in `pool`. */
const struct index *index_new(struct arena *pool,
    Google__Protobuf__FileDescriptorProto *const *files, size_t n_files, const uint8_t *request,
    size_t len, uint32_t files_field);
/* The place of `name`, which is one of index->names. */
size_t index_of_name(const struct index *index, const char *name);

#endif
