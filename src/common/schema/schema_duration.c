#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/status.h"
#include "common/schema/schema_value.h"

struct unit {
    const char *name;
    int64_t ns;
};

/* Longest first, so that "ms" is not read as "m". */
static const struct unit units[] = {
    {"ms", INT64_C(1000000)},
    {"us", INT64_C(1000)},
    {"ns", 1},
    {"h", INT64_C(3600000000000)},
    {"m", INT64_C(60000000000)},
    {"s", INT64_C(1000000000)},
};

static const struct unit *find_unit(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        size_t name_len = strlen(units[i].name);
        if (name_len <= len && memcmp(units[i].name, text, name_len) == 0)
            return &units[i];
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* number * scale into *total; false: too large. */
static bool add_scaled(int64_t number, int64_t scale, int64_t *total)
{
    int64_t product;
    return !__builtin_mul_overflow(number, scale, &product) &&
           !__builtin_add_overflow(*total, product, total);
}

enum {
    /* Digits taken of either side of the point. With 12 and 6 no product below overflows before it
     * is checked, and 10^12 s is beyond every limit. */
    WHOLE_DIGITS_MAX = 12,
    FRACTION_DIGITS_MAX = 6
};

/* At most `max` digits; how many. */
static size_t eat_digits(const char *text, size_t len, size_t max, int64_t *out)
{
    size_t n = 0;
    for (*out = 0; n < len && n < max && is_digit(text[n]); n++)
        *out = *out * 10 + (text[n] - '0');
    return n;
}

/* One "1.5s" at the front. Bytes eaten; 0: not of that form, or too large. */
static size_t eat_term(const char *text, size_t len, int64_t *total)
{
    int64_t whole;
    size_t at = eat_digits(text, len, WHOLE_DIGITS_MAX, &whole);
    if (at == 0)
        return 0;
    int64_t fraction = 0;
    int64_t fraction_scale = 1;
    if (at < len && text[at] == '.') {
        size_t digits = eat_digits(text + at + 1, len - at - 1, FRACTION_DIGITS_MAX, &fraction);
        if (digits == 0)
            return 0;
        at += 1 + digits;
        while (digits-- > 0)
            fraction_scale *= 10;
    }
    const struct unit *unit = find_unit(text + at, len - at);
    if (unit == NULL || !add_scaled(whole, unit->ns, total))
        return 0;
    /* fraction < 10^6 and an hour has 3.6 * 10^12 ns: the product stays below 2^63. */
    if (!add_scaled(fraction * unit->ns / fraction_scale, 1, total))
        return 0;
    return at + strlen(unit->name);
}

int schema_duration_parse(const char *text, size_t text_len, int64_t *out_ns)
{
    *out_ns = 0;
    if (text_len == 1 && text[0] == '0')
        return 0;
    if (text_len == 0)
        return -STATUS_INVALID_ARGUMENT;
    int64_t total = 0;
    for (size_t at = 0; at < text_len;) {
        size_t eaten = eat_term(text + at, text_len - at, &total);
        if (eaten == 0)
            return -STATUS_INVALID_ARGUMENT;
        at += eaten;
    }
    *out_ns = total;
    return 0;
}

void schema_duration_format(int64_t ns, char *out)
{
    static const struct unit shown[] = {
        {"h", INT64_C(3600000000000)},
        {"m", INT64_C(60000000000)},
        {"s", INT64_C(1000000000)},
        {"ms", INT64_C(1000000)},
        {"us", INT64_C(1000)},
        {"ns", 1},
    };
    size_t i = 0;
    while (ns % shown[i].ns != 0)
        i++;
    if (ns == 0)
        i = 2;
    (void)snprintf(out, SCHEMA_VALUE_TEXT_MAX, "%" PRId64 "%s", ns / shown[i].ns, shown[i].name);
}
