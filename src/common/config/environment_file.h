/* KEY=VALUE files, read at each start of a service. A pure parser: it opens nothing and expands
 * nothing.
 *
 * Lines: blank, `# comment`, `KEY=value`, `export KEY=value`. A value is bare text (blanks around
 * it and a comment after a blank and '#' are dropped), or in "double" quotes with \n \t \r \" \\ \$
 * escapes, or in 'single' quotes as it is; quoted values may span lines. Keys are
 * [A-Za-z_][A-Za-z0-9_]*. The last of equal keys wins. */
#ifndef FLOCKS_CONFIG_ENVIRONMENT_FILE_H
#define FLOCKS_CONFIG_ENVIRONMENT_FILE_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/schema/mistake.h"

enum {
    /* A longer file is refused: it is meant for a person's settings. */
    ENVIRONMENT_FILE_MAX_BYTES = 256 * 1024,
    ENVIRONMENT_FILE_MAX_KEYS = 1024
};

struct environment_pair {
    const char *name;
    const char *value;
};

struct environment_pairs {
    struct environment_pair *items; /* in file order, each name once; in the arena */
    size_t n;
};

enum environment_file_result {
    ENVIRONMENT_FILE_OK = 0,
    ENVIRONMENT_FILE_MISTAKEN = 1 /* mistakes were added, with line and column in `file` */
};

/* environment_file_result, or -STATUS_RESOURCE_EXHAUSTED (arena). */
NODISCARD int environment_file_parse(const char *text, size_t text_len, const char *file,
    struct arena *arena, struct environment_pairs *out, struct mistakes *mistakes);

#endif
