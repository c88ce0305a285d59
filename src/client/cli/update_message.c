#include "client/cli/update_message.h"

#include <string.h>

#include "flocks/v1/upgrade.info.h"

#include "common/base/utf8.h"
#include "common/schema/json_read.h"

int update_message_read(const char *line, size_t len, struct arena *arena,
    struct update_message *out, struct error *error)
{
    struct error no_progress = ERROR_INIT;
    struct error no_check = ERROR_INIT;
    ProtobufCMessage *message = NULL;
    *out = (struct update_message){NULL, NULL};
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
    bool is_known = progress->code < STATUS_CODE_COUNT;
    if (progress->code == 0 && !detail)
        return 0;
    enum status_code code =
        is_known && progress->code > 0 ? (enum status_code)progress->code : STATUS_UNKNOWN;
    int result = error_set(error, code, "%s", text_of(progress));
    if (!detail || !error)
        return result;
    size_t n = utf8_cut(detail->service, strlen(detail->service), sizeof(error->subject) - 1);
    memcpy(error->subject, detail->service, n);
    error->reason = (uint32_t)detail->reason;
    if (detail->hint[0])
        error_set_hint(error, "%s", detail->hint);
    return result;
}
