/* The archive of a release that was found, as a descriptor of a file that was verified: downloaded
 * from one of its places, or opened where it lies on this machine. */
#ifndef FLOCKS_UPGRADE_FETCH_H
#define FLOCKS_UPGRADE_FETCH_H

#include <stdbool.h>

#include "client/upgrade/find.h"
#include "client/upgrade/progress.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct update_settings;

struct fetch_request {
    const struct update_settings *settings;
    /* With a choice: not is_installed. */
    const struct update_found *found;
    int cancel_fd;
    update_progress_fn on_progress;
    void *data;
};

struct fetched {
    /* The caller's, for reading. What was verified is what is read through it. */
    int fd;
    bool is_signed;
    /* Something that was verified, or a name, told the version; else flocks-release.yaml has to. */
    bool is_version_told;
};

/* Blocks. Each place is asked in turn, also after one whose file is not what was promised. What was
 * downloaded is <downloads>/<name of the asset>; it stays until fetch_clear. An interrupted
 * download stays as well, and the next call goes on with it.
 *
 * Contexts of errors: "downloading ...", "verifying ...". As of update_stage. */
NODISCARD int fetch(const struct fetch_request *request, struct fetched *out, struct error *error);

/* Removes everything in `downloads` but what is under way of `keep` (the name of an asset; NULL:
 * nothing is kept), and the directory if nothing is left. */
NODISCARD int fetch_clear(
    const struct update_settings *settings, const char *keep, struct error *error);

#endif
