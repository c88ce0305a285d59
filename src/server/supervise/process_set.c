/* Identity, signals and the fast emptiness answer; the full scan is process_scan.c. Allocates
 * nothing. */
#include "server/supervise/process_set.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/supervise/proc_file.h"

enum {
    /* Sessions older than the leader that one fast pass remembers; beyond, they are looked at
       again. */
    OLD_SESSIONS_MAX = 128,
    /* The fast answer gives up after this much work and says UNSURE. */
    FAST_TIMEOUT_MS = 20,
    /* Pids between two looks at the clock. */
    CLOCK_INTERVAL = 256
};

/* 60 bits of microseconds are 36,000 years: the limit never bites. */
static const uint64_t mark_base = UINT64_C(1) << 60;

/* --- The mark ------------------------------------------------------------------------------------
 */

int process_mark_choose(const char *invocation, struct rlimit *out, struct error *error)
{
    enum { DIGITS = 15 };
    char digits[DIGITS + 1] = "";
    size_t len = strspn(invocation, "0123456789abcdefABCDEF");
    if (len != PROCESS_INVOCATION_LENGTH || invocation[len] != '\0')
        return error_set(error, STATUS_INVALID_ARGUMENT, "invocation id is not %d hex digits",
            PROCESS_INVOCATION_LENGTH);
    if (getrlimit(RLIMIT_RTTIME, out) != 0)
        return error_set_errno(error, errno, "read RLIMIT_RTTIME");
    memcpy(digits, invocation, DIGITS);
    uint64_t random = strtoull(digits, NULL, 16);
    if (out->rlim_max == RLIM_INFINITY) {
        out->rlim_cur = mark_base | random;
        out->rlim_max = out->rlim_cur;
    } else {
        /* Inside somebody's mark: below it, and the outer hard limit stays, so that both are found.
         */
        uint64_t lowest = mark_base >> 1;
        if (out->rlim_max <= lowest)
            return error_set(error, STATUS_FAILED_PRECONDITION,
                "RLIMIT_RTTIME is limited to %llu us; process sets cannot be marked",
                (unsigned long long)out->rlim_max);
        out->rlim_cur = lowest + random % (out->rlim_max - lowest);
    }
    return 0;
}

/* --- Sessions ------------------------------------------------------------------------------------
 */

/* Index of the first id that is not below `session`. */
static size_t sessions_position(const struct process_sessions *sessions, pid_t session)
{
    size_t low = 0;
    size_t high = sessions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sessions->ids[middle] < session)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool sessions_has(const struct process_sessions *sessions, pid_t session)
{
    size_t at = sessions_position(sessions, session);
    return at < sessions->count && sessions->ids[at] == session;
}

void process_sessions_init(struct process_sessions *sessions)
{
    sessions->count = 0;
    sessions->n_elders = 0;
}

void process_sessions_deinit(struct process_sessions *sessions)
{
    for (size_t i = 0; i < sessions->n_elders; i++)
        fd_close(&sessions->elders[i].pidfd);
    sessions->n_elders = 0;
}

bool process_sessions_add(struct process_sessions *sessions, pid_t session)
{
    size_t at = sessions_position(sessions, session);
    if (at < sessions->count && sessions->ids[at] == session)
        return true;
    if (sessions->count == PROCESS_SESSIONS_MAX)
        return false;
    memmove(&sessions->ids[at + 1], &sessions->ids[at],
        (sessions->count - at) * sizeof sessions->ids[0]);
    sessions->ids[at] = session;
    sessions->count++;
    return true;
}

void process_sessions_remove(struct process_sessions *sessions, pid_t session)
{
    size_t at = sessions_position(sessions, session);
    if (at == sessions->count || sessions->ids[at] != session)
        return;
    sessions->count--;
    memmove(&sessions->ids[at], &sessions->ids[at + 1],
        (sessions->count - at) * sizeof sessions->ids[0]);
}

/* --- Fast answer ---------------------------------------------------------------------------------
 */

/* Sessions found to have begun before the generation: none of their processes can be a member,
 * because a session is joined by descent only. */
