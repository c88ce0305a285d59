#include "server/keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/keeper/keeper.h"

enum {
    FIRST_EXTRA = 3,
    REQUIRED_SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW,
    EXIT_CODE_FAILED = 127
};

bool spawn_texts_are_valid(int fd, size_t n_texts, size_t *out_len)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & REQUIRED_SEALS) != REQUIRED_SEALS || fstat(fd, &status) != 0 ||
        status.st_size <= 0 || status.st_size > KEEPER_ARGUMENTS_BYTES)
        return false;
    size_t len = (size_t)status.st_size;
    const char *texts = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (texts == MAP_FAILED)
        return false;
    size_t n_found = 0;
    for (const char *at = texts;
         at < texts + len && (at = memchr(at, 0, len - (size_t)(at - texts))); at++)
        n_found++;
    bool valid = texts[len - 1] == '\0' && n_found == n_texts;
    union {
        const char *read_only;
        void *writable;
    } mapping = {.read_only = texts};
    (void)munmap(mapping.writable, len);
    *out_len = len;
    return valid;
}

void spawn_reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP)
            /* The C library keeps two numbers for itself and refuses them. */
            (void)sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* ---- in the child: 0, or -1 with errno ---- */

struct texts {
    char **arguments;
    char **environment;
};

static void write_own_pid(char *text)
{
    const size_t name_len = sizeof "WATCHDOG_PID=" - 1;
    if (strcmp(text, KEEPER_WATCHDOG_PID_TEXT) == 0)
        (void)snprintf(
            text + name_len, sizeof KEEPER_WATCHDOG_PID_TEXT - name_len, "%d", (int)getpid());
}

/* Two arrays of pointers into the mapped texts; memory by mmap, since there is no heap. */
static int map_texts(const struct spawn_plan *plan, struct texts *out)
{
    size_t n_pointers = plan->n_arguments + plan->n_environment + 2;
    char *texts =
        mmap(NULL, plan->texts_len, PROT_READ | PROT_WRITE, MAP_PRIVATE, plan->texts_fd, 0);
    char **pointers = mmap(NULL, n_pointers * sizeof(char *), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (texts == MAP_FAILED || pointers == MAP_FAILED)
        return -1;
    char *at = texts;
    for (size_t i = 0; i < plan->n_arguments + plan->n_environment; i++) {
        size_t len = strlen(at);
        pointers[i < plan->n_arguments ? i : i + 1] = at;
        write_own_pid(at);
        at += len + 1;
    }
    out->arguments = pointers;
    out->environment = pointers + plan->n_arguments + 1;
    return 0;
}

static int open_output(int pipe_fd)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", pipe_fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* Descriptors 0, 1, 2 and the extra ones in their places, `*report_fd` behind them, nothing else.
 */
static int place_descriptors(const struct spawn_plan *plan, int *report_fd)
{
    int first_free = FIRST_EXTRA + (int)plan->n_descriptors;
    int sources[KEEPER_CHILD_DESCRIPTORS_MAX];
    /* First out of the way of the places to be filled. */
    int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, first_free);
    if (report < 0)
        return -1;
    *report_fd = report;
    for (size_t i = 0; i < plan->n_descriptors; i++) {
        sources[i] = fcntl(plan->descriptors[i], F_DUPFD_CLOEXEC, first_free);
        if (sources[i] < 0)
            return -1;
    }
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open_output(plan->output_fd);
    if (input < 0 || output < 0 || dup2(input, STDIN_FILENO) < 0 ||
        dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        return -1;
    for (size_t i = 0; i < plan->n_descriptors; i++)
        if (dup2(sources[i], FIRST_EXTRA + (int)i) < 0)
            return -1;
    if (dup3(report, first_free, O_CLOEXEC) < 0 && report != first_free)
        return -1;
    *report_fd = first_free;
    return close_range((unsigned)first_free + 1, ~0U, 0);
}

static int set_limits(const struct spawn_plan *plan)
{
    if (setrlimit(RLIMIT_NOFILE, &plan->descriptor_limit) != 0)
        return -1;
    for (size_t i = 0; i < plan->n_limits; i++) {
        struct rlimit limit = {.rlim_cur = plan->limits[i].soft, .rlim_max = plan->limits[i].hard};
        if (prlimit(0, (__rlimit_resource_t)plan->limits[i].resource, &limit, NULL) != 0)
            return -1;
    }
    if (plan->rttime_mark == 0)
        return 0;
    struct rlimit mark;
    if (getrlimit(RLIMIT_RTTIME, &mark) != 0)
        return -1;
    mark.rlim_cur = plan->rttime_mark;
    if (mark.rlim_max == RLIM_INFINITY)
        mark.rlim_max = plan->rttime_mark;
    return setrlimit(RLIMIT_RTTIME, &mark);
}

static int set_priority(const struct spawn_plan *plan)
{
    if (plan->nice != 0 && setpriority(PRIO_PROCESS, 0, plan->nice) != 0)
        return -1;
    if (plan->oom_score_adj == 0)
        return 0;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", plan->oom_score_adj);
    CLEANUP(fd_close) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -1;
}

static int set_user(const struct spawn_plan *plan)
{
    if (!plan->change_user)
        return 0;
    /* No user database here: it would need a heap. */
    bool has_groups = plan->n_groups > 0;
    if (setgroups(has_groups ? plan->n_groups : 1, has_groups ? plan->groups : &plan->gid) != 0 ||
        setresgid(plan->gid, plan->gid, plan->gid) != 0)
        return -1;
    return setresuid(plan->uid, plan->uid, plan->uid);
}

/* A keeper that is killed takes us along until we are noted, marked and about to be the program:
 * then the next one finds us. */
static void share_fate(const struct spawn_plan *plan, bool on)
{
    (void)prctl(PR_SET_PDEATHSIG, on ? SIGKILL : 0);
    if (getppid() != plan->keeper_pid)
        _exit(EXIT_CODE_FAILED);
}

static void note(const struct spawn_plan *plan)
{
    struct inventory_record record = *plan->record;
    record.pid = (int32_t)getpid();
    if (!inventory_start_ticks(record.pid, &record.start_ticks))
        record.start_ticks = 0;
    inventory_put(plan->inventory, plan->place, &record);
}

/* Nothing to do where it was born into it. Before exec nobody else can be left behind. */
static int join_cgroup(int cgroup_fd)
{
    if (cgroup_fd < 0)
        return 0;
    CLEANUP(fd_close) int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "0", 1) == 1 ? 0 : -1;
}

