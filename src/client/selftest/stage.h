/* A flocks instance in a private root, for the drills: made, looked at, waited for, and removed
 * with every process of it, whatever happened.
 *
 * Nothing outside the root is touched. Signals (Ctrl-C) only set a flag; every wait ends early
 * then. */
#ifndef FLOCKS_SELFTEST_STAGE_H
#define FLOCKS_SELFTEST_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "flocks/client.h"

#include "common/base/error.h"

enum {
    /* Start and stop of the whole instance; a machine that needs longer is too busy to judge. */
    STAGE_COMMAND_MS = 30 * 1000,
    /* A status that takes longer is none. */
    STAGE_ANSWER_MS = 2000,
    /* Between two looks. */
    STAGE_LOOK_MS = 2,
    STAGE_ROOT_MAX = 96,
    STAGE_MESSAGE_MAX = 256
};

/* Services of the stage. */
#define STAGE_WEB "web"       /* listens on `port`, answers HTTP; SIGUSR1 closes its socket */
#define STAGE_DEAF "deaf"     /* ignores SIGTERM */
#define STAGE_FAMILY "family" /* leaves strays, whose pids are in <root>/strays */

/* Embedded by value. */
struct stage {
    char root[STAGE_ROOT_MAX];
    char flocks[PATH_MAX]; /* the command */
    char self[PATH_MAX];   /* this program, which is the services too */
    int port;
    struct flocks_client *client;
};

/* Makes the root below `parent` and starts the instance. On failure stage_close cleans up as well.
 */
NODISCARD int stage_open(struct stage *stage, const char *parent, struct error *error);
/* Stops the instance, ends what is left, removes the root. Answers how many processes `flocks stop`
 * had left. Idempotent. */
size_t stage_close(struct stage *stage);

/* Somebody wants the end. */
bool stage_is_interrupted(void);
/* From now on SIGINT, SIGTERM and SIGHUP only set the flag. */
void stage_catch_signals(void);

/* `flocks ARGUMENTS` in this root; its exit code, or negative. */
NODISCARD int stage_run(
    const struct stage *stage, const char *const *arguments, int64_t limit_ms, struct error *error);

/* What GetStatus says of one service and of the daemon. */
struct seen {
    int state;
    int reason;
    pid_t pid;
    uint32_t generation;
    pid_t daemon_pid;
    pid_t keeper_pid;
};
/* False: no answer in time. */
bool stage_look(struct stage *stage, const char *service, struct seen *out);

typedef bool (*stage_condition)(const struct seen *now, const struct seen *before);
/* Looks until `condition` holds: the milliseconds it took, at most `limit_ms`; -1: it did not come.
 */
int64_t stage_wait(struct stage *stage, const char *service, stage_condition condition,
    const struct seen *before, int64_t limit_ms);
bool stage_is_healthy(const struct seen *now, const struct seen *before);
bool stage_is_healthy_again(const struct seen *now, const struct seen *before);

/* StartServices or StopServices of one; `waits`: until that has ended. */
NODISCARD int stage_start(
    struct stage *stage, const char *service, bool waits, struct error *error);
NODISCARD int stage_stop(struct stage *stage, const char *service, struct error *error);

/* True: no such process, or only a zombie. */
bool stage_is_gone(pid_t pid);
/* Sleeps; false when interrupted. */
bool stage_sleep(int64_t ms);

#endif