struct old_sessions {
    size_t count;
    pid_t ids[OLD_SESSIONS_MAX];
};

static bool old_sessions_has(const struct old_sessions *old, pid_t session)
{
    for (size_t i = 0; i < old->count; i++) {
        if (old->ids[i] == session)
            return true;
    }
    return false;
}

static void old_sessions_add(struct old_sessions *old, pid_t session)
{
    if (old->count < OLD_SESSIONS_MAX)
        old->ids[old->count++] = session;
}

static bool is_older(const struct proc_stat *stat, const struct process_identity *identity)
{
    return stat->start_ticks < identity->leader.start_ticks;
}

static void elders_add(
    struct process_sessions *sessions, pid_t session, const struct proc_stat *opener)
{
    struct process_elder *elder = &sessions->elders[sessions->n_elders];
    if (sessions->n_elders == PROCESS_ELDERS_MAX)
        return;
    elder->id = (struct process_id){.pid = session, .start_ticks = opener->start_ticks};
    if (process_open(&elder->id, &elder->pidfd, NULL) == 0)
        sessions->n_elders++;
}

/* Those whose pidfd has nothing to tell live; if the kernel does not answer, nobody is sure. */
static void elders_drop_dead(struct process_sessions *sessions)
{
    struct pollfd watched[PROCESS_ELDERS_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < sessions->n_elders; i++)
        watched[i] = (struct pollfd){.fd = sessions->elders[i].pidfd, .events = POLLIN};
    bool answered = poll(watched, sessions->n_elders, 0) >= 0;
    for (size_t i = 0; i < sessions->n_elders; i++) {
        if (answered && watched[i].revents == 0)
            sessions->elders[kept++] = sessions->elders[i];
        else
            fd_close(&sessions->elders[i].pidfd);
    }
    sessions->n_elders = kept;
}

static bool is_elders_session(
    const struct process_sessions *sessions, const struct process_identity *identity, pid_t session)
{
    for (size_t i = 0; i < sessions->n_elders; i++) {
        const struct process_id *elder = &sessions->elders[i].id;
        if (elder->pid == session)
            return elder->start_ticks < identity->leader.start_ticks;
    }
    return false;
}

/* Did the session begin before the generation? Its number is not given to another process while the
 * session has members, so a living process of that number opened it; and who is in it descends from
 * that one, so that an old member tells as much when it is gone. */
static bool is_old_session(const struct process_identity *identity,
    struct process_sessions *sessions, pid_t session, pid_t pid, const struct proc_stat *member)
{
    struct proc_stat opener = *member;
    bool has_opener = pid == session || proc_stat_read(session, &opener) == 0;
    if (has_opener && is_older(&opener, identity)) {
        elders_add(sessions, session, &opener);
        return true;
    }
    return is_older(member, identity);
}

/* A process in a session nobody vouches for: is it a member? */
static enum process_emptiness examine(const struct process_identity *identity,
    struct process_sessions *sessions, pid_t pid, pid_t session, struct old_sessions *old)
{
    struct proc_stat stat;
    int result;
    if (session != identity->leader.pid && is_elders_session(sessions, identity, session)) {
        old_sessions_add(old, session);
        return PROCESS_SET_EMPTY;
    }
    result = proc_stat_read(pid, &stat);
    if (result != 0)
        return result == PROC_UNREAD ? PROCESS_SET_UNSURE : PROCESS_SET_EMPTY;
    if (session == identity->leader.pid && !is_older(&stat, identity))
        return stat.is_dead ? PROCESS_SET_UNSURE : PROCESS_SET_OCCUPIED;
    if (is_old_session(identity, sessions, session, pid, &stat)) {
        old_sessions_add(old, session);
        return PROCESS_SET_EMPTY;
    }
    if (identity->mark == 0)
        return PROCESS_SET_UNSURE;
    uint64_t soft = 0;
    uint64_t hard = 0;
    switch (proc_rttime_read(pid, &soft, &hard)) {
    case 0:
        if (soft != identity->mark && hard != identity->mark)
            return PROCESS_SET_EMPTY;
        return stat.is_dead ? PROCESS_SET_UNSURE : PROCESS_SET_OCCUPIED;
    case PROC_GONE:
        return PROCESS_SET_EMPTY;
    default:
        return PROCESS_SET_UNSURE;
    }
}

