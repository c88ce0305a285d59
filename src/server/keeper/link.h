/* flocksd's end of the link to its keeper: everything a process needs a parent for.
 *
 * Owns the link's descriptor, its poll handle and the calls in flight. Decides nothing about
 * services. The peer, the keeper, is one program: a mistake on the link is fatal to the link, never
 * repaired.
 *
 * All functions run on the loop's thread. Callback rules: a call that answers negative never calls
 * its `done`; one that answers 0 calls it exactly once, never from inside the call. When the link
 * is lost or closed, every call in flight is done with -STATUS_UNAVAILABLE first. A callback may
 * make calls and may close the link. Requests reach the keeper in the order of the calls, and are
 * carried out in that order; a spawn is answered when its exec has succeeded or failed, and never
 * after its exit.
 *
 * Tests of other rooms define these functions themselves instead of linking flocks_keeper_link. */
#ifndef FLOCKS_KEEPER_LINK_H
#define FLOCKS_KEEPER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Places for children and for outputs in the keeper: 0 .. KEEPER_SLOTS - 1. Beyond:
       INVALID_ARGUMENT. */
    KEEPER_SLOTS = 2048,
    /* Its output is the log of keeper and flocksd themselves; it is registered by the keeper and no
       child is spawned in it. */
    KEEPER_SLOT_DAEMON = KEEPER_SLOTS - 1,
    KEEPER_INVOCATION_BYTES = 16,
    /* In place of a wait status: none that waitpid gives. */
    KEEPER_STATUS_UNKNOWN = -1,
    /* Longer names are refused with INVALID_ARGUMENT. */
    KEEPER_NAME_MAX = 63,
    /* Resource limits of one spawn, the mark not counted. */
    KEEPER_LIMITS_MAX = 16,
    /* Supplementary groups of one child. */
    KEEPER_GROUPS_MAX = 64,
    /* Further descriptors given to one child. */
    KEEPER_CHILD_DESCRIPTORS_MAX = 16,
    /* A call that the keeper answers at once is still waiting after this, twice: the keeper hangs.
       It is killed, and what was lost with it is taken over. */
    KEEPER_SILENCE_MS = 5 * 1000,
    /* Calls that may wait for their answers at once; beyond: RESOURCE_EXHAUSTED. */
    KEEPER_CALLS_MAX = 8192,
    /* flocksd's state memory: two slots of 1 MiB and 1 KiB for each service, behind them the ring
     * of its events, and behind that a time for each slot. Untouched pages cost nothing. */
    KEEPER_STATE_SLOTS_BYTES = 2 * (1024 * 1024 + 1024 * KEEPER_SLOTS),
    KEEPER_STATE_EVENTS_BYTES = 1024 * 1024,
    KEEPER_STATE_PULSES_BYTES = 8 * KEEPER_SLOTS,
    KEEPER_STATE_BYTES =
        KEEPER_STATE_SLOTS_BYTES + KEEPER_STATE_EVENTS_BYTES + KEEPER_STATE_PULSES_BYTES
};

struct keeper_link;

/* ---- events ---- */

/* One process that ended. */
struct keeper_exit {
    /* Grows by one per exit, over the whole life of the keeper; what is acknowledged. */
    uint64_t sequence;
    /* Of a stray both are 0 and mean nothing. */
    uint32_t slot;
    uint32_t generation;
    int32_t pid;
    /* As waitpid tells it: WIFEXITED() and the like. */
    int wait_status;
    /* CLOCK_BOOTTIME when it was reaped. */
    int64_t at_ns;
    /* A process that nobody spawned: an orphan whose parent died before it. Strays are told while
     * the keeper has room for them (256 unacknowledged); keeper_link_strays_of() counts every one.
     */
    bool stray;
    /* How it ended is known to nobody, and `wait_status` means nothing: its keeper had been killed,
     * and the kernel does not tell strangers (before 6.15). */
    bool unknown;
};

/* How a replacement that this flocksd, or the one before it, has begun ended. */
struct keeper_replaced {
    const char *operation_id;
    /* "": flocksd and keeper are the new images; else which are not, and why. */
    const char *failure;
    /* Of the keeper that runs now. */
    const char *keeper_version;
};

struct keeper_link_events {
    /* Told in order of sequence, each at least once; after a takeover again from the first one that
     * was not acknowledged. */
    void (*exited)(void *data, const struct keeper_exit *exit);
    /* The keeper was asked to end (SIGTERM or SIGINT: `signal_number`): end the services, then
     * keeper_link_leave. Told once to each flocksd. The keeper waits KEEPER_SHUTDOWN_MS (keeper.h)
     * and then kills. */
    void (*shutdown_requested)(void *data, int signal_number);
    /* Told once to each flocksd; may be NULL. */
    void (*replaced)(void *data, const struct keeper_replaced *replaced);
    /* The keeper is gone or broke the protocol. The last event; keeper_link_close is still due. */
    void (*lost)(void *data, const struct error *error);
};

