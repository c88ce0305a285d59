/* Whether a misbehaving peer is worth a line in the log: once each, and a bounded number a minute.
 * Those without a pid are one peer, once a minute. */
#ifndef FLOCKS_TRANSPORT_COMPLAINTS_H
#define FLOCKS_TRANSPORT_COMPLAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/transport/limits.h"

enum complaint_kind {
    COMPLAINT_UID,      /* another user */
    COMPLAINT_GATE,     /* over TCP without the token, or with a foreign authority */
    COMPLAINT_PROTOCOL, /* bounds or rules of the protocol broken, a first byte of no protocol */
    COMPLAINT_CROWD     /* closed, or refused, for the sake of others */
};

/* Private; by value. Zeroed is empty. */
struct complaints {
    struct complaint_seen {
        int32_t pid;
        enum complaint_kind kind;
        bool is_used;
    } seen[TRANSPORT_COMPLAINTS_REMEMBERED];
    size_t next;
    int64_t minute_began_at;
    uint32_t in_minute;
    uint64_t left_out;
};

/* True: write the line; *out_left_out is how many others were kept back since the last one written.
 */
bool complaints_admit(struct complaints *complaints, enum complaint_kind kind, int32_t pid,
    int64_t now_ms, uint64_t *out_left_out);

#endif
