/* The descriptors of .proto files as a server shows them (crpc/reflection.h): what a <name>.index.c
 * is, written by protoc-gen-crpc with index=. A program names its index and looks at nothing in it.
 *
 * Everything is constant, and the tables hold places instead of pointers: the loader relocates only
 * the struct itself, so that of a large index no page is read before somebody asks for what is in
 * it. */
#ifndef CRPC_INDEX_H
#define CRPC_INDEX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Apart from what a program reads all the time: the kernel maps the neighbours of what is touched.
 */
#if defined(__GNUC__) && defined(__ELF__)
#define CRPC_INDEX_DATA __attribute__((section("crpc_index")))
#else
#define CRPC_INDEX_DATA
#endif

struct crpc_index_file {
    uint32_t name;       /* where it begins in `names`: as others import it */
    uint32_t descriptor; /* where it begins in `descriptors`: its FileDescriptorProto ... */
    uint32_t descriptor_len;
    uint32_t closure; /* where it begins in `closures`: the file itself, then all that it imports */
    uint32_t n_closure;
};

enum crpc_symbol_kind {
    CRPC_SYMBOL_MESSAGE,
    CRPC_SYMBOL_FIELD,
    CRPC_SYMBOL_ONEOF,
    CRPC_SYMBOL_ENUM,
    /* Named beside its enum, not below it, as protobuf scopes them. */
    CRPC_SYMBOL_ENUM_VALUE,
    CRPC_SYMBOL_EXTENSION,
    CRPC_SYMBOL_SERVICE,
    CRPC_SYMBOL_METHOD
};

struct crpc_index_symbol {
    uint32_t name; /* in `names`: "demo.v1.StoreService.Get" */
    uint32_t file; /* in `files`: where it is declared */
    uint32_t kind; /* enum crpc_symbol_kind */
};

/* A field that another file adds to a message of proto2. */
struct crpc_index_extension {
    uint32_t extendee; /* in `names`: the message */
    int32_t number;
    uint32_t file;
};

struct crpc_index {
    const char *names; /* each with a NUL behind it */
    const uint8_t *descriptors;
    const uint32_t *closures; /* in `files` */
    size_t n_files;
    const struct crpc_index_file *files; /* by name, as strcmp orders them */
    size_t n_symbols;
    const struct crpc_index_symbol *symbols; /* by name */
    size_t n_extensions;
    const struct crpc_index_extension *extensions; /* by the message's name, then by number */
};

#ifdef __cplusplus
}
#endif
#endif
