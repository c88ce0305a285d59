#include "common/schema/time_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/status.h"

enum { SECONDS_PER_DAY = 86400, NANOS_PER_SECOND = 1000000000, EPOCH_YEAR = 1970 };

struct civil_day {
    int64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/* Both directions count in eras of 400 years (146,097 days) that begin on 1 March, so that the leap
 * day is the last of its year. Day 0 is 1970-01-01, which is 719,468 days after 0000-03-01. */
static struct civil_day civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    struct civil_day civil = {
        .year = year_of_era + era * 400 + (march_month >= 10),
        .month = (unsigned)(march_month < 10 ? march_month + 3 : march_month - 9),
        .day = (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1),
    };
    return civil;
}

static int64_t days_from_civil(struct civil_day civil)
{
    int64_t year = civil.year - (civil.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t march_month = civil.month > 2 ? (int64_t)civil.month - 3 : (int64_t)civil.month + 9;
    int64_t day_of_year = (153 * march_month + 2) / 5 + (int64_t)civil.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* ".250", ".000001", "" : as few groups of three digits as hold it. */
static void format_fraction(uint32_t nanos, char out[16])
{
    if (nanos == 0)
        out[0] = '\0';
    else if (nanos % 1000000 == 0)
        (void)snprintf(out, 16, ".%03" PRIu32, nanos / 1000000);
    else if (nanos % 1000 == 0)
        (void)snprintf(out, 16, ".%06" PRIu32, nanos / 1000);
    else
        (void)snprintf(out, 16, ".%09" PRIu32, nanos);
}

int time_text_format(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX])
{
    if (seconds < TIME_TEXT_SECONDS_MIN || seconds > TIME_TEXT_SECONDS_MAX || nanos < 0 ||
        nanos >= NANOS_PER_SECOND)
        return -STATUS_OUT_OF_RANGE;
    int64_t second = (seconds % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    struct civil_day civil = civil_from_days((seconds - second) / SECONDS_PER_DAY);
    char fraction[16];
    format_fraction((uint32_t)nanos, fraction);
    (void)snprintf(out, TIME_TEXT_MAX, "%04d-%02u-%02uT%02d:%02d:%02d%sZ", (int)civil.year,
        civil.month, civil.day, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60),
        fraction);
    return 0;
}

/* A text that is eaten from the front. */
struct cursor {
    const char *at;
    const char *end;
};

static bool eat(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

/* Exactly `digits` of them, at most 9; -1: they are not there. */
static int64_t eat_number(struct cursor *cursor, size_t digits)
{
    if ((size_t)(cursor->end - cursor->at) < digits)
        return -1;
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (cursor->at[i] < '0' || cursor->at[i] > '9')
            return -1;
        number = number * 10 + (cursor->at[i] - '0');
    }
    cursor->at += digits;
    return number;
}

/* Optional ".digits", 1 to 9 of them; -1: a '.' without digits, or too many. */
static int64_t eat_fraction(struct cursor *cursor)
{
    if (!eat(cursor, '.'))
        return 0;
    int64_t nanos = 0;
    size_t digits = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && digits < 9) {
        nanos = nanos * 10 + (*cursor->at++ - '0');
        digits++;
    }
    if (digits == 0)
        return -1;
    for (; digits < 9; digits++)
        nanos *= 10;
    return nanos;
}

