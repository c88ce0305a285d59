/* Every bound of a listener, to the limit and one past it. The clock is the test's. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "listener_host.h"
#include "unit.h"

int64_t __real_clock_monotonic_ms(void);
int64_t __wrap_clock_monotonic_ms(void);
int __real_accept4(
    int fd, struct sockaddr *restrict address, socklen_t *restrict address_len, int flags);
int __wrap_accept4(
    int fd, struct sockaddr *restrict address, socklen_t *restrict address_len, int flags);

static int64_t later_ms;
/* What accept4 fails with, and how often. */
static int accept_error;
static int n_accept_errors;

int64_t __wrap_clock_monotonic_ms(void)
{
    return __real_clock_monotonic_ms() + later_ms;
}

int __wrap_accept4(
    int fd, struct sockaddr *restrict address, socklen_t *restrict address_len, int flags)
{
    if (n_accept_errors == 0)
        return __real_accept4(fd, address, address_len, flags);
    n_accept_errors--;
    errno = accept_error;
    return -1;
}

enum { GUESTS_MAX = RPC_LISTENER_CONNECTIONS_MAX + 1 };

static int guests[GUESTS_MAX];

static void connect_guests(struct host *host, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        guests[i] = guest_connect(host);
        host_settle(host);
    }
}

static void leave(size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)close(guests[i]);
}

/* `n` guests find room, and one more takes the place of another. */
static void expect_room_for(struct host *host, size_t n)
{
    connect_guests(host, n);
    assert_int_equal(rpc_listener_n_connections(host->listener), n);
    assert_int_equal(host->refusals, 0);
    guests[n] = guest_connect(host);
    host_settle(host);
    assert_int_equal(rpc_listener_n_connections(host->listener), n);
    assert_int_equal(host->refusals, 1);
    leave(n + 1);
}

static void test_connections_of_one_process_are_bounded(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    expect_room_for(&host, RPC_LISTENER_CONNECTIONS_PER_PID);
    host_close(&host);
}

static void test_connections_in_all_are_bounded(void **state)
{
    const struct rpc_listener_options options = {.connections_per_pid_max = GUESTS_MAX + 1};
    struct host host;
    (void)state;
    host_open(&host, &options);
    expect_room_for(&host, RPC_LISTENER_CONNECTIONS_MAX);
    host_close(&host);
}

static void test_descriptors_stay_for_others(void **state)
{
    enum { ROOM = 4 };
    struct rlimit before;
    struct host host;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {
        .rlim_cur = RPC_LISTENER_DESCRIPTORS_RESERVED + ROOM, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    host_open(&host, NULL);
    expect_room_for(&host, ROOM);
    host_close(&host);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_idle_connection_is_closed_at_its_time_and_not_before(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    connect_guests(&host, 1);
    later_ms = RPC_LISTENER_IDLE_MS - 1000;
    assert_int_equal(rpc_listener_process(host.listener, NULL), RPC_DONE);
    assert_int_equal(rpc_listener_n_connections(host.listener), 1);
    later_ms = RPC_LISTENER_IDLE_MS;
    assert_int_equal(rpc_listener_process(host.listener, NULL), RPC_DONE);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    later_ms = 0;
    leave(1);
    host_close(&host);
}

static void test_stop_waits_for_calls_until_its_time_and_no_longer(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    connect_guests(&host, 1);
    guest_call(guests[0], 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    rpc_listener_stop(host.listener);
    assert_int_equal(rpc_listener_process(host.listener, NULL), RPC_DONE);
    later_ms = RPC_LISTENER_SHUT_MS - 1000;
    assert_int_equal(rpc_listener_process(host.listener, NULL), RPC_DONE);
    later_ms = RPC_LISTENER_SHUT_MS;
    assert_int_equal(rpc_listener_process(host.listener, NULL), RPC_END);
    assert_int_equal(host.cancelled, 1);
    later_ms = 0;
    leave(1);
    host_close(&host);
}

static void test_accepts_of_one_turn_are_bounded(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    for (size_t i = 0; i <= RPC_LISTENER_ACCEPTS_PER_TURN; i++)
        guests[i] = guest_connect(&host);
    host_turn(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), RPC_LISTENER_ACCEPTS_PER_TURN);
    host_turn(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), RPC_LISTENER_ACCEPTS_PER_TURN + 1);
    leave(RPC_LISTENER_ACCEPTS_PER_TURN + 1);
    host_close(&host);
}

/* Answers errno. */
static int connect_at_once(const struct host *host, int *out_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, host->path, strlen(host->path));
    *out_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect(*out_fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

static void test_newcomers_that_wait_are_bounded(void **state)
{
    /* Linux lets one more in than was asked for. */
    enum { ROOM = RPC_LISTENER_BACKLOG + 1 };
    struct host host;
    (void)state;
    host_open(&host, NULL);
    for (size_t i = 0; i < ROOM; i++)
        assert_int_equal(connect_at_once(&host, &guests[i]), 0);
    assert_int_equal(connect_at_once(&host, &guests[ROOM]), EAGAIN);
    leave(ROOM + 1);
    host_close(&host);
}

static void expect_rest_after(int error, int n_errors)
{
    struct host host;
    host_open(&host, NULL);
    accept_error = error;
    n_accept_errors = n_errors;
    guests[0] = guest_connect(&host);
    int64_t failed_at = clock_monotonic_ms();
    host_turn(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    assert_true(rpc_listener_next_at(host.listener) >= failed_at + RPC_LISTENER_PAUSE_MS);
    later_ms = RPC_LISTENER_PAUSE_MS;
    host_turn(&host);
    host_turn(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 1);
    later_ms = 0;
    leave(1);
    host_close(&host);
}

static void test_accepting_rests_after_a_failure(void **state)
{
    (void)state;
    expect_rest_after(ENOMEM, 1);
    /* Not even with the descriptor in reserve: the machine's are used up. */
    expect_rest_after(ENFILE, 2);
}

/* Half a frame on each connection, as large as one may be. */
static void test_connections_that_hold_too_much_together_are_closed(void **state)
{
    enum { PIECE = 64 * 1024, N = RPC_HELD_BYTES_MAX / RPC_MESSAGE_BYTES_MAX + 2 };
    static const uint8_t HEADER[] = {0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0};
    static uint8_t piece[PIECE];
    struct host host;
    (void)state;
    host_open(&host, NULL);
    connect_guests(&host, N);
    for (size_t i = 0; i < N; i++) {
        bool is_open = send(guests[i], HEADER, sizeof HEADER, MSG_NOSIGNAL) > 0;
        for (size_t sent = 0; is_open && sent < RPC_MESSAGE_BYTES_MAX - PIECE; sent += PIECE) {
            is_open = send(guests[i], piece, PIECE, MSG_NOSIGNAL) > 0;
            host_settle(&host);
        }
    }
    assert_true(rpc_listener_n_connections(host.listener) < N);
    assert_string_equal(host.refusal, "its connections hold too much memory");
    leave(N);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_of_one_process_are_bounded),
        cmocka_unit_test(test_connections_in_all_are_bounded),
        cmocka_unit_test(test_descriptors_stay_for_others),
        cmocka_unit_test(test_idle_connection_is_closed_at_its_time_and_not_before),
        cmocka_unit_test(test_stop_waits_for_calls_until_its_time_and_no_longer),
        cmocka_unit_test(test_accepts_of_one_turn_are_bounded),
        cmocka_unit_test(test_newcomers_that_wait_are_bounded),
        cmocka_unit_test(test_accepting_rests_after_a_failure),
        cmocka_unit_test(test_connections_that_hold_too_much_together_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
