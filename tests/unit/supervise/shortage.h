/* Descriptors run out, as they do when clients take them all. */
#ifndef FLOCKS_TESTS_SHORTAGE_H
#define FLOCKS_TESTS_SHORTAGE_H

#include <stddef.h>
#include <sys/resource.h>

enum { SHORTAGE_MAX = 256 };

struct shortage {
    struct rlimit before;
    int taken[SHORTAGE_MAX];
    size_t n;
};

/* This process can open `left` more, then EMFILE. Fatal on failure. */
void shortage_begin(struct shortage *shortage, size_t left);
void shortage_end(struct shortage *shortage);

#endif
