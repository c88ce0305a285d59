/* What the command line says:
 * --crpc_out=prefix=flocks,prefix.google.protobuf=google,nano,...:DIR */
#ifndef PROTOC_GEN_CRPC_OPTIONS_H
#define PROTOC_GEN_CRPC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"

/* `prefix.PACKAGE=NAME`: names of that package begin with NAME. */
struct option_prefix {
    const char *package;
    const char *prefix;
};

struct options {
    /* `prefix=NAME`: of the packages that are generated; NULL: the package with underscores,
     * or where there is none the name of the file. */
    const char *prefix;
    size_t n_prefixes;
    struct option_prefix *prefixes;
    /* `calls=short`: the names of handles and replies leave out the service. */
    bool short_calls;
    /* `nano`: the nanopb flavour instead of the protobuf-c one. */
    bool nano;
    /* `nano=client`: of that only what a caller needs (emit_nano.c). */
    bool nano_client;
    /* `rules=PATH`: only one text of all defaults, limits and rules, for a golden file. */
    const char *rules_path;
    /* `catalog=PATH`: only PATH.catalog.h and PATH.catalog.c. */
    const char *catalog_path;
    /* `index=PATH`: only PATH.index.{h,c}, the descriptors of all files for reflection. */
    const char *index_path;
    /* `lint=strict`: our own house rules on top of what is always refused. */
    bool lint_strict;
};

/* NULL, or what is wrong with `parameter` (in `pool`). */
NODISCARD const char *options_parse(
    struct options *options, const char *parameter, struct arena *pool);
/* Of the names of a file "dir/STEM.proto". Never NULL; `is_generated` says whether `prefix=`
 * applies. Without a package the file's own name stands in for it. */
const char *options_prefix(const struct options *options, const char *package, const char *stem,
    bool is_generated, struct arena *pool);
/* "dir/my-file" -> "my_file": what stands for a path without its suffix among names of C. */
const char *options_name_of_file(const char *stem, struct arena *pool);

#endif
