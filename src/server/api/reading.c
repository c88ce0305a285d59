#include "server/api/reading.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "server/api/failure.h"
#include "server/api/reading_stream.h"

/* The name of the daemon's own log, which no service has. */
static const char daemon_log[] = "daemon";

static struct reading_stream *stream_of(struct list *link)
{
    return CONTAINER_OF(link, struct reading_stream, link);
}

/* ---- turns ---- */

static void wake_all_again(uv_timer_t *timer)
{
    struct reading *reading = timer->data;

    LIST_FOR_EACH(link, &reading->streams)
    {
        struct reading_stream *stream = stream_of(link);

        if (!stream->is_woken_again)
            continue;
        stream->is_woken_again = false;
        flocks_read_logs_wake(stream->call);
    }
}

void reading_wake_again(struct reading_stream *stream)
{
    stream->is_woken_again = true;
    if (!uv_is_active((const uv_handle_t *)stream->reading->again))
        (void)uv_timer_start(stream->reading->again, wake_all_again, 0, 0);
}

/* ---- looking ---- */

/* True: it has grown since the last look. */
static bool look_at(struct reading *reading, uint32_t output)
{
    struct supervisor_output now;
    bool has_grown;

    supervisor_get_output(reading->supervisor, output, &now);
    has_grown = now.written_bytes != reading->counts->outputs[output].written ||
                now.lost_bytes != reading->counts->outputs[output].lost;
    reading->counts->outputs[output].written = now.written_bytes;
    reading->counts->outputs[output].lost = now.lost_bytes;
    return has_grown;
}

static void wake_readers(struct list *logs)
{
    LIST_FOR_EACH(link, logs)
    {
        struct reading_log *log = CONTAINER_OF(link, struct reading_log, in_output);

        if (log->phase != READING_IDLE)
            continue;
        log->phase = READING_READY;
        flocks_read_logs_wake(log->stream->call);
    }
}

static bool look_at_all(struct reading *reading)
{
    bool has_grown = false;

    for (uint32_t output = 0; output < SUPERVISOR_OUTPUTS_MAX; output++) {
        if (!look_at(reading, output))
            continue;
        has_grown = true;
        wake_readers(&reading->counts->outputs[output].logs);
    }
    return has_grown;
}

/* A service that came since the last look begins with what it has written since then: its output's
 * number was nobody's before. */
static int add_new(struct reading_stream *stream, struct error *error)
{
    struct reading *reading = stream->reading;

    for (size_t i = 0; i < supervisor_count(reading->supervisor); i++) {
        const char *name = supervisor_name(reading->supervisor, i);
        struct reading_beginning beginning = {.start = LOG_SOURCE_BYTES};
        uint32_t output = 0;
        int result = 0;

        if (reading_stream_has(stream, name))
            continue;
        if (reading->n_logs >= READING_LOGS_MAX)
            return error_set(error, STATUS_RESOURCE_EXHAUSTED, "too many logs are being read");
        if (supervisor_find_output(reading->supervisor, name, &output, NULL) < 0)
            continue;
        beginning.amount = reading->counts->outputs[output].written;
        result = reading_stream_add(stream, name, output, &beginning, error);
        if (result < 0)
            return result;
        reading->n_logs++;
    }
    return 0;
}

static void leave(struct reading *reading, struct reading_stream *stream)
{
    list_remove(&stream->link);
    reading->n_streams--;
    reading->n_logs -= stream->n_logs;
}

static void take_changes(struct reading *reading)
{
    uint64_t changes = supervisor_changes(reading->supervisor);

    if (changes == reading->changes)
        return;
    reading->changes = changes;
    LIST_FOR_EACH_SAFE(link, &reading->streams)
    {
        struct reading_stream *stream = stream_of(link);
        struct error error = ERROR_INIT;

        reading_stream_rebind(stream);
        if (stream->is_all && stream->follows && add_new(stream, &error) < 0)
            api_fail(flocks_read_logs_base(stream->call), &error, NULL);
        else
            flocks_read_logs_wake(stream->call);
    }
}

