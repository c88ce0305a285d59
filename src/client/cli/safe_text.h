/* Text of others on its way to a terminal: what could drive it is shown instead of sent, and how
 * many columns it takes. Pure.
 *
 * Shown as \xNN: control characters, and bytes that are no UTF-8. As \uNNNN: the C1 controls, which
 * terminals obey too, and the marks that reverse the direction of what follows, which make a text
 * look like another one. */
#ifndef FLOCKS_CLI_SAFE_TEXT_H
#define FLOCKS_CLI_SAFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    /* Longest safe form of one character, with a NUL. */
    SAFE_TEXT_FORM_SIZE = 8
};

/* The first character of `text`, which is not empty: its safe form in `out`. Answers how many bytes
 * of `text` it was. */
size_t safe_text_next(const char *text, size_t len, char out[SAFE_TEXT_FORM_SIZE]);
/* All of `text`, as far as it fits into `size` bytes with a NUL; never half a character. */
void safe_text_copy(const char *text, char *out, size_t size);

/* Columns on a terminal. Colour sequences (ESC [ ... m) take none, combining characters none, wide
 * ones two. */
size_t safe_text_columns(const char *text);
/* The largest number of bytes of `text[0..len)`, whole characters, that take at most `columns`. */
size_t safe_text_cut(const char *text, size_t len, size_t columns);

#endif
