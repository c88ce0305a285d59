#include "client/cli/update_message.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/types.info.h"
#include "flocks/v1/upgrade.info.h"

#include "common/base/utf8.h"
#include "common/schema/json_read.h"

/* ---- a failure: google.rpc.Status, for which there is no schema ---- */

static const flocks_error_detail *read_detail(json_t *detail, struct arena *arena)
{
    ProtobufCMessage *message = NULL;
    (void)json_object_del(detail, "@type");
    char *text = json_dumps(detail, JSON_COMPACT);
    if (text && json_read(text, strlen(text), &flocks_error_detail_info, NULL, arena, &message,
                    NULL, NULL) < 0)
        message = NULL;
    free(text);
    return (const flocks_error_detail *)message;
}

/* What a detail says besides, in the error of this program. */
static void take_detail(const flocks_error_detail *detail, struct error *error)
{
    size_t n = utf8_cut(detail->service, strlen(detail->service), sizeof(error->subject) - 1);
    memcpy(error->subject, detail->service, n);
    error->reason = (uint32_t)detail->reason;
    if (detail->hint[0])
        error_set_hint(error, "%s", detail->hint);
}

static enum status_code known_code(int64_t code)
{
    return code > 0 && code < STATUS_CODE_COUNT ? (enum status_code)code : STATUS_UNKNOWN;
}

/* False: it is none. */
static bool read_failure(
    const char *line, size_t len, struct arena *arena, struct update_message *out)
{
    json_t *root = json_loadb(line, len, 0, NULL);
    const json_t *status = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(status, "message"));
    json_t *detail = json_array_get(json_object_get(status, "details"), 0);
    out->is_failure = message != NULL;
    if (message) {
        error_set(&out->failure, known_code(json_integer_value(json_object_get(status, "code"))),
            "%s", message);
        out->detail = json_is_object(detail) ? read_detail(detail, arena) : NULL;
    }
    if (out->detail)
        take_detail(out->detail, &out->failure);
    json_decref(root);
    return out->is_failure;
}

/* ---- a line ---- */

int update_message_read(const char *line, size_t len, struct arena *arena,
    struct update_message *out, struct error *error)
{
    struct error no_progress = ERROR_INIT;
    struct error no_check = ERROR_INIT;
    ProtobufCMessage *message = NULL;
    *out = (struct update_message){.failure = ERROR_INIT};
    if (json_read(line, len, &flocks_upgrade_progress_info, NULL, arena, &message, NULL,
            &no_progress) == 0) {
        out->progress = (const flocks_upgrade_progress *)message;
        return 0;
    }
    if (json_read(line, len, &flocks_update_check_info, NULL, arena, &message, NULL, &no_check) ==
        0) {
        out->check = (const flocks_update_check *)message;
        return 0;
    }
    if (read_failure(line, len, arena, out))
        return 0;
    return error_set(error, STATUS_INTERNAL,
        "neither UpgradeProgress (%.400s) nor UpdateCheck (%.400s)", no_progress.text,
        no_check.text);
}

bool update_message_is_end(const flocks_upgrade_progress *progress)
{
    return progress->step == FLOCKS_UPGRADE_STEP_DONE;
}

/* Texts of what failed: the message says it whole, the detail may be all there is. */
static const char *text_of(const flocks_upgrade_progress *progress)
{
    if (progress->message[0])
        return progress->message;
    if (progress->error && progress->error->attempted[0])
        return progress->error->attempted;
    return "the upgrade failed, and flocks-update did not say why";
}

int update_message_failure(const flocks_upgrade_progress *progress, struct error *error)
{
    const flocks_error_detail *detail = progress->error;
    if (progress->code == 0 && !detail)
        return 0;
    int result = error_set(error, known_code(progress->code), "%s", text_of(progress));
    if (detail && error)
        take_detail(detail, error);
    return result;
}
