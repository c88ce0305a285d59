/* Which releases are in a directory's listing, and which of them may go. Pure. */
#ifndef FLOCKS_RELEASE_RELEASE_KEEP_H
#define FLOCKS_RELEASE_RELEASE_KEEP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/release/version.h"

enum {
    /* "<version>.partial" */
    RELEASE_NAME_SIZE = VERSION_TEXT_MAX + sizeof ".partial"
};

/* One directory below `releases`. A plain value. */
struct release_entry {
    struct version version;
    /* "<version>.partial": being made, or being removed. Never complete, never current. */
    bool is_partial;
    /* What `current` leads to. */
    bool is_current;
};

/* Whether `text` names a release: a version, exactly as version_parse keeps it, that does not end
 * in ".partial" (a pre-release may be called so; its directory would be taken for another's half).
 */
bool release_name_is_good(const char *text);

/* A directory's name: false where it is neither a release's nor a partial one's. is_current is
 * false. */
bool release_entry_parse(const char *name, struct release_entry *out);
/* The opposite: the directory's name. */
void release_entry_name(const struct release_entry *entry, char out[RELEASE_NAME_SIZE]);

/* Newest first; a partial one stands behind the complete one of the same version. */
void release_entries_sort(struct release_entry *entries, size_t n_entries);

/* Whether entries[at] may be removed from a sorted listing of which one is current (else nothing
 * may be). What stays: the current one; every version in `named` (`n_named` texts, NULLs are passed
 * over), whole and partial; `keep` of the other complete ones: the newest that are older than the
 * current one, then the newest of the others (so that what was tried and did not stay takes no
 * place of what served before). Other partial ones go. */
bool release_may_go(const struct release_entry *entries, size_t n_entries, size_t at, size_t keep,
    const char *const *named, size_t n_named);

#endif
