#include "common/rpc/http2_block.h"

#include <string.h>

#include <nghttp2/nghttp2.h>

#include "common/base/attributes.h"
#include "common/base/base64.h"
#include "common/rpc/http2_text.h"

/* Fields that mean something and come once at most. */
enum single {
    METHOD,
    SCHEME,
    PATH,
    AUTHORITY,
    HOST,
    CONTENT_TYPE,
    CONTENT_LENGTH,
    TE,
    TIMEOUT,
    ENCODING,
    N_SINGLES
};
static const char *const SINGLES[N_SINGLES] = {
    [METHOD] = ":method",
    [SCHEME] = ":scheme",
    [PATH] = ":path",
    [AUTHORITY] = ":authority",
    [HOST] = "host",
    [CONTENT_TYPE] = "content-type",
    [CONTENT_LENGTH] = "content-length",
    [TE] = "te",
    [TIMEOUT] = "grpc-timeout",
    [ENCODING] = "grpc-encoding",
};
/* Fields of one connection, which HTTP/2 does not have (RFC 9113, 8.2.2). */
static const char *const FORBIDDEN[] = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

/* What a field counts beside its bytes (RFC 9113, 6.5.2), and what the block may take in memory. */
enum { FIELD_OVERHEAD = 32, TEXT_BYTES_MAX = 4 * RPC_HTTP2_HEADER_LIST_BYTES };

void http2_block_init(struct http2_block *block)
{
    *block = (struct http2_block){.seen = 0};
    buffer_init(&block->text, TEXT_BYTES_MAX);
}

void http2_block_deinit(struct http2_block *block)
{
    buffer_deinit(&block->text);
}

void http2_block_begin(struct http2_block *block, bool is_trailers)
{
    buffer_truncate(&block->text, 0);
    block->seen = 0;
    block->is_trailers = is_trailers;
    block->has_regular = false;
    block->is_malformed = false;
    block->is_lost = false;
    block->code = RPC_OK;
    block->says_encodings = false;
    block->is_compressed = false;
    block->list_len = 0;
    block->metadata_len = 0;
    block->n_pairs = 0;
}

/* ---- keeping ---- */

static bool equals(const void *bytes, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

static void object(struct http2_block *block, enum rpc_code code, const char *text)
{
    if (block->code != RPC_OK)
        return;
    block->code = code;
    block->objection = text;
}

/* Room for `len` bytes and a NUL, which is written. */
static char *reserve(struct http2_block *block, size_t len, struct http2_text *out)
{
    uint8_t *bytes = buffer_reserve(&block->text, len + 1);
    if (bytes == NULL) {
        block->is_lost = true;
        return NULL;
    }
    *out = (struct http2_text){.at = (uint32_t)buffer_length(&block->text), .len = (uint32_t)len};
    bytes[len] = '\0';
    return (char *)bytes;
}

static bool keep(
    struct http2_block *block, const uint8_t *bytes, size_t len, struct http2_text *out)
{
    char *place = reserve(block, len, out);
    if (place == NULL)
        return false;
    if (len > 0)
        memcpy(place, bytes, len);
    buffer_commit(&block->text, len + 1);
    return true;
}

static const char *text_at(const struct http2_block *block, struct http2_text text)
{
    return (const char *)buffer_data(&block->text) + text.at;
}

static bool has(const struct http2_block *block, enum single field)
{
    return (block->seen & 1U << field) != 0;
}

/* "" when it is not there. */
static const char *text_of(const struct http2_block *block, enum single field)
{
    return has(block, field) ? text_at(block, block->single[field]) : "";
}

/* ---- metadata ---- */

static bool count_pair(struct http2_block *block, size_t key_len, size_t value_len)
{
    block->metadata_len += key_len + value_len;
    if (block->n_pairs < RPC_METADATA_PAIRS_MAX && block->metadata_len <= RPC_METADATA_BYTES_MAX)
        return true;
    object(block, RPC_RESOURCE_EXHAUSTED, "the request has too much metadata");
    return false;
}

static bool is_binary(const uint8_t *name, size_t len)
{
    static const char suffix[] = "-bin";
    size_t suffix_len = sizeof suffix - 1;
    return len >= suffix_len && memcmp(name + len - suffix_len, suffix, suffix_len) == 0;
}

static void add_binary(
    struct http2_block *block, struct http2_text key, const uint8_t *value, size_t len)
{
    struct http2_text place;
    char *room = reserve(block, BASE64_DECODED_MAX(len), &place);
    size_t decoded_len = 0;
    if (room == NULL)
        return;
    if (base64_decode((const char *)value, len, (uint8_t *)room, &decoded_len) != 0) {
        object(block, RPC_INVALID_ARGUMENT, "the value of a -bin key is not base64");
        return;
    }
    if (!count_pair(block, key.len, decoded_len))
        return;
    room[decoded_len] = '\0';
    buffer_commit(&block->text, decoded_len + 1);
    place.len = (uint32_t)decoded_len;
    block->pairs[block->n_pairs].key = key;
    block->pairs[block->n_pairs++].value = place;
}

/* Several values may have been joined (gRPC's PROTOCOL-HTTP2.md). */
static void add_binaries(
    struct http2_block *block, struct http2_text key, const uint8_t *value, size_t len)
{
    const uint8_t *end = value + len;
    for (;;) {
        const uint8_t *comma = memchr(value, ',', (size_t)(end - value));
        const uint8_t *stop = comma == NULL ? end : comma;
        while (value < stop && *value == ' ')
            value++;
        size_t value_len = (size_t)(stop - value);
        while (value_len > 0 && value[value_len - 1] == ' ')
            value_len--;
        add_binary(block, key, value, value_len);
        if (comma == NULL || block->code != RPC_OK || block->is_lost)
            return;
        value = comma + 1;
    }
}

static void add_metadata(struct http2_block *block, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len)
{
    struct http2_text key;
    if (!keep(block, name, name_len, &key))
        return;
    if (is_binary(name, name_len)) {
        add_binaries(block, key, value, value_len);
        return;
    }
    struct http2_text kept;
    if (!count_pair(block, name_len, value_len) || !keep(block, value, value_len, &kept))
        return;
    block->pairs[block->n_pairs].key = key;
    block->pairs[block->n_pairs++].value = kept;
}

/* ---- fields ---- */

static enum single single_of(const uint8_t *name, size_t len)
{
    for (enum single field = 0; field < N_SINGLES; field++) {
        if (equals(name, len, SINGLES[field]))
            return field;
    }
    return N_SINGLES;
}

static bool is_forbidden(const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LENGTH(FORBIDDEN); i++) {
        if (equals(name, len, FORBIDDEN[i]))
            return true;
    }
    return false;
}

