/* fork, the child's set-up, exec. No heap on either side of the fork.
 *
 * fork and not vfork: an exec may hang on a file system, and the keeper must not hang with it. What
 * goes wrong in the child is told through a pipe that a successful exec closes. */
#ifndef FLOCKS_KEEPER_SPAWN_H
#define FLOCKS_KEEPER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/inventory/inventory.h"
#include "server/keeper/link.h"

/* Everything borrowed. */
struct spawn_plan {
    pid_t keeper_pid;
    /* Where the child notes itself, and what: pid and start time are its own to fill in. */
    struct inventory *inventory;
    size_t place;
    const struct inventory_record *record;
    const char *executable;
    const char *directory;
    /* A sealed memfd: n_arguments + n_environment texts, each with its NUL. */
    int texts_fd;
    size_t texts_len;
    size_t n_arguments;
    size_t n_environment;
    /* A pipe; the child's end is opened anew (O_RDWR), so that no flag set by one child reaches
     * another. */
    int output_fd;
    const int *descriptors;
    size_t n_descriptors;
    const struct keeper_limit *limits;
    size_t n_limits;
    uint64_t rttime_mark;
    struct rlimit descriptor_limit;
    mode_t umask;
    int nice;
    int oom_score_adj;
    bool change_user;
    uid_t uid;
    gid_t gid;
    /* None: `gid` is the only one. */
    const gid_t *groups;
    size_t n_groups;
    /* Directory of the control group that the child begins in; -1: the keeper's. */
    int cgroup_fd;
};

/* What a child that cannot be set up writes into the report pipe. */
struct spawn_failure {
    int32_t step; /* enum keeper_step */
    int32_t system_error;
};

/* The child's pid; *out_report_fd (non-blocking) then reads as end of file when the program runs,
 * or as one struct spawn_failure. -1: fork or pipe failed, errno says why. */
NODISCARD pid_t spawn_child(const struct spawn_plan *plan, int *out_report_fd);

/* Whether `fd` is a memfd that can no longer change, of at most KEEPER_ARGUMENTS_BYTES, holding
 * `n_texts` texts. */
NODISCARD bool spawn_texts_are_valid(int fd, size_t n_texts, size_t *out_len);

/* In a new child of any kind: every signal at its default and none blocked. */
void spawn_reset_signals(void);

#endif
