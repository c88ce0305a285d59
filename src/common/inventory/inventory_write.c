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

/* What is wanted of /proc/<pid>/stat. */
struct stat_line {
    char state;
    uint64_t start_ticks; /* field 22 */
    uint64_t exit_code;   /* field 52 */
};

static bool read_stat(int32_t pid, struct stat_line *out)
{
    char path[32];
    char text[STAT_TEXT_SIZE];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    read_small(path, text, sizeof text);
    /* The name, field 2, may hold anything, also blanks and brackets: the last bracket ends it. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ')
        return false;
    *out = (struct stat_line){.state = at[2]};
    at++;
    for (int field = 3; field <= 52; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return false;
        at++;
        uint64_t number = 0;
        for (const char *digit = at; *digit >= '0' && *digit <= '9'; digit++)
            number = number * 10 + (uint64_t)(*digit - '0');
        if (field == 22)
            out->start_ticks = number;
        if (field == 52)
            out->exit_code = number;
    }
    return true;
}

static bool has_ended(const struct stat_line *line)
{
    return line->state == 'Z' || line->state == 'X';
}

bool inventory_start_ticks(int32_t pid, uint64_t *out)
{
    struct stat_line line;
    if (!read_stat(pid, &line) || has_ended(&line))
        return false;
    *out = line.start_ticks;
    return true;
}

bool inventory_exit_status(int32_t pid, uint64_t start_ticks, int *out)
{
    struct stat_line line;
    if (!read_stat(pid, &line) || line.start_ticks != start_ticks || !has_ended(&line))
        return false;
    *out = (int)line.exit_code;
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

static int inventory_path(
    const char *run, const char *suffix, char out[PATH_MAX], struct error *error)
{
    int length = snprintf(out, PATH_MAX, "%s/" INVENTORY_FILE_NAME "%s", run, suffix);
    if (length < 0 || length >= PATH_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "run directory's path is too long");
    return 0;
}

/* NULL with errno. */
static struct inventory *map(int fd)
{
    void *memory = mmap(NULL, sizeof(struct inventory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* A new file of the right size, with room on the disk for all of it: written through memory, a full
 * disk would be a SIGBUS. */
static int make_file(const char *path, int *out_fd, struct inventory **out, struct error *error)
{
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, errno, "create %s", path);
    int failure = posix_fallocate(fd, 0, (off_t)sizeof(struct inventory));
    if (failure != 0) {
        (void)unlink(path);
        return error_set_errno(error, failure, "make room for %s", path);
    }
    struct inventory *inventory = map(fd);
    if (inventory == NULL)
        return error_set_errno(error, errno, "map %s", path);
    inventory->head.record_size = (uint32_t)sizeof(struct inventory_entry);
    inventory->head.n_records = INVENTORY_RECORDS;
    inventory_boot_id(inventory->head.boot_id);
    inventory->head.magic = INVENTORY_MAGIC;
    *out = inventory;
    *out_fd = fd_take(&fd);
    return 0;
}

int inventory_set_aside(const char *run, struct error *error)
{
    char path[PATH_MAX];
    int result = inventory_path(run, "", path, error);
    return result == 0 ? move_earlier(path, error) : result;
}

int inventory_create(const char *run, struct inventory **out, int *out_fd, struct error *error)
{
    char path[PATH_MAX];
    int result = inventory_path(run, "", path, error);
    if (result == 0)
        result = move_earlier(path, error);
    return result == 0 ? make_file(path, out_fd, out, error) : result;
}

enum inventory_kinship inventory_kinship(const struct inventory_head *head)
{
    char boot_id[INVENTORY_BOOT_ID_SIZE];
    if (head->magic != INVENTORY_MAGIC || head->record_size != sizeof(struct inventory_entry) ||
        head->n_records != INVENTORY_RECORDS)
        return INVENTORY_IS_FOREIGN;
    inventory_boot_id(boot_id);
    bool same_boot = memcmp(head->boot_id, boot_id, sizeof boot_id) == 0;
    return same_boot ? INVENTORY_IS_OURS : INVENTORY_OF_ANOTHER_BOOT;
}

int inventory_open(int fd, struct inventory **out, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set_errno(error, errno, "look at the inventory");
    if (status.st_size != (off_t)sizeof(struct inventory))
        return error_set(error, STATUS_DATA_LOSS, "the inventory has another size");
    struct inventory *inventory = map(fd);
    if (inventory == NULL)
        return error_set_errno(error, errno, "map the inventory");
    if (inventory_kinship(&inventory->head) != INVENTORY_IS_OURS) {
        (void)munmap(inventory, sizeof *inventory);
        return error_set(error, STATUS_DATA_LOSS, "the inventory is of another version or boot");
    }
    *out = inventory;
    return 0;
}

static void copy_all(struct inventory *to, const struct inventory *from)
{
    for (size_t i = 0; i < INVENTORY_OWNERS; i++) {
        const struct inventory_owner_entry *owner = &from->head.owners[i];
        atomic_store(&to->head.owners[i].start_ticks, atomic_load(&owner->start_ticks));
        atomic_store(&to->head.owners[i].pid, atomic_load(&owner->pid));
    }
    for (size_t i = 0; i < INVENTORY_RECORDS; i++) {
        const struct inventory_entry *entry = &from->entries[i];
        if (atomic_load(&entry->in_use) == 0)
            continue;
        inventory_put(to, i, &entry->record);
        to->entries[i].wait_status = entry->wait_status;
        atomic_store(&to->entries[i].progress, atomic_load(&entry->progress));
    }
}

int inventory_restore(const char *run, struct inventory **inventory, int *fd, struct error *error)
{
    char path[PATH_MAX];
    char new_path[PATH_MAX];
    struct stat named;
    struct stat held;
    int result = inventory_path(run, "", path, error);
    if (result == 0)
        result = inventory_path(run, "-new", new_path, error);
    if (result != 0)
        return result;
    if (stat(path, &named) == 0 && fstat(*fd, &held) == 0 && named.st_ino == held.st_ino &&
        named.st_dev == held.st_dev)
        return 0;
    struct inventory *copy = NULL;
    CLEANUP(fd_close) int copy_fd = -1;
    (void)unlink(new_path);
    result = make_file(new_path, &copy_fd, &copy, error);
    if (result != 0 || copy == NULL)
        return result;
    copy_all(copy, *inventory);
    if (rename(new_path, path) != 0) {
        result = error_set_errno(error, errno, "name %s", path);
        (void)munmap(copy, sizeof *copy);
        return result;
    }
    (void)munmap(*inventory, sizeof **inventory);
    fd_close(fd);
    *inventory = copy;
    *fd = fd_take(&copy_fd);
    return 0;
}

void inventory_put(struct inventory *inventory, size_t index, const struct inventory_record *record)
{
    struct inventory_entry *entry = &inventory->entries[index];
    atomic_store(&entry->in_use, 0);
    entry->record = *record;
    atomic_store(&entry->progress, INVENTORY_RUNS);
    atomic_store(&entry->in_use, 1);
}

void inventory_clear(struct inventory *inventory, size_t index)
{
    atomic_store(&inventory->entries[index].in_use, 0);
}

void inventory_walked(struct inventory *inventory)
{
    /* Of a shared mapping of a file: nothing written is lost (madvise(2)). */
    (void)madvise(inventory, sizeof *inventory, MADV_DONTNEED);
}

void inventory_clear_slot(struct inventory *inventory, uint32_t slot)
{
    for (size_t i = 0; i < INVENTORY_RECORDS; i++)
        if (atomic_load(&inventory->entries[i].in_use) != 0 &&
            inventory->entries[i].record.slot == slot)
            inventory_clear(inventory, i);
    inventory_walked(inventory);
}

void inventory_note_exit(struct inventory *inventory, size_t index, int wait_status)
{
    inventory->entries[index].wait_status = wait_status;
    atomic_store(&inventory->entries[index].progress, INVENTORY_EXITED);
}

void inventory_note_acknowledged(struct inventory *inventory, size_t index)
{
    atomic_store(&inventory->entries[index].progress, INVENTORY_ACKNOWLEDGED);
}

bool inventory_get(const struct inventory *inventory, size_t index, struct inventory_record *out,
    enum inventory_progress *out_progress, int *out_wait_status)
{
    const struct inventory_entry *entry = &inventory->entries[index];
    if (atomic_load(&entry->in_use) == 0)
        return false;
    *out = entry->record;
    *out_progress = (enum inventory_progress)atomic_load(&entry->progress);
    *out_wait_status = entry->wait_status;
    return true;
}

void inventory_set_owner(struct inventory *inventory, enum inventory_owner owner, int32_t pid)
{
    struct inventory_owner_entry *entry = &inventory->head.owners[owner];
    uint64_t ticks = 0;
    atomic_store(&entry->pid, 0);
    if (pid <= 0 || !inventory_start_ticks(pid, &ticks))
        return;
    atomic_store(&entry->start_ticks, ticks);
    atomic_store(&entry->pid, pid);
}

static bool read_head(const char *run, struct inventory_head *out)
{
    char path[PATH_MAX];
    if (inventory_path(run, "", path, NULL) != 0)
        return false;
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && read(fd, out, sizeof *out) == (ssize_t)sizeof *out &&
           inventory_kinship(out) == INVENTORY_IS_OURS;
}

void inventory_read_owners(
    const char *run, int32_t out_pids[INVENTORY_OWNERS], uint64_t out_ticks[INVENTORY_OWNERS])
{
    struct inventory_head head;
    bool is_read = read_head(run, &head);
    for (size_t i = 0; i < INVENTORY_OWNERS; i++) {
        uint64_t ticks = 0;
        int32_t pid = is_read ? atomic_load(&head.owners[i].pid) : 0;
        out_ticks[i] = is_read ? atomic_load(&head.owners[i].start_ticks) : 0;
        bool runs = pid > 0 && inventory_start_ticks(pid, &ticks) && ticks == out_ticks[i];
        out_pids[i] = runs ? pid : 0;
    }
}

void inventory_remove(const char *run)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" INVENTORY_FILE_NAME, run);
    (void)unlink(path);
}
