/* A listener over real unix sockets: calls, loops, bounds, the end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/rpc/frame.h"
#include "listener_host.h"
#include "unit.h"

static bool is_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 0) > 0;
}

/* ---- calls ---- */

static void test_call_is_answered(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_settle(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    assert_int_equal(host.refusals, 0);
    host_close(&host);
}

static void test_calls_of_one_read_are_answered_by_one_write(void **state)
{
    struct host host;
    uint8_t answers[512];
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    guest_call(fd, 3, "GetStatus", 0);
    size_t len = guest_receive(&host, fd, answers, sizeof answers);
    assert_int_equal(len, 2 * (RPC_FRAME_HEADER_BYTES + (size_t)answers[3]));
    (void)close(fd);
    host_close(&host);
}

/* The caller's loop is elsewhere when the answer is given. */
static void test_answer_given_outside_a_turn_makes_the_descriptor_readable(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    host_settle(&host);
    assert_false(is_readable(rpc_listener_fd(host.listener)));
    host_release(&host);
    assert_true(is_readable(rpc_listener_fd(host.listener)));
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    host_settle(&host);
    assert_false(is_readable(rpc_listener_fd(host.listener)));
    (void)close(fd);
    host_close(&host);
}

static void test_deadline_is_kept_by_next_at(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 20);
    /* What its cancel hook says in time. */
    assert_int_equal(guest_answer(&host, fd, 1), RPC_CANCELLED);
    assert_int_equal(host.cancelled, 1);
    (void)close(fd);
    host_close(&host);
}

static void test_lost_connection_cancels_its_calls(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    (void)close(fd);
    while (host.cancelled == 0)
        host_turn(&host);
    host_settle(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    host_close(&host);
}

static void test_taken_connection_is_served_without_a_socket(void **state)
{
    struct host host;
    int fds[2];
    (void)state;
    host_new(&host, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(rpc_listener_take_connection(host.listener, fds[0], NULL), RPC_DONE);
    guest_call(fds[1], 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fds[1], 1), RPC_OK);
    (void)close(fds[1]);
    host_close(&host);
}

/* ---- who is refused, and who has to go ---- */

static void test_first_byte_of_another_protocol_closes(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    assert_int_equal(send(fd, "GET /", 5, MSG_NOSIGNAL), 5);
    assert_true(guest_is_closed(&host, fd));
    assert_string_equal(host.refusal, "its first byte is of no protocol");
    (void)close(fd);
    fd = guest_connect(&host);
    assert_int_equal(send(fd, "POST /", 6, MSG_NOSIGNAL), 6);
    assert_true(guest_is_closed(&host, fd));
    assert_string_equal(host.refusal, "it begins like HTTP/2, but is not");
    (void)close(fd);
    host_close(&host);
}

static void test_peer_that_is_not_admitted_is_closed_unread(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    host.is_nobody_admitted = true;
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_true(guest_is_closed(&host, fd));
    assert_string_equal(host.refusal, "not admitted");
    (void)close(fd);
    host_close(&host);
}

static void test_crowd_of_one_process_loses_its_least_recently_active(void **state)
{
    const struct rpc_listener_options options = {.connections_per_pid_max = 2};
    struct host host;
    int fds[3];
    (void)state;
    host_open(&host, &options);
    for (int i = 0; i < 2; i++) {
        fds[i] = guest_connect(&host);
        host_settle(&host);
    }
    guest_call(fds[0], 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fds[0], 1), RPC_OK);
    fds[2] = guest_connect(&host);
    assert_true(guest_is_closed(&host, fds[1]));
    assert_string_equal(host.refusal, "too many connections");
    guest_call(fds[2], 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fds[2], 1), RPC_OK);
    assert_int_equal(rpc_listener_n_connections(host.listener), 2);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    host_close(&host);
}