static enum process_emptiness sweep(const struct process_identity *identity,
    struct process_sessions *sessions, struct proc_walk *walk)
{
    struct old_sessions old = {.count = 0};
    int64_t give_up_at = clock_thread_ns() + FAST_TIMEOUT_MS * INT64_C(1000000);
    int pid = 0;
    for (unsigned seen = 1; proc_walk_next(walk, &pid); seen++) {
        if (seen % CLOCK_INTERVAL == 0 && clock_thread_ns() >= give_up_at)
            return PROCESS_SET_UNSURE;
        /* A leader's session is its own: no need to ask. */
        if (pid != identity->leader.pid && sessions_has(sessions, pid))
            continue;
        pid_t session = getsid(pid);
        /* 0: a kernel thread or another pid namespace. */
        if (session <= 0)
            continue;
        bool is_own = session == identity->leader.pid;
        if (!is_own && (sessions_has(sessions, session) || old_sessions_has(&old, session)))
            continue;
        enum process_emptiness answer = examine(identity, sessions, pid, session, &old);
        if (answer != PROCESS_SET_EMPTY)
            return answer;
    }
    return walk->has_failed ? PROCESS_SET_UNSURE : PROCESS_SET_EMPTY;
}

enum process_emptiness process_set_is_empty_fast(
    const struct process_identity *identity, struct process_sessions *sessions)
{
    struct proc_walk walk;
    if (proc_walk_open(&walk, "/proc") != 0)
        return PROCESS_SET_UNSURE;
    elders_drop_dead(sessions);
    enum process_emptiness answer = sweep(identity, sessions, &walk);
    proc_walk_close(&walk);
    return answer;
}

/* --- Identity and signals
 * ------------------------------------------------------------------------- */

int process_identify(pid_t pid, struct process_id *out, struct error *error)
{
    if (pid <= 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%d is not a process id", (int)pid);
    struct proc_stat stat;
    if (proc_stat_read(pid, &stat) != 0 || stat.is_dead)
        return PROCESS_GONE;
    *out = (struct process_id){.pid = pid, .start_ticks = stat.start_ticks};
    return 0;
}

bool process_is_alive(const struct process_id *id)
{
    struct proc_stat stat;
    return id->pid > 0 && proc_stat_read(id->pid, &stat) == 0 && !stat.is_dead &&
           stat.start_ticks == id->start_ticks;
}

int process_open(const struct process_id *id, int *out_fd, struct error *error)
{
    if (id->pid <= 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "%d is not a process id", (int)id->pid);
    CLEANUP(fd_close) int fd = pidfd_open(id->pid, 0);
    if (fd < 0) {
        if (errno == ESRCH)
            return PROCESS_GONE;
        return error_set_errno(error, errno, "open pidfd of process %d", (int)id->pid);
    }
    /* The descriptor pins the process, so what is compared now stays true. */
    if (!process_is_alive(id))
        return PROCESS_GONE;
    *out_fd = fd_take(&fd);
    return 0;
}

int process_signal(const struct process_id *id, int signal_number, struct error *error)
{
    CLEANUP(fd_close) int fd = -1;
    int result = process_open(id, &fd, error);
    if (result != 0)
        return result;
    if (pidfd_send_signal(fd, signal_number, NULL, 0) == 0)
        return 0;
    if (errno == ESRCH)
        return PROCESS_GONE;
    return error_set_errno(
        error, errno, "send signal %d to process %d", signal_number, (int)id->pid);
}

void process_executable(pid_t pid, char out[PROCESS_EXECUTABLE_MAX])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t len = readlink(path, out, PROCESS_EXECUTABLE_MAX - 1);
    if (len > 0) {
        out[len] = '\0';
        return;
    }
    struct proc_stat stat;
    if (proc_stat_read(pid, &stat) == 0)
        (void)snprintf(out, PROCESS_EXECUTABLE_MAX, "[%s]", stat.comm);
    else
        out[0] = '\0';
}
