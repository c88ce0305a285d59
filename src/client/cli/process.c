/* proc(5), pidfd_open(2), pidfd_send_signal(2). */
#include "client/cli/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    STAT_MAX = 1024,
    /* How often a group that outlives its leader is looked at. */
    GROUP_POLL_MS = 20
};

/* The beginning of a file of /proc, NUL-terminated. Answers the length, or -errno. */
static ssize_t read_proc(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t len = read(fd, out, size - 1);
    if (len < 0)
        return -errno;
    out[len] = '\0';
    return len;
}

/* Fields of stat from the third on; the second may hold blanks and brackets. 0: cannot be
 * understood. */
static bool parse_stat(const char *text, char *out_state, pid_t *out_group, uint64_t *out_ticks)
{
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return false;
    p += 2;
    *out_state = *p;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return false;
        p++;
        if (field + 1 == 5)
            *out_group = (pid_t)strtol(p, NULL, 10);
    }
    *out_ticks = strtoull(p, NULL, 10);
    return true;
}

static void read_executable(struct process *process)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)process->pid);
    ssize_t len = readlink(path, process->executable, sizeof(process->executable) - 1);
    if (len < 0) {
        len = read_proc(process->pid, "comm", process->executable, sizeof(process->executable));
        if (len > 0 && process->executable[len - 1] == '\n')
            len--;
    }
    process->executable[len < 0 ? 0 : len] = '\0';
}

static void read_command(struct process *process)
{
    ssize_t len = read_proc(process->pid, "cmdline", process->command, sizeof(process->command));
    while (len > 0 && process->command[len - 1] == '\0')
        len--;
    for (ssize_t i = 0; i < len; i++)
        if (process->command[i] == '\0')
            process->command[i] = ' ';
    process->command[len < 0 ? 0 : len] = '\0';
}

int process_read(pid_t pid, struct process *out, struct error *error)
{
    char text[STAT_MAX];
    char state = 0;
    *out = (struct process){.pid = pid};
    ssize_t len = pid > 0 ? read_proc(pid, "stat", text, sizeof(text)) : -ENOENT;
    if (len == -ENOENT || len == -ESRCH)
        return PROCESS_GONE;
    if (len < 0)
        return error_set_errno(error, (int)-len, "read /proc/%d/stat", (int)pid);
    if (!parse_stat(text, &state, &out->group, &out->start_ticks))
        return error_set(error, STATUS_INTERNAL, "/proc/%d/stat is not as proc(5) says", (int)pid);
    if (state == 'Z' || state == 'X')
        return PROCESS_GONE;
    char path[64];
    struct stat directory;
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    if (stat(path, &directory) < 0)
        return PROCESS_GONE;
    out->uid = directory.st_uid;
    read_executable(out);
    read_command(out);
    return 0;
}

int64_t process_started_at_s(const struct process *process)
{
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    int64_t up_ns = clock_boottime_ns();
    int64_t wall_ns = clock_wall_ns();
    if (ticks_per_s <= 0)
        return -1;
    return (wall_ns - up_ns) / 1000000000 + (int64_t)(process->start_ticks / (uint64_t)ticks_per_s);
}

int process_open(const struct process *process, int *out_pidfd, struct error *error)
{
    CLEANUP(fd_close) int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (fd < 0 && errno == ESRCH)
        return PROCESS_GONE;
    if (fd < 0)
        return error_set_errno(error, errno, "hold process %d", (int)process->pid);
    struct process now;
    int result = process_read(process->pid, &now, error);
    if (result != 0)
        return result;
    if (now.start_ticks != process->start_ticks)
        return PROCESS_GONE;
    *out_pidfd = fd_take(&fd);
    return 0;
}

bool process_wait(int pidfd, int64_t deadline_at)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    for (;;) {
        int64_t left = deadline_at - clock_monotonic_ms();
        if (left < 0)
            left = 0;
        int n = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0)
            return true;
        if (n == 0)
            return false;
    }
}

/* 0, or PROCESS_GONE, or negative. */
static int send_signal(
    const struct process *process, int pidfd, bool to_group, int signal_number, struct error *error)
{
    int result = to_group ? kill(-process->group, signal_number)
                          : (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
    if (result == 0)
        return 0;
    if (errno == ESRCH)
        return PROCESS_GONE;
    return error_set_errno(error, errno, "signal process %d", (int)process->pid);
}

/* A stopped process takes nothing but SIGKILL until it goes on; one that runs does not notice, and
 * one that has ended already was asked all the same. */
static int ask_to_end(const struct process *process, int pidfd, bool to_group, struct error *error)
{
    int result = send_signal(process, pidfd, to_group, SIGTERM, error);
    if (result == 0)
        result = send_signal(process, pidfd, to_group, SIGCONT, error);
    return result == PROCESS_GONE ? 0 : result;
}

int process_ask(const struct process *process, struct error *error)
{
    CLEANUP(fd_close) int pidfd = -1;
    int result = process_open(process, &pidfd, error);
    return result == 0 ? ask_to_end(process, pidfd, false, error) : result;
}

static bool is_living_member(pid_t pid, pid_t group)
{
    struct process member;
    return process_read(pid, &member, NULL) == 0 && member.group == group;
}

/* A group that answers kill(2) may consist of zombies that nobody reaps. */
static bool is_group_alive(pid_t group)
{
    if (kill(-group, 0) < 0)
        return errno == EPERM;
    DIR *directory = opendir("/proc");
    if (!directory)
        return true;
    bool found = false;
    const struct dirent *entry = NULL;
    /* One thread reads this directory. */
    while (!found && (entry = readdir(directory))) // NOLINT(concurrency-mt-unsafe)
        found = is_living_member((pid_t)strtol(entry->d_name, NULL, 10), group);
    closedir(directory);
    return found;
}

/* True when the leader has ended and, where the group was signalled, nobody of it is left. */
static bool wait_ended(const struct process *process, int pidfd, bool group, int64_t deadline_at)
{
    if (!process_wait(pidfd, deadline_at))
        return false;
    while (group && is_group_alive(process->group)) {
        if (clock_monotonic_ms() >= deadline_at)
            return false;
        poll(NULL, 0, GROUP_POLL_MS);
    }
    return true;
}

int process_end(
    const struct process *process, bool with_group, int64_t grace_ms, struct error *error)
{
    CLEANUP(fd_close) int pidfd = -1;
    int result = process_open(process, &pidfd, error);
    if (result != 0)
        return result < 0 ? result : 0;
    bool group = with_group && process->group == process->pid && process->group != getpgrp();
    result = ask_to_end(process, pidfd, group, error);
    if (result != 0)
        return result < 0 ? result : 0;
    if (wait_ended(process, pidfd, group, clock_add_ms(clock_monotonic_ms(), grace_ms)))
        return 0;
    result = send_signal(process, pidfd, group, SIGKILL, error);
    if (result != 0)
        return result < 0 ? result : 0;
    if (wait_ended(process, pidfd, group, clock_add_ms(clock_monotonic_ms(), PROCESS_KILL_MS)))
        return 0;
    return error_set(error, STATUS_DEADLINE_EXCEEDED, "process %d (%s) outlives SIGKILL",
        (int)process->pid, process->executable);
}
