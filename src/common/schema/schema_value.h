/* One scalar as people write it: the same text in flocks.yaml, in an environment variable and on
 * the command line. Knows types, units, ranges and enums of a field; knows no file and no layer. */
#ifndef FLOCKS_SCHEMA_VALUE_H
#define FLOCKS_SCHEMA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/schema/message.h"

enum {
    /* Room for the text of any number, duration or time;
     * names of enum values and texts are borrowed. */
    SCHEMA_VALUE_TEXT_MAX = 48
};

/* True for everything that one piece of text can give: scalars, enums, google.protobuf.Duration. */
bool schema_value_is_text(const struct schema_field *field);

/* What a person must write for this field: "a number from 0 to 65535",
 * "a duration such as 500ms, 2s or 5m", "true or false", "one of
 * ALWAYS, ON_FAILURE, NEVER". At most `size` - 1 bytes are written. */
void schema_value_describe(const struct schema_field *field, char *out, size_t size);

/* Reads one element and checks its range and length.
 *
 * - numbers: decimal; UNIT_BYTES also with B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; UNIT_MODE octal
 *   ("0644")
 * - durations: a decimal number and s, ms, us, m or h, also joined ("1.5s", "1m30s"); "0" alone
 *   needs no unit
 * - booleans: true, false only
 * - enums: names with or without the enum's prefix, as declared (upper case)
 * - bytes: base64
 *
 * 0 with the value in the arena; -STATUS_INVALID_ARGUMENT with text ("must be ..., not 'x'") and
 * hint; -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int schema_value_parse(const struct schema_field *field, const char *text,
    size_t text_len, struct arena *arena, union schema_value *out, struct error *error);

/* Text that schema_value_parse reads as the same value: "64MiB", "1.5s", "ALWAYS". In the arena;
 * NULL: exhausted. An unknown enum number is given as the number. */
NODISCARD const char *schema_value_format(
    const struct schema_field *field, union schema_value value, struct arena *arena);

/* Duration texts alone, in nanoseconds: for options
 * such as --timeout. Negative ones are refused. */
NODISCARD int schema_duration_parse(const char *text, size_t text_len, int64_t *out_ns);
/* The shortest of h, m, s, ms, us, ns that is exact. `out` has SCHEMA_VALUE_TEXT_MAX bytes. */
void schema_duration_format(int64_t ns, char *out);

#endif
