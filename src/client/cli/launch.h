/* Runs flocks-keeper and waits for its word. */
#ifndef FLOCKS_CLI_LAUNCH_H
#define FLOCKS_CLI_LAUNCH_H

#include <sys/types.h>

#include "client/cli/cli.h"
#include "common/base/error.h"

enum {
    /* Longest time from exec to "ready": what an earlier instance left behind is ended first. */
    LAUNCH_READY_MS = 90 * 1000,
    /* Longest word of the keeper. */
    LAUNCH_WORD_MAX = 2048,
    /* Arguments for flocksd: settings, running values, and room. */
    LAUNCH_ARGUMENTS_MAX = 64
};

/* Options for flocksd, borrowed texts. Embedded by value. */
struct launch_arguments {
    const char *config; /* NULL: the keeper finds it as we did */
    const char *items[LAUNCH_ARGUMENTS_MAX];
    size_t n;
};
void launch_add(struct launch_arguments *arguments, const char *text);

enum launch_result {
    LAUNCH_READY = 0,
    /* Another keeper holds the instance lock. */
    LAUNCH_BUSY = 1
};

/* In a session of its own, without a terminal, what it says before its own log is open in
 * logs/daemon.log; or with
 * --foreground as a child in this terminal, whose pid is then `*out_foreground` (else 0). Negative:
 * it could not be run, or what it said instead of "ready". The root is prepared already. */
NODISCARD int launch_keeper(const struct cli *cli, const struct launch_arguments *arguments,
    pid_t *out_foreground, struct error *error);

/* What one line of the ready descriptor means: launch_result, or negative with the keeper's text.
 * Pure. */
NODISCARD int launch_word(const char *word, struct error *error);

#endif
