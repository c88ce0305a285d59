#include "common/base/base64.h"

#include "common/base/status.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BYTES_OF_GROUP = 3, LETTERS_OF_GROUP = 4 };

void base64_encode(const uint8_t *bytes, size_t len, char *out)
{
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        group = group << 8 | bytes[i];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            *out++ = letters[group >> bits & 63];
        }
    }
    if (bits > 0)
        *out = letters[group << (6 - bits) & 63];
}

int base64_write(const uint8_t *bytes, size_t len, struct buffer *out)
{
    for (size_t i = 0; i < len; i += BYTES_OF_GROUP) {
        char quartet[LETTERS_OF_GROUP] = {'=', '=', '=', '='};
        base64_encode(bytes + i, len - i < BYTES_OF_GROUP ? len - i : BYTES_OF_GROUP, quartet);
        int result = buffer_append(out, quartet, sizeof(quartet));
        if (result != 0)
            return result;
    }
    return 0;
}

/* -1: no letter of either alphabet. */
static int letter_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static size_t padding_of(const char *text, size_t text_len)
{
    size_t padding = 0;
    while (padding < 2 && padding < text_len && text[text_len - 1 - padding] == '=')
        padding++;
    return padding;
}

int base64_decode(const char *text, size_t text_len, uint8_t *out, size_t *out_len)
{
    size_t padding = padding_of(text, text_len);
    text_len -= padding;
    if (text_len % 4 == 1 || (padding > 0 && (text_len + padding) % 4 != 0))
        return -STATUS_INVALID_ARGUMENT;
    size_t n = 0;
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text_len; i++) {
        int value = letter_value(text[i]);
        if (value < 0)
            return -STATUS_INVALID_ARGUMENT;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(group >> bits);
        }
    }
    *out_len = n;
    return 0;
}

int base64_read(
    const char *text, size_t text_len, struct arena *arena, uint8_t **out, size_t *out_len)
{
    uint8_t *bytes = arena_alloc(arena, BASE64_DECODED_MAX(text_len));
    if (bytes == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    int result = base64_decode(text, text_len, bytes, out_len);
    if (result == 0)
        *out = bytes;
    return result;
}
