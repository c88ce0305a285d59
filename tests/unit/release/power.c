#include "power.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/tree.h"

enum { NODES = 512, CHANGES = 1024, ENTRIES = 1024, BYTES = 4096, DEPTH_MAX = 16 };

enum kind { KIND_DIRECTORY, KIND_FILE, KIND_LINK };

struct content {
    char bytes[BYTES];
    size_t len;
};

/* A file, directory or link that is or was there. */
struct node {
    enum kind kind;
    /* Of the real one, as long as it is there. */
    ino_t inode;
    /* Of a file; of a link both are its target. */
    struct content live;
    struct content synced;
};

struct entry {
    int directory;
    int node;
    char name[NAME_MAX + 1];
};

/* A change of names: entry `from` goes (directory -1: none does), entry `to` comes (likewise). */
struct change {
    struct entry from;
    struct entry to;
    bool is_synced;
};

static struct {
    bool is_watching;
    char root[PATH_MAX];
    unsigned calls;
    unsigned off_at;
    unsigned fail_at;
    int fail_with;
    struct node nodes[NODES];
    int n_nodes;
    struct entry base[ENTRIES];
    int n_base;
    struct change changes[CHANGES];
    int n_changes;
} disk;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names. */
int __real_mkostemp(char *template, int flags);
ssize_t __real_write(int fd, const void *bytes, size_t len);
int __real_rename(const char *from, const char *to);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_unlink(const char *path);
int __real_unlinkat(int fd, const char *name, int flags);
int __real_symlink(const char *target, const char *path);
int __real_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkostemp(char *template, int flags);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_symlink(const char *target, const char *path);
int __wrap_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

/* ---- the model ---- */

static int add_node(enum kind kind, ino_t inode)
{
    demand(disk.n_nodes < NODES, "nodes");
    disk.nodes[disk.n_nodes] = (struct node){.kind = kind, .inode = inode};
    return disk.n_nodes++;
}

static int find_node(ino_t inode)
{
    /* The last one: numbers of what is gone are used again. */
    for (int i = disk.n_nodes - 1; i >= 0; i--) {
        if (disk.nodes[i].inode == inode)
            return i;
    }
    return -1;
}

static struct entry make_entry(int directory, const char *name, int node)
{
    struct entry entry = {.directory = directory, .node = node};
    demand(strlen(name) <= NAME_MAX, name);
    memcpy(entry.name, name, strlen(name) + 1);
    return entry;
}

static void add_content(struct content *content, const void *bytes, size_t len)
{
    demand(content->len + len <= BYTES, "bytes");
    memcpy(content->bytes + content->len, bytes, len);
    content->len += len;
}

static void read_content(int fd, const char *name, struct node *node)
{
    ssize_t len = 0;
    if (node->kind == KIND_LINK) {
        len = readlinkat(fd, name, node->live.bytes, BYTES);
    } else {
        CLEANUP(fd_close) int file = openat(fd, name, O_RDONLY | O_CLOEXEC);
        len = read(file, node->live.bytes, BYTES);
    }
    demand(len >= 0, name);
    node->live.len = (size_t)len;
    node->synced = node->live;
}