static void test_newcomer_goes_where_all_have_calls(void **state)
{
    const struct rpc_listener_options options = {.connections_max = 1};
    struct host host;
    (void)state;
    host_open(&host, &options);
    int busy_fd = guest_connect(&host);
    guest_call(busy_fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    int fd = guest_connect(&host);
    assert_true(guest_is_closed(&host, fd));
    host_release(&host);
    assert_int_equal(guest_answer(&host, busy_fd, 1), RPC_OK);
    (void)close(fd);
    (void)close(busy_fd);
    host_close(&host);
}

static void test_idle_connection_is_closed_and_a_busy_one_is_not(void **state)
{
    const struct rpc_listener_options options = {.idle_ms = 30};
    struct host host;
    (void)state;
    host_open(&host, &options);
    int busy_fd = guest_connect(&host);
    guest_call(busy_fd, 1, "GetOperation", 0);
    int silent_fd = guest_connect(&host);
    int idle_fd = guest_connect(&host);
    guest_call(idle_fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, idle_fd, 1), RPC_OK);
    assert_true(guest_is_closed(&host, silent_fd));
    assert_true(guest_is_closed(&host, idle_fd));
    assert_int_equal(rpc_listener_n_connections(host.listener), 1);
    host_release(&host);
    assert_int_equal(guest_answer(&host, busy_fd, 1), RPC_OK);
    (void)close(busy_fd);
    (void)close(silent_fd);
    (void)close(idle_fd);
    host_close(&host);
}

/* ---- hostile ones ---- */

