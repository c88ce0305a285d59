/* Bytes written as people read them in captures. */
#ifndef FLOCKS_TESTS_HEX_H
#define FLOCKS_TESTS_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Hexadecimal digits and 'text' in single quotes; blanks are skipped. Answers
 * how many bytes. */
size_t hex_decode(const char *text, uint8_t *out, size_t capacity);
/* Fails the test with both sides in hexadecimal when `bytes` are not what
 * `expected` says. */
void hex_assert_equal(const uint8_t *bytes, size_t len, const char *expected);

#endif
