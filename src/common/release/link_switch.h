/* Symbolic links that are switched: whoever looks finds the old target or the new one, also after
 * the power was lost.
 *
 * Every function here may wait for a disk. Two that switch the same link at once must exclude each
 * other (upgrade_lock.h, or a lease); where they do not, one of them fails and says so. */
#ifndef FLOCKS_RELEASE_LINK_SWITCH_H
#define FLOCKS_RELEASE_LINK_SWITCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* As BeginUpgrade's `undo` in upgrade.proto: longer paths and targets are refused. */
    LINK_TEXT_MAX = 1023,
    LINK_SET_MAX = 4
};

/* link_read: there is nothing of that name. */
#define LINK_NONE 1

/* What `link` points to, as it is written there. Touches nothing. LINK_NONE, with out "";
 * -STATUS_FAILED_PRECONDITION: it is no link, or its target is longer than LINK_TEXT_MAX. */
NODISCARD int link_read(const char *link, char out[LINK_TEXT_MAX + 1], struct error *error);

/* When it answers 0, `link` points to `target` and that is on the disk (fsync of its directory;
 * also where it pointed there before, because whoever made it so may have died before that). By
 * rename of
 * `<link>.flocks-switch`, so that the name is never missing; such a file of an earlier try is
 * removed. `target` "": the link is removed. A link may be missing before; anything else than a
 * link is left alone: -STATUS_FAILED_PRECONDITION. After another negative result it points to what
 * it did, or to `target`, and one of them is what a power cut leaves. */
NODISCARD int link_switch(const char *link, const char *target, struct error *error);

/* Links that change together, and what they pointed to before. A plain value. */
struct link_change {
    /* Absolute. */
    char link[LINK_TEXT_MAX + 1];
    /* "": there was, or will be, none. */
    char old_target[LINK_TEXT_MAX + 1];
    char new_target[LINK_TEXT_MAX + 1];
};

struct link_set {
    struct link_change changes[LINK_SET_MAX];
    size_t n_changes;
};

/* Where the links of a set point. */
enum link_set_state {
    LINK_SET_OLD, /* all to their old targets; also an empty set */
    LINK_SET_NEW, /* all to their new ones */
    LINK_SET_MIXED,
    /* One points elsewhere, or is no link: somebody else was here. */
    LINK_SET_FOREIGN
};

/* Adds a change of a link that is read now: its old target is what it points to. Nothing on the
 * disk changes. -STATUS_INVALID_ARGUMENT: `link` is not absolute, has control characters, "." or
 * "..", is there already, or something is too long; -STATUS_RESOURCE_EXHAUSTED: LINK_SET_MAX;
 * -STATUS_FAILED_PRECONDITION: it is no link. */
NODISCARD int link_set_add(
    struct link_set *set, const char *link, const char *new_target, struct error *error);
/* Whether a change may stand in a set, by itself: the rule of link_set_add, without the disk. */
bool link_change_is_good(const struct link_change *change);

NODISCARD int link_set_look(
    const struct link_set *set, enum link_set_state *out, struct error *error);

/* Each link in turn to its new target; link_set_restore: in reverse to the old ones. The set has to
 * be on the disk before (upgrade_journal.h, BeginUpgrade): a set as a whole does not switch at one
 * instant. A foreign link is found before the first one is touched: -STATUS_FAILED_PRECONDITION.
 * What is so already is left alone, so that either can be repeated after any end. */
NODISCARD int link_set_switch(const struct link_set *set, struct error *error);
NODISCARD int link_set_restore(const struct link_set *set, struct error *error);

#endif
