/* The log of one service as one reader gets it: items of whole lines from where it was asked for,
 * each once, and how much was lost before it. Knows files and counts, no loop and no message. */
#ifndef FLOCKS_OUTPUT_LOG_SOURCE_H
#define FLOCKS_OUTPUT_LOG_SOURCE_H

#include "common/logs/log_seek.h"

/* What capture has counted. */
struct log_counts {
    uint64_t written; /* bytes that went into the log */
    uint64_t lost;    /* that it did not take */
    uint64_t id;      /* another number, another count; 0: nothing is counted */
};

/* The log, and how its counts are read; both borrowed. */
struct log_output {
    const char *path;
    struct log_counts (*counts)(const void *data);
    const void *data;
};

/* What another reader, of another process perhaps, needs to go on. A plain value. */
struct log_mark {
    struct log_place place;
    /* Of the counts: which, how much was written up to here, what was lost by then. */
    uint64_t count_id;
    int64_t written;
    uint64_t lost;
};

enum log_source_start {
    LOG_SOURCE_TAIL,  /* `amount` lines before the end */
    LOG_SOURCE_BYTES, /* `amount` bytes before the end */
    LOG_SOURCE_ALL,
    LOG_SOURCE_MARK /* behind `mark` */
};

/* Embedded by value; `mark` may be read once it has begun. */
struct log_source {
    struct log_mark mark;
    bool follows;
    uint64_t remaining;  /* bytes until the end that was asked for; UINT64_MAX: not known */
    uint64_t bytes_lost; /* not said yet */
    struct log_seek seek;
    bool is_counted;    /* mark.written means something */
    bool has_jumped;    /* and what it lost may have been measured too low */
    uint64_t jumped_at; /* by the count */
};

enum log_source_result {
    LOG_SOURCE_IDLE = 1, /* nothing more is there now */
    LOG_SOURCE_BUSY = 2, /* ask again, but let others have their turn */
    LOG_SOURCE_OVER = 3  /* the end that was asked for */
};

/* 0: it has begun; LOG_SOURCE_BUSY: log_source_search; negative: what the system says.
 * `follows`: it has no end; else the end is that of now. */
NODISCARD int log_source_begin(struct log_source *source, const struct log_output *output,
    enum log_source_start start, uint64_t amount, const struct log_mark *mark, bool follows,
    struct error *error);
/* One step, with one read at most. As log_source_begin. */
NODISCARD int log_source_search(struct log_source *source, const struct log_output *output,
    struct log_view *scratch, struct error *error);

struct log_item {
    const char *bytes; /* in the scratch */
    size_t len;        /* 1 to LOG_VIEW_BYTES */
    uint64_t bytes_lost;
    int64_t at_ns; /* when its last byte was written, by the wall clock; 0: not known */
};

/* 0: one item, behind which the source stands now. Ends with a newline, unless the line is longer
 * or nothing follows that was asked for. Positive: as above. */
NODISCARD int log_source_next(struct log_source *source, const struct log_output *output,
    struct log_view *scratch, struct log_item *out, struct error *error);

#endif
