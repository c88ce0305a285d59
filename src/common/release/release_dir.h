/* The releases below one root:
 *
 *     releases/1.2.0/          complete, on the disk, never changed again
 *     releases/1.3.0.partial/  being made, or being removed
 *     current -> releases/1.2.0
 *
 * A name without ".partial" is given to a directory only when all that is in it is on the disk, and
 * is taken away, on the disk, before anything in it goes. So `current`, wherever it leads below
 * `releases`, leads to a whole release, whoever is killed and whenever the power fails.
 *
 * Everything here may wait for a disk. Whoever changes something holds the upgrade lock
 * (upgrade_lock.h). */
#ifndef FLOCKS_RELEASE_RELEASE_DIR_H
#define FLOCKS_RELEASE_RELEASE_DIR_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/link_switch.h"
#include "common/release/release_keep.h"

enum {
    /* Directories of a listing; with more there, listing fails and nothing is removed. */
    RELEASE_DIR_ENTRIES_MAX = 256,
    /* Other names in there that are passed over; with more, likewise. */
    RELEASE_DIR_STRANGERS_MAX = 4096
};

/* Left free on the disk besides what is asked for: so that logs and the services' own data go on.
 */
#define RELEASE_DIR_MARGIN_BYTES (UINT64_C(256) * 1024 * 1024)
#define RELEASE_DIR_MARGIN_FILES UINT64_C(1024)

struct release_dir {
    /* Absolute. */
    char root[PATH_MAX];
    int root_fd;
    int releases_fd;
};

struct release_list {
    /* Newest first. */
    struct release_entry entries[RELEASE_DIR_ENTRIES_MAX];
    size_t n_entries;
};

/* There is no `current`; there is no `releases`. */
#define RELEASE_DIR_NONE 1
/* More is to be done: call again. */
#define RELEASE_DIR_MORE 2

/* Opens `root`, which is absolute and must exist, and `releases` in it, which must be a directory
 * and no link. With `make` it is made (mode 0755 by the umask) and on the disk; without it
 * RELEASE_DIR_NONE when there is none. Only after 0 release_dir_close is due. */
NODISCARD int release_dir_open(
    const char *root, bool make, struct release_dir *out, struct error *error);
void release_dir_close(struct release_dir *dir);

/* `<root>/releases/<name>`, and `<root>/current`. */
NODISCARD int release_dir_path(
    const struct release_dir *dir, const char *name, char out[PATH_MAX], struct error *error);
NODISCARD int release_dir_current_path(
    const struct release_dir *dir, char out[PATH_MAX], struct error *error);
/* What `current` has to point to for `version` (a good name), relative: "releases/<version>". */
void release_dir_target(const char *version, char out[LINK_TEXT_MAX + 1]);

/* The version that is current. RELEASE_DIR_NONE: no link, out is "". -STATUS_FAILED_PRECONDITION:
 * `current` is no link, or does not lead to releases/<good name>; -STATUS_DATA_LOSS: there is no
 * directory where it leads. */
NODISCARD int release_dir_current(
    const struct release_dir *dir, char out[VERSION_TEXT_MAX + 1], struct error *error);

/* All releases and partial ones; what is no directory, or has no good name, is passed over.
 * Negative also when release_dir_current is; with no current one none is marked.
 * -STATUS_RESOURCE_EXHAUSTED: a limit above. */
NODISCARD int release_dir_list(
    const struct release_dir *dir, struct release_list *out, struct error *error);

/* Makes `<version>.partial` the release `<version>`: all of its file system is written to the disk
 * (syncfs(2), which tells of failed writes since Linux 5.8), then it is renamed, then `releases` is
 * written. 0 also when that was done before (repeatable after any end). Nothing is made current.
 * -STATUS_NOT_FOUND: neither is there; -STATUS_ALREADY_EXISTS: both are; -STATUS_INVALID_ARGUMENT:
 * no good name. */
NODISCARD int release_dir_publish(
    const struct release_dir *dir, const char *version, struct error *error);

/* Removes `version`, whole and partial, without following a link: at most *budget names are
 * touched, and it falls by those. 0: it is gone, and that is on the disk, also when there was none;
 * RELEASE_DIR_MORE: call again with a new budget. -STATUS_FAILED_PRECONDITION: it is current, or
 * what is current cannot be told. */
NODISCARD int release_dir_remove(
    const struct release_dir *dir, const char *version, uint32_t *budget, struct error *error);
/* The partial one alone. */
NODISCARD int release_dir_remove_partial(
    const struct release_dir *dir, const char *version, uint32_t *budget, struct error *error);

/* Removes what may go by release_may_go: `keep` others than the current one, and those in `named`
 * (what a journal names) stay. As release_dir_remove; with no current release nothing is removed
 * (-STATUS_FAILED_PRECONDITION). What cannot be removed does not stop the others, and is told at
 * the end. */
NODISCARD int release_dir_retain(const struct release_dir *dir, size_t keep,
    const char *const *named, size_t n_named, uint32_t *budget, struct error *error);

/* What may be used of the disk: what is free, less RELEASE_DIR_MARGIN_*. `out_files` is UINT64_MAX
 * where the file system counts none. */
NODISCARD int release_dir_space(
    const struct release_dir *dir, uint64_t *out_bytes, uint64_t *out_files, struct error *error);

/* Whether `bytes` in `files` files and directories fit, and RELEASE_DIR_MARGIN_* besides. File
 * systems that count no files are not asked for them. -STATUS_RESOURCE_EXHAUSTED: they do not; text
 * and hint have the numbers. */
NODISCARD int release_dir_check_space(
    const struct release_dir *dir, uint64_t bytes, uint64_t files, struct error *error);

#endif