static void test_flood_of_connections_leaves_nothing(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    size_t before = count_descriptors();
    for (int i = 0; i < 2000; i++) {
        int fd = guest_connect(&host);
        if (i % 3 == 0)
            guest_call(fd, 1, "GetStatus", 0);
        else if (i % 3 == 1)
            /* Half a header. */
            assert_int_equal(send(fd, "\0\0\0\0", 4, MSG_NOSIGNAL), 4);
        (void)close(fd);
        if (i % 50 == 0)
            host_settle(&host);
    }
    host_settle(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    assert_int_equal(count_descriptors(), before);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_close(&host);
}

/* Requests pile up in the kernel, not here, and the others are served. */
static void test_reader_that_never_reads_is_not_read_any_more(void **state)
{
    enum { ANSWER = 1 << 20 };
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int deaf_fd = guest_connect(&host);
    for (uint32_t stream = 1; stream < 2 * 50; stream += 2) {
        guest_call_large(deaf_fd, stream, ANSWER);
        host_settle(&host);
    }
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    /* It had only been slow: everything comes. */
    for (uint32_t stream = 1; stream < 2 * 50; stream += 2)
        assert_int_equal(guest_answer(&host, deaf_fd, stream), RPC_OK);
    (void)close(deaf_fd);
    host_close(&host);
}

static void test_newcomer_without_a_descriptor_is_turned_away(void **state)
{
    struct host host;
    struct rlimit old;
    (void)state;
    host_open(&host, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int fd = guest_connect(&host);
    int next_fd = dup(fd);
    (void)close(next_fd);
    struct rlimit full = {.rlim_cur = (rlim_t)next_fd, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    assert_true(guest_is_closed(&host, fd));
    assert_string_equal(host.refusal, "no descriptor left");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    (void)close(fd);
    fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_close(&host);
}

/* ---- the end ---- */

static void test_stop_lets_calls_in_flight_finish(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int busy_fd = guest_connect(&host);
    int idle_fd = guest_connect(&host);
    guest_call(busy_fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    rpc_listener_stop(host.listener);
    assert_true(guest_is_closed(&host, idle_fd));
    assert_int_not_equal(access(host.path, F_OK), 0);
    guest_call(busy_fd, 3, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, busy_fd, 3), RPC_UNAVAILABLE);
    assert_int_equal(host.last_turn, RPC_DONE);
    host_release(&host);
    assert_int_equal(guest_answer(&host, busy_fd, 1), RPC_OK);
    assert_true(guest_is_closed(&host, busy_fd));
    assert_int_equal(host.last_turn, RPC_END);
    (void)close(busy_fd);
    (void)close(idle_fd);
    host_close(&host);
}

static void test_request_that_was_sent_before_the_stop_is_answered(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    host_settle(&host);
    rpc_listener_stop(host.listener);
    guest_call(fd, 1, "GetStatus", 0);
    int code = guest_answer(&host, fd, 1);
    assert_true(code == RPC_UNAVAILABLE || code == RPC_OK);
    assert_true(guest_is_closed(&host, fd));
    (void)close(fd);
    host_close(&host);
}

static void test_stop_is_bounded(void **state)
{
    const struct rpc_listener_options options = {.shut_ms = 20};
    struct host host;
    (void)state;
    host_open(&host, &options);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    rpc_listener_stop(host.listener);
    assert_true(guest_is_closed(&host, fd));
    assert_int_equal(host.last_turn, RPC_END);
    assert_int_equal(host.cancelled, 1);
    (void)close(fd);
    host_close(&host);
}

static void test_second_stop_closes_at_once(void **state)
{
    const struct rpc_listener_options options = {.shut_ms = 3600000};
    struct host host;
    (void)state;
    host_open(&host, &options);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    rpc_listener_stop(host.listener);
    host_settle(&host);
    assert_int_equal(host.last_turn, RPC_DONE);
    rpc_listener_stop(host.listener);
    host_settle(&host);
    assert_int_equal(host.last_turn, RPC_END);
    assert_true(guest_is_closed(&host, fd));
    (void)close(fd);
    host_close(&host);
}

static void test_stop_from_a_handler_sends_its_answer(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "Shutdown", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    assert_true(guest_is_closed(&host, fd));
    assert_int_equal(host.last_turn, RPC_END);
    (void)close(fd);
    host_close(&host);
}

static struct rpc_listener *signalled;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    /* NOLINTNEXTLINE(bugprone-signal-handler): its contract says that it may be called here. */
    rpc_listener_stop(signalled);
}

static void test_signal_ends_a_run(void **state)
{
    struct host host;
    const struct itimerval soon = {.it_value.tv_usec = 20000};
    (void)state;
    host_open(&host, NULL);
    signalled = host.listener;
    assert_true(signal(SIGALRM, on_alarm) != SIG_ERR);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(rpc_listener_run(host.listener, NULL), RPC_DONE);
    host_close(&host);
}

static void test_free_cancels_calls_in_flight(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    size_t before = count_descriptors();
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetOperation", 0);
    while (host.held == NULL)
        host_turn(&host);
    rpc_listener_free(host.listener);
    host.listener = NULL;
    assert_int_equal(host.cancelled, 1);
    (void)close(fd);
    /* The listener's own: epoll, eventfd, socket, reserve. */
    assert_int_equal(count_descriptors(), before - 4);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_is_answered),
        cmocka_unit_test(test_calls_of_one_read_are_answered_by_one_write),
        cmocka_unit_test(test_answer_given_outside_a_turn_makes_the_descriptor_readable),
        cmocka_unit_test(test_deadline_is_kept_by_next_at),
        cmocka_unit_test(test_lost_connection_cancels_its_calls),
        cmocka_unit_test(test_taken_connection_is_served_without_a_socket),
        cmocka_unit_test(test_first_byte_of_another_protocol_closes),
        cmocka_unit_test(test_peer_that_is_not_admitted_is_closed_unread),
        cmocka_unit_test(test_crowd_of_one_process_loses_its_least_recently_active),
        cmocka_unit_test(test_newcomer_goes_where_all_have_calls),
        cmocka_unit_test(test_idle_connection_is_closed_and_a_busy_one_is_not),
        cmocka_unit_test(test_flood_of_connections_leaves_nothing),
        cmocka_unit_test(test_reader_that_never_reads_is_not_read_any_more),
        cmocka_unit_test(test_newcomer_without_a_descriptor_is_turned_away),
        cmocka_unit_test(test_stop_lets_calls_in_flight_finish),
        cmocka_unit_test(test_request_that_was_sent_before_the_stop_is_answered),
        cmocka_unit_test(test_stop_is_bounded),
        cmocka_unit_test(test_second_stop_closes_at_once),
        cmocka_unit_test(test_stop_from_a_handler_sends_its_answer),
        cmocka_unit_test(test_signal_ends_a_run),
        cmocka_unit_test(test_free_cancels_calls_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
