/* Reads of /proc/<pid>; see the header. Must never allocate: the restart path comes through here.
 */
#include "server/supervise/proc_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* "/proc/<pid>/environ", "/proc/<pid>/fd/<number>". */
    PATH_SIZE = 64,
    /* stat is at most ~350 bytes, limits ~1,400. */
    SMALL_FILE_SIZE = 4096
};

static int condition_from_errno(int error_number)
{
    if (error_number == ENOENT || error_number == ESRCH)
        return PROC_GONE;
    return error_number == EACCES || error_number == EPERM ? PROC_HIDDEN : PROC_UNREAD;
}

/* Opens /proc/<pid>/<name>: a descriptor, or -1 with errno. */
static int open_of(pid_t pid, const char *name)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The first SMALL_FILE_SIZE - 1 bytes, NUL-terminated. 0 or any condition. */
static int read_small(pid_t pid, const char *name, char out[SMALL_FILE_SIZE])
{
    CLEANUP(fd_close) int fd = open_of(pid, name);
    if (fd < 0)
        return condition_from_errno(errno);
    ssize_t len = read(fd, out, SMALL_FILE_SIZE - 1);
    if (len <= 0)
        return len < 0 ? condition_from_errno(errno) : PROC_GONE;
    out[len] = '\0';
    return 0;
}

/* A number of stat's space-separated list; *text moves behind it. */
static bool take_number(const char **text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    /* Negative ones (tty, priority) wrap and are of no interest. */
    *out = strtoull(*text, &end, 10);
    if (end == *text || errno != 0)
        return false;
    *text = end;
    return true;
}

bool proc_stat_parse(const char *text, struct proc_stat *out)
{
    /* The name may contain spaces and parentheses: fields are counted from the last one. */
    const char *name = strchr(text, '(');
    const char *end = strrchr(text, ')');
    if (name == NULL || end == NULL || end < name || end[1] != ' ' || end[2] == '\0')
        return false;
    size_t name_len = (size_t)(end - name) - 1;
    if (name_len > PROC_COMM_MAX - 1)
        name_len = PROC_COMM_MAX - 1;
    memcpy(out->comm, name + 1, name_len);
    out->comm[name_len] = '\0';

    enum {
        FIELD_PPID = 4,
        FIELD_PGRP = 5,
        FIELD_SESSION = 6,
        FIELD_THREADS = 20,
        FIELD_START = 22
    };
    char state = end[2];
    uint64_t fields[FIELD_START + 1] = {0};
    const char *rest = end + 3;
    for (int field = FIELD_PPID; field <= FIELD_START; field++) {
        if (!take_number(&rest, &fields[field]))
            return false;
    }
    out->parent = (pid_t)fields[FIELD_PPID];
    out->group = (pid_t)fields[FIELD_PGRP];
    out->session = (pid_t)fields[FIELD_SESSION];
    out->start_ticks = fields[FIELD_START];
    /* A main thread that has exited is shown as a zombie while other threads go on. */
    out->is_dead = state == 'X' || (state == 'Z' && fields[FIELD_THREADS] <= 1);
    return true;
}

int proc_stat_read(pid_t pid, struct proc_stat *out)
{
    char text[SMALL_FILE_SIZE];
    int result = read_small(pid, "stat", text);
    if (result != 0)
        return result == PROC_UNREAD ? PROC_UNREAD : PROC_GONE;
    return proc_stat_parse(text, out) ? 0 : PROC_GONE;
}

static bool take_limit(const char **text, uint64_t *out)
{
    static const char unlimited[] = "unlimited";
    while (**text == ' ')
        (*text)++;
    if (strncmp(*text, unlimited, sizeof unlimited - 1) == 0) {
        *text += sizeof unlimited - 1;
        *out = UINT64_MAX;
        return true;
    }
    return isdigit((unsigned char)**text) && take_number(text, out);
}

bool proc_rttime_parse(const char *text, uint64_t *out_soft, uint64_t *out_hard)
{
    static const char label[] = "Max realtime timeout";
    const char *line = strstr(text, label);
    if (line == NULL)
        return false;
    line += sizeof label - 1;
    return take_limit(&line, out_soft) && take_limit(&line, out_hard);
}

int proc_rttime_read(pid_t pid, uint64_t *out_soft, uint64_t *out_hard)
{
    char text[SMALL_FILE_SIZE];
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_RTTIME, NULL, &limit) == 0) {
        *out_soft = limit.rlim_cur;
        *out_hard = limit.rlim_max;
        return 0;
    }
    if (errno == ESRCH)
        return PROC_GONE;
    int result = read_small(pid, "limits", text);
    if (result != 0)
        return result;
    return proc_rttime_parse(text, out_soft, out_hard) ? 0 : PROC_HIDDEN;
}

/* Finds "<name>=<value>" among NUL-terminated entries that come in pieces. */
struct environ_search {
    const char *name;
    size_t name_len;
    /* Bytes of the present entry that agree with the name and its '='; SIZE_MAX: it is another
       variable. */
    size_t matched;
    size_t value_len;
    bool is_found;
    char *value;
    size_t value_size;
};

static bool agrees(const struct environ_search *search, char byte)
{
    return byte == (search->matched < search->name_len ? search->name[search->matched] : '=');
}

