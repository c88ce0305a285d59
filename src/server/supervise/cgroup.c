#include "server/supervise/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "server/supervise/proc_file.h"

enum {
    FILE_MAX = 64 * 1024,
    PATH_SIZE = CGROUP_NAME_MAX + 32,
    /* The period that cpu.max is given, in microseconds; the kernel's default. */
    CPU_PERIOD_US = 100 * 1000
};

static const struct {
    enum cgroup_controller controller;
    const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_CPU, "cpu"}, {CGROUP_PIDS, "pids"}};

/* ---- small files ---- */

/* The first FILE_MAX bytes, NUL-terminated; NULL: it cannot be read. */
static char *read_text(int directory_fd, const char *path)
{
    CLEANUP(fd_close) int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? malloc(FILE_MAX + 1) : NULL;
    size_t len = 0;
    ssize_t got = 1;

    while (text != NULL && len < FILE_MAX && got > 0) {
        got = read(fd, text + len, FILE_MAX - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (text != NULL)
        text[len] = '\0';
    return text;
}

static bool write_text(int directory_fd, const char *path, const char *text)
{
    CLEANUP(fd_close) int fd = openat(directory_fd, path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool path_of(char out[PATH_SIZE], const char *name, const char *file)
{
    return snprintf(out, PATH_SIZE, "%s/%s", name, file) < PATH_SIZE;
}

uint64_t cgroup_number_of(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        if (strncmp(at, name, len) == 0 && at[len] == ' ')
            return strtoull(at + len + 1, NULL, 10);
    }
    return 0;
}

static uint64_t number_in(int home_fd, const char *name, const char *file, const char *what)
{
    char path[PATH_SIZE];
    CLEANUP(free_text) char *text = path_of(path, name, file) ? read_text(home_fd, path) : NULL;

    return text != NULL ? cgroup_number_of(text, what) : 0;
}

uint64_t machine_oom_kills(void)
{
    CLEANUP(free_text) char *text = read_text(AT_FDCWD, "/proc/vmstat");

    return text != NULL ? cgroup_number_of(text, "oom_kill") : 0;
}

/* ---- finding it ---- */

bool cgroup_own_path(const char *text, char out[PATH_MAX])
{
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        size_t len = strcspn(at, "\n");

        if (strncmp(at, "0::/", 4) == 0 && len - 3 < PATH_MAX) {
            memcpy(out, at + 3, len - 3);
            out[len - 3] = '\0';
            return true;
        }
        if (at[len] == '\0')
            break;
    }
    return false;
}

/* Fields of one line of mountinfo (proc(5)): root and mount point of a cgroup2. */
static bool parse_mount(const char *line, char root[PATH_MAX], char mount[PATH_MAX])
{
    const char *type = strstr(line, " - ");
    const char *end = line + strcspn(line, "\n");

    if (type == NULL || type > end || strncmp(type, " - cgroup2 ", 11) != 0)
        return false;
    _Static_assert(PATH_MAX == 4096, "the widths below");
    return sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) == 2;
}

bool cgroup_directory(const char *mountinfo, const char *own_path, char out[PATH_MAX])
{
    static const char parent[] = "/..";
    char root[PATH_MAX];
    char mount[PATH_MAX];

    /* Outside of our own namespace's part. */
    if (strncmp(own_path, parent, sizeof parent - 1) == 0)
        return false;
    for (const char *line = mountinfo; *line != '\0';) {
        size_t len;

        if (parse_mount(line, root, mount)) {
            len = strcmp(root, "/") == 0 ? 0 : strlen(root);
            if (strncmp(own_path, root, len) == 0 &&
                (own_path[len] == '/' || own_path[len] == '\0'))
                return snprintf(out, PATH_MAX, "%s%s", mount, own_path + len) < PATH_MAX;
        }
        line += strcspn(line, "\n");
        line += *line == '\n' ? 1 : 0;
    }
    return false;
}

void cgroup_instance_name(const char *root, char out[CGROUP_NAME_MAX])
{
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a */

    for (const char *at = root; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * UINT32_C(16777619);
    (void)snprintf(out, CGROUP_NAME_MAX, "flocks-%08" PRIx32, hash);
}

static bool says_delegated(const char *directory)
{
    static const char *const attributes[] = {"user.delegate", "trusted.delegate"};
    char value[2] = "";

    for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++) {
        if (getxattr(directory, attributes[i], value, sizeof value) == 1 && value[0] == '1')
            return true;
    }
    return false;
}

static bool is_delegated(const char *directory)
{
    struct stat status;

    return access(directory, W_OK) == 0 &&
           (says_delegated(directory) || stat("/run/systemd/system", &status) != 0);
}

/* The group itself, or the one above it: systemd may put a unit's processes into a group of their
 * own below the one it delegates (DelegateSubgroup=). */
static bool find_delegated(char directory[PATH_MAX])
{
    char parent[PATH_MAX];
    char *slash;

    if (is_delegated(directory))
        return true;
    (void)snprintf(parent, sizeof parent, "%s", directory);
    slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent)
        return false;
    *slash = '\0';
    if (!says_delegated(parent) || access(parent, W_OK) != 0)
        return false;
    (void)snprintf(directory, PATH_MAX, "%s", parent);
    return true;
}

