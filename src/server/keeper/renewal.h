/* The keeper changes its image: it executes another one in its own process, so that its pid, its
 * children, what they have ended with and the descriptors stay. What only its memory knows is left
 * in a memfd of numbered format (keeper.proto, Renewal...): records of a kind, a length and a
 * message, of which a reader skips the kinds that it does not know.
 *
 * Before, the image is run beside us with `--check` and must read that state (replacement.c). One
 * that fails all the same before it serves executes the image before it, with the same state. */
#ifndef FLOCKS_KEEPER_RENEWAL_H
#define FLOCKS_KEEPER_RENEWAL_H

#include "common/base/attributes.h"
#include "common/base/error.h"

struct image;
struct keeper;
struct keeper_options;

/* ---- the one that goes; no heap ---- */

/* What the keeper knows, in a new memfd (close-on-exec). 0 or an errno value. */
NODISCARD int renewal_write(const struct keeper *keeper, int *out_fd);
/* Writes it and executes the image; returns errno when it could not be executed, and then nothing
 * has changed. Only while no child is being set up and no answer waits. */
int renewal_execute(struct keeper *keeper, const struct image *image);

/* ---- the one that comes; before the loop ---- */

/* Prepares the command line of the next one, from ours. */
NODISCARD int renewal_plan(
    struct keeper *keeper, const struct keeper_options *options, struct error *error);
/* Reads what was left into an unused keeper, and does nothing with it. -STATUS_FAILED_PRECONDITION:
 * its number is not ours. -STATUS_DATA_LOSS: it is damaged. */
NODISCARD int renewal_read(struct keeper *keeper, int fd, struct error *error);
/* ... then the descriptors in it are made ours. */
NODISCARD int renewal_take(struct keeper *keeper, struct error *error);
/* What of it the loop must watch. */
void renewal_watch(struct keeper *keeper);
/* We cannot go on: the image before us does, and is told why. Returns when it cannot either. */
void renewal_return(struct keeper *keeper, const struct keeper_options *options, const char *why);

/* As a program of its own, `--check`: whether we could take the state in descriptor 3, with shared
 * memory and inventory in 4 and 5. Says our version, or why not. Returns the exit code. */
NODISCARD int renewal_check(struct keeper *keeper);

#endif
