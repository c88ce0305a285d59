/* Connections over TCP, and the graceful end of all. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "harness.h"
#include "server/transport/limits.h"
#include "server/transport/loopback.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum {
    FRAME_HEADER = 10,
    FRAME_MAX = 256,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16,
    /* For what must happen. */
    DEADLINE_MS = 10 * 1000,
    LONG_MS = 60 * 1000
};

static const struct token token = {.digits = DIGITS};

int64_t __real_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void);

static int64_t later_ms;

/* Timers of more than a moment go off at once: what is not due by the clock is found not to be. */
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again);

static int n_timers;

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_time, uint64_t timeout, uint64_t again)
{
    n_timers++;
    return __real_uv_timer_start(timer, on_time, timeout < 1 ? timeout : 1, again);
}

int64_t __wrap_clock_monotonic_ms(void)
{
    return __real_clock_monotonic_ms() + later_ms;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* Serves some loopback port too, and answers it. */
static uint16_t serve_tcp(struct harness *harness)
{
    struct error error = ERROR_INIT;
    uint16_t port;
    int fd = -1;

    assert_int_equal(loopback_listen(LOOPBACK_IPV4, 0, &fd, &error), 0);
    port = port_of(fd);
    assert_int_equal(transport_add_tcp(harness->transport, fd, &token, &error), 0);
    return port;
}

static int connect_tcp(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* A request frame with `authorization`, or none. */
static size_t frame_of(uint8_t *out, uint32_t stream, const char *method, const char *authorization)
{
    static const char key[] = "authorization";
    size_t len = client_frame(out, stream, method);
    size_t value_len = authorization ? strlen(authorization) : 0;
    size_t pair_len = 2 + sizeof(key) - 1 + 2 + value_len;

    if (!authorization)
        return len;
    out[len++] = 0x2a;
    out[len++] = (uint8_t)pair_len;
    out[len++] = 0x0a;
    out[len++] = sizeof(key) - 1;
    memcpy(out + len, key, sizeof(key) - 1);
    len += sizeof(key) - 1;
    out[len++] = 0x12;
    out[len++] = (uint8_t)value_len;
    memcpy(out + len, authorization, value_len);
    len += value_len;
    out[3] = (uint8_t)(len - FRAME_HEADER);
    return len;
}

static void ask(int fd, uint32_t stream, const char *method, const char *authorization)
{
    uint8_t frame[FRAME_MAX];

    client_send(fd, frame, frame_of(frame, stream, method, authorization));
}

/* The status code of the next Response. Its status is the payload's first field, its code that
 * one's. */
static int code_of_answer(struct harness *harness, int fd)
{
    uint8_t bytes[1024];
    size_t len = client_receive(harness, fd, bytes, sizeof(bytes));

    assert_true(len >= FRAME_HEADER);
    if (len == FRAME_HEADER || bytes[FRAME_HEADER] != 0x0a)
        return 0;
    for (size_t at = FRAME_HEADER + 1; at < FRAME_HEADER + 4; at++) {
        if (bytes[at] == 0x08)
            return bytes[at + 1];
    }
    return -1;
}

static void turn_until_empty(struct harness *harness, size_t n_connections)
{
    int64_t deadline_at = __real_clock_monotonic_ms() + DEADLINE_MS;

    while (transport_connections(harness->transport) != n_connections) {
        (void)uv_run(&harness->loop, UV_RUN_NOWAIT);
        assert_true(__real_clock_monotonic_ms() < deadline_at);
    }
}

/* The loop has looked at everything some times at this hour. */
static void look_at(struct harness *harness, int64_t later)
{
    enum { LOOKS = 3 };
    int64_t deadline_at = __real_clock_monotonic_ms() + DEADLINE_MS;

    later_ms = later;
    n_timers = 0;
    while (n_timers < LOOKS && transport_connections(harness->transport) > 0) {
        (void)uv_run(&harness->loop, UV_RUN_NOWAIT);
        assert_true(__real_clock_monotonic_ms() < deadline_at);
    }
}

/* ---- the gate ---- */

static void test_no_call_enters_without_the_token(void **state)
{
    struct harness harness;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = connect_tcp(serve_tcp(&harness));
    ask(fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), CODE_UNAUTHENTICATED);
    ask(fd, 3, "GetStatus", "Bearer 0");
    assert_int_equal(code_of_answer(&harness, fd), CODE_UNAUTHENTICATED);
    /* Not even that there is no such method. */
    ask(fd, 5, "NoSuchThing", NULL);
    assert_int_equal(code_of_answer(&harness, fd), CODE_UNAUTHENTICATED);
    ask(fd, 7, "GetOperation", DIGITS);
    assert_int_equal(code_of_answer(&harness, fd), CODE_UNAUTHENTICATED);
    assert_null(harness.held);
    (void)close(fd);
    harness_close(&harness);
}

static void test_connection_enters_with_its_first_call_that_has_the_token(void **state)
{
    struct harness harness;
    uint16_t port;
    int fd;
    int other_fd;

    (void)state;
    harness_open(&harness, 0);
    port = serve_tcp(&harness);
    fd = connect_tcp(port);
    ask(fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), CODE_UNAUTHENTICATED);
    ask(fd, 3, "GetStatus", "Bearer " DIGITS);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    ask(fd, 5, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    /* It alone. */
    other_fd = connect_tcp(port);
    ask(other_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, other_fd), CODE_UNAUTHENTICATED);
    (void)close(fd);
    (void)close(other_fd);
    harness_close(&harness);
}

