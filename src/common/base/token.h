/* The secret that lets a program in over TCP: a small file that its owner alone can read. */
#ifndef FLOCKS_BASE_TOKEN_H
#define FLOCKS_BASE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    TOKEN_BYTES = 32, /* from the kernel's random source */
    TOKEN_DIGITS = 2 * TOKEN_BYTES
};

/* Hexadecimal, NUL-terminated. Plain value; never logged. */
struct token {
    char digits[TOKEN_DIGITS + 1];
};

/* NOT_FOUND: no such file, or an empty one. FAILED_PRECONDITION: others than its owner may touch
 * it, or it is no regular file, or holds no token; the hint says what to do. */
NODISCARD int token_read(const char *path, struct token *out, struct error *error);
/* The same, and a missing one is made (mode 0600, whole or not at all; not waited for until
 * it is on the disk). */
NODISCARD int token_read_or_make(const char *path, struct token *out, struct error *error);

/* Takes as long for a wrong text as for the right one, of the same length. */
bool token_matches(const struct token *token, const char *text, size_t text_len);

#endif
