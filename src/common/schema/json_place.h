/* Where in a JSON text something stands, found again by its path: the parser that reads our texts
 * keeps no places. Internal to this room. */
#ifndef FLOCKS_SCHEMA_JSON_PLACE_H
#define FLOCKS_SCHEMA_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Offset in `text`, which is valid JSON, of the value at `path` as schema_path makes it ("" is the
 * whole), or with `of_name` of the name before it. What cannot be found (a path that was cut, a
 * name with escapes) is answered with the innermost value around it that can. */
size_t json_place_find(const char *text, size_t text_len, const char *path, bool of_name);

#endif
