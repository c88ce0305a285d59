/* An archive into a new directory. The archive is taken for hostile, also when it was signed:
 * nothing that it says leads outside the directory, and nothing in it can use more than the limits.
 *
 * tar (ustar, pax, GNU; plain, gzip, xz, zstd) and zip. libarchive only reads; files are made here,
 * by descriptors that never follow a link. (libarchive's own writer, with its SECURE flags, looks
 * at paths and then uses them; and it would keep what we drop.) */
#ifndef FLOCKS_UPDATER_UNPACK_H
#define FLOCKS_UPDATER_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

#define UNPACK_BYTES_MAX (UINT64_C(8) * 1024 * 1024 * 1024)

enum {
    /* Files, directories (named or needed) and links of one archive; more are refused. */
    UNPACK_ENTRIES_MAX = 250000,
    /* What comes out of an archive may be so many times its size, and UNPACK_RATIO_FREE_BYTES more.
     * Sources and builds stay below 20; what is made to fill a disk has 1,000 and more. */
    UNPACK_RATIO_MAX = 200,
    UNPACK_RATIO_FREE_BYTES = 16 * 1024 * 1024,
    /* Memory for the links of an archive, which are made at the end; more are refused. */
    UNPACK_LINKS_BYTES_MAX = 64 * 1024 * 1024
};

/* So much came out so far, and how far in the archive (bytes of it) that was. */
struct unpack_progress {
    uint64_t bytes_read;
    uint64_t bytes_total;
    uint64_t bytes_written;
    uint32_t entries;
};

struct unpack_request {
    /* The archive: a regular file, read from its first byte whatever the descriptor's position,
     * which is not moved. What was verified through the same descriptor is what is unpacked. Stays
     * open. */
    int fd;
    /* What messages call it. */
    const char *name;
    /* Must not exist; its parent must. */
    const char *directory;
    /* 0: UNPACK_BYTES_MAX, UNPACK_ENTRIES_MAX. */
    uint64_t bytes_max;
    uint32_t entries_max;
    /* What the disk may give for it: an archive that needs more ends there, so that what else
     * needs the disk goes on. 0: as far as it goes. */
    uint64_t bytes_free;
    uint64_t files_free;
    /* Ends the work when it becomes readable; -1: none. */
    int cancel_fd;
    /* May be NULL; called for each entry and each MiB or so. Must not touch the directory. */
    void (*on_progress)(void *data, const struct unpack_progress *progress);
    void *data;
};

struct unpack_outcome {
    struct unpack_progress progress;
    /* The one directory in which everything lay was left out. */
    bool is_unwrapped;
};

/* Unpacks. The archive is read twice: at first only to see that all of it can be read and stays
 * within the bounds, so that what does not is refused before the first file is made.
 *
 * When it answers 0, everything is in `directory` and on the disk: files, directories, and
 * the directory's own name in its parent (syncfs(2), which tells of failed writes since Linux 5.8).
 * Otherwise the directory is not there: what had been made is removed; where that fails, the
 * error's text says that something is left.
 *
 * Modes are kept, but: setuid, setgid, sticky, and writing by group and others, are dropped; the
 * owner can always read, and enter and change directories. Owners, times, extended attributes and
 * ACLs are not taken over. A file that occurs twice is refused, as are paths and links by
 * archive_path.h, hard links to what is not a file of the same archive before it, devices, FIFOs,
 * sockets and encrypted files.
 *
 * -STATUS_ALREADY_EXISTS: the directory; -STATUS_INVALID_ARGUMENT: not an archive of these kinds,
 * nothing in it, or it says what is refused; -STATUS_DATA_LOSS: damaged or cut;
 * -STATUS_RESOURCE_EXHAUSTED: a limit, or the disk is full; -STATUS_CANCELLED; others as the system
 * refuses. `out` is written when the result is 0. */
NODISCARD int unpack(
    const struct unpack_request *request, struct unpack_outcome *out, struct error *error);

#endif
