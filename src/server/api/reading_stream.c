#include "server/api/reading_stream.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/search.h"
#include "server/api/failure.h"

enum {
    /* Steps of the search for the first lines in one turn of a stream, each of one read. */
    SEARCH_STEPS_PER_TURN = 16,
    TENTH_NS = 100 * 1000 * 1000,
    SECOND_NS = 1000 * 1000 * 1000,
    COUNT_ID_SHIFT = 12
};

_Static_assert((int)SUPERVISOR_OUTPUTS_MAX < 1 << (int)COUNT_ID_SHIFT, "an id has room for it");
_Static_assert((int)SUPERVISOR_OUTPUTS_MAX <= (int)LOG_TOKEN_MARKS_MAX, "a mark for every log");

/* ---- a log ---- */

static struct log_counts read_counts(const void *data)
{
    const struct reading_log *log = data;
    struct supervisor_output counted;

    if (log->output >= SUPERVISOR_OUTPUTS_MAX)
        return (struct log_counts){.id = 0};
    supervisor_get_output(log->stream->reading->supervisor, log->output, &counted);
    return (struct log_counts){.written = counted.written_bytes,
        .lost = counted.lost_bytes,
        .id = counted.count_id << COUNT_ID_SHIFT | (log->output + 1)};
}

static struct log_output output_of(const struct reading_log *log, char path[PATH_MAX])
{
    const char *directory = supervisor_logs(log->stream->reading->supervisor);
    int len = snprintf(path, PATH_MAX, "%s/%s.log", directory, log->name);

    if (len < 0 || len >= PATH_MAX)
        path[0] = '\0'; /* opens nothing */
    return (struct log_output){.path = path, .counts = read_counts, .data = log};
}

/* It follows the counts of its output. */
static void bind_output(struct reading_log *log, uint32_t output)
{
    log->output = output;
    list_remove(&log->in_output);
    if (output < SUPERVISOR_OUTPUTS_MAX && log->stream->follows)
        list_append(&log->stream->reading->counts->outputs[output].logs, &log->in_output);
}

/* 0, LOG_SOURCE_BUSY or negative, as log_source_begin. */
static int begin(struct reading_log *log, const struct log_output *output, struct error *error)
{
    const struct log_mark *mark = NULL;
    enum log_source_start start = log->beginning.start;
    uint64_t amount = log->beginning.amount;

    if (start == LOG_SOURCE_MARK)
        mark = log_token_find(log->stream->token, log->name);
    if (start == LOG_SOURCE_MARK && mark == NULL)
        start = LOG_SOURCE_ALL;
    if (start == LOG_SOURCE_BYTES)
        amount = read_counts(log).written - amount;
    log->phase = READING_SEARCHING;
    return log_source_begin(&log->source, output, start, amount, mark, log->stream->follows, error);
}

/* ---- a stream ---- */

struct reading_stream *reading_stream_new(
    struct reading *reading, struct flocks_read_logs_call *call, bool follows)
{
    struct reading_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    list_init(&stream->link);
    stream->reading = reading;
    stream->call = call;
    stream->follows = follows;
    return stream;
}

static void free_log(struct reading_log *log)
{
    list_remove(&log->in_output);
    free(log);
}

void reading_stream_free(struct reading_stream *stream)
{
    for (size_t i = 0; i < stream->n_logs; i++)
        free_log(stream->logs[i]);
    free(stream->logs);
    log_token_free(stream->token);
    free(stream);
}

struct log_key {
    const struct reading_stream *stream;
    const char *name;
};

static int compare_log(const void *data, size_t place)
{
    const struct log_key *key = data;
    return strcmp(key->stream->logs[place]->name, key->name);
}

/* Where the log is, or belongs. */
static size_t place_of(const struct reading_stream *stream, const char *name)
{
    const struct log_key key = {.stream = stream, .name = name};
    return search_first(&key, stream->n_logs, compare_log);
}

bool reading_stream_has(const struct reading_stream *stream, const char *name)
{
    size_t place = place_of(stream, name);

    return place < stream->n_logs && strcmp(stream->logs[place]->name, name) == 0;
}

static int no_memory(struct error *error)
{
    return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the logs of a stream");
}

/* Room doubles. */
static bool has_room(struct reading_stream *stream)
{
    size_t n = stream->n_logs;
    struct reading_log **logs;

    if ((n & (n - 1)) != 0)
        return true;
    logs = realloc(stream->logs, (n == 0 ? 1 : 2 * n) * sizeof(struct reading_log *));
    if (logs != NULL)
        stream->logs = logs;
    return logs != NULL;
}

static void insert(struct reading_stream *stream, struct reading_log *log)
{
    size_t place = place_of(stream, log->name);

    memmove(stream->logs + place + 1, stream->logs + place,
        (stream->n_logs - place) * sizeof(struct reading_log *));
    stream->logs[place] = log;
    stream->n_logs++;
    stream->n_searching++;
}

int reading_stream_add(struct reading_stream *stream, const char *name, uint32_t output,
    const struct reading_beginning *beginning, struct error *error)
{
    struct reading_log *log;

    if (reading_stream_has(stream, name))
        return 0;
    log = has_room(stream) ? calloc(1, sizeof *log) : NULL;
    if (log == NULL)
        return no_memory(error);
    list_init(&log->in_output);
    log->stream = stream;
    log->beginning = *beginning;
    (void)snprintf(log->name, sizeof log->name, "%s", name);
    bind_output(log, output);
    insert(stream, log);
    return 0;
}

