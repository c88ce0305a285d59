#include "server/supervise/notify.h"

#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

/* One line's parts; neither is NUL-terminated. */
struct assignment {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

static bool has_key(const struct assignment *assignment, const char *key)
{
    return strlen(key) == assignment->key_len &&
           memcmp(assignment->key, key, assignment->key_len) == 0;
}

static bool has_value(const struct assignment *assignment, const char *value)
{
    return strlen(value) == assignment->value_len &&
           memcmp(assignment->value, value, assignment->value_len) == 0;
}

/* Decimal digits only; false: none, or something else. Too many are taken as UINT64_MAX. */
static bool read_number(const struct assignment *assignment, uint64_t *out)
{
    uint64_t number = 0;

    if (assignment->value_len == 0)
        return false;
    for (size_t i = 0; i < assignment->value_len; i++) {
        unsigned digit = (unsigned)(unsigned char)assignment->value[i] - '0';

        if (digit > 9)
            return false;
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    *out = number;
    return true;
}

/* Microseconds as milliseconds, rounded up, at most NOTIFY_TIME_MAX_MS. */
static void read_time(const struct assignment *assignment, int64_t *out_ms)
{
    uint64_t usec;

    if (!read_number(assignment, &usec))
        return;
    if (usec > (uint64_t)NOTIFY_TIME_MAX_MS * 1000)
        usec = (uint64_t)NOTIFY_TIME_MAX_MS * 1000;
    *out_ms = (int64_t)((usec + 999) / 1000);
}

/* Whole characters as long as there is room. What is no UTF-8, and what would move a terminal's
 * cursor (C0, DEL, C1), becomes "?". */
static void read_status(const struct assignment *assignment, char out[NOTIFY_STATUS_SIZE])
{
    const uint8_t *bytes = (const uint8_t *)assignment->value;
    size_t at = 0;

    for (size_t i = 0; i < assignment->value_len;) {
        size_t n = utf8_character_length(bytes + i, assignment->value_len - i);
        bool is_control = bytes[i] < ' ' || bytes[i] == 0x7f ||
                          (bytes[i] == 0xc2 && n == 2 && bytes[i + 1] < 0xa0);

        if (n == 0 || is_control) {
            n = n == 0 ? 1 : n;
            if (at + 1 >= NOTIFY_STATUS_SIZE)
                break;
            out[at++] = '?';
        } else {
            if (at + n >= NOTIFY_STATUS_SIZE)
                break;
            memcpy(out + at, bytes + i, n);
            at += n;
        }
        i += n;
    }
    out[at] = '\0';
}

static void read_watchdog(const struct assignment *assignment, struct notify_message *out)
{
    if (has_value(assignment, "1"))
        out->watchdog = true;
    else if (has_value(assignment, "trigger"))
        out->watchdog_trigger = true;
}

static void read_error(const struct assignment *assignment, struct notify_message *out)
{
    enum { ERRNO_MAX = 4095 };
    uint64_t number;

    if (read_number(assignment, &number) && number <= ERRNO_MAX)
        out->error_number = (int)number;
}

static void read_assignment(const struct assignment *assignment, struct notify_message *out)
{
    if (has_key(assignment, "READY"))
        out->ready = out->ready || has_value(assignment, "1");
    else if (has_key(assignment, "STOPPING"))
        out->stopping = out->stopping || has_value(assignment, "1");
    else if (has_key(assignment, "RELOADING"))
        out->reloading = out->reloading || has_value(assignment, "1");
    else if (has_key(assignment, "WATCHDOG"))
        read_watchdog(assignment, out);
    else if (has_key(assignment, "WATCHDOG_USEC"))
        read_time(assignment, &out->watchdog_ms);
    else if (has_key(assignment, "EXTEND_TIMEOUT_USEC"))
        read_time(assignment, &out->extend_ms);
    else if (has_key(assignment, "ERRNO"))
        read_error(assignment, out);
    else if (has_key(assignment, "MAINPID"))
        out->main_pid = true;
    else if (has_key(assignment, "STATUS")) {
        out->has_status = true;
        read_status(assignment, out->status);
    }
}

int notify_parse(const char *text, size_t len, struct notify_message *out)
{
    *out = (struct notify_message){.watchdog_ms = NOTIFY_NOT_SAID, .extend_ms = NOTIFY_NOT_SAID};
    if (len > 0 && text[len - 1] == '\0')
        len--;
    if (len > NOTIFY_DATAGRAM_MAX || (len > 0 && memchr(text, '\0', len) != NULL))
        return NOTIFY_MALFORMED;
    for (size_t begin = 0; begin < len;) {
        const char *line = text + begin;
        const char *feed = memchr(line, '\n', len - begin);
        size_t line_len = feed != NULL ? (size_t)(feed - line) : len - begin;
        const char *equals = memchr(line, '=', line_len);

        if (equals != NULL) {
            const struct assignment assignment = {.key = line,
                .key_len = (size_t)(equals - line),
                .value = equals + 1,
                .value_len = line_len - (size_t)(equals - line) - 1};

            read_assignment(&assignment, out);
        }
        begin += line_len + 1;
    }
    return 0;
}

/* ---- what it adds up to ---- */

void notified_begin(struct notified *notified, int64_t watchdog_ms)
{
    *notified = (struct notified){
        .watchdog_ms = watchdog_ms, .watchdog_at = CLOCK_NEVER, .stopping_by = CLOCK_NEVER};
}

void notified_watch(struct notified *notified, int64_t now)
{
    notified->is_serving = true;
    if (notified->watchdog_ms > 0 && notified->watchdog_at == CLOCK_NEVER)
        notified->watchdog_at = clock_add_ms(now, notified->watchdog_ms);
}

static void apply_watchdog(
    struct notified *notified, const struct notify_message *message, int64_t now)
{
    bool changes = message->watchdog_ms != NOTIFY_NOT_SAID;

    if (changes)
        notified->watchdog_ms = message->watchdog_ms;
    notified->is_triggered = notified->is_triggered || message->watchdog_trigger;
    if (notified->is_triggered)
        notified->watchdog_at = now;
    else if (notified->watchdog_ms == 0)
        notified->watchdog_at = CLOCK_NEVER;
    else if (notified->is_serving && (message->watchdog || changes))
        notified->watchdog_at = clock_add_ms(now, notified->watchdog_ms);
}

int64_t notify_extended(int64_t due_at, int64_t since, int64_t extend_ms, int64_t now)
{
    int64_t latest = clock_add_ms(since, NOTIFY_EXTENDED_MAX_MS);
    int64_t wanted = clock_add_ms(now, extend_ms);

    if (wanted > latest)
        wanted = latest;
    return wanted > due_at ? wanted : due_at;
}

static void apply_stopping(struct notified *notified, const struct notify_message *message,
    int64_t stop_grace_ms, int64_t now)
{
    if (message->stopping && !notified->stopping) {
        notified->stopping = true;
        notified->stopping_since = now;
        notified->stopping_by = clock_add_ms(now, stop_grace_ms);
    }
    if (notified->stopping && message->extend_ms != NOTIFY_NOT_SAID)
        notified->stopping_by = notify_extended(
            notified->stopping_by, notified->stopping_since, message->extend_ms, now);
}

static enum notified_change judge_change(
    const struct notified *notified, const struct notify_message *message)
{
    if ((message->ready && !notified->ready) || (message->stopping && !notified->stopping) ||
        (message->watchdog_ms != NOTIFY_NOT_SAID &&
            message->watchdog_ms != notified->watchdog_ms) ||
        (message->watchdog_trigger && !notified->is_triggered))
        return NOTIFIED_PHASE;
    if ((message->has_status && strcmp(message->status, notified->status) != 0) ||
        (message->error_number != 0 && message->error_number != notified->error_number) ||
        message->extend_ms != NOTIFY_NOT_SAID)
        return NOTIFIED_TEXT;
    return NOTIFIED_BEAT;
}

enum notified_change notified_apply(struct notified *notified, const struct notify_message *message,
    int64_t stop_grace_ms, int64_t now)
{
    enum notified_change change = judge_change(notified, message);

    notified->ready = notified->ready || message->ready;
    if (message->has_status)
        (void)snprintf(notified->status, sizeof notified->status, "%s", message->status);
    if (message->error_number != 0)
        notified->error_number = message->error_number;
    apply_watchdog(notified, message, now);
    apply_stopping(notified, message, stop_grace_ms, now);
    return change;
}

int64_t notified_due_at(const struct notified *notified)
{
    /* One that is ending has nothing else to report. */
    return notified->stopping ? notified->stopping_by : notified->watchdog_at;
}
