/* The readers' part. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/inventory/layout.h"

#define EARLIER_PREFIX INVENTORY_FILE_NAME "."

struct reading {
    enum inventory_scope scope;
    struct inventory_record *records;
    size_t capacity;
    size_t count;
};

static bool is_earlier(const char *name)
{
    return strncmp(name, EARLIER_PREFIX, sizeof EARLIER_PREFIX - 1) == 0;
}

static void take_record(struct reading *reading, const struct inventory_record *record)
{
    uint64_t ticks = 0;
    bool runs = inventory_start_ticks(record->pid, &ticks) && ticks == record->start_ticks;
    if (!runs && reading->scope == INVENTORY_ALL)
        return;
    if (reading->count < reading->capacity) {
        struct inventory_record *out = &reading->records[reading->count];
        *out = *record;
        out->name[INVENTORY_NAME_SIZE - 1] = '\0';
        if (!runs)
            out->pid = 0;
    }
    reading->count++;
}

static int read_file(struct reading *reading, const char *path, struct error *error)
{
    CLEANUP(free_text) char *bytes = NULL;
    size_t length = 0;
    int result = fd_read_file(path, sizeof(struct inventory), &bytes, &length, error);
    if (result == -STATUS_NOT_FOUND)
        return 0;
    if (result != 0)
        return result;
    /* Memory of malloc is aligned for it. */
    const struct inventory *inventory = (const void *)bytes;
    enum inventory_kinship kinship =
        length == sizeof *inventory ? inventory_kinship(&inventory->head) : INVENTORY_IS_FOREIGN;
    if (kinship == INVENTORY_IS_FOREIGN)
        return error_set(
            error, STATUS_DATA_LOSS, "not an inventory that this version knows: %s", path);
    if (kinship == INVENTORY_OF_ANOTHER_BOOT)
        return 0;
    for (size_t i = 0; i < INVENTORY_RECORDS; i++)
        if (inventory->entries[i].in_use != 0)
            take_record(reading, &inventory->entries[i].record);
    return 0;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

int inventory_read(const char *run, enum inventory_scope scope, struct inventory_record *out,
    size_t capacity, size_t *out_count, struct error *error)
{
    struct reading reading = {.scope = scope, .records = out, .capacity = capacity};
    *out_count = 0;
    CLEANUP(close_directory) DIR *directory = opendir(run);
    if (directory == NULL && errno == ENOENT)
        return 0;
    if (directory == NULL)
        return error_set_errno(error, errno, "list %s", run);
    int result = 0;
    size_t n_files = 0;
    const struct dirent *found;
    /* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((found = readdir(directory)) != NULL && n_files < INVENTORY_FILES_MAX) {
        bool is_last = strcmp(found->d_name, INVENTORY_FILE_NAME) == 0;
        if (!is_earlier(found->d_name) && !(is_last && scope == INVENTORY_ALL))
            continue;
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", run, found->d_name);
        int file_result = read_file(&reading, path, error);
        if (file_result != 0)
            result = file_result;
        n_files++;
    }
    *out_count = reading.count;
    return result;
}

bool inventory_is_left(const char *run)
{
    bool is_left = false;
    CLEANUP(close_directory) DIR *directory = opendir(run);
    if (directory == NULL)
        return false;
    const struct dirent *found;
    /* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while (!is_left && (found = readdir(directory)) != NULL)
        is_left = is_earlier(found->d_name) || strcmp(found->d_name, INVENTORY_FILE_NAME) == 0;
    return is_left;
}

void inventory_forget_earlier(const char *run)
{
    CLEANUP(close_directory) DIR *directory = opendir(run);
    if (directory == NULL)
        return;
    const struct dirent *found;
    /* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((found = readdir(directory)) != NULL)
        if (is_earlier(found->d_name))
            (void)unlinkat(dirfd(directory), found->d_name, 0);
}
