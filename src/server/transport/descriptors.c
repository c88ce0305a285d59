#include "server/transport/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "server/transport/limits.h"

int descriptors_raise_limit(size_t *out, struct error *error)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set_errno(error, errno, "read the limit of open files");
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            return error_set_errno(error, errno, "raise the limit of open files");
    }
    *out = (size_t)limit.rlim_cur;
    return 0;
}

size_t descriptors_connections_max(size_t limit)
{
    if (limit <= TRANSPORT_DESCRIPTORS_RESERVED)
        return 1;
    limit -= TRANSPORT_DESCRIPTORS_RESERVED;
    return limit < TRANSPORT_CONNECTIONS_MAX ? limit : TRANSPORT_CONNECTIONS_MAX;
}

int descriptors_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
