/* Every bound of the control socket, to the limit and one past it. The clock is the test's, and
 * timers of more than a moment go off at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "harness.h"
#include "server/transport/limits.h"

enum { MOMENT_MS = 1 };

int64_t __real_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void);
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again);

static int64_t later_ms;
static int n_timers;

int64_t __wrap_clock_monotonic_ms(void)
{
    return __real_clock_monotonic_ms() + later_ms;
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again)
{
    n_timers++;
    return __real_uv_timer_start(timer, on_time, timeout < MOMENT_MS ? timeout : MOMENT_MS, again);
}

static void turn_until(struct harness *harness, size_t n_connections)
{
    int64_t deadline_at = harness_deadline();

    while (transport_connections(harness->transport) != n_connections)
        harness_turn(harness, deadline_at);
}

static void test_connections_of_one_process_are_bounded(void **state)
{
    static int fds[TRANSPORT_CONNECTIONS_PER_PID + 1];
    struct harness harness;

    (void)state;
    harness_open(&harness, 0);
    for (size_t i = 0; i < TRANSPORT_CONNECTIONS_PER_PID; i++) {
        fds[i] = client_connect(&harness);
        turn_until(&harness, i + 1);
    }
    /* The newcomer takes the place of the one that was silent for longest. */
    fds[TRANSPORT_CONNECTIONS_PER_PID] = client_connect(&harness);
    assert_true(client_is_closed(&harness, fds[0]));
    assert_int_equal(transport_connections(harness.transport), TRANSPORT_CONNECTIONS_PER_PID);
    for (size_t i = 0; i <= TRANSPORT_CONNECTIONS_PER_PID; i++)
        (void)close(fds[i]);
    harness_close(&harness);
}

static void test_idle_connection_is_closed_at_its_time_and_not_before(void **state)
{
    enum { LOOKS = 3 };
    struct harness harness;
    int64_t deadline_at;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    turn_until(&harness, 1);
    later_ms = TRANSPORT_IDLE_MS - 10 * 1000;
    /* Looked at, and found not to be due: the timer is started again. */
    n_timers = 0;
    deadline_at = harness_deadline();
    while (n_timers < LOOKS)
        harness_turn(&harness, deadline_at);
    assert_int_equal(transport_connections(harness.transport), 1);
    later_ms = TRANSPORT_IDLE_MS;
    n_timers = 0;
    deadline_at = harness_deadline();
    while (n_timers < LOOKS && transport_connections(harness.transport) > 0)
        harness_turn(&harness, deadline_at);
    assert_int_equal(transport_connections(harness.transport), 0);
    later_ms = 0;
    (void)close(fd);
    harness_close(&harness);
}

/* HTTP/2 (RFC 9113, 3.4 and 6.7): who keeps a connection alive on purpose keeps it, and a silent
 * one is closed as any other. */
static void test_ping_keeps_an_idle_http2_connection_and_silence_does_not(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    static const char ping[] = "\0\0\10\6\0\0\0\0\0flocks!";
    struct harness harness;
    uint8_t answer[512];
    int ping_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    ping_fd = client_connect(&harness);
    client_send(fd, preface, sizeof(preface));
    client_send(ping_fd, preface, sizeof(preface));
    turn_until(&harness, 2);
    assert_true(client_receive(&harness, fd, answer, sizeof(answer)) > 0);
    assert_int_equal(answer[3], 4); /* SETTINGS */
    assert_true(client_receive(&harness, ping_fd, answer, sizeof(answer)) > 0);
    later_ms = TRANSPORT_IDLE_MS - 10 * 1000;
    client_send(ping_fd, ping, sizeof(ping));
    assert_true(client_receive(&harness, ping_fd, answer, sizeof(answer)) > 0);
    assert_int_equal(transport_connections(harness.transport), 2);
    later_ms = TRANSPORT_IDLE_MS;
    turn_until(&harness, 1);
    client_send(ping_fd, ping, sizeof(ping));
    assert_true(client_receive(&harness, ping_fd, answer, sizeof(answer)) > 0);
    later_ms = 0;
    (void)close(fd);
    (void)close(ping_fd);
    harness_close(&harness);
}

static void test_accepts_of_one_turn_are_bounded(void **state)
{
    static int fds[TRANSPORT_ACCEPTS_PER_TURN + 1];
    struct harness harness;

    (void)state;
    harness_open(&harness, 0);
    for (size_t i = 0; i <= TRANSPORT_ACCEPTS_PER_TURN; i++)
        fds[i] = client_connect(&harness);
    (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    assert_int_equal(transport_connections(harness.transport), TRANSPORT_ACCEPTS_PER_TURN);
    (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    assert_int_equal(transport_connections(harness.transport), TRANSPORT_ACCEPTS_PER_TURN + 1);
    for (size_t i = 0; i <= TRANSPORT_ACCEPTS_PER_TURN; i++)
        (void)close(fds[i]);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_of_one_process_are_bounded),
        cmocka_unit_test(test_idle_connection_is_closed_at_its_time_and_not_before),
        cmocka_unit_test(test_ping_keeps_an_idle_http2_connection_and_silence_does_not),
        cmocka_unit_test(test_accepts_of_one_turn_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