void reading_stream_rebind(struct reading_stream *stream)
{
    for (size_t i = 0; i < stream->n_logs; i++) {
        struct reading_log *log = stream->logs[i];
        uint32_t output = SUPERVISOR_OUTPUTS_MAX;

        if (log->output == SUPERVISOR_OUTPUT_DAEMON)
            continue;
        if (supervisor_find_output(stream->reading->supervisor, log->name, &output, NULL) < 0)
            output = SUPERVISOR_OUTPUTS_MAX;
        if (output == log->output)
            continue;
        bind_output(log, output);
        if (log->phase == READING_IDLE)
            log->phase = READING_READY;
    }
}

/* ---- items ---- */

static int search_step(struct reading_log *log, struct error *error)
{
    char path[PATH_MAX];
    struct log_output output = output_of(log, path);

    if (log->phase == READING_NEW)
        return begin(log, &output, error);
    return log_source_search(&log->source, &output, log->stream->reading->scratch, error);
}

/* Every log has its place before the first item, since its token names all of them. */
static int search(struct reading_stream *stream, struct error *error)
{
    int n_steps = SEARCH_STEPS_PER_TURN;

    for (size_t i = 0; i < stream->n_logs && stream->n_searching > 0; i++) {
        struct reading_log *log = stream->logs[i];
        int result = LOG_SOURCE_BUSY;

        if (log->phase != READING_NEW && log->phase != READING_SEARCHING)
            continue;
        while (result == LOG_SOURCE_BUSY && n_steps-- > 0)
            result = search_step(log, error);
        if (result != 0)
            return result;
        log->phase = READING_READY;
        stream->n_searching--;
    }
    log_token_free(stream->token);
    stream->token = NULL;
    return 0;
}

static int write_token(
    const struct reading_stream *stream, struct buffer *bytes, struct buffer *text)
{
    int result = log_token_begin(bytes);

    for (size_t i = 0; result == 0 && i < stream->n_logs; i++)
        result = log_token_add(bytes, stream->logs[i]->name, &stream->logs[i]->source.mark);
    return result == 0 ? log_token_finish(bytes, text) : result;
}

/* To a tenth of a second, as promised. */
static Google__Protobuf__Timestamp time_of(int64_t at_ns)
{
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

    at.seconds = at_ns / SECOND_NS;
    at.nanos = (int32_t)(at_ns % SECOND_NS / TENTH_NS * TENTH_NS);
    return at;
}

static int send_item(const struct reading_log *log, const struct log_item *item,
    const struct buffer *token, struct error *error)
{
    /* protobuf-c's bytes are not const although nobody changes them. */
    const union {
        const char *constant;
        uint8_t *bytes;
    } data = {.constant = item->bytes};
    flocks_read_logs_response response = FLOCKS_READ_LOGS_RESPONSE_INIT;
    Google__Protobuf__Timestamp at = time_of(item->at_ns);

    response.service = log->output == SUPERVISOR_OUTPUT_DAEMON ? "" : log->name;
    response.data = (ProtobufCBinaryData){.len = item->len, .data = data.bytes};
    response.token = (const char *)buffer_data(token);
    response.bytes_lost = item->bytes_lost;
    if (item->at_ns != 0)
        response.at = &at;
    if (flocks_read_logs_send(log->stream->call, &response) != RPC_OK)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for output");
    return 0;
}

static int send_with_token(
    const struct reading_log *log, const struct log_item *item, struct error *error)
{
    struct buffer bytes;
    struct buffer text;
    int result;

    buffer_init(&bytes, LOG_TOKEN_TEXT_MAX);
    buffer_init(&text, LOG_TOKEN_TEXT_MAX + 1);
    if (write_token(log->stream, &bytes, &text) < 0)
        result = no_memory(error);
    else
        result = send_item(log, item, &text, error);
    buffer_deinit(&text);
    buffer_deinit(&bytes);
    return result;
}

/* The next log that may have an item, in turn; NULL. */
static struct reading_log *next_ready(struct reading_stream *stream)
{
    for (size_t i = 0; i < stream->n_logs; i++) {
        size_t place = (stream->next + i) % stream->n_logs;

        if (stream->logs[place]->phase == READING_READY) {
            stream->next = place + 1;
            return stream->logs[place];
        }
    }
    return NULL;
}

/* 0: an item was sent; positive: what log_source_next answers. */
static int take_item(struct reading_log *log, struct error *error)
{
    struct log_item item;
    char path[PATH_MAX];
    struct log_output output = output_of(log, path);
    int result =
        log_source_next(&log->source, &output, log->stream->reading->scratch, &item, error);

    if (result == LOG_SOURCE_IDLE)
        log->phase = READING_IDLE;
    else if (result == LOG_SOURCE_OVER)
        log->phase = READING_OVER;
    return result == 0 ? send_with_token(log, &item, error) : result;
}

/* 0: an item was sent; LOG_SOURCE_IDLE: there is none; LOG_SOURCE_BUSY: not yet. */
static int take_any(struct reading_stream *stream, struct error *error)
{
    for (int n = 0; n < READING_TURN_LOOKS_MAX; n++) {
        struct reading_log *log = next_ready(stream);
        int result = log == NULL ? LOG_SOURCE_IDLE : take_item(log, error);

        if (log == NULL || result <= 0)
            return result;
    }
    return LOG_SOURCE_BUSY;
}

enum rpc_pull reading_stream_next(void *state, struct flocks_read_logs_call *call)
{
    struct reading_stream *stream = state;
    struct error error = ERROR_INIT;
    int result = stream->n_searching > 0 ? search(stream, &error) : 0;

    if (result == 0)
        result = take_any(stream, &error);
    if (result < 0)
        api_fail(flocks_read_logs_base(call), &error, NULL);
    if (result <= 0)
        return RPC_PULL_SENT;
    if (result == LOG_SOURCE_BUSY)
        reading_wake_again(stream);
    else if (!stream->follows)
        return RPC_PULL_DONE;
    return RPC_PULL_LATER;
}
