/* Control groups (v2), where they were delegated to this daemon: one directory an instance, below
 * the group that the daemon is in, and in it one a run. A group ends what is in it at once, proves
 * that nobody is left, and bounds what all of it uses together.
 *
 * Delegated means: ours to write, and nobody else's to manage: the group says so itself (the
 * attribute that systemd sets with Delegate=), or there is no systemd. FLOCKS_CGROUP=off in the
 * daemon's environment leaves all of this out. */
#ifndef FLOCKS_SUPERVISE_CGROUP_H
#define FLOCKS_SUPERVISE_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* "<service>-<run>", with its NUL. */
    CGROUP_NAME_MAX = 80,
    /* Groups below a run's own that it may have made: deeper ones are left. */
    CGROUP_DEPTH_MAX = 8
};

/* Controllers that a service's group may have. */
enum cgroup_controller { CGROUP_MEMORY = 1 << 0, CGROUP_CPU = 1 << 1, CGROUP_PIDS = 1 << 2 };

/* Of all processes of a service together; 0: none. */
struct cgroup_limits {
    uint64_t memory;
    uint32_t cpu_percent; /* of one processor */
    uint32_t pids;
};

/* The instance's directory. */
struct cgroup_home {
    int fd; /* -1: not delegated */
    unsigned controllers;
    char path[PATH_MAX];
    /* Why there is none, for people. */
    char why[128];
};

/* ---- finding it ---- */

/* "/user.slice/x.scope" of the line "0::" in the text of /proc/self/cgroup. Pure. */
NODISCARD bool cgroup_own_path(const char *text, char out[PATH_MAX]);
/* Directory of that group, from the text of /proc/self/mountinfo; false: no cgroup2 is mounted, or
 * not this part of it. Pure. */
NODISCARD bool cgroup_directory(const char *mountinfo, const char *own_path, char out[PATH_MAX]);
/* "flocks-<8 hex digits>" of an instance's root. Pure. */
void cgroup_instance_name(const char *root, char out[CGROUP_NAME_MAX]);

/* Finds and makes the instance's directory, and gives services' groups the controllers that there
 * are. `out` is good for the calls below whatever is found. Looks at /proc and /sys only. */
void cgroup_home_open(const char *root, struct cgroup_home *out);
/* The same in a given directory, which is taken for delegated. */
void cgroup_home_open_in(const char *directory, const char *root, struct cgroup_home *out);
/* Removes the groups that nothing lives in, and then it, if it is empty. */
void cgroup_home_close(struct cgroup_home *home);
/* Kills whatever groups of earlier daemons hold, and removes them. */
void cgroup_home_clear(const struct cgroup_home *home);

/* ---- one run's group ---- */

void cgroup_name(const char *service, uint32_t run, char out[CGROUP_NAME_MAX]);
/* Makes the group with its limits; *out_fd (the caller's) is its directory. Positive: there is no
 * home. `limits` may be NULL. *out_missing: controllers that are configured and not in force. */
NODISCARD int cgroup_make(const struct cgroup_home *home, const char *name,
    const struct cgroup_limits *limits, int *out_fd, unsigned *out_missing, struct error *error);
/* "memory, pids". */
void cgroup_controllers_text(unsigned controllers, char *out, size_t out_size);

bool cgroup_exists(int home_fd, const char *name);
/* Does anything live in it? False also when there is no such group. */
bool cgroup_is_populated(int home_fd, const char *name);
/* Processes in it and below it: the first `capacity`; answers how many were stored. */
size_t cgroup_members(int home_fd, const char *name, pid_t *out, size_t capacity);
/* All at once; false: the kernel cannot (before 5.14), or there is no such group. */
bool cgroup_kill(int home_fd, const char *name);
/* How often the memory killer struck in it; 0 where the controller is not there. */
uint64_t cgroup_oom_kills(int home_fd, const char *name);
/* With what it made below itself. Waits for a lock of the kernel: not on the loop. */
void cgroup_remove(int home_fd, const char *name);

/* ---- without a group ---- */

/* How often the memory killer has struck on this machine (/proc/vmstat); 0: unknown. */
uint64_t machine_oom_kills(void);
/* The number behind `name` and a blank in lines of "name number"; 0: not there. Pure. */
uint64_t cgroup_number_of(const char *text, const char *name);

#endif