static void test_unix_socket_needs_no_token(void **state)
{
    struct harness harness;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    (void)serve_tcp(&harness);
    fd = client_connect(&harness);
    ask(fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    (void)close(fd);
    harness_close(&harness);
}

static void test_browser_is_closed(void **state)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    struct harness harness;
    uint16_t port;

    (void)state;
    harness_open(&harness, 0);
    port = serve_tcp(&harness);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int fd = connect_tcp(port);

        client_send(fd, requests[i], strlen(requests[i]));
        turn_until_empty(&harness, 1);
        turn_until_empty(&harness, 0);
        (void)close(fd);
    }
    harness_close(&harness);
}

static void test_stranger_is_closed_after_its_time_and_others_stay(void **state)
{
    struct harness harness;
    uint16_t port;
    int stranger_fd;
    int silent_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    port = serve_tcp(&harness);
    fd = connect_tcp(port);
    ask(fd, 1, "GetStatus", "Bearer " DIGITS);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    silent_fd = connect_tcp(port);
    stranger_fd = connect_tcp(port);
    ask(stranger_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, stranger_fd), CODE_UNAUTHENTICATED);
    assert_int_equal(transport_connections(harness.transport), 3);
    look_at(&harness, TRANSPORT_STRANGER_MS - 1000);
    assert_int_equal(transport_connections(harness.transport), 3);
    later_ms = TRANSPORT_STRANGER_MS;
    /* Calls that are refused buy no time. */
    ask(stranger_fd, 3, "GetStatus", NULL);
    ask(silent_fd, 1, "GetStatus", NULL);
    turn_until_empty(&harness, 1);
    ask(fd, 3, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    later_ms = 0;
    (void)close(fd);
    (void)close(silent_fd);
    (void)close(stranger_fd);
    harness_close(&harness);
}

static void test_strangers_are_bounded_and_push_out_only_each_other(void **state)
{
    static int fds[TRANSPORT_STRANGERS_MAX + 1];
    struct harness harness;
    uint16_t port;
    int local_fd;

    (void)state;
    harness_open(&harness, 0);
    port = serve_tcp(&harness);
    local_fd = client_connect(&harness);
    turn_until_empty(&harness, 1);
    for (size_t i = 0; i < TRANSPORT_STRANGERS_MAX; i++) {
        fds[i] = connect_tcp(port);
        turn_until_empty(&harness, i + 2);
    }
    fds[TRANSPORT_STRANGERS_MAX] = connect_tcp(port);
    assert_true(client_is_closed(&harness, fds[0]));
    assert_int_equal(transport_connections(harness.transport), TRANSPORT_STRANGERS_MAX + 1);
    ask(local_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, local_fd), 0);
    for (size_t i = 0; i <= TRANSPORT_STRANGERS_MAX; i++)
        (void)close(fds[i]);
    (void)close(local_fd);
    harness_close(&harness);
}

/* ---- ends ---- */

static void test_tcp_ends_alone_and_with_its_calls_answered(void **state)
{
    struct harness harness;
    uint16_t port;
    int local_fd;
    int idle_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    port = serve_tcp(&harness);
    local_fd = client_connect(&harness);
    idle_fd = connect_tcp(port);
    ask(idle_fd, 1, "GetStatus", "Bearer " DIGITS);
    assert_int_equal(code_of_answer(&harness, idle_fd), 0);
    fd = connect_tcp(port);
    ask(fd, 1, "GetOperation", "Bearer " DIGITS);
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    transport_end_tcp(harness.transport);
    assert_int_equal(connect_tcp(port), -1);
    assert_true(client_is_closed(&harness, idle_fd));
    harness_release(&harness);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    assert_true(client_is_closed(&harness, fd));
    ask(local_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, local_fd), 0);
    /* And is served again. */
    (void)close(fd);
    fd = connect_tcp(serve_tcp(&harness));
    ask(fd, 1, "GetStatus", "Bearer " DIGITS);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    (void)close(fd);
    (void)close(idle_fd);
    (void)close(local_fd);
    harness_close(&harness);
}

