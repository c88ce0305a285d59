/* Short texts that several views share: ages, states, reasons, ends. Pure but for the time zone.
 * Unknown numbers of a newer server are shown as STATE(17), REASON(40). */
#ifndef FLOCKS_CLI_WORDING_H
#define FLOCKS_CLI_WORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "flocks/v1/supervisor.names.h"
#include "flocks/v1/upgrade.names.h"

#include "client/cli/terminal.h"

enum {
    /* Every text of this file fits; none of them holds more than words and numbers of ours. */
    WORDING_MAX = 96
};

struct wording {
    char text[WORDING_MAX];
};

/* "12s", "2m 05s", "3h 07m", "4d 02h"; negative is "0s". */
struct wording wording_age(int64_t seconds);
/* "0.4ms", "250ms", "1.5s", then as an age. */
struct wording wording_duration(int64_t ns);
/* "999 bytes", "4.5 KiB", "10.0 MiB", "1.2 GiB" */
struct wording wording_bytes(uint64_t bytes);
/* Local time: "14:03:22", on another day than `now_s` "Nov 22 14:03:22", in another year with it.
 */
struct wording wording_time(int64_t at_s, int64_t now_s);
/* As wording_time of the same day, with milliseconds. */
struct wording wording_exact_time(int64_t at_s, int32_t nanos, int64_t now_s);

/* "HEALTHY" */
struct wording wording_state(int state);
enum terminal_color wording_state_color(int state);
/* "running", "being replaced" */
struct wording wording_daemon(int state);
/* HEALTHY or COMPLETED. */
bool wording_is_well(int state);
/* A clause that follows the state: "its port is held by somebody else"; "" for none. */
struct wording wording_reason(int reason);
/* "startup", "ready", "alive" */
struct wording wording_role(int role);
/* "exit code 3", "killed by SIGSEGV (core dumped)", "could not be run (ENOENT)" */
struct wording wording_exit(const flocks_exit_record *exit);
/* "start", "stop", "roll-back" */
struct wording wording_kind(int kind);
/* "succeeded", "runs", "deadline exceeded" */
struct wording wording_operation(int state);
/* Where the listening socket is not simply the service's own: "not verifiable"; "" else. */
struct wording wording_listener(int listener);
/* "held", "committing", "observing" */
struct wording wording_phase(int phase);
/* "Downloading", "Rolling back" */
struct wording wording_upgrade_step(int step);

/* Nanoseconds of a message; 0 for NULL. */
int64_t wording_ns(const Google__Protobuf__Duration *duration);

#endif
