/* The log line: composed on the stack, one write, no locale, no heap. */
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

static const char *const LEVEL_NAMES[] = {
    [LOG_LEVEL_DEBUG] = "DEBUG",
    [LOG_LEVEL_INFO] = "INFO",
    [LOG_LEVEL_WARN] = "WARN",
    [LOG_LEVEL_ERROR] = "ERROR",
};

/* The one piece of state a process has: where its log goes. */
static struct {
    int fd;
    const char *program;
    enum log_level level;
    uint64_t lost;
    /* Part of `lost` that a written line has told already. */
    uint64_t told;
} state = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

void log_open(int fd, const char *program, enum log_level level)
{
    state.fd = fd;
    state.program = program;
    state.level = level;
}

int log_level_from_text(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(LEVEL_NAMES); i++) {
        if (strcasecmp(text, LEVEL_NAMES[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -STATUS_INVALID_ARGUMENT;
}

uint64_t log_lines_lost(void)
{
    return state.lost;
}

/* The last byte is kept for the newline. */
static void put(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof line->text - 1 - line->len;
    size_t n = utf8_cut(text, len, room);
    memcpy(line->text + line->len, text, n);
    line->len += n;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Neither what would end a line or a value, nor a control, of which terminals know U+0080 to U+009F
 * as well. `n`: bytes of the character; 0: it is none. */
static bool is_plain(const uint8_t *bytes, size_t n)
{
    if (n == 1)
        return bytes[0] >= 0x20 && bytes[0] != 0x7F && bytes[0] != '"' && bytes[0] != '\\';
    return n > 1 && !(bytes[0] == 0xC2 && bytes[1] < 0xA0);
}

static void put_escaped(struct line *line, const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_character_length(bytes + i, len - i);
        if (is_plain(bytes + i, n)) {
            put(line, text + i, n);
            i += n;
            continue;
        }
        char escape[5];
        (void)snprintf(escape, sizeof escape, "\\x%02x", bytes[i]);
        if (sizeof line->text - 1 - line->len < sizeof escape - 1)
            return;
        put_text(line, escape);
        i++;
    }
}

/* Gregorian date of a day counted from 1970-01-01.
 * By hand because gmtime_r reads /etc/localtime. */
static void date_of_day(int64_t day, int *year, int *month, int *day_of_month)
{
    static const int8_t MONTH_DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y = 1970;
    for (;;) {
        bool is_leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        int64_t days = is_leap ? 366 : 365;
        if (day < days) {
            int m = 0;
            for (; day >= MONTH_DAYS[m] + (m == 1 && is_leap); m++)
                day -= MONTH_DAYS[m] + (m == 1 && is_leap);
            *year = y;
            *month = m + 1;
            *day_of_month = (int)day + 1;
            return;
        }
        day -= days;
        y++;
    }
}

static void put_time(struct line *line, int64_t wall_ns)
{
    int64_t ms = wall_ns < 0 ? 0 : wall_ns / 1000000;
    int64_t seconds = ms / 1000;
    int year;
    int month;
    int day;
    date_of_day(seconds / 86400, &year, &month, &day);
    char text[64];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
        (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60),
        (int)(ms % 1000));
    put_text(line, text);
}

static void put_head(struct line *line, enum log_level level, const char *message)
{
    put_time(line, clock_wall_ns());
    put_text(line, " ");
    put_text(line, LEVEL_NAMES[level]);
    put_text(line, " ");
    if (state.program != NULL) {
        put_text(line, state.program);
        put_text(line, ": ");
    }
    put_text(line, message);
    uint64_t untold = state.lost - state.told;
    if (untold > 0) {
        char text[48];
        (void)snprintf(text, sizeof text, " lines_lost=%llu", (unsigned long long)untold);
        put_text(line, text);
    }
}

static void write_line(struct line *line)
{
    line->text[line->len++] = '\n';
    ssize_t n;
    do {
        n = write(state.fd, line->text, line->len);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line->len)
        state.told = state.lost;
    else
        state.lost++;
}

void log_line(enum log_level level, const char *message, const char *format, ...)
{
    if (level < state.level)
        return;
    int saved = errno;
    char pairs[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(pairs, sizeof pairs, format, arguments);
    va_end(arguments);
    struct line line;
    line.len = 0;
    put_head(&line, level, message);
    if (len > 0) {
        put_text(&line, " ");
        put_escaped(&line, pairs);
    }
    write_line(&line);
    errno = saved;
}
