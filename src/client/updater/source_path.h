/* Releases on this machine, and the one that a URL of an archive is. */
#ifndef FLOCKS_UPDATER_SOURCE_PATH_H
#define FLOCKS_UPDATER_SOURCE_PATH_H

#include "client/updater/release.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

/* `path`, absolute: an archive, an index (.json), a directory with an index.json, or one with
 * archives. Signatures (NAME.minisig) and checksums (SHA256SUMS) beside them are taken with them.
 */
NODISCARD int source_path_list(
    const char *path, struct arena *arena, struct releases *out, struct error *error);

/* The archive at `url`; its signature is expected beside it. */
NODISCARD int source_archive_list(
    const char *url, struct arena *arena, struct releases *out, struct error *error);

#endif