static void on_emptied(void *data)
{
    (*(int *)data)++;
}

static void test_shut_answers_what_is_in_flight_and_leaves_newcomers_waiting(void **state)
{
    struct harness harness;
    int n_emptied = 0;
    int idle_fd;
    int late_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    idle_fd = client_connect(&harness);
    ask(idle_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, idle_fd), 0);
    fd = client_connect(&harness);
    ask(fd, 1, "GetOperation", NULL);
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    /* What has come is heard, although nobody has read it yet. */
    ask(idle_fd, 3, "GetStatus", NULL);
    transport_shut(harness.transport, LONG_MS, "later", on_emptied, &n_emptied);
    late_fd = client_connect(&harness);
    assert_int_equal(code_of_answer(&harness, idle_fd), 0);
    assert_true(client_is_closed(&harness, idle_fd));
    assert_int_equal(n_emptied, 0);
    harness_release(&harness);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    harness_run_until(&harness, &n_emptied);
    assert_int_equal(transport_connections(harness.transport), 0);
    assert_int_equal(n_emptied, 1);
    (void)close(fd);
    (void)close(idle_fd);
    (void)close(late_fd);
    harness_close(&harness);
}

static void test_shut_ends_calls_at_its_limit_and_not_before(void **state)
{
    static const int64_t limits[] = {TRANSPORT_HAND_OVER_MS, TRANSPORT_LEAVE_MS};

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct harness harness;
        int n_emptied = 0;
        int fd;

        harness_open(&harness, 0);
        fd = client_connect(&harness);
        ask(fd, 1, "GetOperation", NULL);
        while (!harness.held)
            (void)uv_run(&harness.loop, UV_RUN_ONCE);
        transport_shut(harness.transport, limits[i], "later", on_emptied, &n_emptied);
        look_at(&harness, limits[i] - 500);
        assert_int_equal(transport_connections(harness.transport), 1);
        assert_non_null(harness.held);
        later_ms = limits[i];
        assert_int_equal(code_of_answer(&harness, fd), CODE_UNAVAILABLE);
        later_ms = 0;
        harness_run_until(&harness, &n_emptied);
        /* Its handler was told, too. */
        assert_int_equal(harness.cancelled, 1);
        (void)close(fd);
        harness_close(&harness);
    }
}

/* More answers than the socket holds, none of which is read. */
static void stuff(struct harness *harness, int fd)
{
    enum { REQUESTS = 20 * 1000 };
    uint8_t frame[FRAME_MAX];
    size_t len = client_frame(frame, 1, "GetStatus");

    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t stream = 2 * i + 1;

        frame[5] = (uint8_t)(stream >> 16);
        frame[6] = (uint8_t)(stream >> 8);
        frame[7] = (uint8_t)stream;
        client_send(fd, frame, len);
        (void)uv_run(&harness->loop, UV_RUN_NOWAIT);
    }
}

static void test_shut_waits_no_longer_for_who_reads_nothing(void **state)
{
    struct harness harness;
    int n_emptied = 0;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    stuff(&harness, fd);
    transport_shut(harness.transport, TRANSPORT_LEAVE_MS, "later", on_emptied, &n_emptied);
    look_at(&harness, TRANSPORT_LEAVE_MS);
    look_at(&harness, TRANSPORT_LEAVE_MS + TRANSPORT_FAREWELL_MS / 2);
    assert_int_equal(transport_connections(harness.transport), 1);
    look_at(&harness, TRANSPORT_LEAVE_MS + 2 * TRANSPORT_FAREWELL_MS);
    assert_int_equal(transport_connections(harness.transport), 0);
    later_ms = 0;
    harness_run_until(&harness, &n_emptied);
    (void)close(fd);
    harness_close(&harness);
}

static void test_shut_waits_for_the_first_word_of_who_has_just_come(void **state)
{
    struct harness harness;
    int n_emptied = 0;
    int silent_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    silent_fd = client_connect(&harness);
    turn_until_empty(&harness, 2);
    transport_shut(harness.transport, LONG_MS, "later", on_emptied, &n_emptied);
    for (int i = 0; i < 10; i++)
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    ask(fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, fd), 0);
    assert_true(client_is_closed(&harness, fd));
    (void)close(fd);
    turn_until_empty(&harness, 1);
    look_at(&harness, TRANSPORT_SILENT_MS);
    assert_true(client_is_closed(&harness, silent_fd));
    later_ms = 0;
    harness_run_until(&harness, &n_emptied);
    (void)close(silent_fd);
    harness_close(&harness);
}