static bool has_followers(const struct reading *reading)
{
    LIST_FOR_EACH(link, &reading->streams)
    {
        if (stream_of(link)->follows)
            return true;
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    struct reading *reading = timer->data;
    uint64_t twice = 2 * reading->look_ms;

    if (!has_followers(reading))
        return;
    take_changes(reading);
    if (look_at_all(reading))
        reading->look_ms = READING_LOOK_MS;
    else
        reading->look_ms = twice < READING_LOOK_MAX_MS ? twice : READING_LOOK_MAX_MS;
    (void)uv_timer_start(timer, on_timer, reading->look_ms, 0);
}

/* Before a stream begins: what is there now is its beginning's matter. */
static void begin_looking(struct reading *reading)
{
    if (!uv_is_active((const uv_handle_t *)reading->timer)) {
        reading->changes = supervisor_changes(reading->supervisor);
        (void)look_at_all(reading);
    }
    reading->look_ms = READING_LOOK_MS;
    (void)uv_timer_start(reading->timer, on_timer, reading->look_ms, 0);
}

/* ---- calls ---- */

static int refuse_field(const char *field, struct error *error)
{
    int result = error_set(error, STATUS_UNIMPLEMENTED,
        "%s: this flocksd cannot tell when a line was written, nor by which generation", field);

    error->reason = FLOCKS_ERROR_REASON_NOT_IMPLEMENTED;
    error_set_hint(error, "ask for the last lines with tail, or go on with after");
    return result;
}

static int refuse_limit(const char *what, struct error *error)
{
    int result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "%s", what);

    error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    error_set_hint(error, "end another stream, or read fewer logs");
    return result;
}

static int choose_beginning(const flocks_read_logs_request *request,
    struct reading_beginning *beginning, struct log_token **out_token, struct error *error)
{
    int result = 0;

    *beginning = (struct reading_beginning){.start = LOG_SOURCE_ALL};
    if (request->until != NULL)
        return refuse_field("until", error);
    switch (request->start_case) {
    case FLOCKS_READ_LOGS_REQUEST_START_TAIL:
        beginning->start = LOG_SOURCE_TAIL;
        beginning->amount = request->tail;
        break;
    case FLOCKS_READ_LOGS_REQUEST_START_SINCE:
        return refuse_field("since", error);
    case FLOCKS_READ_LOGS_REQUEST_START_GENERATION:
        return refuse_field("generation", error);
    case FLOCKS_READ_LOGS_REQUEST_START_AFTER:
        if (request->after[0] == '\0')
            break;
        result = log_token_read(request->after, out_token, error);
        beginning->start = LOG_SOURCE_MARK;
        break;
    case FLOCKS__V1__READ_LOGS_REQUEST__START__NOT_SET:
    default: /* protobuf-c's sentinel */
        break;
    }
    return result;
}

static int add_log(struct reading_stream *stream, const char *name,
    const struct reading_beginning *beginning, struct error *error)
{
    const struct reading *reading = stream->reading;
    uint32_t output = SUPERVISOR_OUTPUT_DAEMON;
    int result = 0;

    if (strcmp(name, daemon_log) != 0)
        result = supervisor_find_output(reading->supervisor, name, &output, error);
    if (result == 0 && reading->n_logs + stream->n_logs >= READING_LOGS_MAX)
        result = refuse_limit("too many logs are being read", error);
    return result == 0 ? reading_stream_add(stream, name, output, beginning, error) : result;
}

static int add_logs(struct reading_stream *stream, const flocks_read_logs_request *request,
    const struct reading_beginning *beginning, struct error *error)
{
    const struct supervisor *supervisor = stream->reading->supervisor;
    int result = 0;

    stream->is_all = request->n_services == 0;
    for (size_t i = 0; result == 0 && i < request->n_services; i++)
        result = add_log(stream, request->services[i], beginning, error);
    for (size_t i = 0; result == 0 && stream->is_all && i < supervisor_count(supervisor); i++)
        result = add_log(stream, supervisor_name(supervisor, i), beginning, error);
    if (result == 0 && request->daemon)
        result = add_log(stream, daemon_log, beginning, error);
    return result;
}

static int check_names(
    const struct reading *reading, const flocks_read_logs_request *request, struct error *error)
{
    uint32_t output = 0;
    int result = 0;

    for (size_t i = 0; result == 0 && i < request->n_services; i++) {
        if (strcmp(request->services[i], daemon_log) != 0)
            result =
                supervisor_find_output(reading->supervisor, request->services[i], &output, error);
    }
    return result;
}