/* ---- life ---- */

/* What the keeper said to Hello. The descriptors belong to the caller (move them with fd_take), who
 * keeps them for keeper_link_become. */
struct keeper_welcome {
    int32_t keeper_pid;
    /* How often this keeper has run flocksd before; 0: this is the first, and the state is empty.
     */
    uint32_t earlier_starts;
    /* At least one of those said ready. */
    bool was_ready;
    /* Identity of this keeper's life. */
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    /* Memory that outlives flocksd, size fixed (fstat), zero-filled at first. */
    int state_fd;
    /* Listening, non-blocking, close-on-exec; the keeper holds it as well. */
    int listener_fd;
    /* Datagrams of sd_notify(3) with SO_PASSCRED, non-blocking, close-on-exec; bound at
     * paths.notify. The keeper holds it as well, so that they wait while flocksd is replaced. */
    int notify_fd;
    /* Keepers of this instance that were killed before this one. */
    uint32_t earlier_keepers;
    /* Lock file, a socket or the inventory has lost its name, and the keeper could not make it
     * again. It tries anew whenever it runs flocksd. */
    bool is_unreachable;
    char keeper_version[32];
    /* The operation whose replacement is under way (its end will be told) or was the last one; "":
     * none in this keeper's life. */
    char replacement[33];
};

/* What a keeper leaves beside the link, whose descriptor is `fd`, for a flocksd that it runs: the
 * answer to Hello in advance, because it may be killed before it can answer. -1: an older keeper,
 * which leaves nothing. To be asked before anything else is opened. */
int keeper_link_find_advance(int fd);

/* keeper_link_open: the keeper was killed before it answered. What it had left in advance is good
 * for keeper_link_become and keeper_link_close, and for nothing else. */
#define KEEPER_LINK_ORPHANED 1
/* Takes `fd` and `advance_fd` (consumed, also on failure) and says Hello: blocks until the keeper
 * answers, 10 s at most (-STATUS_DEADLINE_EXCEEDED). -STATUS_FAILED_PRECONDITION: no common
 * protocol number. -STATUS_UNAVAILABLE: the keeper is gone and has left nothing. */
NODISCARD int keeper_link_open(uv_loop_t *loop, int fd, int advance_fd, struct keeper_link **out,
    struct keeper_welcome *out_welcome, struct error *error);

/* Begins telling events: all exits not yet acknowledged first. Before this none is told, also not
 * `lost`. Once; `events` must live as long as the link. */
NODISCARD int keeper_link_watch(struct keeper_link *link, const struct keeper_link_events *events,
    void *data, struct error *error);

/* The link was lost because the keeper was killed: this process becomes the keeper, which takes
 * over what `welcome` and the link hold and the children that live, and runs a new flocksd. At no
 * instant is the lock free or nobody's the listening socket; the children's pids stay. Answers only
 * when it could not be done, and then nothing has changed: it may be tried again, or the services
 * ended. The state must have been written before. */
struct keeper_heir {
    const char *root;
    const char *config;
    const char *flocksd;         /* the program to run then, */
    int flocksd_fd;              /* and it opened, in case nothing lies there any more; -1: not */
    char *const *server_options; /* its options, as the keeper was given them; ends in NULL */
};
NODISCARD int keeper_link_become(struct keeper_link *link, const struct keeper_welcome *welcome,
    const struct keeper_heir *heir, struct error *error);

/* Ends all calls in flight (their `done` run before this returns) and frees the link when its
 * handle has closed. NULL is accepted; idempotent while the loop has not run. */
void keeper_link_close(struct keeper_link *link);

/* ---- calls ---- */

/* `error` says why when `result` is negative, else it is NULL. */
typedef void (*keeper_done_fn)(void *data, int result, const struct error *error);

/* flocksd serves: whoever started the keeper is told, and flocksd's next death is a fresh one,
 * after which it is run again at once. */
NODISCARD int keeper_link_ready(
    struct keeper_link *link, keeper_done_fn done, void *data, struct error *error);
/* flocksd cannot serve (a mistake in the configuration): `text` is given to whoever started the
 * keeper. If no flocksd of this keeper was ever ready, the keeper ends when flocksd has. At most
 * 1,023 bytes are used. */