static void test_who_writes_after_its_last_answer_still_reads_it(void **state)
{
    struct harness harness;
    int n_emptied = 0;
    int idle_fd;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    idle_fd = client_connect(&harness);
    ask(idle_fd, 1, "GetStatus", NULL);
    assert_int_equal(code_of_answer(&harness, idle_fd), 0);
    later_ms = TRANSPORT_FAREWELL_MS;
    fd = client_connect(&harness);
    ask(fd, 1, "GetStatus", NULL);
    while (transport_connections(harness.transport) < 2)
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    transport_shut(harness.transport, LONG_MS, "later", on_emptied, &n_emptied);
    /* Who has long read everything goes at once. */
    while (transport_connections(harness.transport) > 1)
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    for (int i = 0; i < 10; i++) {
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
        ask(fd, 3, "GetStatus", NULL);
    }
    assert_int_equal(code_of_answer(&harness, fd), 0);
    assert_true(client_is_closed(&harness, fd));
    assert_int_equal(n_emptied, 0);
    (void)close(fd);
    harness_run_until(&harness, &n_emptied);
    later_ms = 0;
    (void)close(idle_fd);
    harness_close(&harness);
}

static void test_shut_without_connections_is_told_from_the_loop(void **state)
{
    struct harness harness;
    int n_emptied = 0;

    (void)state;
    harness_open(&harness, 0);
    transport_shut(harness.transport, 1, "later", on_emptied, &n_emptied);
    assert_int_equal(n_emptied, 0);
    harness_run_until(&harness, &n_emptied);
    harness_close(&harness);
}

/* ---- loopback ---- */

static void test_taken_port_is_a_condition(void **state)
{
    struct error error = ERROR_INIT;
    int fd = -1;
    int other_fd = -1;

    (void)state;
    assert_int_equal(loopback_listen(LOOPBACK_IPV4, 0, &fd, &error), 0);
    assert_int_equal(
        loopback_listen(LOOPBACK_IPV4, port_of(fd), &other_fd, &error), LOOPBACK_TAKEN);
    assert_int_equal(other_fd, -1);
    (void)close(fd);
}

static void test_so_many_wait_to_be_accepted(void **state)
{
    /* listen(2): the kernel takes one more. */
    static int fds[TRANSPORT_TCP_BACKLOG + 2];
    struct error error = ERROR_INIT;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = -1;

    (void)state;
    assert_int_equal(loopback_listen(LOOPBACK_IPV4, 0, &fd, &error), 0);
    address.sin_port = htons(port_of(fd));
    for (size_t i = 0; i < TRANSPORT_TCP_BACKLOG + 2; i++) {
        struct pollfd writable = {.events = POLLOUT};

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (const struct sockaddr *)&address, sizeof(address));
        writable.fd = fds[i];
        assert_int_equal(poll(&writable, 1, 0), i <= TRANSPORT_TCP_BACKLOG);
    }
    for (size_t i = 0; i < TRANSPORT_TCP_BACKLOG + 2; i++)
        (void)close(fds[i]);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_call_enters_without_the_token),
        cmocka_unit_test(test_connection_enters_with_its_first_call_that_has_the_token),
        cmocka_unit_test(test_unix_socket_needs_no_token),
        cmocka_unit_test(test_browser_is_closed),
        cmocka_unit_test(test_stranger_is_closed_after_its_time_and_others_stay),
        cmocka_unit_test(test_strangers_are_bounded_and_push_out_only_each_other),
        cmocka_unit_test(test_tcp_ends_alone_and_with_its_calls_answered),
        cmocka_unit_test(test_shut_answers_what_is_in_flight_and_leaves_newcomers_waiting),
        cmocka_unit_test(test_shut_ends_calls_at_its_limit_and_not_before),
        cmocka_unit_test(test_shut_waits_no_longer_for_who_reads_nothing),
        cmocka_unit_test(test_shut_waits_for_the_first_word_of_who_has_just_come),
        cmocka_unit_test(test_who_writes_after_its_last_answer_still_reads_it),
        cmocka_unit_test(test_shut_without_connections_is_told_from_the_loop),
        cmocka_unit_test(test_taken_port_is_a_condition),
        cmocka_unit_test(test_so_many_wait_to_be_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
