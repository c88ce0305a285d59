/* How a status and what goes with it are written as fields. One block of memory holds the fields
 * and behind them their names and values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/rpc/http2.h"
#include "common/rpc/http2_text.h"

/* What a field counts beside its bytes (RFC 9113, 6.5.2). */
enum { FIELD_OVERHEAD = 32, OWN_FIELDS_MAX = 4, CODE_DIGITS = 2 };

static const char STATUS[] = "grpc-status";
static const char MESSAGE[] = "grpc-message";
static const char DETAILS[] = "grpc-status-details-bin";
static const char BINARY_SUFFIX[] = "-bin";

static bool is_binary(struct rpc_bytes key)
{
    size_t len = sizeof BINARY_SUFFIX - 1;
    return key.len >= len && memcmp(key.data + key.len - len, BINARY_SUFFIX, len) == 0;
}

static size_t value_size(const struct rpc_envelope_pair *pair)
{
    return is_binary(pair->key) ? base64_encoded_size(pair->value.len) : pair->value.len;
}

static size_t pairs_size(const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    size_t size = 0;
    for (size_t i = 0; i < n_pairs; i++)
        size += pairs[i].key.len + value_size(&pairs[i]);
    return size;
}

/* Where the next name or value goes. */
struct writer {
    struct http2_trailers *trailers;
    uint8_t *at;
};

static struct http2_trailers *begin(size_t n_fields, size_t text_size, struct writer *out)
{
    size_t head = sizeof(struct http2_trailers) + n_fields * sizeof(nghttp2_nv);
    struct http2_trailers *trailers = malloc(head + text_size);
    if (trailers == NULL)
        return NULL;
    trailers->size = head + text_size;
    trailers->n = 0;
    trailers->nv = (nghttp2_nv *)(void *)(trailers + 1);
    *out = (struct writer){.trailers = trailers, .at = (uint8_t *)trailers + head};
    return trailers;
}

static void add(struct writer *writer, struct rpc_bytes name, size_t value_len)
{
    writer->trailers->nv[writer->trailers->n++] = (nghttp2_nv){.name = writer->at,
        .value = writer->at + name.len,
        .namelen = name.len,
        .valuelen = value_len};
    memcpy(writer->at, name.data, name.len);
    writer->at += name.len;
}

static void write_base64(struct writer *writer, const uint8_t *bytes, size_t len)
{
    base64_encode(bytes, len, (char *)writer->at);
    writer->at += base64_encoded_size(len);
}

static void add_pairs(struct writer *writer, const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        struct rpc_bytes value = pairs[i].value;
        add(writer, pairs[i].key, value_size(&pairs[i]));
        if (is_binary(pairs[i].key)) {
            write_base64(writer, value.data, value.len);
        } else if (value.len > 0) {
            memcpy(writer->at, value.data, value.len);
            writer->at += value.len;
        }
    }
}

static void add_code(struct writer *writer, enum rpc_code code)
{
    unsigned number = (unsigned)code;
    add(writer, RPC_BYTES_OF_TEXT(STATUS), number < 10 ? 1 : CODE_DIGITS);
    if (number >= 10)
        *writer->at++ = (uint8_t)('0' + number / 10);
    *writer->at++ = (uint8_t)('0' + number % 10);
}

/* A google.rpc.Status, encoded at the end of its own place and then rewritten as text from there:
 * base64 never overtakes what it reads, when that lies a third of it further on. */
static void add_details(
    struct writer *writer, const struct rpc_response_envelope *response, size_t len)
{
    size_t text_len = base64_encoded_size(len);
    add(writer, RPC_BYTES_OF_TEXT(DETAILS), text_len);
    uint8_t *raw = writer->at + (text_len - len);
    (void)rpc_response_status_encode(response, raw);
    write_base64(writer, raw, len);
}

struct http2_trailers *http2_headers_new(const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    struct writer writer;
    struct http2_trailers *headers = begin(n_pairs, pairs_size(pairs, n_pairs), &writer);
    if (headers != NULL)
        add_pairs(&writer, pairs, n_pairs);
    return headers;
}

struct http2_trailers *http2_trailers_new(
    const struct rpc_status *status, bool says_encodings, size_t max_bytes)
{
    static const char ENCODINGS[] = "grpc-accept-encoding";
    static const char IDENTITY[] = "identity";
    const struct rpc_response_envelope response = {.code = (int32_t)status->code,
        .message = status->message,
        .details = status->details,
        .n_details = status->n_details};
    size_t message_len = http2_percent_size(status->message);
    size_t status_len = status->n_details == 0 ? 0 : rpc_response_status_size(&response);
    size_t size = sizeof STATUS + CODE_DIGITS + sizeof ENCODINGS + sizeof IDENTITY +
                  pairs_size(status->trailers, status->n_trailers) +
                  (status->n_trailers + OWN_FIELDS_MAX) * FIELD_OVERHEAD;
    if (status_len > 0 && size + message_len + base64_encoded_size(status_len) > max_bytes)
        status_len = 0;
    if (size + message_len > max_bytes)
        message_len = 0;
    struct writer writer;
    struct http2_trailers *trailers = begin(status->n_trailers + OWN_FIELDS_MAX,
        size + sizeof MESSAGE + message_len + sizeof DETAILS + base64_encoded_size(status_len),
        &writer);
    if (trailers == NULL)
        return NULL;
    add_code(&writer, status->code);
    if (message_len > 0) {
        add(&writer, RPC_BYTES_OF_TEXT(MESSAGE), message_len);
        http2_percent_write(status->message, writer.at);
        writer.at += message_len;
    }
    if (status_len > 0)
        add_details(&writer, &response, status_len);
    if (says_encodings)
        add_pairs(&writer,
            &(struct rpc_envelope_pair){
                .key = RPC_BYTES_OF_TEXT(ENCODINGS), .value = RPC_BYTES_OF_TEXT(IDENTITY)},
            1);
    add_pairs(&writer, status->trailers, status->n_trailers);
    return trailers;
}
