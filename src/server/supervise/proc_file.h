/* Reads of /proc/<pid>, without stdio and without heap. Private to the observers.
 *
 * Nothing read here stays true: a pid may end and be reused between two calls, so whoever acts on
 * it compares start times again (process_signal). */
#ifndef FLOCKS_SUPERVISE_PROC_FILE_H
#define FLOCKS_SUPERVISE_PROC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "server/supervise/process_set.h"

enum {
    /* TASK_COMM_LEN, with its NUL; the kernel's own threads have longer names, cut here. */
    PROC_COMM_MAX = 16,
    /* One getdents64 call's worth of names. */
    PROC_WALK_BUFFER = 32 * 1024,
    /* Bytes of an environment that are searched; a longer one cannot be passed to exec anyway. */
    PROC_ENVIRON_MAX = 4 * 1024 * 1024
};

/* Positive answers of the readers. */
enum proc_condition {
    /* No such process (any more). */
    PROC_GONE = 1,
    /* It lives, and we may not look. */
    PROC_HIDDEN = 2,
    /* Descriptors or memory are short here: nothing is known of it, above all not that it is gone.
     */
    PROC_UNREAD = 3
};

/* What /proc/<pid>/stat says (proc(5)). */
struct proc_stat {
    pid_t parent;
    pid_t group;
    pid_t session;
    uint64_t start_ticks;
    /* Nothing of it runs: a zombie without living threads. */
    bool is_dead;
    char comm[PROC_COMM_MAX];
};

/* `text` is the file's content, NUL-terminated. False: not in that form. Pure. */
NODISCARD bool proc_stat_parse(const char *text, struct proc_stat *out);
/* 0, PROC_GONE or PROC_UNREAD. */
NODISCARD int proc_stat_read(pid_t pid, struct proc_stat *out);

/* Soft and hard RLIMIT_RTTIME in microseconds out of the text of /proc/<pid>/limits; UINT64_MAX is
 * unlimited. Pure. */
NODISCARD bool proc_rttime_parse(const char *text, uint64_t *out_soft, uint64_t *out_hard);
/* From the kernel where it answers (prlimit(2)), else from the file, which anybody may read. 0 or
 * any condition. Of a dead process that has not been reaped, too. */
NODISCARD int proc_rttime_read(pid_t pid, uint64_t *out_soft, uint64_t *out_hard);

/* Value of the variable `name` in the environment that the process was exec'd with; "" when it has
 * none, or one that does not fit into `out_size` bytes with its NUL. 0 or any condition.
 */
NODISCARD int proc_variable_read(pid_t pid, const char *name, char *out, size_t out_size);

/* Value of FLOCKS_INVOCATION_ID in the environment that the process was exec'd with; "" when it has
 * none or one of another length. 0 or any condition. */
NODISCARD int proc_invocation_read(pid_t pid, char out[PROCESS_INVOCATION_LENGTH + 1]);

/* Children of its main thread, which is where most programs fork; at most `capacity`. 0, PROC_GONE
 * (also when it has none, or the kernel does not tell: CONFIG_PROC_CHILDREN), PROC_HIDDEN or
 * PROC_UNREAD. */
NODISCARD int proc_children_read(pid_t pid, pid_t *out, size_t capacity, size_t *out_count);

/* The number that was given to a process last, of the whole pid namespace; 0: unknown. */
pid_t proc_last_pid(void);

/* One pass over a directory of numbers: /proc (pids, ascending) or /proc/<pid>/fd. */
struct proc_walk {
    int fd;
    bool has_failed; /* there may be more than what was given */
    size_t at;
    size_t len;
    /* Where the entry after the one before began, and how far that is from its number. */
    int64_t position;
    int64_t bias;
    _Alignas(8) char buffer[PROC_WALK_BUFFER];
};

/* 0 or any condition; after 0 close with proc_walk_close. */
NODISCARD int proc_walk_open(struct proc_walk *walk, const char *path);
/* The next number; names that are none are left out. False: the end, or has_failed. */
bool proc_walk_next(struct proc_walk *walk, int *out);
/* Goes on behind `number`, which is not below the last one that was given. False: it could not. */
NODISCARD bool proc_walk_skip(struct proc_walk *walk, int number);
void proc_walk_close(struct proc_walk *walk);

/* Inode of the socket that /proc/<pid>/fd/<descriptor> is. 0, or PROC_GONE: not a socket, or gone,
 * or hidden. */
NODISCARD int proc_socket_inode(pid_t pid, int descriptor, uint64_t *out_inode);

/* Numbers after "socket:[" as readlink gives them. Pure. */
NODISCARD bool proc_socket_parse(const char *link, uint64_t *out_inode);

#endif
