#include "client/nano/answer.h"

#include <pb_decode.h>
#include <string.h>

#include "client/nano/failure.h"

/* proto/flocks/ttrpc/v1/ttrpc.proto and google/protobuf/any.proto. */
enum { RESPONSE_STATUS = 1, RESPONSE_PAYLOAD = 2 };
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };

static const char DETAIL_TYPE[] = "type.googleapis.com/flocks.v1.ErrorDetail";

struct answer {
    struct nano_link *link;
    const pb_msgdesc_t *type;
    void *message;
    struct flocks_nano_error *error;
    bool has_payload;
    /* Of the Any that is being read: it holds an ErrorDetail. */
    bool is_detail;
};

/* One field of a message; the substream ends with it. */
typedef bool (*field_fn)(struct answer *answer, uint32_t number, pb_istream_t *stream);

static bool read_body(pb_istream_t *stream, pb_byte_t *out, size_t len)
{
    struct nano_link *link = stream->state;
    return nano_link_read(link, out, len);
}

static bool walk_into(
    struct answer *answer, pb_istream_t *stream, field_fn on_field, uint32_t number)
{
    pb_istream_t field;
    if (!pb_make_string_substream(stream, &field))
        return false;
    if (!on_field(answer, number, &field)) {
        stream->errmsg = field.errmsg;
        return false;
    }
    return pb_close_string_substream(stream, &field);
}

/* Hands the fields of bytes, texts and messages to `on_field`, passes over all others but a varint
 * of the number `varint`, which becomes *out_varint. */
static bool walk(struct answer *answer, pb_istream_t *stream, field_fn on_field, uint32_t varint,
    int32_t *out_varint)
{
    pb_wire_type_t wire_type;
    uint32_t number;
    bool is_end = false;
    while (pb_decode_tag(stream, &wire_type, &number, &is_end)) {
        uint64_t value;
        if (number == 0)
            return false;
        if (wire_type == PB_WT_VARINT && number == varint) {
            if (!pb_decode_varint(stream, &value))
                return false;
            *out_varint = (int32_t)(uint32_t)value;
        } else if (wire_type == PB_WT_STRING) {
            if (!walk_into(answer, stream, on_field, number))
                return false;
        } else if (!pb_skip_field(stream, wire_type)) {
            return false;
        }
    }
    return is_end;
}

static bool read_text(struct answer *answer, pb_istream_t *stream)
{
    char piece[64];
    /* The piece that does not fit brings the byte that shows whether a character ends there. */
    _Static_assert(FLOCKS_NANO_TEXT_MAX % sizeof piece != 0, "the last piece is cut, not the text");
    answer->error->message[0] = '\0';
    size_t room = FLOCKS_NANO_TEXT_MAX;
    while (stream->bytes_left > 0 && room > 0) {
        size_t n = stream->bytes_left < sizeof piece ? stream->bytes_left : sizeof piece;
        if (!pb_read(stream, (pb_byte_t *)piece, n))
            return false;
        nano_error_append(answer->error, piece, n);
        room -= n < room ? n : room;
    }
    return true;
}

static bool read_type_url(struct answer *answer, pb_istream_t *stream)
{
    char url[sizeof DETAIL_TYPE - 1];
    answer->is_detail = stream->bytes_left == sizeof url &&
                        pb_read(stream, (pb_byte_t *)url, sizeof url) &&
                        memcmp(url, DETAIL_TYPE, sizeof url) == 0;
    return true;
}

/* Writers put the type first, in the order of the numbers; a value without one is passed over. */
static bool read_any_field(struct answer *answer, uint32_t number, pb_istream_t *stream)
{
    if (number == ANY_TYPE_URL)
        return read_type_url(answer, stream);
    if (number != ANY_VALUE || !answer->is_detail)
        return true;
    struct flocks_nano_error *error = answer->error;
    error->has_detail = pb_decode(stream, &flocks_v1_ErrorDetail_msg, &error->detail);
    return error->has_detail;
}

static bool read_status_field(struct answer *answer, uint32_t number, pb_istream_t *stream)
{
    if (number == STATUS_MESSAGE)
        return read_text(answer, stream);
    if (number != STATUS_DETAILS)
        return true;
    answer->is_detail = false;
    return walk(answer, stream, read_any_field, 0, NULL);
}

static bool read_response_field(struct answer *answer, uint32_t number, pb_istream_t *stream)
{
    if (number == RESPONSE_STATUS) {
        int32_t code = RPC_OK;
        bool is_read = walk(answer, stream, read_status_field, STATUS_CODE, &code);
        bool is_known = code >= RPC_OK && code <= RPC_UNAUTHENTICATED;
        answer->error->code = is_known ? (enum rpc_code)code : RPC_UNKNOWN;
        return is_read;
    }
    if (number != RESPONSE_PAYLOAD)
        return true;
    /* A second payload would replace the first, parts of which have been told already. */
    if (answer->has_payload)
        return false;
    answer->has_payload = true;
    return pb_decode(stream, answer->type, answer->message);
}

enum rpc_code nano_answer_missing(const struct nano_link *link, struct flocks_nano_error *error)
{
    const char *why = link->system_error == 0 ? NULL : strerrordesc_np(link->system_error);
    return nano_error_set(error, link->code, link->what, why);
}

/* Success without a payload is the empty message. */
static bool decode_nothing(struct answer *answer)
{
    pb_istream_t nothing = pb_istream_from_buffer(NULL, 0);
    return answer->has_payload || pb_decode(&nothing, answer->type, answer->message);
}

enum rpc_code nano_answer_read(struct nano_link *link, size_t len, const pb_msgdesc_t *type,
    void *message, struct flocks_nano_error *error)
{
    struct answer answer = {.link = link, .type = type, .message = message, .error = error};
    pb_istream_t stream = {.callback = read_body, .state = link, .bytes_left = len};
    nano_error_clear(error);
    bool is_read = walk(&answer, &stream, read_response_field, 0, NULL);
    if (link->code != RPC_OK)
        return nano_answer_missing(link, error);
    /* A failure that was told is one, even if more was said about it than could be understood. */
    if (error->code != RPC_OK)
        return error->code;
    if (!is_read || !decode_nothing(&answer))
        return nano_error_set(
            error, RPC_INTERNAL, "the answer cannot be read", PB_GET_ERROR(&stream));
    nano_error_clear(error);
    return RPC_OK;
}