NODISCARD int keeper_link_fail(struct keeper_link *link, const char *text, keeper_done_fn done,
    void *data, struct error *error);
/* The services have ended: the keeper drains the outputs, removes socket and inventory and ends as
 * soon as flocksd has exited. Whatever child is left is killed by group. */
NODISCARD int keeper_link_leave(
    struct keeper_link *link, keeper_done_fn done, void *data, struct error *error);

/* Where the output of a slot goes. */
struct keeper_output {
    uint32_t slot;
    const char *log_path; /* absolute */
    /* The file is rotated when it has reached this; 0: never. */
    uint64_t max_size;
    /* Rotated files kept: log_path.1 (newest) .. log_path.<keep>; 0: the full file is deleted. */
    uint32_t keep;
};
/* Makes the slot's pipe, or changes path and rotation of one that exists (bytes in flight go to the
 * new path). A path that cannot be written is no failure of the call: see keeper_link_output_loss.
 * Done with RESOURCE_EXHAUSTED when descriptors run out. Idempotent. */
NODISCARD int keeper_link_register_output(struct keeper_link *link,
    const struct keeper_output *output, keeper_done_fn done, void *data, struct error *error);

struct keeper_limit {
    int resource; /* RLIMIT_... */
    uint64_t soft;
    uint64_t hard;
};

/* In an environment: the child's own pid is written over the digits (sd_watchdog_enabled(3) wants
 * one there, and nobody else knows it before the program runs). */
#define KEEPER_WATCHDOG_PID_TEXT "WATCHDOG_PID=0000000000"

/* Everything borrowed for the call. The child is a session and a process group of its own, with
 * standard input from /dev/null, all signals at their defaults and none blocked, no other
 * descriptor than those named here, and the descriptor limit that the keeper was started with
 * unless `limits` says otherwise. */
struct keeper_spawn {
    uint32_t slot;
    /* Higher than any the slot has had, or the spawn is done with ALREADY_EXISTS. */
    uint32_t generation;
    /* Whose output takes its standard output and error; usually `slot`. Must be registered. */
    uint32_t output_slot;
    /* For the inventory: the service's name. */
    const char *name;
    /* With a slash: a path, relative to `directory`; without: looked up in PATH of `environment`.
     */
    const char *executable;
    const char *const *arguments;   /* argv, ends in NULL */
    const char *const *environment; /* "NAME=value", ends in NULL */
    const char *directory;          /* absolute */
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    /* Set as RLIMIT_RTTIME (microseconds), which every descendant inherits: soft, and hard unless
     * that is limited already (then we run inside somebody's mark, which stays). 0: left alone. */
    uint64_t rttime_mark;
    mode_t umask;
    int nice;
    /* Written only when not 0. */
    int oom_score_adj;
    bool change_user;
    uid_t uid;
    gid_t gid;
    /* Supplementary ones; none: `gid` is the only group. */
    const gid_t *groups;
    size_t n_groups;
    /* Directory of the control group (v2) that it begins in. */
    bool has_cgroup;
    int cgroup_fd;
    const struct keeper_limit *limits;
    size_t n_limits;
    /* Become 3, 4, ... of the child. */
    const int *descriptors;
    size_t n_descriptors;
};

/* Which part of the child's set-up failed. */
#define KEEPER_STEPS(X)                                                                            \
    X(NONE, 0, "")                                                                                 \
    X(FORK, 1, "fork")                                                                             \
    X(SESSION, 2, "make a session")                                                                \
    X(DESCRIPTORS, 3, "open its descriptors")                                                      \
    X(LIMITS, 4, "set its limits")                                                                 \
    X(PRIORITY, 5, "set its priority")                                                             \
    X(USER, 6, "change its user")                                                                  \
    X(DIRECTORY, 7, "enter its directory")                                                         \
    X(ARGUMENTS, 8, "read its arguments")                                                          \
    X(EXEC, 9, "execute it")                                                                       \
    X(CGROUP, 10, "join its control group")

enum keeper_step {
#define KEEPER_STEP_ENTRY(name, number, text) KEEPER_STEP_##name = (number),
    KEEPER_STEPS(KEEPER_STEP_ENTRY)
#undef KEEPER_STEP_ENTRY
        KEEPER_STEP_COUNT
};
/* "enter its directory"; "" for NONE and unknown numbers. Static storage. */
const char *keeper_step_text(int step);

struct keeper_spawned {
    /* 0 when a step failed. */
    int32_t pid;
    /* Field 22 of /proc/<pid>/stat. */
    uint64_t start_ticks;
    /* NONE: the program runs. */
    enum keeper_step failed_step;
    int system_error;
};
/* `spawned` is NULL when `result` is negative (the keeper refused or is gone). A child that could
 * not be set up is no negative result: `failed_step` and `system_error` say what, and no exit will
 * be told for it. */
