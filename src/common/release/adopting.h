/* One name while it is adopted: the states of adoption.h. Part of adoption.c. */
#ifndef FLOCKS_RELEASE_ADOPTING_H
#define FLOCKS_RELEASE_ADOPTING_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/adoption.h"

enum { ADOPTING_TEXT_SIZE = NAME_MAX + 32 };

/* What one name is. */
struct place {
    enum { PLACE_NONE, PLACE_LINK, PLACE_REAL } kind;
    char target[ADOPTING_TEXT_SIZE];
};

/* The release that adopts. */
struct adopting {
    const struct release_dir *dir;
    int release_fd;
    /* A name was found that cannot be exchanged, although others can: in an image's lower layer,
     * for example (overlayfs answers EXDEV). */
    bool cannot_exchange;
    struct error *error;
};

/* The error of errno about `name` of the root. */
int adopting_fail(const struct adopting *adopting, const char *what, const char *name);

/* What `name` in directory `fd` is. -1 and errno. */
NODISCARD int adopting_look(int fd, const char *name, struct place *out);

/* "../../<name>.adopt": from a release to what it adopts. */
void adopting_text_out(const char *name, char out[ADOPTING_TEXT_SIZE]);

/* Takes back what was done for `name` before its first exchange: the link beside it. False: it was
 * exchanged. */
bool adopting_withdraw_name(const struct adopting *adopting, const char *name);

/* Takes the steps that are left for `name`, each on the disk before the next.
 * -STATUS_FAILED_PRECONDITION: it is in none of the states. */
NODISCARD int adopting_finish_name(struct adopting *adopting, const char *name);

#endif
