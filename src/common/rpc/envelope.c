/* Request, Response, Status, Any and KeyValue by hand: five messages that never change. */
#include "common/rpc/envelope.h"

#include "common/rpc/wire.h"

/* proto/flocks/ttrpc/v1/ttrpc.proto and google/protobuf/any.proto. */
enum { REQUEST_SERVICE = 1, REQUEST_METHOD, REQUEST_PAYLOAD, REQUEST_TIMEOUT, REQUEST_METADATA };
enum { RESPONSE_STATUS = 1, RESPONSE_PAYLOAD };
enum { STATUS_CODE = 1, STATUS_MESSAGE, STATUS_DETAILS };
/* KeyValue and Any have the same shape. */
enum { PAIR_KEY = 1, PAIR_VALUE };

/* ---- sizes ---- */

static size_t pair_size(const struct rpc_envelope_pair *pair)
{
    return rpc_wire_bytes_size(PAIR_KEY, pair->key.len) +
           rpc_wire_bytes_size(PAIR_VALUE, pair->value.len);
}

/* A sub-message: unlike a field of bytes it is there when it is empty. */
static size_t message_size(uint32_t number, size_t len)
{
    size_t tag_and_length = rpc_wire_varint_size((uint64_t)number << 3) + rpc_wire_varint_size(len);
    return tag_and_length + len;
}

static size_t pairs_size(uint32_t number, const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    size_t size = 0;
    for (size_t i = 0; i < n_pairs; i++)
        size += message_size(number, pair_size(&pairs[i]));
    return size;
}

size_t rpc_response_status_size(const struct rpc_response_envelope *response)
{
    return rpc_wire_number_size(STATUS_CODE, (uint64_t)(int64_t)response->code) +
           rpc_wire_bytes_size(STATUS_MESSAGE, response->message.len) +
           pairs_size(STATUS_DETAILS, response->details, response->n_details);
}

size_t rpc_request_size(const struct rpc_request_envelope *request)
{
    return rpc_wire_bytes_size(REQUEST_SERVICE, request->service.len) +
           rpc_wire_bytes_size(REQUEST_METHOD, request->method.len) +
           rpc_wire_bytes_size(REQUEST_PAYLOAD, request->payload.len) +
           rpc_wire_number_size(REQUEST_TIMEOUT, (uint64_t)request->timeout_nano) +
           pairs_size(REQUEST_METADATA, request->pairs, request->n_pairs);
}

size_t rpc_response_size(const struct rpc_response_envelope *response)
{
    size_t size = rpc_wire_bytes_size(RESPONSE_PAYLOAD, response->payload.len);
    if (response->code != 0)
        size += message_size(RESPONSE_STATUS, rpc_response_status_size(response));
    return size;
}

/* ---- encoding ---- */

static uint8_t *put_bytes(uint8_t *out, uint32_t number, struct rpc_bytes bytes)
{
    return rpc_wire_put_bytes(out, number, bytes.data, bytes.len);
}

static uint8_t *put_message_head(uint8_t *out, uint32_t number, size_t len)
{
    out = rpc_wire_put_varint(out, (uint64_t)number << 3 | RPC_WIRE_BYTES);
    return rpc_wire_put_varint(out, len);
}

static uint8_t *put_pairs(
    uint8_t *out, uint32_t number, const struct rpc_envelope_pair *pairs, size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        out = put_message_head(out, number, pair_size(&pairs[i]));
        out = put_bytes(out, PAIR_KEY, pairs[i].key);
        out = put_bytes(out, PAIR_VALUE, pairs[i].value);
    }
    return out;
}

/* Writes the head and, when the bytes are known, the payload; *out moves past it either way. */
static uint8_t *put_payload(uint8_t **out, uint32_t number, struct rpc_bytes payload)
{
    uint8_t *place = rpc_wire_put_bytes_head(*out, number, payload.len);
    if (payload.data != NULL)
        (void)put_bytes(*out, number, payload);
    *out = place + payload.len;
    return place;
}

uint8_t *rpc_request_encode(const struct rpc_request_envelope *request, uint8_t *out)
{
    out = put_bytes(out, REQUEST_SERVICE, request->service);
    out = put_bytes(out, REQUEST_METHOD, request->method);
    uint8_t *payload = put_payload(&out, REQUEST_PAYLOAD, request->payload);
    out = rpc_wire_put_number(out, REQUEST_TIMEOUT, (uint64_t)request->timeout_nano);
    (void)put_pairs(out, REQUEST_METADATA, request->pairs, request->n_pairs);
    return payload;
}

uint8_t *rpc_response_status_encode(const struct rpc_response_envelope *response, uint8_t *out)
{
    out = rpc_wire_put_number(out, STATUS_CODE, (uint64_t)(int64_t)response->code);
    out = put_bytes(out, STATUS_MESSAGE, response->message);
    return put_pairs(out, STATUS_DETAILS, response->details, response->n_details);
}

