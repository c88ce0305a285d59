/* One YAML text on its way into a message: where the reader is, which origins it has met, how much
 * it has read. Internal to this room. */
#ifndef FLOCKS_SCHEMA_YAML_READER_H
#define FLOCKS_SCHEMA_YAML_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/schema/mistake.h"
#include "common/schema/schema_path.h"
#include "common/schema/yaml_read.h"
#include "common/schema/yaml_tree.h"

struct yaml_origin_link;

struct yaml_reader {
    const char *file;
    struct arena *arena;
    struct mistakes *mistakes;
    struct schema_path path;
    struct yaml_origin_link *first_origin;
    struct yaml_origin_link **origins_tail;
    size_t n_origins;
    size_t n_visits;
    /* Not 0: stop everything; the arena is empty. */
    int fatal;
};

/* Stops the reader: the arena is exhausted. */
void yaml_reader_no_memory(struct yaml_reader *reader);
/* The node's place under the reader's path, which it borrows. */
struct mistake_place yaml_reader_place(
    const struct yaml_reader *reader, const struct yaml_node *node);
/* The value is no `wanted`; what it is instead is said, too. `hint` may be "". */
void yaml_reader_refuse_kind(
    struct yaml_reader *reader, const struct yaml_node *node, const char *wanted, const char *hint);
/* Whether `node` may be read: aliases let a short text
 * name one node many times (YAML_READ_MAX_NODES). */
bool yaml_reader_visit(struct yaml_reader *reader, const struct yaml_node *node);

/* The reader's path stands at `node`; `is_place` as in struct yaml_origin. */
void yaml_reader_add_origin(
    struct yaml_reader *reader, const struct yaml_node *node, bool is_place);
/* All that were added, in that order. 0, or -STATUS_RESOURCE_EXHAUSTED (arena). */
NODISCARD int yaml_reader_origins(struct yaml_reader *reader, struct yaml_origins *out);

#endif
