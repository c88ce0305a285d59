/* What the Python supervisor left in a root: used once to end it, then removed.
 *
 * A record is believed only if pid, start time and command line agree; anything else is left alone.
 * Its living supervisor is asked through its own socket first. Nothing outside `run/` is touched;
 * ports are never scanned. */
#ifndef FLOCKS_CLI_LEGACY_H
#define FLOCKS_CLI_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/cli/process.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum {
    /* A larger record is none. */
    LEGACY_RECORD_MAX_BYTES = 64 * 1024,
    /* SIGTERM to SIGKILL, as the old one did. */
    LEGACY_GRACE_MS = 5000,
    /* A record was written after its process had started, at most this long (the old readiness
       wait). */
    LEGACY_WRITTEN_AFTER_S = 180,
    /* Inexactness of the clocks compared. */
    LEGACY_CLOCK_SLACK_S = 5,
    LEGACY_NO_TIME = -1
};

/* run/{backend,webui,watchdog}.pid. Plain value. */
struct legacy_record {
    pid_t pid;
    int64_t started_at_s; /* LEGACY_NO_TIME: the record does not say */
    /* Arguments, one after another, each with its NUL; empty: the record does not say. */
    char command[PROCESS_COMMAND_MAX];
    size_t command_len;
};

/* A bare integer, or a JSON object {pid, command, started_at, ...}. -STATUS_INVALID_ARGUMENT
 * otherwise. */
NODISCARD int legacy_record_parse(const char *text, size_t len, struct legacy_record *out);

/* Whether `process`, which started at `process_started_at_s`, is the one the record of `service`
 * means. A record without time is as old as its file (`written_at_s`); one without command means
 * the service's own programs. */
bool legacy_record_agrees(const struct legacy_record *record, const char *service,
    int64_t written_at_s, const struct process *process, int64_t process_started_at_s);

/* Ends what an old supervisor of this root left running and removes its socket and records. `notes`
 * (NULL: silent) is told what was ended and what was left alone. Does nothing where there is
 * nothing. */
NODISCARD int legacy_clean_up(const struct paths *paths, FILE *notes, struct error *error);

#endif
