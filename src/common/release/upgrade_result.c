/* Written by hand: this room knows no schema. That it is a flocks.v1.UpgradeProgress is tested. */
#include "common/release/upgrade_result.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/fd.h"
#include "common/base/utf8.h"

enum {
    RESULT_MODE = 0600,
    /* All texts at their longest, and escaped. */
    RESULT_BYTES_MAX = 64 * 1024,
    TIME_SIZE = 64,
    MS_PER_S = 1000,
    /* As in upgrade.proto. */
    MESSAGE_MAX = 255
};

static int append_text(struct buffer *out, const char *text, size_t max)
{
    size_t len = utf8_cut(text, strlen(text), max);
    int result = buffer_append_text(out, "\"");
    for (size_t i = 0; result == 0 && i < len;) {
        const uint8_t *at = (const uint8_t *)text + i;
        size_t n = utf8_character_length(at, len - i);
        if (n == 0)
            result = buffer_append_text(out, "?");
        else if (*at == '"' || *at == '\\')
            result = buffer_printf(out, "\\%c", *at);
        else if (*at < ' ' || *at == 0x7f)
            result = buffer_printf(out, "\\u%04x", *at);
        else
            result = buffer_append(out, at, n);
        i += n == 0 ? 1 : n;
    }
    return result == 0 ? buffer_append_text(out, "\"") : result;
}

static int append_member(struct buffer *out, const char *name, const char *text)
{
    int result = buffer_printf(out, ",\"%s\":", name);
    return result == 0 ? append_text(out, text, ERROR_TEXT_MAX) : result;
}

static int append_time(struct buffer *out, const char *name, int64_t wall_ms)
{
    char text[TIME_SIZE];
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / MS_PER_S);
    if (wall_ms < 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return 0;
    return buffer_printf(out, ",\"%s\":\"%s.%03dZ\"", name, text, (int)(wall_ms % MS_PER_S));
}

static int append_error(struct buffer *out, const struct error *failure, const char *reason)
{
    int result = buffer_append_text(out, ",\"error\":{\"attempted\":");
    if (result == 0)
        result = append_text(out, failure->text, MESSAGE_MAX);
    if (failure->reason == 0)
        reason = "UNSPECIFIED";
    if (result == 0 && reason != NULL)
        result = buffer_printf(out, ",\"reason\":\"ERROR_REASON_%s\"", reason);
    else if (result == 0)
        result = buffer_printf(out, ",\"reason\":%u", (unsigned)failure->reason);
    if (result == 0)
        result = append_member(out, "service", failure->subject);
    if (result == 0)
        result = append_member(out, "hint", failure->hint);
    return result == 0 ? buffer_append_text(out, "}") : result;
}

int upgrade_result_text(const struct upgrade_result *result, struct buffer *out)
{
    const struct {
        const char *name;
        const char *text;
    } members[] = {
        {"from_version", result->from},
        {"to_version", result->to},
        {"phase", result->phase},
        {"lease_id", result->lease},
        {"source", result->source},
    };
    int done = buffer_append_text(out, "{\"upgrade_id\":");
    if (done == 0)
        done = append_text(out, result->id, MESSAGE_MAX);
    if (done == 0)
        done = buffer_append_text(out, ",\"step\":\"UPGRADE_STEP_DONE\",\"message\":");
    if (done == 0)
        done = append_text(out, result->message, MESSAGE_MAX);
    for (size_t i = 0; done == 0 && i < ARRAY_LENGTH(members); i++)
        done = append_member(out, members[i].name, members[i].text);
    if (done == 0)
        done = append_time(out, "began_at", result->began_wall_ms);
    if (done == 0)
        done = append_time(out, "ended_at", result->ended_wall_ms);
    if (done == 0)
        done = buffer_printf(out, ",\"not_verified\":%s,\"code\":%d",
            result->not_verified ? "true" : "false", (int)result->failure.code);
    if (done == 0 && result->failure.code != STATUS_OK)
        done = append_error(out, &result->failure, result->reason);
    return done == 0 ? buffer_append_text(out, "}\n") : done;
}

int upgrade_result_write(const char *path, const struct upgrade_result *result, struct error *error)
{
    CLEANUP(buffer_deinit) struct buffer text;
    buffer_init(&text, RESULT_BYTES_MAX);
    if (upgrade_result_text(result, &text) < 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for %s", path);
    /* Of one who was killed here; the upgrade's lock is held. */
    fd_sweep_temporaries(path);
    return fd_replace_file(path, buffer_data(&text), buffer_length(&text), RESULT_MODE, error);
}
