/* The mistakes of a text that a person wrote: all of them, each with its place and its remedy.
 * Collected here, judged and printed elsewhere. */
#ifndef FLOCKS_SCHEMA_MISTAKE_H
#define FLOCKS_SCHEMA_MISTAKE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"

enum {
    /* More are counted in `n_dropped`: nobody reads a
     * thousand, and a hostile file must not fill memory. */
    MISTAKES_MAX = 200,
    /* Longer texts (quoted values among them) are cut. */
    MISTAKE_TEXT_MAX = 512
};

struct mistake {
    const char *file; /* or the option's or the variable's name */
    uint32_t line;    /* from 1; 0: the source has no lines */
    uint32_t column;  /* from 1, in bytes */
    const char *path; /* "services.backend.port"; "" when the text could not be read that far */
    const char *message;
    const char *hint;   /* "" if none */
    uint32_t file_rank; /* order in which files were first met */
};

/* Embedded by value; owns the texts. */
struct mistakes {
    struct arena arena;
    struct mistake *items; /* in the order found; mistakes_sort puts them in file order */
    size_t n;
    size_t capacity;
    size_t n_dropped;
};

/* Where a mistake is; texts are borrowed for the call. */
struct mistake_place {
    const char *file;
    uint32_t line;
    uint32_t column;
    const char *path;
};

/* Takes no memory yet. */
void mistakes_init(struct mistakes *mistakes);
void mistakes_deinit(struct mistakes *mistakes);

/* Copies everything; control characters in the formatted text become '?'. The result is the mistake
 * kept, for mistake_set_hint, or NULL when it was dropped (mistake_set_hint accepts that). */
struct mistake *mistakes_add(struct mistakes *mistakes, const struct mistake_place *place,
    const char *format, ...) PRINTF_LIKE(3, 4);
void mistake_set_hint(struct mistakes *mistakes, struct mistake *mistake, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* By file as first met, then line, then column; stable. */
void mistakes_sort(struct mistakes *mistakes);

/* One mistake a line, "file:line:column: path: message", and a line "    hint: ..." where there is
 * one; then, if any were dropped, how many. */
void mistakes_print(const struct mistakes *mistakes, FILE *out);

#endif
