/* Growing byte buffer with a bound, consumed from the front. */
#ifndef FLOCKS_BASE_BUFFER_H
#define FLOCKS_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"

/* Readable bytes are data[begin .. end). Private otherwise. */
struct buffer {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
    size_t max_bytes;
};

/* Takes no memory yet. More than `max_bytes` readable bytes are refused. */
void buffer_init(struct buffer *buffer, size_t max_bytes);
void buffer_deinit(struct buffer *buffer);

size_t buffer_length(const struct buffer *buffer);
/* First readable byte; valid until the next call that changes the buffer. */
const uint8_t *buffer_data(const struct buffer *buffer);

/* 0, or -STATUS_RESOURCE_EXHAUSTED (bound or memory), the buffer unchanged. */
NODISCARD int buffer_append(struct buffer *buffer, const void *bytes, size_t len);
NODISCARD int buffer_append_text(struct buffer *buffer, const char *text);
NODISCARD int buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes; NULL as buffer_append refuses. Follow with buffer_commit. */
NODISCARD uint8_t *buffer_reserve(struct buffer *buffer, size_t len);
void buffer_commit(struct buffer *buffer, size_t len);
/* Drops `len` readable bytes from the front. An emptied buffer keeps at most 64 KiB. */
void buffer_consume(struct buffer *buffer, size_t len);
/* Drops readable bytes from the end until `len` are left. */
void buffer_truncate(struct buffer *buffer, size_t len);

#endif
