/* What a service says of itself: sd_notify(3)'s datagrams as values, and what they add up to. Pure:
 * the socket and the question of who sent something are supervisor_notify.c's. */
#ifndef FLOCKS_SUPERVISE_NOTIFY_H
#define FLOCKS_SUPERVISE_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/clock.h"

enum {
    /* One datagram; a longer one is refused whole, as systemd does (PIPE_BUF). */
    NOTIFY_DATAGRAM_MAX = 4096,
    /* Bytes of the STATUS text with its NUL; a longer one is cut. */
    NOTIFY_STATUS_SIZE = 256,
    /* WATCHDOG_USEC and EXTEND_TIMEOUT_USEC beyond this are taken as this. */
    NOTIFY_TIME_MAX_MS = 60 * 60 * 1000,
    /* EXTEND_TIMEOUT_USEC moves the end of a start or stop to at most this long after its
       beginning, however often it is said: every stop ends. */
    NOTIFY_EXTENDED_MAX_MS = 60 * 60 * 1000
};

/* notify_message.watchdog_ms and .extend_ms. */
#define NOTIFY_NOT_SAID INT64_C(-1)

/* One datagram. */
struct notify_message {
    bool ready;
    bool stopping;
    bool reloading;
    bool watchdog;         /* WATCHDOG=1: it lives */
    bool watchdog_trigger; /* WATCHDOG=trigger: it asks to be restarted */
    bool main_pid;         /* MAINPID=, which is refused: the keeper knows the leader */
    bool has_status;
    char status[NOTIFY_STATUS_SIZE]; /* UTF-8 without control characters */
    int error_number;                /* ERRNO=; 0: not said */
    int64_t watchdog_ms;             /* WATCHDOG_USEC=, 0: no watchdog any more */
    int64_t extend_ms;               /* EXTEND_TIMEOUT_USEC= */
};

/* notify_parse: not text (NUL inside) or longer than NOTIFY_DATAGRAM_MAX; nothing of it counts. */
#define NOTIFY_MALFORMED 1

/* Reads lines of KEY=VALUE; unknown keys, lines without "=" and values that are none are left out;
 * of a key said twice the last one counts. One NUL or line feed at the end is allowed. */
NODISCARD int notify_parse(const char *text, size_t len, struct notify_message *out);

/* What the present run has said so far. */
struct notified {
    bool ready;
    bool stopping;
    bool main_pid_told; /* its MAINPID= was refused in the log */
    char status[NOTIFY_STATUS_SIZE];
    int error_number;
    bool is_serving; /* notified_watch */
    /* It must send WATCHDOG=1 this often; 0: it need not. */
    int64_t watchdog_ms;
    /* ... or this is when it is late; CLOCK_NEVER: not watched (yet). */
    int64_t watchdog_at;
    bool is_triggered; /* it said WATCHDOG=trigger */
    /* It said STOPPING=1 and must have ended by then; CLOCK_NEVER: it did not say so. */
    int64_t stopping_by;
    int64_t stopping_since;
};

/* A new run, which has said nothing. */
void notified_begin(struct notified *notified, int64_t watchdog_ms);
/* It serves: from now on it must report, if it has to at all. Not again for one that is watched. */
void notified_watch(struct notified *notified, int64_t now);
/* What came of a message; the greater includes the smaller. */
enum notified_change {
    NOTIFIED_BEAT,  /* nothing but a promise kept; said again before long */
    NOTIFIED_TEXT,  /* what is shown to people */
    NOTIFIED_PHASE, /* what is said once: it must not be lost */
};

/* `stop_grace_ms`: how long it may take to end after STOPPING=1. */
enum notified_change notified_apply(struct notified *notified, const struct notify_message *message,
    int64_t stop_grace_ms, int64_t now);
/* When the next promise of it ends; CLOCK_NEVER: none is open. */
int64_t notified_due_at(const struct notified *notified);
/* `due_at`, which began to count at `since`, after EXTEND_TIMEOUT_USEC=`extend_ms` at `now`: never
 * earlier than it was. */
int64_t notify_extended(int64_t due_at, int64_t since, int64_t extend_ms, int64_t now);

#endif
