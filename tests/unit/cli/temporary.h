/* A private directory of a test, and files in it. Failures end the test program. */
#ifndef FLOCKS_TESTS_CLI_TEMPORARY_H
#define FLOCKS_TESTS_CLI_TEMPORARY_H

#include <limits.h>
#include <stddef.h>
#include <stdio.h>

struct temporary {
    char path[64];
};

void temporary_open(struct temporary *directory);
/* Removes everything. */
void temporary_close(struct temporary *directory);

/* "<directory>/<name>". Static storage of four, used in turn. */
const char *temporary_path(const struct temporary *directory, const char *name);
void temporary_append(const struct temporary *directory, const char *name, const char *text);
void temporary_rename(const struct temporary *directory, const char *from, const char *to);

/* What `print` writes to its stream, in static storage. */
const char *temporary_printed(void (*print)(FILE *stream, const void *data), const void *data);

#endif