uint8_t *rpc_response_encode(const struct rpc_response_envelope *response, uint8_t *out)
{
    if (response->code != 0) {
        out = put_message_head(out, RESPONSE_STATUS, rpc_response_status_size(response));
        out = rpc_response_status_encode(response, out);
    }
    return put_payload(&out, RESPONSE_PAYLOAD, response->payload);
}

/* ---- decoding ---- */

/* Where decoded pairs go; the const pointer of the envelope shows the same array. */
struct pair_sink {
    struct rpc_envelope_pair *pairs;
    size_t max_pairs;
    size_t n_pairs;
};

static bool get_bytes(const struct rpc_wire_field *field, struct rpc_bytes *out)
{
    if (field->type != RPC_WIRE_BYTES)
        return false;
    *out = (struct rpc_bytes){.data = field->data, .len = field->len};
    return true;
}

static bool get_pair(const struct rpc_wire_field *field, struct pair_sink *sink)
{
    if (field->type != RPC_WIRE_BYTES)
        return false;
    struct rpc_envelope_pair pair = {.key = {.data = NULL}};
    struct rpc_wire_reader reader = rpc_wire_reader(field->data, field->len);
    struct rpc_wire_field member;
    int more;
    while ((more = rpc_wire_next(&reader, &member)) > 0) {
        bool is_valid = true;
        if (member.number == PAIR_KEY)
            is_valid = get_bytes(&member, &pair.key);
        else if (member.number == PAIR_VALUE)
            is_valid = get_bytes(&member, &pair.value);
        if (!is_valid)
            return false;
    }
    if (sink->n_pairs < sink->max_pairs)
        sink->pairs[sink->n_pairs] = pair;
    sink->n_pairs++;
    return more == 0;
}

static bool get_request_field(
    const struct rpc_wire_field *field, struct pair_sink *sink, struct rpc_request_envelope *out)
{
    switch (field->number) {
    case REQUEST_SERVICE:
        return get_bytes(field, &out->service);
    case REQUEST_METHOD:
        return get_bytes(field, &out->method);
    case REQUEST_PAYLOAD:
        return get_bytes(field, &out->payload);
    case REQUEST_TIMEOUT:
        out->timeout_nano = (int64_t)field->value;
        return field->type == RPC_WIRE_VARINT;
    case REQUEST_METADATA:
        return get_pair(field, sink);
    default:
        return true;
    }
}

bool rpc_request_decode(const uint8_t *bytes, size_t len, struct rpc_envelope_pair *pairs,
    size_t max_pairs, struct rpc_request_envelope *out)
{
    *out = (struct rpc_request_envelope){.pairs = pairs};
    struct pair_sink sink = {.pairs = pairs, .max_pairs = max_pairs};
    struct rpc_wire_reader reader = rpc_wire_reader(bytes, len);
    struct rpc_wire_field field;
    int more;
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        if (!get_request_field(&field, &sink, out))
            return false;
    }
    out->n_pairs = sink.n_pairs;
    return more == 0;
}

/* A message may come in pieces; the last number and text win, details add up. */
static bool get_status(
    const struct rpc_wire_field *status, struct pair_sink *sink, struct rpc_response_envelope *out)
{
    if (status->type != RPC_WIRE_BYTES)
        return false;
    struct rpc_wire_reader reader = rpc_wire_reader(status->data, status->len);
    struct rpc_wire_field field;
    int more;
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        bool is_valid = true;
        if (field.number == STATUS_CODE) {
            is_valid = field.type == RPC_WIRE_VARINT;
            out->code = (int32_t)(uint32_t)field.value;
        } else if (field.number == STATUS_MESSAGE) {
            is_valid = get_bytes(&field, &out->message);
        } else if (field.number == STATUS_DETAILS) {
            is_valid = get_pair(&field, sink);
        }
        if (!is_valid)
            return false;
    }
    return more == 0;
}

bool rpc_response_decode(const uint8_t *bytes, size_t len, struct rpc_envelope_pair *details,
    size_t max_details, struct rpc_response_envelope *out)
{
    *out = (struct rpc_response_envelope){.details = details};
    struct pair_sink sink = {.pairs = details, .max_pairs = max_details};
    struct rpc_wire_reader reader = rpc_wire_reader(bytes, len);
    struct rpc_wire_field field;
    int more;
    while ((more = rpc_wire_next(&reader, &field)) > 0) {
        bool is_valid = true;
        if (field.number == RESPONSE_STATUS)
            is_valid = get_status(&field, &sink, out);
        else if (field.number == RESPONSE_PAYLOAD)
            is_valid = get_bytes(&field, &out->payload);
        if (!is_valid)
            return false;
    }
    out->n_details = sink.n_pairs;
    return more == 0;
}
