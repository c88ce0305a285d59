/* Which processes belong to one generation, whether any is left, and signals that reach exactly
 * them.
 *
 * Evidence, strongest first: leader, process group, session, parent chain, a unique RLIMIT_RTTIME
 * (the mark), FLOCKS_INVOCATION_ID in the environment. Reads /proc and uses pidfds; decides
 * nothing. */
#ifndef FLOCKS_SUPERVISE_PROCESS_SET_H
#define FLOCKS_SUPERVISE_PROCESS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Processes one scan remembers. More: the scan says that it is incomplete. */
    PROCESS_SCAN_MAX = 65536,
    /* Time one scan may take; under a fork storm a walk through /proc never ends. */
    PROCESS_SCAN_TIMEOUT_MS = 500,
    /* Living generations whose sessions are told apart; the keeper's table and its own helpers. */
    PROCESS_SESSIONS_MAX = 2048 + 16,
    /* Foreign sessions whose age is remembered, with a descriptor each; of more it is read every
       time. */
    PROCESS_ELDERS_MAX = 64,
    PROCESS_INVOCATION_LENGTH = 32,
    PROCESS_EXECUTABLE_MAX = 256
};

/* A process that a recycled pid cannot be mistaken for. start_ticks: field 22 of /proc/<pid>/stat.
 */
struct process_id {
    pid_t pid;
    uint64_t start_ticks;
};

/* One generation. The keeper makes each leader a session and group leader: pgid = sid = leader.pid.
 */
struct process_identity {
    /* pid 0: it ended before anybody could tell whose number that is now. Scans only: they go by
     * mark and invocation then, and by who descends from those. start_ticks is good. */
    struct process_id leader;
    /* 32 hex digits, NUL-terminated; "" = not looked for. */
    char invocation[PROCESS_INVOCATION_LENGTH + 1];
    /* RLIMIT_RTTIME given at spawn (process_mark_choose); 0 = not looked for. */
    uint64_t mark;
};

/* Why a process counts as a member; several may hold. */
enum process_evidence {
    PROCESS_IS_LEADER = 1 << 0,
    PROCESS_IN_GROUP = 1 << 1,
    PROCESS_IN_SESSION = 1 << 2,
    PROCESS_IS_DESCENDANT = 1 << 3,
    PROCESS_HAS_MARK = 1 << 4,
    PROCESS_HAS_INVOCATION = 1 << 5,
    PROCESS_IN_CGROUP = 1 << 6
};

struct process_member {
    struct process_id id;
    pid_t parent;
    /* Bits of enum process_evidence. */
    unsigned evidence;
    /* Target of /proc/<pid>/exe, or "[comm]" where that is hidden. */
    char executable[PROCESS_EXECUTABLE_MAX];
};

/* --- The mark ------------------------------------------------------------------------------------
 */

/* The RLIMIT_RTTIME to spawn a generation with: derived from `invocation` (32 hex digits), so
 * unique across instances; beyond a century, so without effect; below our own hard limit, so that a
 * supervisor inside a supervised service can set one too. identity.mark is out->rlim_cur. */
NODISCARD int process_mark_choose(const char *invocation, struct rlimit *out, struct error *error);

/* --- Fast answer, for the restart path
 * ------------------------------------------------------------ */

/* Opener of a session that is not ours. Its pidfd tells when it ends; until then nobody else can
 * have the session's number, so that its age stays true. */
struct process_elder {
    struct process_id id;
    int pidfd;
};

/* Sessions of the living generations, sorted, and elders met on the way. No heap. */
struct process_sessions {
    size_t count;
    pid_t ids[PROCESS_SESSIONS_MAX];
    size_t n_elders;
    struct process_elder elders[PROCESS_ELDERS_MAX];
};

void process_sessions_init(struct process_sessions *sessions);
void process_sessions_deinit(struct process_sessions *sessions);
/* Call with the leader's pid when it was spawned. Idempotent. False: full, the fast answer gets
 * slower. */
bool process_sessions_add(struct process_sessions *sessions, pid_t session);
/* Call when the generation was found empty. Idempotent. */
void process_sessions_remove(struct process_sessions *sessions, pid_t session);

enum process_emptiness {
    PROCESS_SET_EMPTY,
    PROCESS_SET_OCCUPIED,
    /* It took too long, a young process hides its limits, or a member is dead and not reaped, so
     * that it may just have started another: do a full scan. */
    PROCESS_SET_UNSURE
};

/* For a generation whose leader has been reaped: EMPTY is proof if no orphan of it was reaped
 * between its beginning and its end (process_sweep.h says why). One pass over the pids with
 * getsid(2); only processes in sessions that are neither in `sessions` nor older than the leader
 * are looked at closer (start time, mark). The own session of `identity` may be in `sessions`; it
 * is never skipped. Remembers elders. Allocates nothing; 1.5 us per process of the machine on a
 * slow one. */
enum process_emptiness process_set_is_empty_fast(
    const struct process_identity *identity, struct process_sessions *sessions);

/* --- Full scan -----------------------------------------------------------------------------------
 */

struct process_scan;

NODISCARD int process_scan_new(struct process_scan **out, struct error *error);
void process_scan_free(struct process_scan *scan);

/* Positive answer: time or count ran out; what was seen may be used, but proves no emptiness. */
enum process_scan_condition { PROCESS_SCAN_INCOMPLETE = 1 };

/* Reads /proc once: 2 ms for 600 processes. The result replaces the last one, and serves any number
 * of process_scan_select calls (limits and environment are read only then, and only of processes
 * not older than the generation's leader). Negative: something could not be read; what could is
 * there. */
NODISCARD int process_scan_run(struct process_scan *scan, struct error *error);

/* Members of one generation, parents before children where the pids allow; *out_count counts all,
 * at most `capacity` are stored. Zombies are not members (a thread group with living threads is).
 * *out_members may be NULL with capacity 0. Keeps nothing of `identity`. */
NODISCARD int process_scan_select(struct process_scan *scan,
    const struct process_identity *identity, struct process_member *out_members, size_t capacity,
    size_t *out_count, struct error *error);

/* --- Identity and signals
 * ------------------------------------------------------------------------- */

enum process_condition {
    /* No process with this pid and start time: it ended, or the pid is another's now. */
    PROCESS_GONE = 1
};

/* Start time of a living process: 0 or PROCESS_GONE (a zombie is gone too). */
NODISCARD int process_identify(pid_t pid, struct process_id *out, struct error *error);
bool process_is_alive(const struct process_id *id);

/* Opens a pidfd, compares the start time, sends. 0, PROCESS_GONE, or -STATUS_PERMISSION_DENIED.
 * Signal 0 only asks. Never reaches a process that took over the pid. */
NODISCARD int process_signal(const struct process_id *id, int signal_number, struct error *error);
/* pidfd of exactly this process (CLOEXEC), readable when it ends. The caller closes *out_fd. */
NODISCARD int process_open(const struct process_id *id, int *out_fd, struct error *error);

/* Target of /proc/<pid>/exe, else "[comm]", else "". */
void process_executable(pid_t pid, char out[PROCESS_EXECUTABLE_MAX]);

#endif
