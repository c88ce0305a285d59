/* How far an upgrade is, on the disk, so that whoever finds an unfinished one knows what to do
 * (upgrade_recovery.h).
 *
 * One small file, replaced as a whole at each step: temporary file, fsync, rename, fsync of the
 * directory. Not an append: a step is there or not, no record can be torn, nothing grows, and there
 * is no tail to be cut before the next record may follow; with ten steps in an upgrade the second
 * fsync costs nothing. A checksum finds what a disk, or a person, has made of it. Text: for people,
 * too.
 *
 * Who writes holds the upgrade lock. Only upgrade_journal_read, _write, _remove and _put_aside
 * touch a disk. */
#ifndef FLOCKS_RELEASE_UPGRADE_JOURNAL_H
#define FLOCKS_RELEASE_UPGRADE_JOURNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/release/link_switch.h"
#include "common/release/version.h"

/* A step is recorded before it begins; from it on, what it says may be the case. */
#define UPGRADE_STEPS(X)                                                                           \
    X(PREPARING, "preparing")   /* releases/<to>.partial may be there, and a download */           \
    X(PREPARED, "prepared")     /* releases/<to> is there; nothing else has changed */             \
    X(LEASING, "leasing")       /* BeginUpgrade is asked, with the journal's id as request_id */   \
    X(LEASED, "leased")         /* it answered: `lease` */                                         \
    X(STOPPING, "stopping")     /* services may be stopped */                                      \
    X(SWITCHING, "switching")   /* links may point to either target */                             \
    X(SWITCHED, "switched")     /* all point to the new ones */                                    \
    X(COMMITTING, "committing") /* CommitUpgrade is asked: the server owns the outcome */          \
    X(COMMITTED, "committed")   /* it said COMMITTED; without a lease: switched, not verified */   \
    X(ROLLING_BACK, "rolling-back") /* links may be on their way back */                           \
    X(ROLLED_BACK, "rolled-back")   /* all point to the old ones; services as before */

enum upgrade_step {
#define UPGRADE_STEP_ENTRY(name, text) UPGRADE_STEP_##name,
    UPGRADE_STEPS(UPGRADE_STEP_ENTRY)
#undef UPGRADE_STEP_ENTRY
        UPGRADE_STEP_COUNT
};

enum {
    /* This program's. A reader of a lower number refuses (-STATUS_UNIMPLEMENTED); what a lower one
       could do without has a higher number only in the file's second one. */
    UPGRADE_JOURNAL_FORMAT = 1,
    /* As in upgrade.proto. */
    UPGRADE_ID_MAX = 32,
    /* A larger file is no journal. */
    UPGRADE_JOURNAL_BYTES_MAX = 32 * 1024
};

/* A plain value. */
struct upgrade_journal {
    /* Letters and digits; also request_id of BeginUpgrade. */
    char id[UPGRADE_ID_MAX + 1];
    /* Versions by release_name_is_good; `from` "": nothing was current. */
    char from[VERSION_TEXT_MAX + 1];
    char to[VERSION_TEXT_MAX + 1];
    /* Letters and digits; "": none, yet or at all. */
    char lease[UPGRADE_ID_MAX + 1];
    struct link_set links;
    /* Each at most once, in order, each legal after the one before; never empty. Wall clock,
     * milliseconds, for showing. */
    enum upgrade_step steps[UPGRADE_STEP_COUNT];
    int64_t times[UPGRADE_STEP_COUNT];
    size_t n_steps;
};

/* "switching". Static storage. */
const char *upgrade_step_text(enum upgrade_step step);
/* Whether `next` may follow `step`. */
bool upgrade_step_is_legal(enum upgrade_step step, enum upgrade_step next);

/* At PREPARING, without links. -STATUS_INVALID_ARGUMENT: what the struct's members do not allow. */
NODISCARD int upgrade_journal_begin(const char *id, const char *from, const char *to,
    int64_t wall_ms, struct upgrade_journal *out, struct error *error);
enum upgrade_step upgrade_journal_step(const struct upgrade_journal *journal);
/* Adds the step; nothing changes where it is the last one already. -STATUS_FAILED_PRECONDITION: not
 * legal here, or (from LEASED) there is no `lease`, or (from LEASING or SWITCHING on) there are no
 * links. */
NODISCARD int upgrade_journal_advance(
    struct upgrade_journal *journal, enum upgrade_step step, int64_t wall_ms, struct error *error);
/* Once, at LEASING. -STATUS_INVALID_ARGUMENT, -STATUS_FAILED_PRECONDITION. */
NODISCARD int upgrade_journal_set_lease(
    struct upgrade_journal *journal, const char *lease, struct error *error);

/* upgrade_journal_read: there is none, no upgrade is unfinished. */
#define UPGRADE_JOURNAL_NONE 1

/* -STATUS_DATA_LOSS: it is no journal, or damaged; -STATUS_UNIMPLEMENTED: a newer program's, which
 * has to finish it. Both leave the file. A journal is taken as a whole or not at all. */
NODISCARD int upgrade_journal_read(
    const char *path, struct upgrade_journal *out, struct error *error);
/* 0: it is on the disk. Otherwise what was there before, or this, is. Mode 0600. */
NODISCARD int upgrade_journal_write(
    const char *path, const struct upgrade_journal *journal, struct error *error);
/* The upgrade is over. 0: that is on the disk; also when there was none. Temporary files of
 * writers that were killed go as well. */
NODISCARD int upgrade_journal_remove(const char *path, struct error *error);
/* Renames one that cannot be read to `<path>.unreadable`, replacing an earlier one, so that nothing
 * is guessed and the next upgrade can begin. `current` leads to a whole release whatever the
 * journal said. */
NODISCARD int upgrade_journal_put_aside(const char *path, struct error *error);

#endif
