/* Time as values. Durations end in _ms, absolute times
 * in _at; monotonic unless the name says wall. */
#ifndef FLOCKS_BASE_CLOCK_H
#define FLOCKS_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

/* CLOCK_MONOTONIC in milliseconds; never goes back, does not count suspend. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
/* Time that this thread has used of a processor, in nanoseconds: what work costs, however busy the
 * machine is. */
int64_t clock_thread_ns(void);
/* CLOCK_BOOTTIME in nanoseconds: the same for every process until reboot, survives flocksd. */
int64_t clock_boottime_ns(void);
/* CLOCK_REALTIME, nanoseconds since 1970-01-01 UTC. For showing only, never for deciding. */
int64_t clock_wall_ns(void);
/* `a_ms` + `b_ms` without overflow; CLOCK_NEVER stays CLOCK_NEVER. */
int64_t clock_add_ms(int64_t a_ms, int64_t b_ms);

#endif
