/* Processes that are not our children, named so that a recycled pid is never mistaken for one: read
 * from /proc, held by a pidfd, signalled only through what was verified. */
#ifndef FLOCKS_CLI_PROCESS_H
#define FLOCKS_CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Longer command lines are cut; enough to recognise a program. */
    PROCESS_COMMAND_MAX = 4096,
    PROCESS_EXECUTABLE_MAX = 256
};

/* Plain value. */
struct process {
    pid_t pid;
    pid_t group;
    uid_t uid;
    uint64_t start_ticks;                    /* field 22 of /proc/<pid>/stat */
    char executable[PROCESS_EXECUTABLE_MAX]; /* path, or the short name where the path is hidden */
    char command[PROCESS_COMMAND_MAX];       /* arguments joined by blanks */
};

/* No such process, or only a zombie of it. */
#define PROCESS_GONE 1

/* 0, PROCESS_GONE, or negative when /proc cannot be read. */
NODISCARD int process_read(pid_t pid, struct process *out, struct error *error);
/* When it started, seconds since 1970 (a second or so inexact, as boot time is); -1 when unknown.
 */
int64_t process_started_at_s(const struct process *process);

/* A pidfd of the very process that was read: 0, PROCESS_GONE, or negative. */
NODISCARD int process_open(const struct process *process, int *out_pidfd, struct error *error);
/* True when the process of `pidfd` ended before `deadline_at` (monotonic ms). */
NODISCARD bool process_wait(int pidfd, int64_t deadline_at);

/* SIGTERM and SIGCONT, no more. 0, also when it ends meanwhile; PROCESS_GONE: it had ended before;
 * or negative. */
NODISCARD int process_ask(const struct process *process, struct error *error);

/* SIGTERM (and SIGCONT), `grace_ms`, SIGKILL; to the process's group when `with_group` and it leads
 * one, and it is not ours. Answers when the process has ended: 0, also if it already had.
 * -STATUS_PERMISSION_DENIED; -STATUS_DEADLINE_EXCEEDED when it outlives SIGKILL by PROCESS_KILL_MS.
 */
enum { PROCESS_KILL_MS = 5000 };
NODISCARD int process_end(
    const struct process *process, bool with_group, int64_t grace_ms, struct error *error);

#endif
