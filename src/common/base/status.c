/* Names of the outcomes, and what errno values mean in their terms. */
#include "common/base/status.h"

#include <errno.h>
#include <stddef.h>

#include "common/base/attributes.h"

const char *status_code_name(int code)
{
    switch (code) {
#define STATUS_NAME_CASE(name, number)                                                             \
    case number:                                                                                   \
        return #name;
        STATUS_CODES(STATUS_NAME_CASE)
#undef STATUS_NAME_CASE
    default:
        return "UNKNOWN";
    }
}

/* What the errno values that this project meets say. */
static const struct {
    int error_number;
    enum status_code code;
} meanings[] = {
    {0, STATUS_OK},
    {ENOENT, STATUS_NOT_FOUND},
    {ENOTDIR, STATUS_NOT_FOUND},
    {ESRCH, STATUS_NOT_FOUND},
    {EEXIST, STATUS_ALREADY_EXISTS},
    {EADDRINUSE, STATUS_ALREADY_EXISTS},
    {EACCES, STATUS_PERMISSION_DENIED},
    {EPERM, STATUS_PERMISSION_DENIED},
    {EROFS, STATUS_PERMISSION_DENIED},
    {EINVAL, STATUS_INVALID_ARGUMENT},
    {ENAMETOOLONG, STATUS_INVALID_ARGUMENT},
    {ELOOP, STATUS_INVALID_ARGUMENT},
    {EISDIR, STATUS_INVALID_ARGUMENT},
    {ENOEXEC, STATUS_INVALID_ARGUMENT},
    {ENOMEM, STATUS_RESOURCE_EXHAUSTED},
    {EMFILE, STATUS_RESOURCE_EXHAUSTED},
    {ENFILE, STATUS_RESOURCE_EXHAUSTED},
    {ENOSPC, STATUS_RESOURCE_EXHAUSTED},
    {EDQUOT, STATUS_RESOURCE_EXHAUSTED},
    {EFBIG, STATUS_RESOURCE_EXHAUSTED},
    {ENOBUFS, STATUS_RESOURCE_EXHAUSTED},
    {EAGAIN, STATUS_UNAVAILABLE},
    {ECONNREFUSED, STATUS_UNAVAILABLE},
    {ECONNRESET, STATUS_UNAVAILABLE},
    {EPIPE, STATUS_UNAVAILABLE},
    {ENOTCONN, STATUS_UNAVAILABLE},
    {ETIMEDOUT, STATUS_DEADLINE_EXCEEDED},
    {EBUSY, STATUS_FAILED_PRECONDITION},
    {ETXTBSY, STATUS_FAILED_PRECONDITION},
    {ENOTEMPTY, STATUS_FAILED_PRECONDITION},
    {ECANCELED, STATUS_CANCELLED},
    {ENOSYS, STATUS_UNIMPLEMENTED},
    {EOPNOTSUPP, STATUS_UNIMPLEMENTED},
    {ERANGE, STATUS_OUT_OF_RANGE},
    {EOVERFLOW, STATUS_OUT_OF_RANGE},
};

enum status_code status_from_errno(int error_number)
{
    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++) {
        if (meanings[i].error_number == error_number)
            return meanings[i].code;
    }
    return STATUS_INTERNAL;
}