/* ---- the instance's directory ---- */

static unsigned available(int directory_fd, const char *file)
{
    CLEANUP(free_text) char *text = read_text(directory_fd, file);
    unsigned found = 0;

    for (char *rest = text, *word = NULL; text != NULL;) {
        char *context = NULL;

        word = strtok_r(rest, " \n", &context);
        if (word == NULL)
            break;
        rest = context;
        for (size_t i = 0; i < ARRAY_LENGTH(controllers); i++) {
            if (strcmp(word, controllers[i].name) == 0)
                found |= (unsigned)controllers[i].controller;
        }
    }
    return found;
}

/* The keeper, or what descends from it. */
static bool is_ours(pid_t pid)
{
    enum { LEVELS_MAX = 16 };
    struct proc_stat stat = {.parent = pid};

    for (int level = 0; level < LEVELS_MAX && stat.parent > 0; level++) {
        if (stat.parent == getppid())
            return true;
        if (proc_stat_read(stat.parent, &stat) != 0)
            return false;
    }
    return false;
}

static bool are_all_ours(const char *text)
{
    for (const char *at = text; *at != '\0';) {
        char *end = NULL;
        long pid = strtol(at, &end, 10);

        if (end == at || !is_ours((pid_t)pid))
            return false;
        at = end + (*end == '\n' ? 1 : 0);
    }
    return true;
}

/* Into a group of their own, next to the services': a group that hands controllers down may hold no
 * process itself. Where others are in it, too, it is not ours to empty. */
static void move_processes(int directory_fd, const char *instance)
{
    char leaf[PATH_SIZE];
    char path[PATH_SIZE + 16];
    CLEANUP(free_text) char *text = read_text(directory_fd, "cgroup.procs");

    (void)snprintf(leaf, sizeof leaf, "%s/daemon", instance);
    if (text == NULL || !are_all_ours(text) ||
        (mkdirat(directory_fd, leaf, 0755) != 0 && errno != EEXIST))
        return;
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", leaf);
    for (char *at = text; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        bool is_last = at[len] == '\0';

        at[len] = '\0';
        (void)write_text(directory_fd, path, at);
        at += is_last ? len : len + 1;
    }
}

static void hand_down(int directory_fd, unsigned wanted)
{
    for (size_t i = 0; i < ARRAY_LENGTH(controllers); i++) {
        char text[16];

        (void)snprintf(text, sizeof text, "+%s", controllers[i].name);
        if ((wanted & (unsigned)controllers[i].controller) != 0)
            (void)write_text(directory_fd, "cgroup.subtree_control", text);
    }
}

