/* Datagrams of sd_notify(3), and what they add up to, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/notify.h"

static struct notify_message parsed(const char *text)
{
    struct notify_message message;

    assert_int_equal(notify_parse(text, strlen(text), &message), 0);
    return message;
}

static void test_parse_ready_with_status(void **state)
{
    const struct notify_message message = parsed("READY=1\nSTATUS=serving 3 clients\n");

    (void)state;
    assert_true(message.ready);
    assert_true(message.has_status);
    assert_string_equal(message.status, "serving 3 clients");
    assert_false(message.stopping);
    assert_true(message.watchdog_ms == NOTIFY_NOT_SAID);
    assert_true(message.extend_ms == NOTIFY_NOT_SAID);
}

static void test_parse_all_keys(void **state)
{
    const struct notify_message message =
        parsed("STOPPING=1\nRELOADING=1\nWATCHDOG=1\nWATCHDOG_USEC=2500\nMAINPID=4\n"
               "EXTEND_TIMEOUT_USEC=7000000\nERRNO=2\nX_OWN=anything\nFDSTORE=1\nBARRIER=1");

    (void)state;
    assert_true(message.stopping);
    assert_true(message.reloading);
    assert_true(message.watchdog);
    assert_false(message.watchdog_trigger);
    assert_int_equal(message.watchdog_ms, 3);
    assert_int_equal(message.extend_ms, 7000);
    assert_int_equal(message.error_number, 2);
    assert_true(message.main_pid);
    assert_false(message.ready);
    assert_false(message.has_status);
}

static void test_parse_watchdog_trigger(void **state)
{
    (void)state;
    assert_true(parsed("WATCHDOG=trigger").watchdog_trigger);
    assert_false(parsed("WATCHDOG=trigger").watchdog);
    assert_false(parsed("WATCHDOG=triggered").watchdog_trigger);
}

static void test_parse_leaves_out_what_is_no_value(void **state)
{
    const struct notify_message message =
        parsed("READY=yes\nready=1\nREADY\n=1\n\n\nREADY =1\nWATCHDOG_USEC=\nWATCHDOG_USEC=-1\n"
               "EXTEND_TIMEOUT_USEC=1s\nERRNO=99999\nSTOPPING=0");

    (void)state;
    assert_false(message.ready);
    assert_false(message.stopping);
    assert_true(message.watchdog_ms == NOTIFY_NOT_SAID);
    assert_true(message.extend_ms == NOTIFY_NOT_SAID);
    assert_int_equal(message.error_number, 0);
}

static void test_parse_bounds_times(void **state)
{
    const struct notify_message message = parsed(
        "WATCHDOG_USEC=99999999999999999999999999\nEXTEND_TIMEOUT_USEC=18446744073709551615");

    (void)state;
    assert_int_equal(message.watchdog_ms, NOTIFY_TIME_MAX_MS);
    assert_int_equal(message.extend_ms, NOTIFY_TIME_MAX_MS);
}

static void test_parse_the_last_of_a_key_counts(void **state)
{
    (void)state;
    assert_string_equal(parsed("STATUS=one\nSTATUS=two").status, "two");
    assert_int_equal(parsed("WATCHDOG_USEC=1000\nWATCHDOG_USEC=0").watchdog_ms, 0);
}

static void test_parse_status_is_made_safe(void **state)
{
    (void)state;
    assert_string_equal(parsed("STATUS=a\x1b[31mb\x7f"
                               "c\xff"
                               "d\xc2\x9b"
                               "e\xc3\xa9")
                            .status,
        "a?[31mb?c?d?e\xc3\xa9");
    assert_string_equal(parsed("STATUS=\xe2\x82").status, "??");
    assert_string_equal(parsed("STATUS=").status, "");
}

static void test_parse_status_is_cut_between_characters(void **state)
{
    char text[2048] = "STATUS=x";
    struct notify_message message;
    size_t at = strlen(text);

    (void)state;
    for (; at + 3 < sizeof text; at += 3)
        memcpy(text + at, "\xe2\x82\xac", 3);
    assert_int_equal(notify_parse(text, at, &message), 0);
    assert_int_equal(strlen(message.status), 1 + 3 * ((NOTIFY_STATUS_SIZE - 2) / 3));
}

static void test_parse_refuses_what_is_no_text(void **state)
{
    static char huge[NOTIFY_DATAGRAM_MAX + 2];
    struct notify_message message;

    (void)state;
    memset(huge, 'A', sizeof huge);
    assert_int_equal(notify_parse("READY=1\0STATUS=x", 16, &message), NOTIFY_MALFORMED);
    assert_false(message.ready);
    assert_int_equal(notify_parse(huge, NOTIFY_DATAGRAM_MAX, &message), 0);
    assert_int_equal(notify_parse(huge, NOTIFY_DATAGRAM_MAX + 1, &message), NOTIFY_MALFORMED);
    assert_int_equal(notify_parse("READY=1\0", 8, &message), 0);
    assert_true(message.ready);
    assert_int_equal(notify_parse(NULL, 0, &message), 0);
}

/* ---- what it adds up to ---- */

