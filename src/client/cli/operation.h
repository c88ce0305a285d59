/* Work that a daemon does: begun, followed with progress for a person, its end reported.
 *
 * The work is begun without waiting, so that its id is known before anything can go wrong; Ctrl-C
 * then ends the waiting only, and says the id. */
#ifndef FLOCKS_CLI_OPERATION_H
#define FLOCKS_CLI_OPERATION_H

#include "client/cli/daemon.h"
#include "common/base/arena.h"

enum {
    /* Where progress is not shown, an answer is asked for this often at least. */
    OPERATION_ASK_MS = 30 * 1000,
    OPERATION_REQUEST_ID_SIZE = 33,
    /* One operation on every service there may be, each with every process signalled. */
    OPERATION_BYTES_MAX = 64 * 1024 * 1024
};

/* An operation, kept. Zeroed: none. */
struct operation_end {
    struct arena arena;
    flocks_operation *operation;
};
/* For CLEANUP(). */
void operation_end_free(struct operation_end *end);
/* A copy of `operation` instead of what was there. -STATUS_RESOURCE_EXHAUSTED: nothing is there. */
NODISCARD int operation_keep(
    struct operation_end *end, const flocks_operation *operation, struct error *error);
bool operation_has_ended(const flocks_operation *operation);

/* 32 random hexadecimal digits: the same request may be sent again without beginning anything
 * twice. */
void operation_new_request_id(char out[OPERATION_REQUEST_ID_SIZE]);

/* Follows the operation until it has ended, with progress for a person. 0: `*out` is the ended one.
 * DAEMON_NOT_RUNNING: daemon and keeper ended meanwhile. -STATUS_DEADLINE_EXCEEDED: it goes on, its
 * id is in the text. */
NODISCARD int operation_follow(
    struct daemon *daemon, const char *id, struct operation_end *out, struct error *error);
/* The failure of a command whose deadline has passed. */
int operation_refuse_late(const char *id, struct error *error);

/* Failures of an ended operation, one line for each service, on standard error. */
void operation_print_failures(const struct cli *cli, const flocks_operation *operation);
/* Which processes had to be killed, or had left their service, for people who want words. */
void operation_print_signalled(const struct cli *cli, const flocks_operation *operation);

/* Of one that has ended: what it comes to, BUSY when somebody else's request came first. */
enum outcome operation_outcome(const flocks_operation *operation);

#endif