typedef void (*keeper_spawned_fn)(
    void *data, int result, const struct keeper_spawned *spawned, const struct error *error);
NODISCARD int keeper_link_spawn(struct keeper_link *link, const struct keeper_spawn *spawn,
    keeper_spawned_fn done, void *data, struct error *error);

enum keeper_scope { KEEPER_SCOPE_LEADER = 1, KEEPER_SCOPE_GROUP = 2 };

/* Signals the process spawned in the slot, or its group (which may outlive it). Done with NOT_FOUND
 * when the generation is not the slot's, or nothing of it is left to be signalled. The number can
 * never hit a stranger: the keeper is the parent. */
NODISCARD int keeper_link_signal(struct keeper_link *link, uint32_t slot, uint32_t generation,
    int signal_number, enum keeper_scope scope, keeper_done_fn done, void *data,
    struct error *error);

/* One child as the keeper knows it: alive, or ended and not acknowledged. */
struct keeper_child {
    uint32_t slot;
    uint32_t generation;
    int32_t pid;
    uint64_t start_ticks;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];
    uint64_t rttime_mark;
    bool exited;
    int wait_status;
};
/* `children` lives until the callback returns. */
typedef void (*keeper_listed_fn)(void *data, int result, const struct keeper_child *children,
    size_t n_children, const struct error *error);
NODISCARD int keeper_link_list(
    struct keeper_link *link, keeper_listed_fn done, void *data, struct error *error);

/* The slot is given up: what is left in its pipe still reaches the file, then the output is closed.
 * Done with FAILED_PRECONDITION while a child lives in it. */
NODISCARD int keeper_link_forget(
    struct keeper_link *link, uint32_t slot, keeper_done_fn done, void *data, struct error *error);

/* Everything that came of exits up to `sequence` is in the state memory: the keeper may forget
 * them. Nothing to wait for; cheap (one packet, and only when the number grew). */
void keeper_link_acknowledge(struct keeper_link *link, uint64_t sequence);

/* Other images of flocksd and keeper: both opened (borrowed), and where. */
struct keeper_images {
    const char *operation_id;
    const char *flocksd_path;
    const char *keeper_path;
    int flocksd_fd;
    int keeper_fd;
    /* What each must be; "": anything. */
    const char *expected_version;
    const char *expected_keeper_version;
};
/* Tries both out beside the running ones, for KEEPER_CHECK_MS (keeper.h) at most. Done with
 * FAILED_PRECONDITION: one is no good, or cannot go on where the present one leaves, and nothing
 * has changed. -STATUS_FAILED_PRECONDITION here: this keeper is an older one that cannot. */
NODISCARD int keeper_link_prepare(struct keeper_link *link, const struct keeper_images *images,
    keeper_done_fn done, void *data, struct error *error);
/* flocksd is ended at once and run again, after the keeper has made again what files of the
 * instance are missing. `operation_id` "": by the same image; else by what was prepared for it,
 * with a return to the present image when that is no good, and then the keeper's own image is
 * changed without touching a child. How it ended is told as `replaced`. Done with
 * FAILED_PRECONDITION: nothing is prepared for it, and flocksd goes on. */
NODISCARD int keeper_link_replace(struct keeper_link *link, const char *operation_id,
    keeper_done_fn done, void *data, struct error *error);

/* ---- facts, without a call ---- */

/* Strays reaped in the keeper's life that may have been of the generation spawned with
 * `rttime_mark`: what carried it, or no mark at all. Counted before a stray vanishes from /proc, so
 * that one number before a look at /proc and the same one afterwards mean that no orphan of it was
 * reaped meanwhile. 0: all strays. Read from shared memory, so exact at the moment of the call. */
uint64_t keeper_link_strays_of(const struct keeper_link *link, uint64_t rttime_mark);

/* What capture did with a slot's output, read from memory shared with it. */
struct keeper_output_loss {
    /* Bytes that could not be written to the file (disk full, limit, unwritable path) and were
     * thrown away. */
    uint64_t lost_bytes;
    uint64_t written_bytes;
    uint32_t rotations;
    /* errno of the last failure while it lasts, else 0. */
    int system_error;
    /* Of the memory in which it is counted: another number, another count. */
    uint64_t memory_id;
};
/* All zero for a slot that never had an output. */
void keeper_link_output_loss(
    const struct keeper_link *link, uint32_t slot, struct keeper_output_loss *out);

#endif
