/* Anything as datagrams of sd_notify(3), one after the other (a length and that many bytes), and
 * what they add up to. A status is text that fits; times stay within their bounds; nothing that was
 * promised is due later than its bound. */
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "server/supervise/notify.h"

enum { GRACE_MS = 10000, STEP_MS = 977, WATCH_AFTER = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_status(const char *status)
{
    size_t len = strlen(status);

    demand(len < NOTIFY_STATUS_SIZE);
    demand(utf8_is_valid((const uint8_t *)status, len));
    for (size_t i = 0; i < len; i++)
        demand((uint8_t)status[i] >= ' ' && status[i] != 0x7f);
}

static void check_message(const struct notify_message *message)
{
    check_status(message->status);
    demand(message->watchdog_ms >= NOTIFY_NOT_SAID && message->watchdog_ms <= NOTIFY_TIME_MAX_MS);
    demand(message->extend_ms >= NOTIFY_NOT_SAID && message->extend_ms <= NOTIFY_TIME_MAX_MS);
    demand(message->error_number >= 0 && message->error_number < 4096);
}

static void check_notified(const struct notified *notified, int64_t now)
{
    check_status(notified->status);
    demand(
        notified->watchdog_at == CLOCK_NEVER || notified->watchdog_at <= now + NOTIFY_TIME_MAX_MS);
    demand(notified->stopping == (notified->stopping_by != CLOCK_NEVER));
    if (notified->stopping)
        demand(notified->stopping_by <= notified->stopping_since + NOTIFY_EXTENDED_MAX_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notified notified;
    int64_t now = 1000;

    notified_begin(&notified, size > 0 ? data[0] * 100 : 0);
    for (unsigned n = 0; size > 2; n++) {
        size_t len = (size_t)(data[0] | data[1] << 8);
        struct notify_message message;

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        if (n == WATCH_AFTER)
            notified_watch(&notified, now);
        if (notify_parse((const char *)data, len, &message) == 0) {
            check_message(&message);
            (void)notified_apply(&notified, &message, GRACE_MS, now);
            check_notified(&notified, now);
        }
        data += len;
        size -= len;
        now += STEP_MS;
    }
    return 0;
}
