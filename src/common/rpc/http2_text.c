#include "common/rpc/http2_text.h"

/* Nanoseconds of a unit; 0: it is none. */
static int64_t unit_of(char letter)
{
    switch (letter) {
    case 'H':
        return INT64_C(3600000000000);
    case 'M':
        return INT64_C(60000000000);
    case 'S':
        return INT64_C(1000000000);
    case 'm':
        return INT64_C(1000000);
    case 'u':
        return INT64_C(1000);
    case 'n':
        return INT64_C(1);
    default:
        return 0;
    }
}

bool http2_timeout_read(const char *text, int64_t *out_nano)
{
    enum { DIGITS_MAX = 8 };
    int64_t value = 0;
    size_t n = 0;
    for (; n < DIGITS_MAX && text[n] >= '0' && text[n] <= '9'; n++)
        value = value * 10 + (text[n] - '0');
    int64_t unit = n == 0 ? 0 : unit_of(text[n]);
    if (unit == 0 || text[n + 1] != '\0')
        return false;
    if (value == 0)
        *out_nano = -1;
    else
        *out_nano = value > INT64_MAX / unit ? INT64_MAX : value * unit;
    return true;
}

/* A space at either end would not arrive (RFC 9113, 8.2.1). */
static bool is_plain(struct rpc_bytes text, size_t i)
{
    uint8_t byte = text.data[i];
    if (byte == ' ')
        return i > 0 && i + 1 < text.len;
    return byte > 0x20 && byte <= 0x7e && byte != '%';
}

size_t http2_percent_size(struct rpc_bytes text)
{
    size_t size = 0;
    for (size_t i = 0; i < text.len; i++)
        size += is_plain(text, i) ? 1 : 3;
    return size;
}

void http2_percent_write(struct rpc_bytes text, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (is_plain(text, i)) {
            *out++ = byte;
            continue;
        }
        *out++ = '%';
        *out++ = (uint8_t)digits[byte >> 4];
        *out++ = (uint8_t)digits[byte & 0xf];
    }
}
