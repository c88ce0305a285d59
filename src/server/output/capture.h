/* The process that owns every log file: bytes go service pipe -> private pipe -> file by splice.
 *
 * Two stages, because a splice into a file holds the source pipe's lock during the disk write: a
 * slow disk would stall the service. Both pipes are held by the keeper too, so bytes in flight
 * outlive a kill of this process. It has no heap, decides nothing, and never blocks on a lock or a
 * peer; only the disk may make it wait. */
#ifndef FLOCKS_OUTPUT_CAPTURE_H
#define FLOCKS_OUTPUT_CAPTURE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/base/attributes.h"

enum {
    /* Outputs at once: one per slot, and as many that are given up and still drain. */
    CAPTURE_ENTRIES = 4096,
    /* Slots with counters. */
    CAPTURE_SLOTS = 2048,
    /* One batch, and what a pipe of default size holds. */
    CAPTURE_BATCH_BYTES = 64 * 1024,
    /* A log file locked by another process is tried again after this. */
    CAPTURE_RETRY_MS = 20
};

/* Counters of one slot, in memory shared by capture (writes) and flocksd (reads). They outlive
 * capture. */
struct capture_counters {
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t lost_bytes;
    _Atomic uint32_t rotations;
    /* errno of the last failure while it lasts, else 0. */
    _Atomic int32_t system_error;
};

/* ---- orders of the keeper, one per packet of a SOCK_SEQPACKET pair ---- */

enum capture_order_kind {
    /* With two descriptors: the service's pipe (O_RDONLY, non-blocking: its end of file is the end
     * of the output) and the private pipe (O_RDWR), which may hold bytes of an earlier capture. */
    CAPTURE_OPEN = 1,
    /* Path or rotation of an open entry change. */
    CAPTURE_CHANGE = 2
};

/* Both ends are the same image on the same machine, so this is a plain struct. `path` is cut off
 * after its NUL. */
struct capture_order {
    uint32_t kind;
    /* Chosen by the keeper, below CAPTURE_ENTRIES. */
    uint32_t entry;
    uint32_t slot;
    uint32_t keep;
    uint64_t max_size;
    char path[PATH_MAX];
};

/* Capture's only answer: every writer of this entry's pipe is gone and its bytes are in the file.
 */
struct capture_report {
    uint32_t entry;
};

/* Runs until the keeper's end of `control_fd` is closed and every output has ended. Returns the
 * process's exit code. `counters_fd`: memory for CAPTURE_SLOTS counters. */
NODISCARD int capture_run(int control_fd, int counters_fd);

#endif
