/* One state of an upgrade as it is told: a value, its flocks.v1.UpgradeProgress, and its line in
 * the log. */
#ifndef FLOCKS_UPGRADE_REPORT_STATE_H
#define FLOCKS_UPGRADE_REPORT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flocks/v1/types.names.h"
#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/server.h"
#include "common/base/error.h"
#include "common/release/version.h"

enum {
    /* As in upgrade.proto, and the end. */
    REPORT_MESSAGE_SIZE = 256,
    REPORT_SOURCE_SIZE = 1024
};

/* A plain value. */
struct report_state {
    char id[UPDATE_ID_SIZE];
    char lease_id[UPDATE_ID_SIZE];
    char message[REPORT_MESSAGE_SIZE];
    char source[REPORT_SOURCE_SIZE];
    char from[VERSION_TEXT_MAX + 1];
    char to[VERSION_TEXT_MAX + 1];
    enum flocks_upgrade_step step;
    enum flocks_upgrade_phase phase;
    uint64_t bytes_done;
    uint64_t bytes_total;
    int64_t began_wall_ns;
    int64_t ended_wall_ns;
    /* Steps that are going to be told: a mask of 1 << step. */
    uint32_t plan;
    bool not_verified;
    struct error failure;
};

/* Everything that a message points to. */
struct report_message {
    flocks_upgrade_progress progress;
    flocks_error_detail error;
    Google__Protobuf__Timestamp began_at;
    Google__Protobuf__Timestamp ended_at;
    char attempted[REPORT_MESSAGE_SIZE];
};

/* What fits of `text`, cut between characters. */
void report_copy_text(char *out, size_t size, const char *text);

/* out->progress borrows from `state` and `out`. */
void report_state_fill(const struct report_state *state, struct report_message *out);
void report_state_log(const struct report_state *state);

#endif