void cgroup_home_open_in(const char *directory, const char *root, struct cgroup_home *out)
{
    char instance[CGROUP_NAME_MAX];
    CLEANUP(fd_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned wanted;

    *out = (struct cgroup_home){.fd = -1};
    cgroup_instance_name(root, instance);
    if (fd < 0 || (mkdirat(fd, instance, 0755) != 0 && errno != EEXIST)) {
        (void)snprintf(
            out->why, sizeof out->why, "no group can be made: %s", error_errno_name(errno));
        return;
    }
    wanted = available(fd, "cgroup.controllers");
    hand_down(fd, wanted);
    if ((wanted & ~available(fd, "cgroup.subtree_control")) != 0) {
        move_processes(fd, instance);
        hand_down(fd, wanted);
    }
    out->fd = openat(fd, instance, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0) {
        (void)snprintf(
            out->why, sizeof out->why, "its group cannot be opened: %s", error_errno_name(errno));
        return;
    }
    hand_down(out->fd, available(out->fd, "cgroup.controllers"));
    out->controllers = available(out->fd, "cgroup.subtree_control");
    (void)snprintf(out->path, sizeof out->path, "%.3900s/%s", directory, instance);
}

void cgroup_home_open(const char *root, struct cgroup_home *out)
{
    char own_path[PATH_MAX];
    char directory[PATH_MAX];
    /* Called before there is a second thread that could change it. */
    const char *wish = getenv("FLOCKS_CGROUP"); /* NOLINT(concurrency-mt-unsafe) */
    CLEANUP(free_text) char *text = read_text(AT_FDCWD, "/proc/self/cgroup");
    CLEANUP(free_text) char *mounts = read_text(AT_FDCWD, "/proc/self/mountinfo");

    *out = (struct cgroup_home){.fd = -1};
    if (wish != NULL && strcmp(wish, "off") == 0)
        (void)snprintf(out->why, sizeof out->why, "FLOCKS_CGROUP is off");
    else if (text == NULL || mounts == NULL || !cgroup_own_path(text, own_path) ||
             !cgroup_directory(mounts, own_path, directory))
        (void)snprintf(out->why, sizeof out->why, "no cgroup2 is mounted");
    else if (!find_delegated(directory))
        (void)snprintf(out->why, sizeof out->why, "the daemon's group is not delegated to it");
    else
        cgroup_home_open_in(directory, root, out);
}

/* Removes every group in it that nothing lives in, after killing what does if `kills`. */
static void clear(const struct cgroup_home *home, bool kills)
{
    DIR *directory;
    int fd = home->fd >= 0 ? openat(home->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    directory = fdopendir(fd);
    if (directory == NULL) {
        fd_close(&fd);
        return;
    }
    for (;;) {
        const struct dirent *entry = readdir(directory); /* NOLINT(concurrency-mt-unsafe) */

        if (entry == NULL)
            break;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
            strlen(entry->d_name) >= CGROUP_NAME_MAX || strcmp(entry->d_name, "daemon") == 0)
            continue;
        if (kills)
            (void)cgroup_kill(home->fd, entry->d_name);
        cgroup_remove(home->fd, entry->d_name);
    }
    (void)closedir(directory);
}

void cgroup_home_close(struct cgroup_home *home)
{
    /* The removal of the last runs' groups may not have come to its turn. */
    clear(home, false);
    if (home->fd >= 0 && home->path[0] != '\0')
        (void)rmdir(home->path);
    fd_close(&home->fd);
}

void cgroup_home_clear(const struct cgroup_home *home)
{
    clear(home, true);
}

/* ---- one run's group ---- */

void cgroup_name(const char *service, uint32_t run, char out[CGROUP_NAME_MAX])
{
    (void)snprintf(out, CGROUP_NAME_MAX, "%.63s-%u", service, (unsigned)run);
}

static bool set_number(int fd, const char *file, uint64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return write_text(fd, file, text);
}

static bool set_cpu(int fd, uint32_t percent)
{
    char text[48];

    (void)snprintf(text, sizeof text, "%llu %d",
        (unsigned long long)percent * (CPU_PERIOD_US / 100), (int)CPU_PERIOD_US);
    return write_text(fd, "cpu.max", text);
}

/* Controllers of those limits that could not be set. */
static unsigned set_limits(int fd, const struct cgroup_limits *limits)
{
    unsigned missing = 0;

    if (limits == NULL)
        return 0;
    if (limits->memory > 0 && !set_number(fd, "memory.max", limits->memory))
        missing |= CGROUP_MEMORY;
    if (limits->cpu_percent > 0 && !set_cpu(fd, limits->cpu_percent))
        missing |= CGROUP_CPU;
    if (limits->pids > 0 && !set_number(fd, "pids.max", limits->pids))
        missing |= CGROUP_PIDS;
    return missing;
}

static unsigned configured(const struct cgroup_limits *limits)
{
    if (limits == NULL)
        return 0;
    return (limits->memory > 0 ? (unsigned)CGROUP_MEMORY : 0) |
           (limits->cpu_percent > 0 ? (unsigned)CGROUP_CPU : 0) |
           (limits->pids > 0 ? (unsigned)CGROUP_PIDS : 0);
}

int cgroup_make(const struct cgroup_home *home, const char *name,
    const struct cgroup_limits *limits, int *out_fd, unsigned *out_missing, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;

    *out_fd = -1;
    *out_missing = configured(limits);
    if (home->fd < 0)
        return 1;
    if (mkdirat(home->fd, name, 0755) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "make the control group %s", name);
    fd = openat(home->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "open the control group %s", name);
    *out_missing = set_limits(fd, limits);
    *out_fd = fd_take(&fd);
    return 0;
}

void cgroup_controllers_text(unsigned wanted, char *out, size_t out_size)
{
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(controllers) && length < out_size; i++) {
        if ((wanted & (unsigned)controllers[i].controller) == 0)
            continue;
        int added = snprintf(
            out + length, out_size - length, "%s%s", length > 0 ? ", " : "", controllers[i].name);

        length += added > 0 ? (size_t)added : 0;
    }
}

