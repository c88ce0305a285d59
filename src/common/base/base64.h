/* Base64 (RFC 4648, section 4), as proto3 JSON and gRPC's metadata write bytes. */
#ifndef FLOCKS_BASE_BASE64_H
#define FLOCKS_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/attributes.h"
#include "common/base/buffer.h"

/* Letters that `len` bytes become, without padding. */
static inline size_t base64_encoded_size(size_t len)
{
    return (len * 4 + 2) / 3;
}

/* Without padding and without a NUL: base64_encoded_size(len) letters. `bytes` may lie at the end
 * of the letters' own place: writing never overtakes reading. */
void base64_encode(const uint8_t *bytes, size_t len, char *out);
/* With padding. 0, or -STATUS_RESOURCE_EXHAUSTED from the buffer. */
NODISCARD int base64_write(const uint8_t *bytes, size_t len, struct buffer *out);
/* Standard and URL-safe letters, padding optional (proto3 JSON asks for all of these). 0 with *out
 * in the arena; -STATUS_INVALID_ARGUMENT; -STATUS_RESOURCE_EXHAUSTED. */
NODISCARD int base64_read(
    const char *text, size_t text_len, struct arena *arena, uint8_t **out, size_t *out_len);

/* Room that decoding so many letters may need. */
#define BASE64_DECODED_MAX(text_len) ((text_len) / 4 * 3 + 3)
/* The same into memory of the caller's, which may be where the text lies. 0;
 * -STATUS_INVALID_ARGUMENT, with what `out` had lost. */
NODISCARD int base64_decode(const char *text, size_t text_len, uint8_t *out, size_t *out_len);

#endif
