/* One pass over /proc that serves many sets at once: it tells what is left of each and signals
 * members the moment it meets them, because who forks all the time is another process a moment
 * later.
 *
 * Runs on any thread; not on flocksd's loop, because reading the environment of a process waits for
 * an exec that hangs. Decides nothing: what a pass proves is judged by process_pass_proves_empty.
 */
#ifndef FLOCKS_SUPERVISE_PROCESS_SWEEP_H
#define FLOCKS_SUPERVISE_PROCESS_SWEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "server/supervise/cgroup.h"
#include "server/supervise/process_set.h"

enum {
    /* Processes that one pass tells in all; more are signalled and counted all the same. */
    PROCESS_FOUND_MAX = 2048,
    /* How long a pass that chases follows the newest process ids. */
    PROCESS_CHASE_MS = 25
};

/* What is to become of members that are met. */
enum process_wish {
    PROCESS_LOOK,
    /* Those outside the leader's group get `signal_number`, then SIGCONT. */
    PROCESS_TELL_STRAYS,
    PROCESS_KILL
};

struct process_question {
    struct process_identity identity;
    enum process_wish wish;
    int signal_number;
    /* Its control group, below that directory; "": none. Both must stay while a pass runs. */
    int cgroup_home_fd;
    char cgroup[CGROUP_NAME_MAX];
    /* Its orphans are not the keeper's, which therefore does not count them: it was spawned by a
     * keeper that was killed. */
    bool is_uncounted;
    /* KILL: somebody forks faster than a pass finds him; look where the next process will be. */
    bool chases;
};

struct process_answer {
    size_t n_members; /* alive, whether signalled or not */
    size_t n_refused; /* of those: not ours to signal */
    /* Members that were dead and not reaped: how many, and a number that says which. */
    size_t n_dead;
    uint64_t dead_sum;
    bool is_complete;
};

/* One member that was met. */
struct process_found {
    size_t question; /* its place in the list of questions */
    struct process_member member;
    int signal_number; /* sent; 0: none */
    int system_error;  /* why it could not be */
};

/* Outside the leader's group. */
bool process_found_is_stray(const struct process_found *found);

struct process_sweep;

NODISCARD int process_sweep_new(struct process_sweep **out, struct error *error);
void process_sweep_free(struct process_sweep *sweep);

/* Answers n questions, each about another set, in one pass. `stop` (may be NULL): set by another
 * thread, the pass ends early and is incomplete. Negative: /proc cannot be read. */
NODISCARD int process_sweep_run(struct process_sweep *sweep,
    const struct process_question *questions, struct process_answer *out_answers, size_t n,
    const atomic_bool *stop, struct error *error);

/* Of the last run, in the order in which they were met; good until the next one. */
const struct process_found *process_sweep_found(const struct process_sweep *sweep, size_t *out_n);

/* --- Proof ---------------------------------------------------------------------------------------
 *
 * A set is empty when a complete pass met no living member, no orphan of it was reaped during the
 * pass (strays_before, strays_after: keeper_link_strays_of, asked before it began and after it had
 * ended), and every dead member that it met had been dead in the pass before, too.
 *
 * Why that is proof: every member descends from one whose parent is the keeper. If any member lived
 * when the pass began, so did such an orphan; had it lived when the pass came by, it would have
 * been met. So it died in between: then the keeper counted it before it vanished, or the pass met
 * it dead, but not in the pass before. */

struct process_pass {
    struct process_answer answer;
    uint64_t strays_before;
    uint64_t strays_after;
};

/* `earlier`: the pass before this one, NULL: this is the first. */
bool process_pass_proves_empty(const struct process_pass *earlier, const struct process_pass *pass);

#endif
