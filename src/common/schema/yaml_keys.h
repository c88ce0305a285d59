/* What can be wrong about the keys of a mapping: each
 * function adds its mistakes. Internal to this room. */
#ifndef FLOCKS_SCHEMA_YAML_KEYS_H
#define FLOCKS_SCHEMA_YAML_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/schema/message.h"
#include "common/schema/yaml_reader.h"

/* A key that is a list or a mapping. */
void yaml_keys_refuse_collection(struct yaml_reader *reader, const struct yaml_node *key);
/* Keys of the map `node` that are there more than once. */
void yaml_keys_refuse_duplicates(struct yaml_reader *reader, const struct yaml_node *node);
/* A key that `info` does not have; the hint names the nearest, or all there are. */
void yaml_keys_refuse_unknown(
    struct yaml_reader *reader, const struct crpc_message_info *info, const struct yaml_node *key);
/* Whether the field, or another choice of its oneof, was given before; if not, it is now. `lines`:
 * where fields, then oneofs, were given; 0: not yet. */
bool yaml_keys_is_second(struct yaml_reader *reader, const struct crpc_message_info *info,
    const struct schema_field *field, const struct yaml_node *key, uint32_t *lines);
/* A required field that the mapping `node` does not give. */
void yaml_keys_refuse_missing(
    struct yaml_reader *reader, const struct crpc_field_info *field, const struct yaml_node *node);

#endif
