/* Upgrades as their updaters tell them: the last ones, by id, with what was said last. Values only:
 * no process, loop, clock or file. What a lease says of the same upgrade is laid over it where it
 * is shown (upgrade_view.c). Private to the room. */
#ifndef FLOCKS_SUPERVISE_UPGRADES_H
#define FLOCKS_SUPERVISE_UPGRADES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/upgrade.names.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/packed.h"

enum {
    /* Upgrades remembered, present ones included. The oldest that is over is forgotten first; when
     * none is, a new one is RESOURCE_EXHAUSTED. */
    UPGRADES_MAX = 16,
    /* Bytes of an id (letters and digits) with its NUL. */
    UPGRADE_ID_SIZE = 33,
    UPGRADE_REQUEST_ID_SIZE = 64,
    UPGRADE_REASON_SIZE = 256,
    /* One report as it is kept, without its lease; twice what the schema's rules leave room for.
     * Larger: INVALID_ARGUMENT. */
    UPGRADE_REPORT_MAX = 16 * 1024
};

struct upgrade {
    struct list link; /* in upgrades.all, the one that began first at its head */
    char id[UPGRADE_ID_SIZE];
    char request_id[UPGRADE_REQUEST_ID_SIZE]; /* of StartUpdate; "": none */
    char lease_id[UPGRADE_ID_SIZE];           /* "": none yet */
    enum flocks_upgrade_step step;
    /* The lease's, when it was last seen. */
    enum flocks_upgrade_phase phase;
    bool is_over;
    /* ... because nobody is left who would say so; a report is better knowledge. */
    bool is_presumed;
    bool is_abort_asked;
    char abort_reason[UPGRADE_REASON_SIZE];
    int64_t began_wall_ns;
    int64_t ended_wall_ns;
    int32_t reporter_pid; /* 0: not known */
    uint64_t reporter_start_ticks;
    /* flocks.v1.UpgradeProgress as it was told, without its lease; NULL bytes: nothing was yet. */
    struct packed report;
    /* Not kept; supervisor_upgrades.c's. */
    void *supervisor;
    void *watch;       /* of the reporter */
    bool is_orphan;    /* the reporter is gone */
    bool is_starting;  /* flocks-update is being run for it */
    int64_t silent_at; /* nobody is known who would report: believed dead from then on */
};

struct upgrades {
    struct list all;
};

void upgrades_init(struct upgrades *upgrades);
/* Nothing may be watched any more. */
void upgrades_deinit(struct upgrades *upgrades);

/* 1 to 32 letters and digits. */
bool upgrade_id_is_good(const char *id);

/* A new one at the end; room is made by forgetting. RESOURCE_EXHAUSTED (LIMIT_REACHED): none may be
 * forgotten, or memory. */
NODISCARD int upgrades_add(struct upgrades *upgrades, const char *id, int64_t began_wall_ns,
    struct upgrade **out, struct error *error);
/* Out of the list; NULL is accepted. */
void upgrade_free(struct upgrade *upgrade);

/* By its id, or that of its lease; NULL: unknown, or forgotten. */
struct upgrade *upgrades_find(const struct upgrades *upgrades, const char *id);
struct upgrade *upgrades_find_request(const struct upgrades *upgrades, const char *request_id);
/* The present one that began last, else the one that ended last; NULL: none. */
struct upgrade *upgrades_latest(const struct upgrades *upgrades);
/* The present one that began last; NULL: none. */
struct upgrade *upgrades_present(const struct upgrades *upgrades);
size_t upgrades_count(const struct upgrades *upgrades);

/* upgrade_report: it is over, and this was said before its end. */
#define UPGRADE_LATE 1

/* What its updater says. 0: that is what is known of it now; *out_matters: not only words and bytes
 * are others. The end is final, but for an updater that recovers it, or that had been presumed
 * dead. -STATUS_INVALID_ARGUMENT: too large; -STATUS_RESOURCE_EXHAUSTED: memory. */
NODISCARD int upgrade_report(struct upgrade *upgrade, const flocks_upgrade_progress *progress,
    int64_t wall_ns, bool *out_matters, struct error *error);

#endif
