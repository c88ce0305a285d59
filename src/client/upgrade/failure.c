#include "client/upgrade/failure.h"

#include <string.h>

#include "flocks/v1/types.info.h"
#include "flocks/v1/types.names.h"

#include "common/schema/json_write.h"

enum { DETAIL_BYTES_MAX = 16 * 1024 };

int update_exit_code(enum status_code code)
{
    static const unsigned char codes[STATUS_CODE_COUNT] = {[STATUS_OK] = 0,
        [STATUS_CANCELLED] = 1,
        [STATUS_UNKNOWN] = 1,
        [STATUS_INVALID_ARGUMENT] = 2,
        [STATUS_DEADLINE_EXCEEDED] = 4,
        [STATUS_NOT_FOUND] = 2,
        [STATUS_ALREADY_EXISTS] = 5,
        [STATUS_PERMISSION_DENIED] = 6,
        [STATUS_RESOURCE_EXHAUSTED] = 5,
        [STATUS_FAILED_PRECONDITION] = 5,
        [STATUS_ABORTED] = 5,
        [STATUS_OUT_OF_RANGE] = 2,
        [STATUS_UNIMPLEMENTED] = 7,
        [STATUS_INTERNAL] = 1,
        [STATUS_UNAVAILABLE] = 4,
        [STATUS_DATA_LOSS] = 1,
        [STATUS_UNAUTHENTICATED] = 6};
    return (unsigned)code < STATUS_CODE_COUNT ? codes[code] : 1;
}

/* {"@type": ..., <members of the detail>} */
static int append_detail(const struct error *error, struct buffer *out)
{
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    CLEANUP(buffer_deinit) struct buffer members;
    buffer_init(&members, DETAIL_BYTES_MAX);
    detail.reason = flocks_error_reason_from(error->reason);
    detail.service = error->subject;
    detail.hint = error->hint;
    if (error->system_error != 0)
        detail.system_error = error_errno_name(error->system_error);
    int result = json_write(&flocks_error_detail_info, &detail.base, NULL, &members);
    if (result == 0)
        result =
            buffer_append_text(out, "{\"@type\":\"type.googleapis.com/flocks.v1.ErrorDetail\",");
    /* Its own opening brace is replaced; a detail always has members. */
    return result == 0 ? buffer_append(out, buffer_data(&members) + 1, buffer_length(&members) - 1)
                       : result;
}

int update_failure_append(const struct error *error, struct buffer *out)
{
    int result = buffer_printf(out, "{\"error\":{\"code\":%d,\"message\":", (int)error->code);
    if (result == 0)
        result = json_write_text(error->text, strlen(error->text), out);
    if (result == 0)
        result = buffer_append_text(out, ",\"details\":[");
    if (result == 0)
        result = append_detail(error, out);
    return result == 0 ? buffer_append_text(out, "]}}\n") : result;
}
