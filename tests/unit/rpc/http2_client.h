/* A gRPC client of nghttp2 joined in memory to a server's connection: no socket, and the time is an
 * argument. Beside it raw frames, for what nghttp2 would never send. */
#ifndef FLOCKS_TESTS_HTTP2_CLIENT_H
#define FLOCKS_TESTS_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "crpc/limits.h"
#include "crpc/server.h"

enum { HTTP2_STREAMS = 16, HTTP2_FIELDS = 1 << 14, HTTP2_BODY = 6 << 20 };

struct http2_stream {
    int32_t id;
    /* What is sent, and how far it is. */
    uint8_t *body;
    size_t body_len;
    size_t body_at;
    bool is_closing;
    /* "name: value\n" of each block, which a blank line ends. */
    char fields[HTTP2_FIELDS];
    uint8_t *answer;
    size_t answer_len;
    bool is_closed;
    uint32_t error;
};

struct http2_client {
    struct rpc_service service;
    struct rpc_server *server;
    struct rpc_connection *connection;
    nghttp2_session *h2;
    struct http2_stream streams[HTTP2_STREAMS];
    size_t n_streams;
    int n_goaways;
    int32_t last_goaway_id;
    uint32_t goaway_error;
    int n_ping_acks;
    /* Bytes to the server are cut after so many. */
    size_t piece;
    int64_t now_ms;
};

/* Settings have not moved yet. */
void http2_client_open(struct http2_client *client, const struct rpc_service *service);
void http2_client_close(struct http2_client *client);
/* Both ways until nothing moves. */
void http2_client_move(struct http2_client *client);

/* A stream of "/<path>" with the usual fields and `n` more ("name", "value", ...). */
struct http2_stream *http2_client_begin(
    struct http2_client *client, const char *path, const char *const *more, size_t n);
/* A prefixed message; then `ends`: it was the last. */
void http2_client_send(struct http2_client *client, struct http2_stream *stream, const void *bytes,
    size_t len, bool ends);
/* Bytes of the body as they are. */
void http2_client_send_raw(struct http2_client *client, struct http2_stream *stream,
    const void *bytes, size_t len, bool ends);
/* Whether a block has this line. */
bool http2_stream_has(const struct http2_stream *stream, const char *line);

#endif