bool cgroup_exists(int home_fd, const char *name)
{
    return home_fd >= 0 && faccessat(home_fd, name, F_OK, 0) == 0;
}

bool cgroup_is_populated(int home_fd, const char *name)
{
    return number_in(home_fd, name, "cgroup.events", "populated") != 0;
}

uint64_t cgroup_oom_kills(int home_fd, const char *name)
{
    return number_in(home_fd, name, "memory.events", "oom_kill");
}

bool cgroup_kill(int home_fd, const char *name)
{
    char path[PATH_SIZE];

    return path_of(path, name, "cgroup.kill") && write_text(home_fd, path, "1");
}

/* Every group below `fd` and that one itself, the deepest first. */
static void visit(
    int fd, int depth, void (*visitor)(int fd, const char *child, void *data), void *data)
{
    int listed = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = listed >= 0 ? fdopendir(listed) : NULL;

    if (directory == NULL) {
        fd_close(&listed);
        return;
    }
    for (;;) {
        const struct dirent *entry = readdir(directory); /* NOLINT(concurrency-mt-unsafe) */

        if (entry == NULL)
            break;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        CLEANUP(fd_close)
        int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (child >= 0 && depth < CGROUP_DEPTH_MAX)
            visit(child, depth + 1, visitor, data);
        visitor(fd, entry->d_name, data);
    }
    (void)closedir(directory);
}

struct member_list {
    pid_t *pids;
    size_t n;
    size_t capacity;
};

static void list_members(struct member_list *list, int fd)
{
    CLEANUP(free_text) char *text = read_text(fd, "cgroup.procs");

    for (char *at = text; at != NULL && *at != '\0' && list->n < list->capacity;) {
        char *end = NULL;
        long pid = strtol(at, &end, 10);

        if (end == at)
            break;
        if (pid > 0)
            list->pids[list->n++] = (pid_t)pid;
        at = end + (*end == '\n' ? 1 : 0);
    }
}

static void visit_members(int fd, const char *child, void *data)
{
    CLEANUP(fd_close) int child_fd = openat(fd, child, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (child_fd >= 0)
        list_members(data, child_fd);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written through the list. */
size_t cgroup_members(int home_fd, const char *name, pid_t *out, size_t capacity)
{
    struct member_list list = {.pids = out, .capacity = capacity};
    CLEANUP(fd_close) int fd = openat(home_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    list_members(&list, fd);
    visit(fd, 0, visit_members, &list);
    return list.n;
}

static void visit_removing(int fd, const char *child, void *data)
{
    (void)data;
    (void)unlinkat(fd, child, AT_REMOVEDIR);
}

void cgroup_remove(int home_fd, const char *name)
{
    CLEANUP(fd_close) int fd = -1;

    if (unlinkat(home_fd, name, AT_REMOVEDIR) == 0)
        return;
    fd = openat(home_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        visit(fd, 0, visit_removing, NULL);
    (void)unlinkat(home_fd, name, AT_REMOVEDIR);
}
