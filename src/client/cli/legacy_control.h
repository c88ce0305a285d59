/* The Python supervisor's control socket, run/service-daemon.sock (HTTP/1.1): asked to stop, waited
 * for, removed. */
#ifndef FLOCKS_CLI_LEGACY_CONTROL_H
#define FLOCKS_CLI_LEGACY_CONTROL_H

#include <stdio.h>

#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* POST /stop is answered within this, or not at all. */
    LEGACY_CONTROL_ANSWER_MS = 2000,
    /* Then its process has this long: 10 s for each of two children and 5 s of its own; afterwards
     * it is ended by signals. */
    LEGACY_CONTROL_STOP_MS = 25000
};

/* 0 when nobody lives behind the socket (any more); the socket's file is then gone. Refuses
 * (PERMISSION_DENIED) a supervisor of another user. */
NODISCARD int legacy_control_stop(const struct paths *paths, FILE *notes, struct error *error);

#endif
