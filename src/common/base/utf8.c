/* UTF-8 checking, one character at a time. */
#include "common/base/utf8.h"

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0U) == 0x80U;
}

/* Length that the first byte announces; 0 for continuation
 * bytes and those never used (RFC 3629, 3). */
static size_t announced_length(uint8_t first)
{
    if (first < 0x80U)
        return 1;
    if (first >= 0xC2U && first <= 0xDFU)
        return 2;
    if (first >= 0xE0U && first <= 0xEFU)
        return 3;
    if (first >= 0xF0U && first <= 0xF4U)
        return 4;
    return 0;
}

/* Overlong forms, surrogates and numbers beyond the last are all visible in the second byte. */
static bool second_is_allowed(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0U:
        return second >= 0xA0U;
    case 0xEDU:
        return second <= 0x9FU;
    case 0xF0U:
        return second >= 0x90U;
    case 0xF4U:
        return second <= 0x8FU;
    default:
        return true;
    }
}

size_t utf8_character_length(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    size_t n = announced_length(bytes[0]);
    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (!is_continuation(bytes[i]))
            return 0;
    }
    return n == 1 || second_is_allowed(bytes[0], bytes[1]) ? n : 0;
}

bool utf8_is_valid(const uint8_t *bytes, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (bytes[i] < 0x80U) {
            i++;
            continue;
        }
        size_t n = utf8_character_length(bytes + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    /* At most three continuation bytes belong to one character; more of them is no UTF-8 at all. */
    size_t n = max;
    for (int i = 0; i < 3 && n > 0 && is_continuation((uint8_t)text[n]); i++)
        n--;
    return n > 0 && is_continuation((uint8_t)text[n]) ? max : n;
}
