/* An archive while it is being unpacked: its entries one by one, and the bounds that they share.
 * Part of unpack.c. */
#ifndef FLOCKS_UPDATER_UNPACKING_H
#define FLOCKS_UPDATER_UNPACKING_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/updater/archive_path.h"
#include "client/updater/unpack.h"
#include "client/updater/unpack_input.h"
#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/error.h"

struct archive_entry;

enum {
    /* What is kept of a mode. */
    UNPACKING_MODE_KEPT = 0755
};

/* A symbolic link, made when everything else is there. */
struct unpacking_link {
    struct unpacking_link *next;
    const char *path;
    const char *target;
};

struct unpacking {
    const struct unpack_request *request;
    struct archive *archive;
    struct unpack_input input;
    struct error *error;
    struct unpack_progress progress;
    /* An entry was read: what cannot be read after that is damaged, and was an archive. */
    bool has_entry;
    /* Only counted: nothing is told, nothing is made. */
    bool is_measuring;
    uint64_t bytes_max;
    uint32_t entries_max;
    uint64_t step;
    int root_fd;
    /* The directory of the last entry: most have it in common with the next. -1: none. */
    int parent_fd;
    char parent[ARCHIVE_PATH_MAX + 1];
    /* First component of all entries so far; has_several: there is another. */
    char top[NAME_MAX + 1];
    bool has_several;
    bool top_is_directory;
    mode_t top_mode;
    struct arena arena;
    struct unpacking_link *links;
    struct unpacking_link **last_link;
};

/* All of them say why in work->error and answer what error_set does. */

/* `path` is not safe; it may hold anything. */
int unpacking_refuse(struct unpacking *work, const char *path, const char *why);
/* errno of making `path`: it is there already, or the system refuses. */
int unpacking_refuse_second(struct unpacking *work, const char *path);
/* errno of a system call about `path`. */
int unpacking_fail_at(struct unpacking *work, const char *path);
/* What libarchive, or reading below it, has said. */
int unpacking_damaged(struct unpacking *work);

/* 0, or cancelled. */
NODISCARD int unpacking_tell_progress(struct unpacking *work);
/* Opens the directory that `path` is in, as work->parent_fd, and makes what is missing of it;
 * *out_name is the last component. */
NODISCARD int unpacking_open_parent(
    struct unpacking *work, const char *path, const char **out_name);
/* Counts what the entry would make, and reads through its content. */
NODISCARD int unpacking_measure_entry(struct unpacking *work, struct archive_entry *entry);
/* Makes what the entry says, symbolic links apart: those are noted in work->links. */
NODISCARD int unpacking_take_entry(struct unpacking *work, struct archive_entry *entry);

#endif