static unsigned days_in_month(int64_t year, unsigned month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool eat_day(struct cursor *cursor, struct civil_day *out)
{
    int64_t year = eat_number(cursor, 4);
    bool dashes = eat(cursor, '-');
    int64_t month = eat_number(cursor, 2);
    dashes = eat(cursor, '-') && dashes;
    int64_t day = eat_number(cursor, 2);
    if (!dashes || year < 1 || month < 1 || month > 12 || day < 1 ||
        day > (int64_t)days_in_month(year, (unsigned)month))
        return false;
    *out = (struct civil_day){year, (unsigned)month, (unsigned)day};
    return true;
}

/* "hh:mm"; seconds, or -1. */
static int64_t eat_hours_and_minutes(struct cursor *cursor)
{
    int64_t hours = eat_number(cursor, 2);
    bool colon = eat(cursor, ':');
    int64_t minutes = eat_number(cursor, 2);
    if (!colon || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -1;
    return hours * 3600 + minutes * 60;
}

/* "Z" or "+02:00"; false: neither. */
static bool eat_offset(struct cursor *cursor, int64_t *out_seconds)
{
    *out_seconds = 0;
    if (eat(cursor, 'Z') || eat(cursor, 'z'))
        return true;
    bool is_west = eat(cursor, '-');
    if (!is_west && !eat(cursor, '+'))
        return false;
    int64_t offset = eat_hours_and_minutes(cursor);
    *out_seconds = is_west ? -offset : offset;
    return offset >= 0;
}

int time_text_parse(const char *text, size_t len, int64_t *seconds, int32_t *nanos)
{
    struct cursor cursor = {text, text + len};
    struct civil_day civil;
    if (!eat_day(&cursor, &civil) || (!eat(&cursor, 'T') && !eat(&cursor, 't')))
        return -STATUS_INVALID_ARGUMENT;
    int64_t minutes = eat_hours_and_minutes(&cursor);
    bool colon = eat(&cursor, ':');
    int64_t second = eat_number(&cursor, 2);
    int64_t fraction = eat_fraction(&cursor);
    int64_t offset;
    if (minutes < 0 || !colon || second < 0 || second > 59 || fraction < 0 ||
        !eat_offset(&cursor, &offset) || cursor.at != cursor.end)
        return -STATUS_INVALID_ARGUMENT;
    int64_t result = days_from_civil(civil) * SECONDS_PER_DAY + minutes + second - offset;
    if (result < TIME_TEXT_SECONDS_MIN || result > TIME_TEXT_SECONDS_MAX)
        return -STATUS_INVALID_ARGUMENT;
    *seconds = result;
    *nanos = (int32_t)fraction;
    return 0;
}

int time_text_format_duration(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX])
{
    if (seconds < -TIME_TEXT_DURATION_MAX || seconds > TIME_TEXT_DURATION_MAX ||
        nanos <= -NANOS_PER_SECOND || nanos >= NANOS_PER_SECOND || (seconds > 0 && nanos < 0) ||
        (seconds < 0 && nanos > 0))
        return -STATUS_OUT_OF_RANGE;
    bool is_negative = seconds < 0 || nanos < 0;
    char fraction[16];
    format_fraction((uint32_t)(nanos < 0 ? -nanos : nanos), fraction);
    (void)snprintf(out, TIME_TEXT_MAX, "%s%" PRId64 "%ss", is_negative ? "-" : "",
        seconds < 0 ? -seconds : seconds, fraction);
    return 0;
}

int time_text_parse_duration(const char *text, size_t len, int64_t *seconds, int32_t *nanos)
{
    struct cursor cursor = {text, text + len};
    bool is_negative = eat(&cursor, '-');
    int64_t whole = 0;
    const char *first = cursor.at;
    while (cursor.at < cursor.end && *cursor.at >= '0' && *cursor.at <= '9') {
        whole = whole * 10 + (*cursor.at++ - '0');
        if (whole > TIME_TEXT_DURATION_MAX)
            return -STATUS_INVALID_ARGUMENT;
    }
    bool has_digits = cursor.at != first;
    int64_t fraction = eat_fraction(&cursor);
    if (!has_digits || fraction < 0 || !eat(&cursor, 's') || cursor.at != cursor.end)
        return -STATUS_INVALID_ARGUMENT;
    *seconds = is_negative ? -whole : whole;
    *nanos = (int32_t)(is_negative ? -fraction : fraction);
    return 0;
}
