/* The files of one log: x.log, which is written to, and x.log.1, x.log.2 ..., into which it was
 * rotated by rename. Names shift at any time, so a file is known by what it is, not by its name.
 *
 * A rotation moves files up only, by one, the oldest first: whoever looks at the names in ascending
 * order meets every file. One that was killed halfway leaves one gap. Nothing is changed here. */
#ifndef FLOCKS_LOGS_LOG_FILES_H
#define FLOCKS_LOGS_LOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Rotated files that are looked at; older ones are never read. The schema's maximum of
     * `logs.keep`. */
    LOG_FILES_ROTATED_MAX = 1000
};

/* A file, also after its inode has been used again, which is what happens at once when an old file
 * makes room for a new one: of the inode's number and generation, as name_to_handle_at(2) tells
 * them, and of its birth, which orders files. `number` 0: none. */
struct log_file_id {
    uint64_t number;
    int64_t born_at_ns; /* 0: the file system does not say */
};

struct log_file_facts {
    struct log_file_id id;
    uint64_t size;
    int64_t written_at_ns; /* wall clock */
};

bool log_file_id_is_same(struct log_file_id left, struct log_file_id right);

enum log_files_result {
    LOG_FILES_NONE = 1, /* there is no such file */
    LOG_FILES_LOST = 2  /* the file that it is about has no name any more */
};

/* Each opens a file of the log `path` for reading: 0 with *out_fd and *out; positive as above;
 * negative for what open(2) says otherwise. What is no regular file is none. */
NODISCARD int log_files_open(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error);
NODISCARD int log_files_open_newest(
    const char *path, int *out_fd, struct log_file_facts *out, struct error *error);
NODISCARD int log_files_open_oldest(
    const char *path, int *out_fd, struct log_file_facts *out, struct error *error);
/* The one that was begun after `id`. */
NODISCARD int log_files_open_newer(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error);
NODISCARD int log_files_open_older(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error);
/* `id` was deleted or rotated away: the oldest that was not begun before it. Where births are not
 * known, the newest. */
NODISCARD int log_files_open_survivor(const char *path, struct log_file_id id, int *out_fd,
    struct log_file_facts *out, struct error *error);

/* Bytes in the file `id` and in all newer ones. 0, or LOG_FILES_LOST. */
NODISCARD int log_files_size_from(const char *path, struct log_file_id id, uint64_t *out);

#endif
