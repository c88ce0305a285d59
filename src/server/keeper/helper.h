/* Running the keeper's helpers, flocksd, capture and images that are tried out: in sessions of
 * their own, so that a terminal's Ctrl-C reaches the keeper alone. */
#ifndef FLOCKS_KEEPER_HELPER_H
#define FLOCKS_KEEPER_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "server/keeper/image.h"

enum { HELPER_DESCRIPTORS_MAX = 4 };

/* Borrowed. The environment is the keeper's. */
struct helper_plan {
    const struct image *image;
    char *const *arguments;
    /* Standard output and error. */
    int output_fd;
    /* Become 3, 4, ...; no other descriptor is inherited. */
    int descriptors[HELPER_DESCRIPTORS_MAX];
    size_t n_descriptors;
};

/* The exit code of a program that cannot be executed, which says why on its output. */
enum { HELPER_EXIT_FAILED = 127 };

/* The pid, or -1 with errno. */
NODISCARD pid_t helper_start(const struct helper_plan *plan);

#endif
