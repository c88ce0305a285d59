#include "log_directory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

enum { FILES_MAX = 32 };

static const char *name_of(const struct log_directory *directory, int index, char out[PATH_MAX])
{
    int len = index == 0 ? snprintf(out, PATH_MAX, "%s/a.log", directory->path)
                         : snprintf(out, PATH_MAX, "%s/a.log.%d", directory->path, index);

    assert_true(len > 0 && len < PATH_MAX);
    return out;
}

void log_directory_open(struct log_directory *directory)
{
    (void)snprintf(directory->path, sizeof directory->path, "/tmp/flocks-logs-XXXXXX");
    assert_non_null(mkdtemp(directory->path));
    (void)name_of(directory, 0, directory->log);
}

void log_directory_close(struct log_directory *directory)
{
    char name[PATH_MAX];

    for (int i = 0; i < FILES_MAX; i++)
        (void)unlink(name_of(directory, i, name));
    assert_int_equal(rmdir(directory->path), 0);
}

void log_directory_append(const struct log_directory *directory, int index, const char *text)
{
    char name[PATH_MAX];
    FILE *file = fopen(name_of(directory, index, name), "ae");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void log_directory_rename(const struct log_directory *directory, int from, int to)
{
    char old_name[PATH_MAX];
    char new_name[PATH_MAX];

    assert_int_equal(
        rename(name_of(directory, from, old_name), name_of(directory, to, new_name)), 0);
}

void log_directory_rotate(const struct log_directory *directory, int keep)
{
    char name[PATH_MAX];

    (void)unlink(name_of(directory, keep, name));
    for (int i = keep - 1; i >= 0; i--) {
        if (access(name_of(directory, i, name), F_OK) == 0)
            log_directory_rename(directory, i, i + 1);
    }
}

void log_directory_unlink(const struct log_directory *directory, int index)
{
    char name[PATH_MAX];

    assert_int_equal(unlink(name_of(directory, index, name)), 0);
}

void log_directory_truncate(const struct log_directory *directory, int index, long size)
{
    char name[PATH_MAX];

    assert_int_equal(truncate(name_of(directory, index, name), size), 0);
}

static int64_t birth_of_new_file(const struct log_directory *directory)
{
    char name[PATH_MAX];
    struct statx born;

    log_directory_append(directory, FILES_MAX - 1, "");
    (void)name_of(directory, FILES_MAX - 1, name);
    assert_int_equal(statx(AT_FDCWD, name, 0, STATX_BTIME, &born), 0);
    assert_int_equal(unlink(name), 0);
    return born.stx_btime.tv_sec * INT64_C(1000000000) + born.stx_btime.tv_nsec;
}

void log_directory_let_clock_tick(const struct log_directory *directory)
{
    int64_t before = birth_of_new_file(directory);

    while (birth_of_new_file(directory) == before)
        continue;
}
