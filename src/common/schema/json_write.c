#include "common/schema/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/base64.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/schema/time_text.h"

enum {
    /* Any in Any in Any ... ends here; our own messages nest 8 deep. */
    DEPTH_MAX = 32,
    /* What the content of one Any may take when unpacked. */
    ANY_ARENA_BYTES = 4 * 1024 * 1024
};

/* One document under way. After the first refusal of the buffer nothing more is written. */
struct writer {
    struct buffer *out;
    struct json_write_options options;
    unsigned depth;
    int result;
};

static void put(struct writer *writer, const char *bytes, size_t len)
{
    if (writer->result == 0)
        writer->result = buffer_append(writer->out, bytes, len);
}

static void put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void put_line_break(struct writer *writer)
{
    if (!writer->options.indent)
        return;
    put_text(writer, "\n");
    for (unsigned i = 0; i < writer->depth; i++)
        put_text(writer, "  ");
}

/* ---- texts ---- */

/* Bytes of `text` that a JSON string holds as they are. */
static size_t plain_length(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
            break;
        size_t character = utf8_character_length((const uint8_t *)text + at, len - at);
        if (character == 0)
            break;
        at += character;
    }
    return at;
}

static void put_escape(struct writer *writer, unsigned char c)
{
    static const char named[][3] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (c == '"' || c == '\\') {
        char escape[2] = {'\\', (char)c};
        put(writer, escape, sizeof(escape));
    } else if (c < ARRAY_LENGTH(named) && named[c][0] != '\0') {
        put_text(writer, named[c]);
    } else if (c >= 0x80) {
        put_text(writer, "\xef\xbf\xbd"); /* U+FFFD: the byte belongs to no character */
    } else {
        static const char digits[] = "0123456789abcdef";
        char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        put(writer, escape, sizeof(escape));
    }
}

static void put_string(struct writer *writer, const char *text, size_t len)
{
    put_text(writer, "\"");
    for (size_t at = 0; at < len;) {
        size_t plain = plain_length(text + at, len - at);
        put(writer, text + at, plain);
        at += plain;
        if (at < len)
            put_escape(writer, (unsigned char)text[at++]);
    }
    put_text(writer, "\"");
}

int json_write_text(const char *text, size_t text_len, struct buffer *out)
{
    struct writer writer = {.out = out};
    put_string(&writer, text, text_len);
    return writer.result;
}

/* ---- scalars ---- */

static void put_signed(struct writer *writer, int64_t number, const char *quote)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%s%" PRId64 "%s", quote, number, quote);
    put_text(writer, text);
}

static void put_unsigned(struct writer *writer, uint64_t number, const char *quote)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%s%" PRIu64 "%s", quote, number, quote);
    put_text(writer, text);
}

