/* Looks at /proc for whoever has to know what is left of a set: one pass at a time, on a thread of
 * its own, shared by all who ask. However many sets are being ended, one thread is busy for half of
 * its time at most, and the loop never waits.
 *
 * Why a thread, and not slices on the loop: reading an environment waits for an exec that hangs on
 * a file system, and signals should reach a process that forks all the time within microseconds of
 * its being met. Everything but process_sweep_run happens on the loop's thread. */
#ifndef FLOCKS_SUPERVISE_SWEEPER_H
#define FLOCKS_SUPERVISE_SWEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/process_sweep.h"

enum {
    /* A set that is asked about again and again is looked at after 1, 2, 4 ... ms, at most after so
     * long; sooner when the keeper reaps one of its orphans. */
    SWEEP_PACE_MIN_MS = 1,
    SWEEP_PACE_MAX_MS = 256,
    /* ... and where nobody is left but those that may not be signalled. */
    SWEEP_PACE_REFUSED_MS = 4096,
    /* Sets that sweeper_bury ends at once; more are not taken, and that is logged. */
    SWEEPER_BURIALS_MAX = 4096,
    /* A burial in which nobody is left but those that may not be signalled is given up. */
    SWEEPER_BURIAL_PATIENCE_MS = 60 * 1000,
    SWEEPER_WHAT_MAX = 96,
    /* Where nobody counts orphans, so many passes in a row have to meet nobody. */
    SWEEP_UNCOUNTED_PASSES = 5
};

struct sweeper;
struct sweep;

struct sweep_answer {
    /* Proven (process_sweep.h); of an uncounted set: as good as that can be. */
    bool is_empty;
    /* What was asked when the pass began. */
    enum process_wish wish;
    size_t n_members;
    size_t n_refused;
    /* Who was met, of this set only; good until the callback returns. */
    const struct process_found *found;
    size_t n_found;
};

/* May ask again, cancel, and free the sweep. */
typedef void (*sweep_done_fn)(struct sweep *sweep, const struct sweep_answer *answer);

enum sweep_phase { SWEEP_IDLE, SWEEP_WAITING, SWEEP_RUNNING };

/* One set that is being looked at. The caller's storage; fields are the sweeper's. */
struct sweep {
    struct list link;
    struct sweeper *sweeper;
    sweep_done_fn done;
    void *data; /* the caller's */
    struct process_question question;
    enum sweep_phase phase;
    int64_t due_at;
    int64_t pace_ms;
    unsigned n_clean; /* passes in a row that met nobody */
    bool is_asked;    /* again, while its pass runs */
    bool has_refused; /* the caller's: it has said that somebody may not be signalled */
    bool has_earlier;
    struct process_pass earlier;
    size_t place;     /* in the batch that runs */
    int64_t began_at; /* when that began */
};

struct sweeper_setup {
    uv_loop_t *loop;
    /* keeper_link_strays_of */
    uint64_t (*strays)(void *data, uint64_t mark);
    void *data;
};

/* Without a thread (EAGAIN) passes are made on the loop. */
NODISCARD int sweeper_new(
    const struct sweeper_setup *setup, struct sweeper **out, struct error *error);
/* Cancels everything; `closed` (may be NULL) runs when the handles are gone, never before this
 * returns. A pass that runs is left to end by itself. */
void sweeper_close(struct sweeper *sweeper, void (*closed)(void *data), void *data);

void sweep_init(struct sweep *sweep, struct sweeper *sweeper, sweep_done_fn done, void *data);
/* Asks, or changes what is asked: `question` is copied. The answer comes later, never from inside
 * this call; each asking is answered once. A set other than that of the last question begins anew
 * (pace and proof). */
void sweep_ask(struct sweep *sweep, const struct process_question *question);
/* Something of the set may have ended: the pass that is waited for comes at once; one that runs is
 * followed by another, if its answer is followed by a question. */
void sweep_hurry(struct sweep *sweep);
/* No answer comes any more. Idempotent; of a zeroed sweep nothing. */
void sweep_cancel(struct sweep *sweep);

/* Kills what is left of a set, until nothing is: for probes and whatever else nobody waits for.
 * `what` (copied) is for the log. */
void sweeper_bury(
    struct sweeper *sweeper, const struct process_identity *identity, const char *what);

#endif
