/* ReadLogs: every stream is pulled by its reader from the files, one item at a time, and holds no
 * more than its places in them; nothing of a log is kept here.
 *
 * Who follows is told by a look at the counts that capture keeps in shared memory, all outputs at
 * once and in steps of time, however many readers there are and however fast is written. Not by
 * inotify: the kernel lets whoever waits for the death of a process with an inotify descriptor wait
 * longer (transport/path_watch.c), and that is a take-over. */
#ifndef FLOCKS_API_READING_H
#define FLOCKS_API_READING_H

#include <uv.h>

#include "flocks/v1/supervisor.server.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "server/supervise/supervisor.h"

enum {
    /* Streams, and logs in all of them; one more stream is RESOURCE_EXHAUSTED. */
    READING_STREAMS_MAX = 256,
    READING_LOGS_MAX = 65536,
    /* Logs of one stream that are looked at in one turn of it. */
    READING_TURN_LOOKS_MAX = 16,
    /* The counts are looked at this often after something was written, ever less often, down to the
     * second, while nothing is; never while nobody follows. */
    READING_LOOK_MS = 10,
    READING_LOOK_MAX_MS = 160
};

struct log_view;
struct reading_counts;

/* Embedded in struct api; private. */
struct reading {
    uv_loop_t *loop;
    struct supervisor *supervisor;
    uv_timer_t *timer; /* looks at the counts */
    uv_timer_t *again; /* wakes streams that have more to do */
    uint64_t look_ms;
    uint64_t changes; /* of services, known to all streams */
    struct list streams;
    size_t n_streams;
    size_t n_logs;
    struct log_view *scratch;
    struct reading_counts *counts; /* by output */
};

NODISCARD int reading_open(
    struct reading *reading, uv_loop_t *loop, struct supervisor *supervisor, struct error *error);
/* Ends every stream with UNAVAILABLE, reason SHUTTING_DOWN. */
void reading_close(struct reading *reading);

void reading_logs(struct reading *reading, struct flocks_read_logs_call *call,
    const flocks_read_logs_request *request);

#endif
