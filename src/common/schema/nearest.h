/* The name that a person most likely meant: edit distance, one candidate after the other. */
#ifndef FLOCKS_SCHEMA_NEAREST_H
#define FLOCKS_SCHEMA_NEAREST_H

#include <stddef.h>

enum {
    /* Longer words and candidates are not compared. */
    NEAREST_NAME_MAX = 64
};

/* Plain value; texts are borrowed. */
struct nearest {
    const char *word;
    size_t word_len;
    const char *best;
    size_t best_distance;
};

void nearest_init(struct nearest *nearest, const char *word, size_t word_len);
void nearest_offer(struct nearest *nearest, const char *candidate);
/* The candidate with the smallest distance (insert, delete, replace,
 * swap neighbours; case is free; the first of equals), if at most a
 * third of the word (and at least one letter) differs; else NULL. */
const char *nearest_result(const struct nearest *nearest);

#endif
