/* A private directory with the files of one log, a.log, and what happens to them. Failures end the
 * test program. */
#ifndef FLOCKS_TESTS_LOGS_LOG_DIRECTORY_H
#define FLOCKS_TESTS_LOGS_LOG_DIRECTORY_H

#include <limits.h>
#include <stddef.h>

struct log_directory {
    char path[64];
    char log[PATH_MAX]; /* of a.log */
};

void log_directory_open(struct log_directory *directory);
/* Removes everything. */
void log_directory_close(struct log_directory *directory);

/* `index` 0 is a.log, 1 a.log.1 ... */
void log_directory_append(const struct log_directory *directory, int index, const char *text);
/* As capture does: every file moves up by one, those above `keep` go. */
void log_directory_rotate(const struct log_directory *directory, int keep);
void log_directory_rename(const struct log_directory *directory, int from, int to);
void log_directory_unlink(const struct log_directory *directory, int index);
void log_directory_truncate(const struct log_directory *directory, int index, long size);
/* Files that are made from now on have a later birth than those before: the file system's clock
 * ticks slowly. */
void log_directory_let_clock_tick(const struct log_directory *directory);

#endif
