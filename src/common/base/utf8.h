/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef FLOCKS_BASE_UTF8_H
#define FLOCKS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that starts at `bytes` (1 to
 * 4); 0 when there is no valid one within `len`. */
size_t utf8_character_length(const uint8_t *bytes, size_t len);
bool utf8_is_valid(const uint8_t *bytes, size_t len);
/* The largest n <= `max` at which `text` of `len`
 * bytes may be cut without splitting a character. */
size_t utf8_cut(const char *text, size_t len, size_t max);

#endif
