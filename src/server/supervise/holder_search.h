/* Who holds a socket, among all processes of the machine: passes over /proc in slices, so that the
 * loop is never held for longer than one of them. One pass looks for every socket that was asked
 * about before it began. */
#ifndef FLOCKS_SUPERVISE_HOLDER_SEARCH_H
#define FLOCKS_SUPERVISE_HOLDER_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/socket_search.h"

enum {
    /* One slice ends after this, and the next comes no sooner than that. The first slice of a pass
     * is done by whoever asks, unless there was one a moment ago: on most machines it is all. */
    HOLDER_SEARCH_SLICE_MS = 5,
    HOLDER_SEARCH_PAUSE_MS = 20,
    /* So long nobody is looked for again who was not to be seen. */
    HOLDER_SEARCH_BELIEF_MS = 1000
};

enum holder_answer {
    HOLDER_FOUND,
    /* Not yet: call holder_search_turn, then ask again. */
    HOLDER_PENDING,
    /* Nobody whom we may look at has it. */
    HOLDER_UNSEEN
};

struct holder_search;

NODISCARD int holder_search_new(struct holder_search **out, struct error *error);
void holder_search_free(struct holder_search *search);

enum holder_answer holder_search_ask(
    struct holder_search *search, uint64_t inode, int64_t now, struct socket_location *out);
/* Something was asked about that is not known yet. */
bool holder_search_is_pending(const struct holder_search *search);
/* One slice. True: a pass has ended, answers may have come. */
bool holder_search_turn(struct holder_search *search, int64_t now);

#endif