/* Answers the step that failed, with errno. */
static enum keeper_step become(const struct spawn_plan *plan, bool is_in_cgroup, int *report_fd)
{
    struct texts texts;
    spawn_reset_signals();
    share_fate(plan, true);
    note(plan);
    if (setsid() < 0)
        return KEEPER_STEP_SESSION;
    if (!is_in_cgroup && join_cgroup(plan->cgroup_fd) != 0)
        return KEEPER_STEP_CGROUP;
    if (map_texts(plan, &texts) != 0)
        return KEEPER_STEP_ARGUMENTS;
    if (place_descriptors(plan, report_fd) != 0)
        return KEEPER_STEP_DESCRIPTORS;
    if (set_limits(plan) != 0)
        return KEEPER_STEP_LIMITS;
    if (set_priority(plan) != 0)
        return KEEPER_STEP_PRIORITY;
    if (set_user(plan) != 0)
        return KEEPER_STEP_USER;
    if (chdir(plan->directory) != 0)
        return KEEPER_STEP_DIRECTORY;
    (void)umask(plan->umask);
    share_fate(plan, false);
    /* execvpe looks PATH up here. */
    environ = texts.environment;
    (void)execvpe(plan->executable, texts.arguments, texts.environment);
    return KEEPER_STEP_EXEC;
}

/* As fork(2). Born into the control group, a child need not move there, which would wait for a
 * grace period of the whole machine. No library has this call; nobody but this thread is here to be
 * confused by a child made behind its back. -1: not on this kernel, or not into this group. */
static pid_t fork_into(int cgroup_fd)
{
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)cgroup_fd};
    if (cgroup_fd < 0)
        return -1;
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

pid_t spawn_child(const struct spawn_plan *plan, int *out_report_fd)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    bool is_in_cgroup = true;
    pid_t pid = fork_into(plan->cgroup_fd);
    if (pid < 0) {
        is_in_cgroup = false;
        pid = fork();
    }
    if (pid == 0) {
        struct spawn_failure failure;
        failure.step = (int32_t)become(plan, is_in_cgroup, &report[1]);
        failure.system_error = errno;
        /* Fits into an empty pipe; nobody is left to be told if it does not. */
        ssize_t written = write(report[1], &failure, sizeof failure);
        _exit(written == (ssize_t)sizeof failure ? EXIT_CODE_FAILED : EXIT_CODE_FAILED - 1);
    }
    int fork_error = errno;
    fd_close(&report[1]);
    if (pid < 0)
        fd_close(&report[0]);
    errno = fork_error;
    *out_report_fd = report[0];
    return pid;
}
