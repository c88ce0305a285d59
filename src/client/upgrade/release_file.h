/* flocks-release.yaml at the top of a release: proto/flocks/v1/release.proto, docs/releases.md. */
#ifndef FLOCKS_UPGRADE_RELEASE_FILE_H
#define FLOCKS_UPGRADE_RELEASE_FILE_H

#include <stddef.h>

#include "flocks/v1/release.names.h"

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

#define RELEASE_FILE_NAME "flocks-release.yaml"

enum {
    /* The number of `format` that this program knows. */
    RELEASE_FILE_FORMAT = 1,
    /* Memory of one (the arena that the caller makes). */
    RELEASE_FILE_ARENA_BYTES = 16 * 1024 * 1024
};

/* The text, checked, with all defaults, in the arena. Pure. -STATUS_INVALID_ARGUMENT: mistakes; the
 * text has the first with its place, and how many there are; -STATUS_UNIMPLEMENTED: of a later
 * format; -STATUS_RESOURCE_EXHAUSTED: the arena. */
NODISCARD int release_file_parse(const char *text, size_t text_len, struct arena *arena,
    const flocks_release **out, struct error *error);

/* That of the release in `directory`; all defaults where there is none. */
NODISCARD int release_file_read(
    const char *directory, struct arena *arena, const flocks_release **out, struct error *error);

/* Whether it is `version`'s (builds of one version are equal): what it says, or nothing.
 * -STATUS_DATA_LOSS. */
NODISCARD int release_file_check_version(
    const flocks_release *file, const char *version, struct error *error);

#endif
