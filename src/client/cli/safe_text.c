/* Widths: a few ranges of Unicode's EastAsianWidth (W, F) and of its combining marks, which is what
 * terminals agree on; wcwidth(3) needs a locale. */
#include "client/cli/safe_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/attributes.h"
#include "common/base/utf8.h"

struct range {
    uint32_t first;
    uint32_t last;
};

/* clang-format off */
static const struct range dangerous[] = {
    {0x80, 0x9f}, {0x061c, 0x061c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
};
static const struct range combining[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
    {0x302a, 0x302d}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};
static const struct range wide[] = {
    {0x1100, 0x115f}, {0x231a, 0x231b}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf},
    {0x4e00, 0x9fff}, {0xa000, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
    {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
/* clang-format on */

static bool is_within(uint32_t character, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

/* Bytes of the character; 0: no UTF-8. */
static size_t decode(const char *text, size_t len, uint32_t *out)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t n = utf8_character_length(bytes, len);
    if (n <= 1) {
        *out = bytes[0];
        return n;
    }
    *out = bytes[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        *out = *out << 6 | (bytes[i] & 0x3fU);
    return n;
}

/* Most characters of most texts: neither a control nor part of a longer one. */
static bool is_plain(char byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

size_t safe_text_next(const char *text, size_t len, char out[SAFE_TEXT_FORM_SIZE])
{
    uint32_t character = 0;
    out[0] = text[0];
    out[1] = '\0';
    if (is_plain(text[0]))
        return 1;
    size_t n = decode(text, len, &character);
    if (n == 0 || character < 0x20 || character == 0x7f) {
        (void)snprintf(out, SAFE_TEXT_FORM_SIZE, "\\x%02x", (unsigned)(uint8_t)text[0]);
        return 1;
    }
    if (is_within(character, dangerous, ARRAY_LENGTH(dangerous))) {
        (void)snprintf(out, SAFE_TEXT_FORM_SIZE, "\\u%04x", (unsigned)character);
        return n;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return n;
}

void safe_text_copy(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    size_t filled = 0;
    out[0] = '\0';
    while (len > 0) {
        char form[SAFE_TEXT_FORM_SIZE];
        size_t n = safe_text_next(text, len, form);
        size_t form_len = form[1] == '\0' ? 1 : strlen(form);
        if (filled + form_len >= size)
            return;
        memcpy(out + filled, form, form_len + 1);
        filled += form_len;
        text += n;
        len -= n;
    }
}

/* Bytes of the colour sequence that `text` begins with; 0: none. */
static size_t sequence_length(const char *text, size_t len)
{
    if (len < 3 || text[0] != '\033' || text[1] != '[')
        return 0;
    size_t i = 2;
    while (i < len && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';'))
        i++;
    return i < len && text[i] == 'm' ? i + 1 : 0;
}

/* The next character or sequence: bytes, and the columns it takes. */
static size_t step(const char *text, size_t len, size_t *out_columns)
{
    uint32_t character = 0;
    size_t n = 0;
    *out_columns = 1;
    if (is_plain(text[0]))
        return 1;
    n = sequence_length(text, len);
    *out_columns = 0;
    if (n > 0)
        return n;
    n = decode(text, len, &character);
    if (is_within(character, combining, ARRAY_LENGTH(combining)))
        return n;
    *out_columns = n > 0 && is_within(character, wide, ARRAY_LENGTH(wide)) ? 2 : 1;
    return n > 0 ? n : 1;
}

size_t safe_text_columns(const char *text)
{
    size_t len = strlen(text);
    size_t columns = 0;
    while (len > 0) {
        size_t more = 0;
        size_t n = step(text, len, &more);
        columns += more;
        text += n;
        len -= n;
    }
    return columns;
}

size_t safe_text_cut(const char *text, size_t len, size_t columns)
{
    size_t used = 0;
    size_t at = 0;
    while (at < len) {
        size_t more = 0;
        size_t n = step(text + at, len - at, &more);
        if (used + more > columns)
            return at;
        used += more;
        at += n;
    }
    return len;
}
