#include "server/output/log_token.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/base64.h"

enum {
    FORMAT = 1,
    NAME_BYTES = 6,
    NUMBER_BYTES = 8,
    BIRTH_BYTES = 8,
    CHECK_BYTES = 4,
    VARINT_BYTES_MAX = 10,

    ARENA_BYTES = 2 * LOG_TOKEN_TEXT_MAX
};

struct named_mark {
    uint64_t name;
    struct log_mark mark;
};

struct log_token {
    size_t n_marks;
    struct named_mark marks[LOG_TOKEN_MARKS_MAX];
};

/* FNV-1a; NAME_BYTES of it are written: two of 2,048 names share them once in 10^8 instances. */
static uint64_t name_number(const char *name)
{
    uint64_t number = 14695981039346656037U;

    for (; *name != '\0'; name++)
        number = (number ^ (uint8_t)*name) * 1099511628211U;
    return number >> (8 * (sizeof number - NAME_BYTES));
}

/* ---- writing ---- */

static size_t put_fixed(uint8_t *out, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    return n_bytes;
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value < 0 ? -1 : 0);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

int log_token_begin(struct buffer *bytes)
{
    const uint8_t format = FORMAT;

    return buffer_append(bytes, &format, 1);
}

int log_token_add(struct buffer *bytes, const char *log, const struct log_mark *mark)
{
    const struct log_place *place = &mark->place;
    uint8_t out[NAME_BYTES + NUMBER_BYTES + BIRTH_BYTES + CHECK_BYTES + 4 * VARINT_BYTES_MAX];
    size_t n = put_fixed(out, name_number(log), NAME_BYTES);

    n += put_fixed(out + n, place->file.number, NUMBER_BYTES);
    n += put_fixed(out + n, (uint64_t)place->file.born_at_ns, BIRTH_BYTES);
    n += put_varint(out + n, place->offset);
    n += put_fixed(out + n, place->check, CHECK_BYTES);
    n += put_varint(out + n, mark->count_id);
    n += put_varint(out + n, zigzag(mark->written));
    n += put_varint(out + n, mark->lost);
    return buffer_append(bytes, out, n);
}

int log_token_finish(const struct buffer *bytes, struct buffer *text)
{
    int result = base64_write(buffer_data(bytes), buffer_length(bytes), text);

    return result == 0 ? buffer_append(text, "", 1) : result;
}

/* ---- reading ---- */

struct reading {
    const uint8_t *bytes;
    size_t len;
    bool is_broken;
};

static uint64_t take_fixed(struct reading *reading, size_t n_bytes)
{
    uint64_t value = 0;

    if (reading->len < n_bytes) {
        reading->is_broken = true;
        return 0;
    }
    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)reading->bytes[i] << (8 * i);
    reading->bytes += n_bytes;
    reading->len -= n_bytes;
    return value;
}

static uint64_t take_varint(struct reading *reading)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = take_fixed(reading, 1);

        value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reading->is_broken = true;
    return 0;
}

static void take_mark(struct reading *reading, struct named_mark *out)
{
    struct log_mark *mark = &out->mark;

    out->name = take_fixed(reading, NAME_BYTES);
    mark->place.file.number = take_fixed(reading, NUMBER_BYTES);
    mark->place.file.born_at_ns = (int64_t)take_fixed(reading, BIRTH_BYTES);
    mark->place.offset = take_varint(reading);
    mark->place.check = (uint32_t)take_fixed(reading, CHECK_BYTES);
    mark->count_id = take_varint(reading);
    mark->written = unzigzag(take_varint(reading));
    mark->lost = take_varint(reading);
    /* What lseek(2) takes. */
    if (mark->place.offset > INT64_MAX)
        reading->is_broken = true;
}

static int compare_marks(const void *left, const void *right)
{
    const struct named_mark *a = left;
    const struct named_mark *b = right;

    return (a->name > b->name) - (a->name < b->name);
}

static bool parse(struct reading *reading, struct log_token *token)
{
    if (take_fixed(reading, 1) != FORMAT)
        return false;
    while (reading->len > 0 && !reading->is_broken) {
        if (token->n_marks == LOG_TOKEN_MARKS_MAX)
            return false;
        take_mark(reading, &token->marks[token->n_marks++]);
    }
    return !reading->is_broken;
}

static bool read_text(const char *text, struct arena *arena, struct log_token *token)
{
    struct reading reading = {.is_broken = false};
    uint8_t *bytes = NULL;
    size_t len = strlen(text);

    if (len > LOG_TOKEN_TEXT_MAX || base64_read(text, len, arena, &bytes, &reading.len) < 0)
        return false;
    reading.bytes = bytes;
    return parse(&reading, token);
}

int log_token_read(const char *text, struct log_token **out, struct error *error)
{
    struct log_token *token = calloc(1, sizeof *token);
    struct arena arena;
    bool is_token;

    if (token == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a token");
    arena_init(&arena, ARENA_BYTES);
    is_token = read_text(text, &arena, token);
    arena_deinit(&arena);
    if (!is_token) {
        log_token_free(token);
        return error_set(error, STATUS_INVALID_ARGUMENT, "after: not a token of a log");
    }
    qsort(token->marks, token->n_marks, sizeof token->marks[0], compare_marks);
    *out = token;
    return 0;
}

void log_token_free(struct log_token *token)
{
    free(token);
}

const struct log_mark *log_token_find(const struct log_token *token, const char *log)
{
    const struct named_mark wanted = {.name = name_number(log)};
    const struct named_mark *found =
        bsearch(&wanted, token->marks, token->n_marks, sizeof token->marks[0], compare_marks);

    return found != NULL ? &found->mark : NULL;
}
