#include "http2_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

static struct http2_stream *stream_of(nghttp2_session *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2, id);
}

static void append(struct http2_stream *stream, const char *text, size_t len)
{
    size_t at = strlen(stream->fields);
    assert_true(at + len < HTTP2_FIELDS);
    memcpy(stream->fields + at, text, len);
    stream->fields[at + len] = '\0';
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *data)
{
    struct http2_stream *stream = stream_of(h2, frame->hd.stream_id);
    (void)flags;
    (void)data;
    append(stream, (const char *)name, name_len);
    append(stream, ": ", 2);
    append(stream, (const char *)value, value_len);
    append(stream, "\n", 1);
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct http2_client *client = data;
    if (frame->hd.type == NGHTTP2_HEADERS)
        append(stream_of(h2, frame->hd.stream_id), "\n", 1);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        client->n_ping_acks++;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->n_goaways++;
        client->last_goaway_id = frame->goaway.last_stream_id;
        client->goaway_error = frame->goaway.error_code;
    }
    return 0;
}

static int on_chunk(
    nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *data)
{
    struct http2_stream *stream = stream_of(h2, id);
    (void)flags;
    (void)data;
    assert_true(stream->answer_len + len <= HTTP2_BODY);
    memcpy(stream->answer + stream->answer_len, bytes, len);
    stream->answer_len += len;
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *data)
{
    struct http2_stream *stream = stream_of(h2, id);
    (void)data;
    stream->is_closed = true;
    stream->error = error;
    return 0;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *bytes, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct http2_stream *stream = source->ptr;
    (void)h2;
    (void)id;
    (void)data;
    size_t left = stream->body_len - stream->body_at;
    if (left == 0 && !stream->is_closing)
        return NGHTTP2_ERR_DEFERRED;
    if (left < len)
        len = left;
    memcpy(bytes, stream->body + stream->body_at, len);
    stream->body_at += len;
    if (len == left && stream->is_closing)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

void http2_client_open(struct http2_client *client, const struct rpc_service *service)
{
    static const struct rpc_server_hooks hooks = {.data = NULL};
    nghttp2_session_callbacks *callbacks = NULL;
    memset(client, 0, sizeof *client);
    client->service = *service;
    client->piece = SIZE_MAX;
    client->now_ms = 1000;
    client->server = rpc_server_new(&hooks);
    assert_non_null(client->server);
    assert_int_equal(rpc_server_add(client->server, &client->service), RPC_OK);
    client->connection = rpc_connection_new(client->server, &(struct rpc_peer){.pid = 1});
    assert_non_null(client->connection);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new(&client->h2, callbacks, client), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(client->h2, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

void http2_client_close(struct http2_client *client)
{
    rpc_connection_free(client->connection);
    rpc_server_free(client->server);
    nghttp2_session_del(client->h2);
    for (size_t i = 0; i < client->n_streams; i++) {
        free(client->streams[i].body);
        free(client->streams[i].answer);
    }
}

static bool push(struct http2_client *client)
{
    const uint8_t *bytes = NULL;
    ssize_t len = nghttp2_session_mem_send(client->h2, &bytes);
    assert_true(len >= 0);
    for (size_t at = 0; at < (size_t)len;) {
        size_t n = (size_t)len - at < client->piece ? (size_t)len - at : client->piece;
        /* An exact copy, so that the sanitizer sees a use beyond or after it. */
        uint8_t *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes + at, n);
        rpc_connection_receive(client->connection, copy, n, client->now_ms);
        free(copy);
        at += n;
    }
    return len > 0;
}

static bool pull(struct http2_client *client)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_connection_output(client->connection, &len);
    if (len == 0)
        return false;
    assert_int_equal(nghttp2_session_mem_recv(client->h2, bytes, len), (ssize_t)len);
    rpc_connection_sent(client->connection, len, client->now_ms);
    return true;
}

void http2_client_move(struct http2_client *client)
{
    for (bool has_moved = true; has_moved;) {
        has_moved = push(client);
        has_moved = pull(client) || has_moved;
    }
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value)};
}

struct http2_stream *http2_client_begin(
    struct http2_client *client, const char *path, const char *const *more, size_t n)
{
    assert_true(client->n_streams < HTTP2_STREAMS && n <= 64);
    struct http2_stream *stream = &client->streams[client->n_streams++];
    nghttp2_nv fields[5 + 64] = {field(":method", "POST"), field(":scheme", "http"),
        field(":path", path), field("content-type", "application/grpc"), field("te", "trailers")};
    for (size_t i = 0; i < n; i++)
        fields[5 + i] = field(more[2 * i], more[2 * i + 1]);
    const nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = read_body};
    stream->body = malloc(HTTP2_BODY);
    stream->answer = malloc(HTTP2_BODY);
    assert_true(stream->body != NULL && stream->answer != NULL);
    stream->id = nghttp2_submit_request(client->h2, NULL, fields, 5 + n, &provider, stream);
    assert_true(stream->id > 0);
    return stream;
}

void http2_client_send_raw(struct http2_client *client, struct http2_stream *stream,
    const void *bytes, size_t len, bool ends)
{
    assert_true(stream->body_len + len <= HTTP2_BODY);
    if (len > 0)
        memcpy(stream->body + stream->body_len, bytes, len);
    stream->body_len += len;
    stream->is_closing = ends;
    (void)nghttp2_session_resume_data(client->h2, stream->id);
}

void http2_client_send(struct http2_client *client, struct http2_stream *stream, const void *bytes,
    size_t len, bool ends)
{
    const uint8_t prefix[5] = {
        0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    http2_client_send_raw(client, stream, prefix, sizeof prefix, false);
    http2_client_send_raw(client, stream, bytes, len, ends);
}

bool http2_stream_has(const struct http2_stream *stream, const char *line)
{
    char whole[1024];
    (void)snprintf(whole, sizeof whole, "%s\n", line);
    return strstr(stream->fields, whole) != NULL;
}
