/* The buffer: appended at the end, consumed from the
 * front, moved together only when that is cheap. */
#include "common/base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"

enum {
    MIN_CAPACITY = 1024,
    /* What an emptied buffer may go on holding; protects against a thousand idle peers that were
       busy once. */
    MAX_IDLE_CAPACITY = 16 * 1024
};

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
    *buffer = (struct buffer){.max_bytes = max_bytes};
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer, buffer->max_bytes);
}

size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->begin;
}

const uint8_t *buffer_data(const struct buffer *buffer)
{
    return buffer->data == NULL ? NULL : buffer->data + buffer->begin;
}

static void move_to_front(struct buffer *buffer)
{
    size_t length = buffer_length(buffer);
    assert(buffer->data != NULL);
    memmove(buffer->data, buffer->data + buffer->begin, length);
    buffer->begin = 0;
    buffer->end = length;
}

static int grow(struct buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < MIN_CAPACITY ? MIN_CAPACITY : buffer->capacity;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

/* Room for `len` bytes after the end, of which the last `spare` will not be committed. */
static int make_room(struct buffer *buffer, size_t len, size_t spare)
{
    size_t length = buffer_length(buffer);
    if (len > buffer->max_bytes || length > buffer->max_bytes - len || spare > SIZE_MAX - len)
        return -STATUS_RESOURCE_EXHAUSTED;
    size_t wanted = len + spare;
    if (wanted <= buffer->capacity - buffer->end && buffer->data != NULL)
        return 0;
    /* Moving is worth it when it frees at least as much as
     * it copies: then each byte moves once on average. */
    if (buffer->begin > 0 && buffer->begin >= length && wanted <= buffer->capacity - length) {
        move_to_front(buffer);
        return 0;
    }
    if (wanted > SIZE_MAX - buffer->end)
        return -STATUS_RESOURCE_EXHAUSTED;
    return grow(buffer, buffer->end + wanted);
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t len)
{
    if (make_room(buffer, len, 0) != 0)
        return NULL;
    return buffer->data + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t len)
{
    assert(len <= buffer->capacity - buffer->end);
    buffer->end += len;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0)
        return 0;
    uint8_t *target = buffer_reserve(buffer, len);
    if (target == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    memcpy(target, bytes, len);
    buffer_commit(buffer, len);
    return 0;
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    int result = len < 0 ? -STATUS_INTERNAL : make_room(buffer, (size_t)len, 1);
    if (result == 0) {
        (void)vsnprintf((char *)buffer->data + buffer->end, (size_t)len + 1, format, again);
        buffer_commit(buffer, (size_t)len);
    }
    va_end(again);
    return result;
}

/* An emptied one begins again at its front. */
static void settle(struct buffer *buffer)
{
    if (buffer->begin < buffer->end)
        return;
    if (buffer->capacity > MAX_IDLE_CAPACITY) {
        buffer_deinit(buffer);
        return;
    }
    buffer->begin = 0;
    buffer->end = 0;
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    assert(len <= buffer_length(buffer));
    buffer->begin += len;
    settle(buffer);
}

void buffer_truncate(struct buffer *buffer, size_t len)
{
    assert(len <= buffer_length(buffer));
    buffer->end = buffer->begin + len;
    settle(buffer);
}
