/* A program file that the keeper runs: held open, so that it can be run when its file has been
 * replaced or its directory deleted, and named, for people and for the program itself. */
#ifndef FLOCKS_KEEPER_IMAGE_H
#define FLOCKS_KEEPER_IMAGE_H

#include <limits.h>

#include "common/base/attributes.h"

struct image {
    int fd; /* -1: run by its path alone */
    char path[PATH_MAX];
};

/* Opens what lies at `path`, which must be shorter than PATH_MAX. 0 or an errno value: then it is
 * run by its path alone. */
NODISCARD int image_open(struct image *image, const char *path);
/* Takes over both; `from` is empty then. Closes what `image` was. */
void image_move(struct image *image, struct image *from);
/* It may be the empty image. */
void image_close(struct image *image);

/* execve by the path if that leads to the open file, else of the file itself. Returns errno when it
 * failed. The descriptor is close-on-exec, so a script runs by its path only. */
int image_execute(const struct image *image, char *const *arguments);

#endif