static void environ_search_byte(struct environ_search *search, char byte)
{
    const size_t prefix_len = search->name_len + 1;
    if (byte == '\0') {
        search->is_found = search->matched == prefix_len && search->value_len < search->value_size;
        if (search->is_found)
            search->value[search->value_len] = '\0';
        search->matched = 0;
        search->value_len = 0;
    } else if (search->matched < prefix_len) {
        search->matched = agrees(search, byte) ? search->matched + 1 : SIZE_MAX;
    } else if (search->matched == prefix_len) {
        if (search->value_len < search->value_size)
            search->value[search->value_len] = byte;
        search->value_len++;
    }
}

int proc_variable_read(pid_t pid, const char *name, char *out, size_t out_size)
{
    out[0] = '\0';
    CLEANUP(fd_close) int fd = open_of(pid, "environ");
    if (fd < 0)
        return condition_from_errno(errno);
    struct environ_search search = {
        .name = name, .name_len = strlen(name), .value = out, .value_size = out_size};
    char piece[SMALL_FILE_SIZE];
    for (size_t total = 0; total < PROC_ENVIRON_MAX;) {
        ssize_t len = read(fd, piece, sizeof piece);
        if (len < 0)
            return condition_from_errno(errno);
        if (len == 0)
            break;
        total += (size_t)len;
        for (ssize_t i = 0; i < len; i++) {
            environ_search_byte(&search, piece[i]);
            if (search.is_found)
                return 0;
        }
    }
    out[0] = '\0';
    return 0;
}

int proc_invocation_read(pid_t pid, char out[PROCESS_INVOCATION_LENGTH + 1])
{
    int result =
        proc_variable_read(pid, "FLOCKS_INVOCATION_ID", out, PROCESS_INVOCATION_LENGTH + 1);
    if (strlen(out) != PROCESS_INVOCATION_LENGTH)
        out[0] = '\0';
    return result;
}

int proc_children_read(pid_t pid, pid_t *out, size_t capacity, size_t *out_count)
{
    char name[PATH_SIZE];
    char text[SMALL_FILE_SIZE];
    *out_count = 0;
    (void)snprintf(name, sizeof name, "task/%d/children", (int)pid);
    int result = read_small(pid, name, text);
    if (result != 0)
        return result;
    const char *rest = text;
    uint64_t child = 0;
    /* Each is followed by a space: one that is not was cut. */
    while (*out_count < capacity && take_number(&rest, &child) && *rest == ' ')
        out[(*out_count)++] = (pid_t)child;
    return 0;
}

pid_t proc_last_pid(void)
{
    char text[128];
    int last = 0;
    CLEANUP(fd_close) int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (len <= 0)
        return 0;
    text[len] = '\0';
    /* "0.20 0.18 0.12 1/80 11206" (proc(5)) */
    const char *number = strrchr(text, ' ');
    if (number == NULL)
        return 0;
    for (number++; isdigit((unsigned char)*number) && last <= (INT32_MAX - 9) / 10; number++)
        last = last * 10 + (*number - '0');
    return last;
}

int proc_walk_open(struct proc_walk *walk, const char *path)
{
    walk->at = 0;
    walk->len = 0;
    walk->position = 0;
    walk->bias = 0;
    walk->has_failed = false;
    walk->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return walk->fd < 0 ? condition_from_errno(errno) : 0;
}

static bool number_from_name(const char *name, int *out)
{
    int number = 0;
    for (const char *digit = name; *digit != '\0'; digit++) {
        if (!isdigit((unsigned char)*digit) || number > (INT32_MAX - 9) / 10)
            return false;
        number = number * 10 + (*digit - '0');
    }
    *out = number;
    return *name != '\0';
}

bool proc_walk_next(struct proc_walk *walk, int *out)
{
    for (;;) {
        if (walk->at >= walk->len) {
            ssize_t len = getdents64(walk->fd, walk->buffer, sizeof walk->buffer);
            if (len <= 0) {
                walk->has_failed = len < 0 && condition_from_errno(errno) == PROC_UNREAD;
                return false;
            }
            walk->at = 0;
            walk->len = (size_t)len;
        }
        const struct dirent64 *entry = (const void *)(walk->buffer + walk->at);
        int64_t position = walk->position;
        walk->at += entry->d_reclen;
        walk->position = entry->d_off;
        if (number_from_name(entry->d_name, out)) {
            walk->bias = position - *out;
            return true;
        }
    }
}

/* d_off of an entry is the position of the next one, and in /proc positions are numbers plus a
 * constant, which is learnt here. */
bool proc_walk_skip(struct proc_walk *walk, int number)
{
    int64_t position = number + walk->bias + 1;
    if (walk->bias <= 0 || lseek(walk->fd, position, SEEK_SET) != position)
        return false;
    walk->at = walk->len = 0;
    walk->position = position;
    return true;
}

void proc_walk_close(struct proc_walk *walk)
{
    fd_close(&walk->fd);
}

bool proc_socket_parse(const char *link, uint64_t *out_inode)
{
    static const char prefix[] = "socket:[";
    if (strncmp(link, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *digits = link + sizeof prefix - 1;
    return isdigit((unsigned char)*digits) && take_number(&digits, out_inode) &&
           strcmp(digits, "]") == 0;
}

int proc_socket_inode(pid_t pid, int descriptor, uint64_t *out_inode)
{
    char path[PATH_SIZE];
    char link[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, descriptor);
    ssize_t len = readlink(path, link, sizeof link - 1);
    if (len <= 0)
        return PROC_GONE;
    link[len] = '\0';
    return proc_socket_parse(link, out_inode) ? 0 : PROC_GONE;
}
