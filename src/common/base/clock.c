/* The clocks of the kernel as 64-bit numbers. */
#include "common/base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    /* Cannot fail for the clocks named here (clock_gettime(2)). */
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_monotonic_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_thread_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_boottime_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

int64_t clock_wall_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

int64_t clock_add_ms(int64_t a_ms, int64_t b_ms)
{
    int64_t sum;
    if (a_ms == CLOCK_NEVER || b_ms == CLOCK_NEVER)
        return CLOCK_NEVER;
    if (__builtin_add_overflow(a_ms, b_ms, &sum))
        return b_ms < 0 ? INT64_MIN : CLOCK_NEVER;
    return sum;
}
