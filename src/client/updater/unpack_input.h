/* How libarchive reads: a descriptor by pread, only the formats we have reviewed, none by way of
 * another program. */
#ifndef FLOCKS_UPDATER_UNPACK_INPUT_H
#define FLOCKS_UPDATER_UNPACK_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

struct archive;

enum { UNPACK_INPUT_CHUNK_BYTES = 64 * 1024 };

/* In the caller's storage, for as long as the archive is used. */
struct unpack_input {
    int fd;
    /* errno of a read that failed, else 0. */
    int read_error;
    uint64_t size;
    uint64_t offset;
    /* The furthest that was read. */
    uint64_t high;
    uint8_t chunk[UNPACK_INPUT_CHUNK_BYTES];
};

/* *out_archive is at the first entry's header, unread; the caller calls archive_read_free. */
NODISCARD int unpack_input_open(struct unpack_input *input, int fd, const char *name,
    struct archive **out_archive, struct error *error);

#endif