enum { WATCHDOG_MS = 2000, GRACE_MS = 10000 };

static enum notified_change said(struct notified *notified, const char *text, int64_t now)
{
    const struct notify_message message = parsed(text);

    return notified_apply(notified, &message, GRACE_MS, now);
}

static void test_notified_begins_with_nothing(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, WATCHDOG_MS);
    assert_false(notified.ready);
    assert_true(notified_due_at(&notified) == CLOCK_NEVER);
}

static void test_notified_tells_what_changed(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, 0);
    assert_int_equal(said(&notified, "READY=1\nSTATUS=x", 1), NOTIFIED_PHASE);
    assert_int_equal(said(&notified, "READY=1", 2), NOTIFIED_BEAT);
    assert_int_equal(said(&notified, "STATUS=busy", 3), NOTIFIED_TEXT);
    assert_int_equal(said(&notified, "STATUS=busy\nWATCHDOG=1", 4), NOTIFIED_BEAT);
    assert_int_equal(said(&notified, "ERRNO=5", 4), NOTIFIED_TEXT);
    assert_int_equal(said(&notified, "STATUS=", 5), NOTIFIED_TEXT);
    assert_int_equal(said(&notified, "WATCHDOG_USEC=1000000", 5), NOTIFIED_PHASE);
    assert_int_equal(said(&notified, "WATCHDOG_USEC=1000000", 5), NOTIFIED_BEAT);
    assert_int_equal(said(&notified, "WATCHDOG=trigger", 5), NOTIFIED_PHASE);
    assert_true(notified.ready);
    assert_int_equal(notified.error_number, 5);
}

static void test_watchdog_counts_from_readiness_on(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, WATCHDOG_MS);
    (void)said(&notified, "WATCHDOG=1", 500);
    assert_true(notified_due_at(&notified) == CLOCK_NEVER);
    notified_watch(&notified, 1000);
    assert_int_equal(notified_due_at(&notified), 3000);
    notified_watch(&notified, 1500);
    assert_int_equal(notified_due_at(&notified), 3000);
    (void)said(&notified, "WATCHDOG=1", 2900);
    assert_int_equal(notified_due_at(&notified), 4900);
    (void)said(&notified, "STATUS=still here", 4000);
    assert_int_equal(notified_due_at(&notified), 4900);
}

static void test_watchdog_period_is_changed_by_the_service(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, WATCHDOG_MS);
    notified_watch(&notified, 1000);
    (void)said(&notified, "WATCHDOG_USEC=5000000", 1100);
    assert_int_equal(notified_due_at(&notified), 6100);
    (void)said(&notified, "WATCHDOG=1", 2000);
    assert_int_equal(notified_due_at(&notified), 7000);
    (void)said(&notified, "WATCHDOG_USEC=0", 2100);
    assert_true(notified_due_at(&notified) == CLOCK_NEVER);
    (void)said(&notified, "WATCHDOG=1", 2200);
    assert_true(notified_due_at(&notified) == CLOCK_NEVER);
}