/* Names in lower case, values without NUL, CR, LF and spaces at their ends (8.2.1). An authority
 * may be anything that a value may. */
static bool is_field(const struct http2_block *block, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len)
{
    bool is_pseudo = name_len > 0 && name[0] == ':';
    if (is_pseudo &&
        (block->is_trailers || block->has_regular || single_of(name, name_len) > AUTHORITY))
        return false;
    return nghttp2_check_header_name(name, name_len) != 0 &&
           nghttp2_check_header_value_rfc9113(value, value_len) != 0 &&
           !is_forbidden(name, name_len);
}

static void add_single(
    struct http2_block *block, enum single field, const uint8_t *value, size_t value_len)
{
    if (has(block, field) || (field == TE && !equals(value, value_len, "trailers"))) {
        block->is_malformed = true;
        return;
    }
    block->seen |= 1U << field;
    (void)keep(block, value, value_len, &block->single[field]);
}

static bool is_grpcs_own(const uint8_t *name, size_t len)
{
    static const char prefix[] = "grpc-";
    return len >= sizeof prefix - 1 && memcmp(name, prefix, sizeof prefix - 1) == 0;
}

bool http2_block_add(struct http2_block *block, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len)
{
    block->list_len += name_len + value_len + FIELD_OVERHEAD;
    if (block->is_malformed || block->is_lost)
        return block->list_len <= TEXT_BYTES_MAX;
    if (!is_field(block, name, name_len, value, value_len)) {
        block->is_malformed = true;
        return true;
    }
    block->has_regular = block->has_regular || name[0] != ':';
    if (block->list_len > RPC_HTTP2_HEADER_LIST_BYTES) {
        object(block, RPC_RESOURCE_EXHAUSTED, "the request's headers are larger than 16 KiB");
        return block->list_len <= TEXT_BYTES_MAX;
    }
    enum single field = single_of(name, name_len);
    if (block->is_trailers)
        return true;
    if (field < N_SINGLES)
        add_single(block, field, value, value_len);
    else if (!is_grpcs_own(name, name_len))
        add_metadata(block, name, name_len, value, value_len);
    return true;
}

/* ---- the whole ---- */

/* Both may be there when they agree (8.3.1). */
static bool names_two_hosts(const struct http2_block *block)
{
    return text_of(block, AUTHORITY)[0] != '\0' && has(block, HOST) &&
           strcmp(text_of(block, AUTHORITY), text_of(block, HOST)) != 0;
}

/* RFC 3986, 3.1, but for what it begins with. */
static bool is_scheme(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                "0123456789+-.")] == '\0';
}

