#include "client/upgrade/report_state.h"

#include <string.h>

#include "common/base/attributes.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

enum { NS_PER_S = 1000000000, STEPS_MAX = 32 };

static Google__Protobuf__Timestamp timestamp(int64_t wall_ns)
{
    Google__Protobuf__Timestamp value = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    value.seconds = wall_ns / NS_PER_S;
    value.nanos = (int32_t)(wall_ns % NS_PER_S);
    return value;
}

static uint32_t count_steps(uint32_t plan, int below)
{
    uint32_t n = 0;
    for (int i = 0; i < below && i < STEPS_MAX; i++)
        n += (plan >> i) & 1U;
    return n;
}

/* In which order people see them; not that of the numbers. */
static const enum flocks_upgrade_step order[] = {FLOCKS_UPGRADE_STEP_DOWNLOADING,
    FLOCKS_UPGRADE_STEP_VERIFYING, FLOCKS_UPGRADE_STEP_UNPACKING, FLOCKS_UPGRADE_STEP_INSTALLING,
    FLOCKS_UPGRADE_STEP_ADOPTING, FLOCKS_UPGRADE_STEP_STOPPING, FLOCKS_UPGRADE_STEP_SWITCHING,
    FLOCKS_UPGRADE_STEP_COMMITTING, FLOCKS_UPGRADE_STEP_REPLACING};

static uint32_t step_number(const struct report_state *state)
{
    uint32_t number = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        number += (state->plan >> (int)order[i]) & 1U;
        if (order[i] == state->step)
            return ((state->plan >> (int)order[i]) & 1U) != 0 ? number : 0;
    }
    return 0;
}

void report_copy_text(char *out, size_t size, const char *text)
{
    size_t n = utf8_cut(text, strlen(text), size - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}

static void fill_error(struct report_message *told, const struct error *failure)
{
    report_copy_text(told->attempted, sizeof told->attempted, failure->text);
    told->error = (flocks_error_detail)FLOCKS_ERROR_DETAIL_INIT;
    told->error.reason = flocks_error_reason_from(failure->reason);
    told->error.service = failure->subject;
    told->error.attempted = told->attempted;
    told->error.hint = failure->hint;
    if (failure->system_error != 0)
        told->error.system_error = error_errno_name(failure->system_error);
    told->progress.error = &told->error;
    told->progress.code = (uint32_t)failure->code;
}

void report_state_fill(const struct report_state *state, struct report_message *told)
{
    *told = (struct report_message){.progress = FLOCKS_UPGRADE_PROGRESS_INIT};
    flocks_upgrade_progress *progress = &told->progress;
    told->began_at = timestamp(state->began_wall_ns);
    told->ended_at = timestamp(state->ended_wall_ns);
    progress->upgrade_id = state->id;
    progress->step = state->step;
    progress->message = state->message;
    progress->bytes_done = state->bytes_done;
    progress->bytes_total = state->bytes_total;
    progress->from_version = state->from;
    progress->to_version = state->to;
    progress->began_at = &told->began_at;
    progress->ended_at = state->ended_wall_ns != 0 ? &told->ended_at : NULL;
    progress->phase = state->phase;
    progress->step_number = step_number(state);
    progress->steps = count_steps(state->plan, STEPS_MAX);
    progress->not_verified = state->not_verified;
    progress->lease_id = state->lease_id;
    progress->source = state->source;
    if (state->failure.code != STATUS_OK)
        fill_error(told, &state->failure);
}

void report_state_log(const struct report_state *state)
{
    if (state->failure.code != STATUS_OK)
        log_error("upgrade ended", "id=%s from=%s to=%s error=%s hint=%s", state->id, state->from,
            state->to, state->failure.text, state->failure.hint);
    else
        log_info("upgrade", "id=%s from=%s to=%s step=%s message=%s", state->id, state->from,
            state->to, flocks_upgrade_step_name(state->step), state->message);
}