static void test_watchdog_is_begun_by_the_service(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, 0);
    (void)said(&notified, "READY=1\nWATCHDOG_USEC=1000000", 0);
    assert_true(notified_due_at(&notified) == CLOCK_NEVER);
    notified_watch(&notified, 100);
    assert_int_equal(notified_due_at(&notified), 1100);
    /* Also by one that serves already. */
    notified_begin(&notified, 0);
    notified_watch(&notified, 100);
    (void)said(&notified, "WATCHDOG_USEC=1000000", 500);
    assert_int_equal(notified_due_at(&notified), 1500);
}

static void test_watchdog_trigger_is_due_at_once(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, 0);
    (void)said(&notified, "WATCHDOG=trigger", 700);
    assert_int_equal(notified_due_at(&notified), 700);
}

static void test_stopping_replaces_the_watchdog(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, WATCHDOG_MS);
    notified_watch(&notified, 0);
    assert_int_equal(said(&notified, "STOPPING=1", 1000), NOTIFIED_PHASE);
    assert_int_equal(notified_due_at(&notified), 1000 + GRACE_MS);
    /* Said again, it is no new beginning. */
    assert_int_equal(said(&notified, "STOPPING=1", 5000), NOTIFIED_BEAT);
    assert_int_equal(notified_due_at(&notified), 1000 + GRACE_MS);
}

static void test_stopping_is_extended_but_not_for_ever(void **state)
{
    struct notified notified;

    (void)state;
    notified_begin(&notified, 0);
    (void)said(&notified, "STOPPING=1", 1000);
    (void)said(&notified, "EXTEND_TIMEOUT_USEC=1000000", 2000);
    assert_int_equal(notified_due_at(&notified), 1000 + GRACE_MS);
    (void)said(&notified, "EXTEND_TIMEOUT_USEC=30000000", 2000);
    assert_int_equal(notified_due_at(&notified), 32000);
    for (int64_t now = 3000; now < INT64_C(2) * NOTIFY_EXTENDED_MAX_MS; now += INT64_C(600) * 1000)
        (void)said(&notified, "EXTEND_TIMEOUT_USEC=3600000000", now);
    assert_int_equal(notified_due_at(&notified), 1000 + NOTIFY_EXTENDED_MAX_MS);
}

static void test_extension_never_shortens(void **state)
{
    (void)state;
    assert_int_equal(notify_extended(5000, 0, 1000, 1000), 5000);
    assert_int_equal(notify_extended(5000, 0, 9000, 1000), 10000);
    assert_int_equal(notify_extended(INT64_C(2) * NOTIFY_EXTENDED_MAX_MS, 0, 9000, 1000),
        INT64_C(2) * NOTIFY_EXTENDED_MAX_MS);
    assert_true(notify_extended(CLOCK_NEVER, 0, 9000, 1000) == CLOCK_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_ready_with_status),
        cmocka_unit_test(test_parse_all_keys),
        cmocka_unit_test(test_parse_watchdog_trigger),
        cmocka_unit_test(test_parse_leaves_out_what_is_no_value),
        cmocka_unit_test(test_parse_bounds_times),
        cmocka_unit_test(test_parse_the_last_of_a_key_counts),
        cmocka_unit_test(test_parse_status_is_made_safe),
        cmocka_unit_test(test_parse_status_is_cut_between_characters),
        cmocka_unit_test(test_parse_refuses_what_is_no_text),
        cmocka_unit_test(test_notified_begins_with_nothing),
        cmocka_unit_test(test_notified_tells_what_changed),
        cmocka_unit_test(test_watchdog_counts_from_readiness_on),
        cmocka_unit_test(test_watchdog_period_is_changed_by_the_service),
        cmocka_unit_test(test_watchdog_is_begun_by_the_service),
        cmocka_unit_test(test_watchdog_trigger_is_due_at_once),
        cmocka_unit_test(test_stopping_replaces_the_watchdog),
        cmocka_unit_test(test_stopping_is_extended_but_not_for_ever),
        cmocka_unit_test(test_extension_never_shortens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
