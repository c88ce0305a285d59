/* One connection on the loop: connect, ask, read, judge, close. Two handles, both live until their
 * close callbacks; the memory goes when the last has come and the owner has let go. */
#include "server/supervise/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "server/supervise/probe_http.h"

enum { READ_SIZE = 16 * 1024, HANDLES = 2 };

struct probe {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connecting;
    uv_write_t writing;
    probe_done_fn done;
    void *context;
    /* NULL: TCP. */
    struct probe_judge *judge;
    struct buffer request;
    int64_t started_at;
    int64_t timeout_ms;
    struct probe_result result;
    int open_handles;
    bool is_connected;
    bool is_finished;
    bool is_released;
    char bytes[READ_SIZE];
};

static void free_when_done(struct probe *probe)
{
    if (probe->open_handles > 0 || !probe->is_released)
        return;
    buffer_deinit(&probe->request);
    probe_judge_free(probe->judge);
    free(probe);
}

static void on_close(uv_handle_t *handle)
{
    struct probe *probe = handle->data;
    probe->open_handles--;
    free_when_done(probe);
}

/* No more callbacks of libuv reach anything after this. */
static void stop(struct probe *probe)
{
    if (probe->is_finished)
        return;
    probe->is_finished = true;
    uv_close((uv_handle_t *)&probe->tcp, on_close);
    uv_close((uv_handle_t *)&probe->timer, on_close);
}

/* probe->result holds what is to be told. The owner may close the probe in `done`. */
static void finish(struct probe *probe)
{
    if (probe->is_finished)
        return;
    probe->result.duration_ms = clock_monotonic_ms() - probe->started_at;
    stop(probe);
    probe->done(probe->context, &probe->result);
}

/* What this machine or process has run out of. */
static bool is_own_shortage(int uv_error)
{
    return uv_error == UV_EMFILE || uv_error == UV_ENFILE || uv_error == UV_ENOMEM ||
           uv_error == UV_ENOBUFS || uv_error == UV_EADDRNOTAVAIL || uv_error == UV_EAGAIN;
}

static void finish_failed(struct probe *probe, const char *what, int uv_error)
{
    probe->result.passed = false;
    probe->result.is_void = is_own_shortage(uv_error);
    (void)snprintf(
        probe->result.message, sizeof probe->result.message, "%s: %s", what, uv_strerror(uv_error));
    finish(probe);
}

static void finish_judged(struct probe *probe)
{
    probe_judge_result(probe->judge, &probe->result);
    finish(probe);
}

static void on_timeout(uv_timer_t *timer)
{
    struct probe *probe = timer->data;
    int64_t late_ms = clock_monotonic_ms() - probe->started_at - probe->timeout_ms;
    probe->result.is_void = late_ms > PROBE_LATE_MS;
    (void)snprintf(probe->result.message, sizeof probe->result.message, "%s within %lld ms",
        probe->is_connected ? "no whole answer" : "no connection", (long long)probe->timeout_ms);
    finish(probe);
}

/* The failure that uv_tcp_connect told at once, in a turn of its own. */
static void on_refused(uv_timer_t *timer)
{
    finish(timer->data);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct probe *probe = handle->data;
    *out = uv_buf_init(probe->bytes, sizeof probe->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct probe *probe = stream->data;
    if (len == UV_EOF || len > 0) {
        if (probe_judge_feed(probe->judge, buffer->base, len > 0 ? (size_t)len : 0))
            finish_judged(probe);
    } else if (len < 0) {
        finish_failed(probe, "read the answer", (int)len);
    }
}

static void on_written(uv_write_t *request, int uv_error)
{
    struct probe *probe = request->data;
    if (uv_error != 0 && !probe->is_finished)
        finish_failed(probe, "send the request", uv_error);
}

static void ask(struct probe *probe)
{
    uv_stream_t *stream = (uv_stream_t *)&probe->tcp;
    const uint8_t *bytes = buffer_data(&probe->request);
    /* libuv wants a writable pointer and does not write. */
    uv_buf_t text = {.base = (char *)(uintptr_t)bytes, .len = buffer_length(&probe->request)};
    probe->writing.data = probe;
    int result = uv_write(&probe->writing, stream, &text, 1, on_written);
    if (result == 0)
        result = uv_read_start(stream, on_allocate, on_read);
    if (result != 0)
        finish_failed(probe, "send the request", result);
}

static void on_connect(uv_connect_t *request, int uv_error)
{
    struct probe *probe = request->data;
    if (probe->is_finished)
        return;
    if (uv_error != 0) {
        finish_failed(probe, "connect", uv_error);
        return;
    }
    probe->is_connected = true;
    if (probe->judge != NULL) {
        ask(probe);
        return;
    }
    probe->result.passed = true;
    (void)snprintf(probe->result.message, sizeof probe->result.message, "connected");
    finish(probe);
}

static void begin(struct probe *probe, const union endpoint_address *address)
{
    probe->connecting.data = probe;
    /* Timers count from the beginning of the loop's turn, which may be long ago. */
    uv_update_time(probe->timer.loop);
    int result = uv_tcp_connect(&probe->connecting, &probe->tcp, &address->any, on_connect);
    if (result == 0) {
        (void)uv_timer_start(&probe->timer, on_timeout, (uint64_t)probe->timeout_ms, 0);
        return;
    }
    probe->result.is_void = is_own_shortage(result);
    (void)snprintf(
        probe->result.message, sizeof probe->result.message, "connect: %s", uv_strerror(result));
    (void)uv_timer_start(&probe->timer, on_refused, 0, 0);
}

static int prepare_http(
    struct probe *probe, const struct probe_request *request, struct error *error)
{
    int result = probe_http_request(request->http, &request->address, &probe->request, error);
    if (result == 0)
        result = probe_judge_new(request->http, &probe->judge, error);
    return result;
}

/* Both handles, or none open. */
static int open_handles(struct probe *probe, uv_loop_t *loop, struct error *error)
{
    int result = uv_tcp_init(loop, &probe->tcp);
    if (result != 0)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "make a connection for a probe: %s",
            uv_strerror(result));
    (void)uv_timer_init(loop, &probe->timer);
    probe->tcp.data = probe;
    probe->timer.data = probe;
    probe->open_handles = HANDLES;
    return 0;
}

int probe_start(uv_loop_t *loop, const struct probe_request *request, probe_done_fn done,
    void *context, struct probe **out, struct error *error)
{
    if (request->timeout_ms <= 0)
        return error_set(error, STATUS_INVALID_ARGUMENT, "a probe needs a timeout");
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a probe");
    probe->done = done;
    probe->context = context;
    probe->timeout_ms = request->timeout_ms;
    probe->started_at = clock_monotonic_ms();
    buffer_init(&probe->request, PROBE_REQUEST_MAX);
    int result = request->http == NULL ? 0 : prepare_http(probe, request, error);
    if (result == 0)
        result = open_handles(probe, loop, error);
    if (result != 0) {
        probe->is_released = true;
        free_when_done(probe);
        return result;
    }
    begin(probe, &request->address);
    *out = probe;
    return 0;
}

void probe_close(struct probe **probe)
{
    struct probe *closing = *probe;
    *probe = NULL;
    if (closing == NULL)
        return;
    stop(closing);
    closing->is_released = true;
    free_when_done(closing);
}