/* Everything that may be refused, before a stream is made. */
static int check_request(const struct reading *reading, const flocks_read_logs_request *request,
    struct reading_beginning *beginning, struct log_token **out_token, struct error *error)
{
    int result = check_names(reading, request, error);

    if (result == 0)
        result = choose_beginning(request, beginning, out_token, error);
    if (result == 0 && reading->n_streams >= READING_STREAMS_MAX)
        result = refuse_limit("too many streams of logs", error);
    return result;
}

/* NULL: refused, and `error` says why. */
static struct reading_stream *make_stream(struct reading *reading,
    struct flocks_read_logs_call *call, const flocks_read_logs_request *request,
    struct error *error)
{
    struct log_token *token = NULL;
    struct reading_beginning beginning;
    struct reading_stream *stream;

    if (check_request(reading, request, &beginning, &token, error) < 0)
        return NULL;
    stream = reading_stream_new(reading, call, request->follow);
    if (stream == NULL) {
        log_token_free(token);
        (void)error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a stream");
        return NULL;
    }
    stream->token = token;
    if (stream->follows)
        begin_looking(reading);
    if (add_logs(stream, request, &beginning, error) < 0) {
        reading_stream_free(stream);
        return NULL;
    }
    return stream;
}

static void on_closed(void *state, enum rpc_code code)
{
    struct reading_stream *stream = state;

    (void)code;
    if (stream->reading != NULL)
        leave(stream->reading, stream);
    reading_stream_free(stream);
}

void reading_logs(struct reading *reading, struct flocks_read_logs_call *call,
    const flocks_read_logs_request *request)
{
    static const struct flocks_read_logs_stream hooks = {
        .next = reading_stream_next, .closed = on_closed};
    struct error error = ERROR_INIT;
    struct reading_stream *stream = make_stream(reading, call, request, &error);

    if (stream == NULL) {
        api_fail(flocks_read_logs_base(call), &error, NULL);
        return;
    }
    list_append(&reading->streams, &stream->link);
    reading->n_streams++;
    reading->n_logs += stream->n_logs;
    flocks_read_logs_begin(call, &hooks, stream);
}

/* ---- life ---- */

static uv_timer_t *new_timer(struct reading *reading)
{
    uv_timer_t *timer = calloc(1, sizeof *timer);

    if (timer == NULL || uv_timer_init(reading->loop, timer) != 0) {
        free(timer);
        return NULL;
    }
    timer->data = reading;
    return timer;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void free_parts(struct reading *reading)
{
    if (reading->timer != NULL)
        uv_close((uv_handle_t *)reading->timer, on_timer_closed);
    if (reading->again != NULL)
        uv_close((uv_handle_t *)reading->again, on_timer_closed);
    free(reading->scratch);
    free(reading->counts);
}

int reading_open(
    struct reading *reading, uv_loop_t *loop, struct supervisor *supervisor, struct error *error)
{
    *reading = (struct reading){.loop = loop, .supervisor = supervisor, .look_ms = READING_LOOK_MS};
    list_init(&reading->streams);
    reading->timer = new_timer(reading);
    reading->again = new_timer(reading);
    reading->scratch = malloc(sizeof *reading->scratch);
    reading->counts = calloc(1, sizeof *reading->counts);
    if (reading->timer == NULL || reading->again == NULL || reading->scratch == NULL ||
        reading->counts == NULL) {
        free_parts(reading);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory to read logs");
    }
    for (size_t i = 0; i < SUPERVISOR_OUTPUTS_MAX; i++)
        list_init(&reading->counts->outputs[i].logs);
    return 0;
}

/* Failing a call runs its `closed`, perhaps later: what is here must not be told again. */
static void end_streams(struct reading *reading, const struct error *error)
{
    while (!list_is_empty(&reading->streams)) {
        struct reading_stream *stream = stream_of(reading->streams.next);

        leave(reading, stream);
        for (size_t i = 0; i < stream->n_logs; i++)
            list_remove(&stream->logs[i]->in_output);
        stream->reading = NULL;
        api_fail(flocks_read_logs_base(stream->call), error, NULL);
    }
}

void reading_close(struct reading *reading)
{
    struct error error = ERROR_INIT;

    (void)error_set(&error, STATUS_UNAVAILABLE, "the daemon is ending");
    error.reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    end_streams(reading, &error);
    free_parts(reading);
}
