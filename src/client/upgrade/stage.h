/* From a release that was found to a whole directory that waits to be published: downloaded,
 * verified, unpacked, its flocks-release.yaml read, its install steps run, and the services'
 * directories looked for in it. Nothing that anybody sees changes. */
#ifndef FLOCKS_UPGRADE_STAGE_H
#define FLOCKS_UPGRADE_STAGE_H

#include <stdbool.h>

#include "flocks/v1/release.names.h"

#include "client/upgrade/find.h"
#include "client/upgrade/progress.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct update_settings;

struct update_stage_request {
    const struct update_settings *settings;
    const struct update_found *found;
    /* Ends the work when it becomes readable; -1: none. */
    int cancel_fd;
    /* May be NULL. Steps DOWNLOADING, VERIFYING, UNPACKING, INSTALLING. */
    update_progress_fn on_progress;
    void *data;
};

/* In its own arena, until update_staged_deinit. */
struct update_staged {
    struct arena arena;
    /* Never NULL after 0; all defaults where the release has no flocks-release.yaml. */
    const flocks_release *file;
    /* releases/<name>.partial is whole and waits for release_dir_publish; false: releases/<name>
     * was there (found->is_installed). */
    bool is_partial;
};

/* Makes `releases/<found->name>.partial`. The caller holds the upgrade lock, and PREPARING is in
 * the journal. What a killed one left there is removed first. An interrupted download stays in
 * `downloads` and is continued by the next one of the same file; everything else in there goes.
 * Whatever the result, no process that an install step started is left.
 *
 * When it answers 0, the tree is whole; it is on the disk when release_dir_publish has said so.
 * Otherwise there is no such directory, and the error says which step, why, and what to do:
 * UNAVAILABLE, NOT_FOUND, DEADLINE_EXCEEDED (download); DATA_LOSS, UNAUTHENTICATED (verification);
 * INVALID_ARGUMENT, DATA_LOSS, UNIMPLEMENTED (archive, flocks-release.yaml); RESOURCE_EXHAUSTED
 * (disk, limits); FAILED_PRECONDITION (no signature or no key; install step; a service's directory
 * that is missing); CANCELLED. */
NODISCARD int update_stage(
    const struct update_stage_request *request, struct update_staged *out, struct error *error);
void update_staged_deinit(struct update_staged *staged);

/* Nothing of a download is needed any more: empties `downloads`. What cannot be removed stays and
 * is told in `error`. */
NODISCARD int update_downloads_clear(const struct update_settings *settings, struct error *error);

#endif
