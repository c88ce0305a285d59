/* What a field's type and rule allow, and how its numbers are spelled. Internal to this room. */
#ifndef FLOCKS_SCHEMA_RULE_H
#define FLOCKS_SCHEMA_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/schema/message.h"

/* What decides how a text is read. */
enum schema_kind {
    SCHEMA_KIND_SIGNED,
    SCHEMA_KIND_UNSIGNED,
    SCHEMA_KIND_REAL,
    SCHEMA_KIND_BOOLEAN,
    SCHEMA_KIND_ENUM,
    SCHEMA_KIND_TEXT,
    SCHEMA_KIND_BYTES,
    SCHEMA_KIND_DURATION,
    SCHEMA_KIND_NONE
};

enum schema_kind schema_kind_of(const struct schema_field *field);

enum { SCHEMA_SIZE_UNITS = 9 };

struct schema_size_unit {
    const char *name;
    uint64_t bytes;
};

/* Largest first, binary before decimal ones; a longer name before its own ending. */
extern const struct schema_size_unit schema_size_units[SCHEMA_SIZE_UNITS];

/* Without a range; false: not of that form, or beyond 64 bits. */
bool schema_read_digits(const char *text, size_t len, unsigned base, uint64_t *out);
bool schema_read_unsigned(enum crpc_unit unit, const char *text, size_t len, uint64_t *out);
bool schema_read_signed(const char *text, size_t len, int64_t *out);

/* Bounds of the type, narrowed by the rule. A rule that cannot be read is a mistake of the .proto
 * file, which the golden test of the rules shows; here it does not narrow. */
void schema_signed_range(const struct schema_field *field, int64_t *lowest, int64_t *highest);
void schema_unsigned_range(const struct schema_field *field, uint64_t *lowest, uint64_t *highest);
void schema_duration_range(const struct schema_field *field, int64_t *lowest, int64_t *highest);

/* By either name; NULL: none. */
const struct crpc_enum_value_info *schema_find_enum_value(
    const struct crpc_enum_info *type, const char *text, size_t len);
/* The zero value says "not given"; nobody is to write it. */
bool schema_enum_may_be_written(const struct crpc_enum_value_info *value);

#endif