/* What is below a directory is on the disk. */
static void scan(int directory, int fd, int depth)
{
    DIR *stream = fdopendir(fd);
    const struct dirent *found = NULL;
    demand(depth < DEPTH_MAX, "scan");
    if (stream == NULL)
        abort();
    while ((found = readdir(stream)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        struct stat status;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        demand(fstatat(fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0, found->d_name);
        enum kind kind = S_ISLNK(status.st_mode) ? KIND_LINK : KIND_FILE;
        int node = add_node(S_ISDIR(status.st_mode) ? KIND_DIRECTORY : kind, status.st_ino);
        demand(disk.n_base < ENTRIES, "entries");
        disk.base[disk.n_base++] = make_entry(directory, found->d_name, node);
        if (S_ISDIR(status.st_mode))
            scan(node, tree_open_directory(fd, found->d_name), depth + 1);
        else
            read_content(fd, found->d_name, &disk.nodes[node]);
    }
    demand(closedir(stream) == 0, "closedir");
}

void power_begin(const char *root, unsigned off_at)
{
    memset(&disk, 0, sizeof disk);
    (void)snprintf(disk.root, sizeof disk.root, "%s", root);
    int fd = tree_open_directory(AT_FDCWD, root);
    struct stat status;
    demand(fd >= 0 && fstat(fd, &status) == 0, root);
    scan(add_node(KIND_DIRECTORY, status.st_ino), fd, 0);
    disk.off_at = off_at;
    disk.is_watching = true;
}

void power_begin_failing(const char *root, unsigned fail_at, int error_number)
{
    power_begin(root, 0);
    disk.fail_at = fail_at;
    disk.fail_with = error_number;
}

unsigned power_calls(void)
{
    return disk.calls;
}

void power_end(void)
{
    disk.is_watching = false;
}

/* ---- the calls ---- */

/* Whether a call is refused. */
static bool is_refused(void)
{
    if (!disk.is_watching)
        return false;
    disk.calls++;
    if (disk.off_at != 0 && disk.calls >= disk.off_at) {
        errno = EIO;
        return true;
    }
    if (disk.calls == disk.fail_at) {
        errno = disk.fail_with;
        return true;
    }
    return false;
}

/* The entry that a path is. */
static struct entry entry_at(int fd, const char *path)
{
    char parent[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    (void)snprintf(parent, sizeof parent, "%.*s", slash == NULL ? 1 : (int)(slash - path),
        slash == NULL ? "." : path);
    demand(fstatat(fd, parent, &status, 0) == 0, parent);
    int directory = find_node(status.st_ino);
    demand(directory >= 0, path);
    struct entry entry = make_entry(directory, slash == NULL ? path : slash + 1, -1);
    if (fstatat(fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
        entry.node = find_node(status.st_ino);
    return entry;
}

static struct entry no_entry(void)
{
    return (struct entry){.directory = -1, .node = -1};
}

static void add_change(struct entry from, struct entry to)
{
    demand(disk.n_changes < CHANGES, "changes");
    disk.changes[disk.n_changes++] = (struct change){.from = from, .to = to};
}

/* Something new of this path. */
static struct node *note_new(enum kind kind, int fd, const char *path)
{
    struct stat status;
    demand(fstatat(fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0, path);
    int node = add_node(kind, status.st_ino);
    struct entry entry = entry_at(fd, path);
    entry.node = node;
    add_change(no_entry(), entry);
    return &disk.nodes[node];
}

int __wrap_mkostemp(char *template, int flags)
{
    if (is_refused())
        return -1;
    int fd = __real_mkostemp(template, flags);
    if (disk.is_watching && fd >= 0)
        (void)note_new(KIND_FILE, AT_FDCWD, template);
    return fd;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    struct stat status;
    if (!disk.is_watching || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return __real_write(fd, bytes, len);
    int node = find_node(status.st_ino);
    if (is_refused())
        return -1;
    demand(node >= 0, "write");
    add_content(&disk.nodes[node].live, bytes, len);
    return __real_write(fd, bytes, len);
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (!disk.is_watching)
        return __real_renameat2(from_fd, from, to_fd, to, flags);
    if (is_refused())
        return -1;
    struct entry old = entry_at(from_fd, from);
    struct entry new = entry_at(to_fd, to);
    int result = __real_renameat2(from_fd, from, to_fd, to, flags);
    new.node = old.node;
    if (result == 0)
        add_change(old, new);
    return result;
}

int __wrap_rename(const char *from, const char *to)
{
    return __wrap_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    if (!disk.is_watching)
        return __real_unlinkat(fd, name, flags);
    if (is_refused())
        return -1;
    struct entry old = entry_at(fd, name);
    int result = __real_unlinkat(fd, name, flags);
    if (result == 0)
        add_change(old, no_entry());
    return result;
}

int __wrap_unlink(const char *path)
{
    return __wrap_unlinkat(AT_FDCWD, path, 0);
}

int __wrap_symlink(const char *target, const char *path)
{
    if (is_refused())
        return -1;
    int result = __real_symlink(target, path);
    if (disk.is_watching && result == 0) {
        /* A link has no bytes of its own to sync. */
        struct node *node = note_new(KIND_LINK, AT_FDCWD, path);
        add_content(&node->live, target, strlen(target));
        node->synced = node->live;
    }
    return result;
}

int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
    if (is_refused())
        return -1;
    int result = __real_mkdirat(fd, name, mode);
    if (disk.is_watching && result == 0)
        (void)note_new(KIND_DIRECTORY, fd, name);
    return result;
}

int __wrap_fsync(int fd)
{
    struct stat status;
    if (is_refused())
        return -1;
    demand(fstat(fd, &status) == 0, "fsync");
    int node = disk.is_watching ? find_node(status.st_ino) : -1;
    /* The real disk is not what is tested, and slow. */
    if (node < 0)
        return 0;
    disk.nodes[node].synced = disk.nodes[node].live;
    for (int i = 0; i < disk.n_changes; i++) {
        struct change *change = &disk.changes[i];
        change->is_synced =
            change->is_synced || change->from.directory == node || change->to.directory == node;
    }
    return 0;
}

int __wrap_syncfs(int fd)
{
    if (is_refused())
        return -1;
    (void)fd;
    for (int i = 0; i < disk.n_nodes; i++)
        disk.nodes[i].synced = disk.nodes[i].live;
    for (int i = 0; i < disk.n_changes; i++)
        disk.changes[i].is_synced = true;
    return 0;
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- what is left ---- */

static struct entry kept[ENTRIES];
static int n_kept;

static uint32_t random_of(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

static int find_kept(const struct entry *wanted)
{
    for (int i = 0; i < n_kept; i++) {
        if (kept[i].directory == wanted->directory && strcmp(kept[i].name, wanted->name) == 0)
            return i;
    }
    return -1;
}

static void apply(const struct change *change)
{
    int from = change->from.directory < 0 ? -1 : find_kept(&change->from);
    /* What would have to be there never came to the disk. */
    if (change->from.directory >= 0 && (from < 0 || kept[from].node != change->from.node))
        return;
    if (from >= 0)
        kept[from] = kept[--n_kept];
    if (change->to.directory < 0)
        return;
    int to = find_kept(&change->to);
    demand(to >= 0 || n_kept < ENTRIES, "entries");
    kept[to >= 0 ? to : n_kept++] = change->to;
}

/* Of a file's bytes that were not synced all, half or none. */
static const struct content *choose_content(const struct node *node, unsigned seed, uint32_t *state)
{
    static struct content torn;
    if (seed == POWER_KEEPS_NOTHING || node->kind == KIND_LINK)
        return &node->synced;
    uint32_t choice = seed == POWER_KEEPS_EVERYTHING ? 0 : random_of(state) % 3;
    if (choice < 2)
        return choice == 0 ? &node->live : &node->synced;
    torn = node->live;
    if (torn.len > node->synced.len)
        torn.len = node->synced.len + (torn.len - node->synced.len) / 2;
    return &torn;
}

static void build(int directory, const char *path, unsigned seed, uint32_t *state, int depth)
{
    demand(depth < DEPTH_MAX && mkdir(path, S_IRWXU) == 0, path);
    for (int i = 0; i < n_kept; i++) {
        char below[PATH_MAX];
        if (kept[i].directory != directory)
            continue;
        int written = snprintf(below, sizeof below, "%s/%s", path, kept[i].name);
        demand(written > 0 && (size_t)written < sizeof below, path);
        const struct node *node = &disk.nodes[kept[i].node];
        if (node->kind == KIND_DIRECTORY) {
            build(kept[i].node, below, seed, state, depth + 1);
            continue;
        }
        struct content content = *choose_content(node, seed, state);
        if (node->kind == KIND_LINK) {
            content.bytes[content.len] = '\0';
            demand(symlink(content.bytes, below) == 0, below);
            continue;
        }
        CLEANUP(fd_close) int fd = open(below, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        demand(fd >= 0 && fd_write_all(fd, content.bytes, content.len, NULL) == 0, below);
    }
}

void power_restore(unsigned seed)
{
    uint32_t state = seed;
    power_end();
    memcpy(kept, disk.base, sizeof kept);
    n_kept = disk.n_base;
    for (int i = 0; i < disk.n_changes; i++) {
        bool is_kept = seed == POWER_KEEPS_EVERYTHING ||
                       (seed != POWER_KEEPS_NOTHING && random_of(&state) % 2 == 0);
        if (disk.changes[i].is_synced || is_kept)
            apply(&disk.changes[i]);
    }
    demand(tree_remove_path(disk.root, NULL) == 0, disk.root);
    build(0, disk.root, seed, &state, 0);
}
