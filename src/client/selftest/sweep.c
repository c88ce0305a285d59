/* A pid may be another's by the time it is signalled: it is looked at again behind its pidfd. */
#include "client/selftest/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    /* An environment is read that far; ours has the variable near its beginning or its end. */
    ENVIRONMENT_MAX_BYTES = 256 * 1024,
    /* Looks that find somebody, before the rest is given up. */
    ROUNDS = 100,
    ROUND_MS = 10,
    /* Directories open at once while files are removed. */
    OPEN_DIRECTORIES = 16
};

/* "FLOCKS_ROOT=<root>" with its NUL, as one of the entries. */
static bool has_entry(const char *bytes, size_t len, const char *entry)
{
    size_t entry_len = strlen(entry);
    const char *end = bytes + len;
    for (const char *p = bytes; p < end; p += strnlen(p, (size_t)(end - p)) + 1)
        if ((size_t)(end - p) > entry_len && memcmp(p, entry, entry_len + 1) == 0)
            return true;
    return false;
}

static bool belongs(pid_t pid, const char *entry)
{
    static char bytes[ENVIRONMENT_MAX_BYTES];
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < sizeof(bytes)) {
        got = read(fd, bytes + len, sizeof(bytes) - len);
        len += got > 0 ? (size_t)got : 0;
    }
    return has_entry(bytes, len, entry);
}

static bool kill_one(pid_t pid, const char *entry)
{
    CLEANUP(fd_close) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || !belongs(pid, entry))
        return false;
    return syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
}

/* Answers how many were signalled. */
static size_t kill_all(const char *entry)
{
    size_t n = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *item = NULL;
    /* One thread reads this directory. */
    while (proc && (item = readdir(proc))) { // NOLINT(concurrency-mt-unsafe)
        long pid = strtol(item->d_name, NULL, 10);
        if (pid > 1 && pid != (long)getpid())
            n += kill_one((pid_t)pid, entry);
    }
    if (proc)
        closedir(proc);
    return n;
}

size_t sweep_processes(const char *root)
{
    char entry[PATH_MAX + 16];
    (void)snprintf(entry, sizeof(entry), "FLOCKS_ROOT=%s", root);
    size_t first = kill_all(entry);
    size_t left = first;
    for (int i = 0; left > 0 && i < ROUNDS; i++) {
        (void)poll(NULL, 0, ROUND_MS);
        left = kill_all(entry);
    }
    return first;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *position)
{
    (void)status;
    (void)kind;
    (void)position;
    return remove(path);
}

int sweep_files(const char *root, struct error *error)
{
    /* One thread walks. */
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    if (nftw(root, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) == 0)
        return 0;
    return error_set_errno(error, errno, "remove %s", root);
}
