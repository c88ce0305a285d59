/* Descriptors: closing, flags, whole reads and writes, files replaced atomically. */
#ifndef FLOCKS_BASE_FD_H
#define FLOCKS_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

/* Closes *fd if it is not negative and sets it to -1. errno is preserved. For CLEANUP(). */
void fd_close(int *fd);
/* *fd, which becomes -1: hands a descriptor over. */
int fd_take(int *fd);

NODISCARD int fd_set_cloexec(int fd, bool on, struct error *error);
NODISCARD int fd_set_nonblocking(int fd, bool on, struct error *error);

/* All `len` bytes, restarting after EINTR. */
NODISCARD int fd_write_all(int fd, const void *bytes, size_t len, struct error *error);
/* The whole file, NUL-terminated (the NUL is not counted in *out_len); the caller frees *out.
 * Refuses more than `max_bytes` with RESOURCE_EXHAUSTED, and anything but a regular file. */
NODISCARD int fd_read_file(
    const char *path, size_t max_bytes, char **out, size_t *out_len, struct error *error);
/* Temporary file in the same directory, fsync, rename, fsync of the directory. */
NODISCARD int fd_replace_file(
    const char *path, const void *bytes, size_t len, mode_t mode, struct error *error);
/* Writes the directory that `path` is in to the disk: a rename, link or unlink there survives a
 * power cut. */
NODISCARD int fd_sync_parent(const char *path, struct error *error);
/* Removes the temporary files of fd_replace_file's callers who were killed. Legal where nobody else
 * replaces `path` now. Where that fails, a small file is left. */
void fd_sweep_temporaries(const char *path);

#endif
