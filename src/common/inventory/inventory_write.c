/* The keeper's part: no heap. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/inventory/layout.h"

enum { STAT_TEXT_SIZE = 1024 };

/* What a small file of /proc holds, NUL-terminated; "" where it cannot be read. */
static void read_small(const char *path, char *out, size_t size)
{
    out[0] = '\0';
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
}

void inventory_boot_id(char out[INVENTORY_BOOT_ID_SIZE])
{
    memset(out, 0, INVENTORY_BOOT_ID_SIZE);
    read_small("/proc/sys/kernel/random/boot_id", out, INVENTORY_BOOT_ID_SIZE);
}

bool inventory_start_ticks(int32_t pid, uint64_t *out)
{
    char path[32];
    char text[STAT_TEXT_SIZE];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_small(path, text, sizeof text);
    /* The name, field 2, may hold anything, also blanks and brackets: the last bracket ends it. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return false;
    at++;
    for (int field = 3; field <= 22; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
    }
    uint64_t ticks = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        ticks = ticks * 10 + (uint64_t)(*at - '0');
    *out = ticks;
    return true;
}

/* An inventory that a keeper did not remove may name children that still run. */
static int move_earlier(const char *path, struct error *error)
{
    char moved[PATH_MAX];
    int length = snprintf(moved, sizeof moved, "%s.%lld", path, (long long)clock_wall_ns());
    if (length < 0 || (size_t)length >= sizeof moved)
        return error_set(error, STATUS_INVALID_ARGUMENT, "inventory path is too long: %s", path);
    if (rename(path, moved) != 0 && errno != ENOENT)
        return error_set_errno(error, errno, "move %s aside", path);
    return 0;
}

int inventory_create(const char *run, struct inventory **out, struct error *error)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/" INVENTORY_FILE_NAME, run);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(error, STATUS_INVALID_ARGUMENT, "run directory's path is too long");
    int result = move_earlier(path, error);
    if (result != 0)
        return result;
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof(struct inventory)) != 0)
        return error_set_errno(error, errno, "create %s", path);
    struct inventory *inventory =
        mmap(NULL, sizeof *inventory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (inventory == MAP_FAILED)
        return error_set_errno(error, errno, "map %s", path);
    inventory->record_size = (uint32_t)sizeof(struct inventory_entry);
    inventory->n_records = INVENTORY_RECORDS;
    inventory_boot_id(inventory->boot_id);
    inventory->magic = INVENTORY_MAGIC;
    *out = inventory;
    return 0;
}

void inventory_put(struct inventory *inventory, size_t index, const struct inventory_record *record)
{
    struct inventory_entry *entry = &inventory->entries[index];
    atomic_store(&entry->in_use, 0);
    entry->record = *record;
    atomic_store(&entry->in_use, 1);
}

void inventory_clear(struct inventory *inventory, size_t index)
{
    atomic_store(&inventory->entries[index].in_use, 0);
}

void inventory_remove(const char *run)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" INVENTORY_FILE_NAME, run);
    (void)unlink(path);
}
