/* One ReadLogs call: its logs, and whose turn it is. Private to reading.c. */
#ifndef FLOCKS_API_READING_STREAM_H
#define FLOCKS_API_READING_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/config.h"
#include "server/api/reading.h"
#include "server/output/log_source.h"
#include "server/output/log_token.h"

/* What was seen of each output, and who reads its log. */
struct reading_counts {
    struct {
        struct list logs; /* of reading_log, those that follow */
        uint64_t written;
        uint64_t lost;
    } outputs[SUPERVISOR_OUTPUTS_MAX];
};

enum reading_phase {
    READING_NEW,
    READING_SEARCHING, /* for where it begins */
    READING_READY,     /* may have an item */
    READING_IDLE,      /* has none until its count grows */
    READING_OVER
};

/* Where a log begins. LOG_SOURCE_MARK: by the stream's token; what that does not know, from its
 * first byte. */
struct reading_beginning {
    enum log_source_start start;
    uint64_t amount; /* LOG_SOURCE_TAIL: lines; LOG_SOURCE_BYTES: behind so many by its count */
};

/* One log of a stream. */
struct reading_log {
    struct list in_output;
    struct reading_stream *stream;
    uint32_t output; /* SUPERVISOR_OUTPUTS_MAX: none, its service has gone */
    enum reading_phase phase;
    struct reading_beginning beginning;
    struct log_source source;
    char name[CONFIG_NAME_MAX + 1];
};

struct reading_stream {
    struct list link; /* in reading.streams */
    struct reading *reading;
    struct flocks_read_logs_call *call;
    bool follows;
    bool is_all;         /* of all services, also of those to come */
    bool is_woken_again; /* by reading.again */
    size_t n_logs;
    size_t n_searching;        /* new or searching; no item is given before all have begun */
    size_t next;               /* whose turn it is */
    struct reading_log **logs; /* in the order of their names */
    struct log_token *token;   /* of LOG_SOURCE_MARK, until all have begun; owned */
};

/* NULL without memory. Freed with everything in it; tells nobody. */
struct reading_stream *reading_stream_new(
    struct reading *reading, struct flocks_read_logs_call *call, bool follows);
void reading_stream_free(struct reading_stream *stream);

/* One more log, unless it has it; no file is touched. RESOURCE_EXHAUSTED. */
NODISCARD int reading_stream_add(struct reading_stream *stream, const char *name, uint32_t output,
    const struct reading_beginning *beginning, struct error *error);
bool reading_stream_has(const struct reading_stream *stream, const char *name);

/* Services came or went: each log finds its output again. */
void reading_stream_rebind(struct reading_stream *stream);

/* The stream's hook. */
enum rpc_pull reading_stream_next(void *state, struct flocks_read_logs_call *call);

/* The stream has more to do, after others: it is woken in the next turn of the loop. */
void reading_wake_again(struct reading_stream *stream);

#endif
