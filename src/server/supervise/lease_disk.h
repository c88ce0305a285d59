/* What leases do to disks: the record that outlives both processes, and links that are put back.
 * Everything here but lease_disk_has_record may wait for a disk: it runs in the thread pool, or
 * before there is anything to supervise; never on the loop. */
#ifndef FLOCKS_SUPERVISE_LEASE_DISK_H
#define FLOCKS_SUPERVISE_LEASE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/leases.h"

/* <run>/lease.pb as a new file: temp, fsync, rename, fsync of the directory. */
NODISCARD int lease_disk_write(
    const char *run, const uint8_t *bytes, size_t len, struct error *error);

/* lease_disk_read: there is none. */
#define LEASE_DISK_NONE 1
/* The caller frees *out. Negative also when it is larger than LEASE_RECORD_MAX, or no file. */
NODISCARD int lease_disk_read(const char *run, uint8_t **out, size_t *out_len, struct error *error);
/* One look at the name, as at every path of the instance. */
bool lease_disk_has_record(const char *run);
/* Renames what cannot be read, so that nothing is lost and the next start does not stumble; its new
 * path. */
NODISCARD int lease_disk_put_aside(
    const char *run, char *out_path, size_t out_size, struct error *error);

/* `link` is a symbolic link and points to `target` now, or with `target` "" there is nothing of
 * that name. FAILED_PRECONDITION: it is something else. */
NODISCARD int lease_disk_check_link(const struct lease_undo *undo, struct error *error);
/* It points to `target` afterwards, by rename, also when it was missing, or with `target` "" is
 * gone; nothing else than a link is ever replaced or removed (FAILED_PRECONDITION). What is so
 * already is left alone. */
NODISCARD int lease_disk_restore_link(const struct lease_undo *undo, struct error *error);

#endif
