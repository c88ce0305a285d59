/* The end of a process that is not ours, as soon as the kernel tells it. Private to the room. */
#ifndef FLOCKS_SUPERVISE_PROCESS_WATCH_H
#define FLOCKS_SUPERVISE_PROCESS_WATCH_H

#include <stdint.h>
#include <uv.h>

#include "common/base/attributes.h"

struct process_watch;

/* process_watch_open: there is no such process (any more). */
#define PROCESS_WATCH_GONE 1

/* Calls `ended` once, from the loop, when process `pid` has ended; the loop does not wait for that.
 * `*start_ticks` 0: whoever has the number now, and it is written; else only the process that began
 * then (field 22 of /proc/<pid>/stat). `ended` may close the watch. PROCESS_WATCH_GONE; negative:
 * no memory, no descriptor left, not to be seen. */
NODISCARD int process_watch_open(uv_loop_t *loop, int32_t pid, uint64_t *start_ticks,
    void (*ended)(void *data), void *data, struct process_watch **out);
/* `ended` will not be called. The memory dies later, from the loop. NULL is accepted. */
void process_watch_close(struct process_watch *watch);

#endif
