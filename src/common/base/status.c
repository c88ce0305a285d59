/* Names of the outcomes, and what errno values mean in their terms. */
#include "common/base/status.h"

#include <errno.h>

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

enum status_code status_from_errno(int error_number)
{
    switch (error_number) {
    case 0:
        return STATUS_OK;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
        return STATUS_NOT_FOUND;
    case EEXIST:
    case EADDRINUSE:
        return STATUS_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_PERMISSION_DENIED;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR:
    case ENOEXEC:
        return STATUS_INVALID_ARGUMENT;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOBUFS:
        return STATUS_RESOURCE_EXHAUSTED;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
        return STATUS_UNAVAILABLE;
    case ETIMEDOUT:
        return STATUS_DEADLINE_EXCEEDED;
    case EBUSY:
    case ETXTBSY:
    case ENOTEMPTY:
        return STATUS_FAILED_PRECONDITION;
    case ECANCELED:
        return STATUS_CANCELLED;
    case ENOSYS:
    case EOPNOTSUPP:
        return STATUS_UNIMPLEMENTED;
    case ERANGE:
    case EOVERFLOW:
        return STATUS_OUT_OF_RANGE;
    default:
        return STATUS_INTERNAL;
    }
}
