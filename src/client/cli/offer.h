/* One word offered to somebody who writes a command line. Pure. */
#ifndef FLOCKS_CLI_OFFER_H
#define FLOCKS_CLI_OFFER_H

#include <stddef.h>
#include <stdio.h>

/* Where words go, and what they must begin with. Plain value. */
struct offer {
    FILE *out;
    const char *prefix; /* before every word, not terminated */
    size_t prefix_len;
    const char *partial;
};

/* Written when it begins with the partial. `about` may be NULL: its first sentence is taken,
 * shortened, control characters left out. */
void offer_word(const struct offer *offer, const char *word, const char *about);
/* "Parent" and "child" with `between`. */
void offer_pair(const struct offer *offer, const char *parent, char between, const char *child,
    const char *about);
/* ":file" and such. */
void offer_files(const struct offer *offer, const char *kind);

#endif