/* Absolute, or "*" (8.3.1). */
static bool is_path(const char *text)
{
    return (text[0] == '/' || strcmp(text, "*") == 0) &&
           nghttp2_check_path((const uint8_t *)text, strlen(text)) != 0;
}

static bool is_request(const struct http2_block *block)
{
    const char *method = text_of(block, METHOD);
    if (nghttp2_check_method((const uint8_t *)method, strlen(method)) == 0 ||
        names_two_hosts(block))
        return false;
    if (strcmp(method, "CONNECT") == 0)
        return !has(block, SCHEME) && !has(block, PATH) && has(block, AUTHORITY);
    return is_scheme(text_of(block, SCHEME)) && is_path(text_of(block, PATH));
}

static bool is_grpc(const char *content_type)
{
    static const char grpc[] = "application/grpc";
    size_t len = sizeof grpc - 1;
    if (strncmp(content_type, grpc, len) != 0)
        return false;
    /* Whatever the messages are said to be; "application/grpc-web" is another protocol. */
    char next = content_type[len];
    return next == '\0' || next == '+' || next == ';';
}

static void judge_grpc(struct http2_block *block)
{
    int64_t timeout = 0;
    if (has(block, TIMEOUT) && !http2_timeout_read(text_of(block, TIMEOUT), &timeout))
        object(block, RPC_INVALID_ARGUMENT, "grpc-timeout is not one to eight digits and a unit");
    const char *encoding = text_of(block, ENCODING);
    if (encoding[0] != '\0' && strcmp(encoding, "identity") != 0) {
        block->says_encodings = block->code == RPC_OK;
        object(block, RPC_UNIMPLEMENTED, "messages cannot be compressed: identity is all there is");
    }
}

enum http2_verdict http2_block_judge(struct http2_block *block)
{
    if (block->is_lost)
        return HTTP2_VERDICT_NO_MEMORY;
    if (block->is_malformed || block->list_len > TEXT_BYTES_MAX)
        return HTTP2_VERDICT_MALFORMED;
    if (block->is_trailers)
        return HTTP2_VERDICT_CALL;
    /* What was too much may have been any of them. */
    if (block->list_len > RPC_HTTP2_HEADER_LIST_BYTES)
        return HTTP2_VERDICT_CALL;
    if (!is_request(block) || http2_block_content_length(block) == -2)
        return HTTP2_VERDICT_MALFORMED;
    if (strcmp(text_of(block, METHOD), "POST") != 0)
        return HTTP2_VERDICT_NOT_POST;
    if (!is_grpc(text_of(block, CONTENT_TYPE)))
        return HTTP2_VERDICT_NOT_GRPC;
    judge_grpc(block);
    return HTTP2_VERDICT_CALL;
}

int64_t http2_block_content_length(const struct http2_block *block)
{
    int64_t sum = 0;
    if (!has(block, CONTENT_LENGTH))
        return -1;
    const char *digits = text_of(block, CONTENT_LENGTH);
    if (digits[0] == '\0' || strlen(digits) > 18)
        return -2;
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9')
            return -2;
        sum = sum * 10 + (*digits - '0');
    }
    return sum;
}

/* "/pkg.Service/Method"; what is not so has no name, and is unknown. */
static void tell_path(const struct http2_block *block, struct rpc_session_facts *facts)
{
    const char *path = text_of(block, PATH);
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || slash == path)
        return;
    facts->service_name =
        (struct rpc_bytes){.data = (const uint8_t *)path + 1, .len = (size_t)(slash - path) - 1};
    facts->method_name = RPC_BYTES_OF_TEXT(slash + 1);
}

static struct rpc_bytes bytes_at(const struct http2_block *block, struct http2_text text)
{
    return (struct rpc_bytes){.data = (const uint8_t *)text_at(block, text), .len = text.len};
}

void http2_block_tell(const struct http2_block *block, struct rpc_session_event *out)
{
    out->facts = (struct rpc_session_facts){.authority = text_of(block, AUTHORITY)};
    if (out->facts.authority[0] == '\0')
        out->facts.authority = text_of(block, HOST);
    tell_path(block, &out->facts);
    if (has(block, TIMEOUT))
        (void)http2_timeout_read(text_of(block, TIMEOUT), &out->facts.timeout_nano);
    for (size_t i = 0; i < block->n_pairs; i++)
        out->pairs[i] = (struct rpc_envelope_pair){.key = bytes_at(block, block->pairs[i].key),
            .value = bytes_at(block, block->pairs[i].value)};
    out->facts.metadata = out->pairs;
    out->facts.n_metadata = block->n_pairs;
    if (block->code != RPC_OK)
        out->status = (struct rpc_status){
            .code = block->code, .message = RPC_BYTES_OF_TEXT(block->objection)};
}
