/* Which release of a source's list it is, and whether it may be taken. No I/O. Part of find.c. */
#ifndef FLOCKS_UPGRADE_FIND_PICK_H
#define FLOCKS_UPGRADE_FIND_PICK_H

#include <stdbool.h>

#include "client/upgrade/find.h"

/* Another source should be asked. */
#define FIND_PICK_NEXT 2

struct find_pick {
    const struct update_find_request *request;
    /* NULL: the newest. */
    const char *wanted;
    /* The source is on another machine. */
    bool is_remote;
    /* The source is one archive, which somebody chose by its name. */
    bool is_one_file;
};

/* Whether releases/<version> is there, whole. */
bool find_pick_is_installed(const struct update_found *found, const char *version);

/* From found->available. 0: everything about it is in `found`; UPDATE_FIND_NOTHING; negative: why
 * this source's cannot be taken. */
NODISCARD int find_pick(
    const struct find_pick *pick, struct update_found *found, struct error *error);

#endif
