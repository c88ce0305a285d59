/* Work that a daemon does: begun, followed with progress for a person, its end reported.
 *
 * The work is begun without waiting, so that its id is known before anything can go wrong; Ctrl-C
 * then ends the waiting only, and says the id. */
#ifndef FLOCKS_CLI_OPERATION_H
#define FLOCKS_CLI_OPERATION_H

#include "client/cli/daemon.h"

enum {
    /* A live line is drawn at least this often. */
    OPERATION_REDRAW_MS = 1000,
    /* Without one, an answer is asked for this often at least. */
    OPERATION_ASK_MS = 30 * 1000,
    OPERATION_REQUEST_ID_SIZE = 33
};

/* 32 random hexadecimal digits: the same request may be sent again without beginning anything
 * twice. */
void operation_new_request_id(char out[OPERATION_REQUEST_ID_SIZE]);

/* Follows the operation until it has ended. 0: *out is a response whose `operation` is the ended
 * one (rpc_message_free). DAEMON_NOT_RUNNING: daemon and keeper ended meanwhile.
 * -STATUS_DEADLINE_EXCEEDED: it goes on, its id is in the text. */
NODISCARD int operation_follow(struct daemon *daemon, const char *id,
    const flocks_get_operation_response **out, struct error *error);
/* For CLEANUP(). */
void operation_free(const flocks_get_operation_response **response);

/* Failures of an ended operation, one line for each service, on standard error. */
void operation_print_failures(const struct cli *cli, const flocks_operation *operation);

#endif