/* The fewest digits that read back as the same number. */
static void put_real(struct writer *writer, double number, bool is_float)
{
    if (isnan(number)) {
        put_text(writer, "\"NaN\"");
        return;
    }
    if (isinf(number)) {
        put_text(writer, number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[40];
    int digits = is_float ? 6 : 15;
    int most = is_float ? 9 : 17;
    do {
        (void)snprintf(text, sizeof(text), "%.*g", digits, number);
    } while (
        digits++ < most && (is_float ? (double)strtof(text, NULL) : strtod(text, NULL)) != number);
    put_text(writer, text);
}

static void put_enum(struct writer *writer, const struct crpc_enum_info *type, int64_t number)
{
    for (size_t i = 0; type != NULL && i < type->n_values; i++) {
        if (type->values[i].number == number) {
            put_string(writer, type->values[i].name, strlen(type->values[i].name));
            return;
        }
    }
    put_signed(writer, number, "");
}

static void put_bytes(struct writer *writer, const ProtobufCBinaryData *bytes)
{
    put_text(writer, "\"");
    if (writer->result == 0)
        writer->result = base64_write(bytes->data, bytes->len, writer->out);
    put_text(writer, "\"");
}

/* ---- messages ---- */

static void put_message(struct writer *writer, const struct crpc_message_info *info,
    const ProtobufCMessage *message, const char *type_url);

/* Timestamp and Duration have the same two fields. */
static void put_time(struct writer *writer, const ProtobufCMessage *message,
    int (*format)(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX]))
{
    struct schema_field seconds = {NULL, &message->descriptor->fields[0]};
    struct schema_field nanos = {NULL, &message->descriptor->fields[1]};
    char text[TIME_TEXT_MAX];
    /* Out of range: no text can say it, and a time that nobody sent is worse than none. */
    if (format(schema_get(message, &seconds, 0).signed_number,
            (int32_t)schema_get(message, &nanos, 0).signed_number, text) != 0)
        put_text(writer, "null");
    else
        put_string(writer, text, strlen(text));
}

/* Of a type that nobody knows here, or whose bytes are damaged: as they are. */
static void put_opaque_any(
    struct writer *writer, const char *type_url, const ProtobufCBinaryData *value)
{
    put_text(writer, "{\"@type\":");
    put_string(writer, type_url, strlen(type_url));
    put_text(writer, ",\"value\":");
    put_bytes(writer, value);
    put_text(writer, "}");
}

static void put_any(struct writer *writer, const ProtobufCMessage *any)
{
    struct schema_field url_field = {NULL, &any->descriptor->fields[0]};
    struct schema_field value_field = {NULL, &any->descriptor->fields[1]};
    const char *type_url = schema_get(any, &url_field, 0).text;
    ProtobufCBinaryData value = schema_get(any, &value_field, 0).bytes;
    const struct crpc_message_info *type = schema_registry_find(writer->options.registry, type_url);
    struct arena arena CLEANUP(arena_deinit);
    arena_init(&arena, ANY_ARENA_BYTES);
    ProtobufCMessage *content =
        type != NULL ? schema_message_unpack(type->descriptor, value.data, value.len, &arena)
                     : NULL;
    if (content != NULL)
        put_message(writer, type, content, type_url);
    else
        put_opaque_any(writer, type_url, &value);
}

static void put_sub_message(
    struct writer *writer, const struct schema_field *field, const ProtobufCMessage *message)
{
    const char *type = schema_field_type_name(field);
    if (strcmp(type, "google.protobuf.Duration") == 0)
        put_time(writer, message, time_text_format_duration);
    else if (strcmp(type, "google.protobuf.Timestamp") == 0)
        put_time(writer, message, time_text_format);
    else if (strcmp(type, "google.protobuf.Any") == 0)
        put_any(writer, message);
    else
        put_message(writer, field->info->message, message, NULL);
}

static void put_value(
    struct writer *writer, const struct schema_field *field, union schema_value value)
{
    switch (field->descriptor->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        put_signed(writer, value.signed_number, "");
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        put_signed(writer, value.signed_number, "\"");
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        put_unsigned(writer, value.unsigned_number, "");
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        put_unsigned(writer, value.unsigned_number, "\"");
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_real(writer, value.real, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_real(writer, value.real, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        put_text(writer, value.boolean ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(writer, field->info->enumeration, value.signed_number);
        break;
    case PROTOBUF_C_TYPE_STRING:
        put_string(writer, value.text, strlen(value.text));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_bytes(writer, &value.bytes);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_sub_message(writer, field, value.message);
        break;
    }
}

static void put_name(struct writer *writer, const char *name, size_t len)
{
    put_string(writer, name, len);
    put_text(writer, writer->options.indent ? ": " : ":");
}

static void put_masked_or_value(struct writer *writer, bool is_secret,
    const struct schema_field *field, union schema_value value)
{
    if (is_secret && !writer->options.reveal_secrets)
        put_text(writer, "\"***\"");
    else
        put_value(writer, field, value);
}

/* Keys of a JSON object are strings, whatever the map's key type is. */
static void put_map_key(
    struct writer *writer, const struct schema_field *key, const ProtobufCMessage *entry)
{
    union schema_value value = schema_get(entry, key, 0);
    if (key->descriptor->type == PROTOBUF_C_TYPE_STRING) {
        put_name(writer, value.text, strlen(value.text));
        return;
    }
    struct buffer text CLEANUP(buffer_deinit);
    buffer_init(&text, 64);
    struct writer plain = {.out = &text};
    put_value(&plain, key, value);
    const char *bytes = (const char *)buffer_data(&text);
    size_t len = buffer_length(&text);
    bool is_quoted = len >= 2 && bytes[0] == '"';
    put_name(writer, bytes + is_quoted, is_quoted ? len - 2 : len);
}

static void put_map(
    struct writer *writer, const struct schema_field *field, const ProtobufCMessage *message)
{
    struct schema_field key = schema_field_at(field->info->message, 0);
    struct schema_field value = schema_field_at(field->info->message, 1);
    size_t count = schema_count(message, field);
    put_text(writer, "{");
    writer->depth++;
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *entry = schema_get(message, field, i).message;
        if (i > 0)
            put_text(writer, ",");
        put_line_break(writer);
        put_map_key(writer, &key, entry);
        put_masked_or_value(writer, field->info->secret, &value, schema_get(entry, &value, 0));
    }
    writer->depth--;
    if (count > 0)
        put_line_break(writer);
    put_text(writer, "}");
}

static void put_list(
    struct writer *writer, const struct schema_field *field, const ProtobufCMessage *message)
{
    size_t count = schema_count(message, field);
    put_text(writer, "[");
    writer->depth++;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            put_text(writer, ",");
        put_line_break(writer);
        put_masked_or_value(writer, field->info->secret, field, schema_get(message, field, i));
    }
    writer->depth--;
    if (count > 0)
        put_line_break(writer);
    put_text(writer, "]");
}

static void put_field(
    struct writer *writer, const struct schema_field *field, const ProtobufCMessage *message)
{
    put_name(writer, field->info->name, strlen(field->info->name));
    if (field->info->is_map)
        put_map(writer, field, message);
    else if (schema_field_is_repeated(field))
        put_list(writer, field, message);
    else
        put_masked_or_value(writer, field->info->secret, field, schema_get(message, field, 0));
}

static bool is_shown(const struct schema_field *field, const ProtobufCMessage *message)
{
    return schema_field_is_repeated(field) || schema_count(message, field) > 0;
}

/* `type_url` not NULL: the message is the content of an Any. */
static void put_message(struct writer *writer, const struct crpc_message_info *info,
    const ProtobufCMessage *message, const char *type_url)
{
    if (writer->depth >= DEPTH_MAX) {
        writer->result = -STATUS_RESOURCE_EXHAUSTED;
        return;
    }
    bool is_first = true;
    put_text(writer, "{");
    writer->depth++;
    if (type_url != NULL) {
        put_line_break(writer);
        put_name(writer, "@type", strlen("@type"));
        put_string(writer, type_url, strlen(type_url));
        is_first = false;
    }
    for (size_t i = 0; i < info->n_fields && writer->result == 0; i++) {
        struct schema_field field = schema_field_at(info, i);
        if (!is_shown(&field, message))
            continue;
        if (!is_first)
            put_text(writer, ",");
        is_first = false;
        put_line_break(writer);
        put_field(writer, &field, message);
    }
    writer->depth--;
    if (!is_first)
        put_line_break(writer);
    put_text(writer, "}");
}

int json_write(const struct crpc_message_info *info, const ProtobufCMessage *message,
    const struct json_write_options *options, struct buffer *out)
{
    struct writer writer = {.out = out};
    if (options != NULL)
        writer.options = *options;
    put_message(&writer, info, message, NULL);
    return writer.result;
}
