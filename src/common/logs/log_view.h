/* The bytes of a log behind a place, out of one file and the ones that follow it. Holds no
 * descriptor between two reads, so a reader, however slow, keeps no deleted file on the disk. */
#ifndef FLOCKS_LOGS_LOG_VIEW_H
#define FLOCKS_LOGS_LOG_VIEW_H

#include "common/logs/log_place.h"

enum {
    /* Bytes of one view. */
    LOG_VIEW_BYTES = 64 * 1024,
    /* Files that one view reaches over; the next one goes on behind them. */
    LOG_VIEW_PIECES_MAX = 8
};

/* What log_view_read finds, when it is no bytes. Reading goes on at `view.restart`. */
enum log_view_result {
    /* The file was cut by somebody else: its new beginning. */
    LOG_VIEW_TRUNCATED = 1,
    /* The file was deleted or rotated away: the oldest one that is not older. */
    LOG_VIEW_LOST = 2
};

/* Consecutive bytes of one file, ending at `view.bytes + end`. */
struct log_piece {
    struct log_file_id file;
    uint64_t offset; /* of its first byte */
    size_t begin;    /* in view.bytes */
};

/* Large: one for many readers. */
struct log_view {
    const char *bytes;
    size_t len;
    bool is_end;           /* the log has no more now */
    int64_t written_at_ns; /* when is_end: of its last byte, by the wall clock */
    struct log_place restart;
    /* Private. */
    size_t n_pieces;
    struct log_piece pieces[LOG_VIEW_PIECES_MAX];
    char memory[LOG_PLACE_CHECK_BYTES + LOG_VIEW_BYTES];
};

/* Reads up to LOG_VIEW_BYTES behind the place. 0: `view` has them, perhaps
 * none, with is_end. Positive: as above. Negative: what open(2) and read(2) say. */
NODISCARD int log_view_read(
    struct log_view *view, const char *path, const struct log_place *place, struct error *error);
/* The place behind the first `n` bytes of what was read. */
struct log_place log_view_place(
    const struct log_view *view, const struct log_place *before, size_t n);

#endif
