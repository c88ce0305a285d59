#include "client/cli/poll_until.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/base/clock.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

/* NULL: as long as it takes. */
static const struct timespec *time_until(int64_t due_at, struct timespec *out)
{
    if (due_at == CLOCK_NEVER)
        return NULL;
    int64_t left_ms = due_at - clock_monotonic_ms();
    if (left_ms < 0)
        left_ms = 0;
    out->tv_sec = (time_t)(left_ms / MS_PER_S);
    out->tv_nsec = (long)(left_ms % MS_PER_S * NS_PER_MS);
    return out;
}

/* ppoll(2) looks at signals only when no descriptor is ready: who has much to say would otherwise
 * keep Ctrl-C out. */
static bool has_signal(const sigset_t *mask)
{
    const struct timespec at_once = {0};
    return mask && ppoll(NULL, 0, &at_once, mask) < 0;
}

int poll_until(struct pollfd *fds, nfds_t n, int64_t due_at, const sigset_t *mask)
{
    struct timespec left;
    return has_signal(mask) ? -1 : ppoll(fds, n, time_until(due_at, &left), mask);
}
