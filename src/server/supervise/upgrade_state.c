#include "server/supervise/upgrade_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

state_upgrade *upgrade_save(const struct upgrade *upgrade, struct arena *arena)
{
    state_upgrade *message = arena_alloc(arena, sizeof *message);

    if (message == NULL)
        return NULL;
    *message = (state_upgrade)STATE_UPGRADE_INIT;
    message->id = upgrade->id;
    message->request_id = upgrade->request_id;
    message->lease_id = upgrade->lease_id;
    message->phase = (uint32_t)upgrade->phase;
    message->over = upgrade->is_over;
    message->presumed = upgrade->is_presumed;
    message->abort_asked = upgrade->is_abort_asked;
    message->abort_reason = upgrade->abort_reason;
    message->began_wall_ns = upgrade->began_wall_ns;
    message->ended_wall_ns = upgrade->ended_wall_ns;
    message->reporter_pid = upgrade->reporter_pid;
    message->reporter_start_ticks = upgrade->reporter_start_ticks;
    message->report.data = upgrade->report.bytes;
    message->report.len = upgrade->report.bytes != NULL ? upgrade->report.len : 0;
    return message;
}

/* Bytes that are no report are none. */
static void load_report(struct upgrade *upgrade, const ProtobufCBinaryData *report)
{
    flocks_upgrade_progress *progress;

    if (report->len == 0 || report->len > UPGRADE_REPORT_MAX)
        return;
    progress = (flocks_upgrade_progress *)protobuf_c_message_unpack(
        &flocks__v1__upgrade_progress__descriptor, NULL, report->len, report->data);
    if (progress == NULL)
        return;
    upgrade->step = flocks_upgrade_step_from((int)progress->step);
    protobuf_c_message_free_unpacked(&progress->base, NULL);
    upgrade->report.bytes = malloc(report->len + 1);
    if (upgrade->report.bytes == NULL)
        return;
    memcpy(upgrade->report.bytes, report->data, report->len);
    upgrade->report.len = report->len;
}

void upgrade_load(struct upgrades *upgrades, const state_upgrade *message)
{
    struct upgrade *upgrade = NULL;

    if (!upgrade_id_is_good(message->id) || upgrades_find(upgrades, message->id) != NULL ||
        upgrades_count(upgrades) >= UPGRADES_MAX ||
        upgrades_add(upgrades, message->id, message->began_wall_ns, &upgrade, NULL) < 0)
        return;
    (void)snprintf(upgrade->request_id, sizeof upgrade->request_id, "%s", message->request_id);
    (void)snprintf(upgrade->lease_id, sizeof upgrade->lease_id, "%s", message->lease_id);
    (void)snprintf(
        upgrade->abort_reason, sizeof upgrade->abort_reason, "%s", message->abort_reason);
    upgrade->phase = flocks_upgrade_phase_from((int)message->phase);
    upgrade->is_over = message->over;
    upgrade->is_presumed = message->presumed;
    upgrade->is_abort_asked = message->abort_asked;
    upgrade->ended_wall_ns = message->ended_wall_ns;
    upgrade->reporter_pid = message->reporter_pid;
    upgrade->reporter_start_ticks = message->reporter_start_ticks;
    load_report(upgrade, &message->report);
}
