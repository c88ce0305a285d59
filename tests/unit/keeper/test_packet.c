/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/keeper/packet.h"

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return 0;
}

static int receive(size_t *out_len, int *fds, size_t *out_n_fds)
{
    char bytes[64];
    return packet_receive(ends[1], bytes, sizeof bytes, out_len, fds, out_n_fds);
}

static void test_packet_brings_its_descriptors(void **state)
{
    (void)state;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    assert_int_equal(packet_send(ends[0], "abc", 3, (int[]){0, 1}, 2), 0);
    assert_int_equal(receive(&len, fds, &n_fds), 0);
    assert_int_equal(len, 3);
    assert_int_equal(n_fds, 2);
    for (size_t i = 0; i < n_fds; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        fd_close(&fds[i]);
    }
}

/* recvmsg drops what the table has no room for; the message itself is whole. */
static void test_packet_received_with_a_full_table_comes_without_descriptors(void **state)
{
    (void)state;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 7;
    size_t len = 0;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    fd_close(&lowest);
    lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    struct rlimit tight = {.rlim_cur = (rlim_t)lowest + 2, .rlim_max = before.rlim_max};
    assert_int_equal(packet_send(ends[0], "abc", 3, (int[]){0, 1, 2}, 3), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int result = receive(&len, fds, &n_fds);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, 0);
    assert_int_equal(len, 3);
    assert_int_equal(n_fds, 0);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(next, lowest + 1);
    fd_close(&next);
    fd_close(&lowest);
}

static void test_packet_longer_than_the_room_fails_and_leaks_nothing(void **state)
{
    (void)state;
    static const char bytes[100];
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 7;
    size_t len = 0;
    int before = fcntl(0, F_DUPFD_CLOEXEC, 0);
    fd_close(&before);
    before = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(packet_send(ends[0], bytes, sizeof bytes, (int[]){0}, 1), 0);
    assert_int_equal(receive(&len, fds, &n_fds), PACKET_FAILED);
    assert_int_equal(n_fds, 0);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(next, before + 1);
    fd_close(&next);
    fd_close(&before);
}

static void test_packet_of_a_closed_peer_is_closed(void **state)
{
    (void)state;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    assert_int_equal(receive(&len, fds, &n_fds), PACKET_WOULD_BLOCK);
    fd_close(&ends[0]);
    assert_int_equal(receive(&len, fds, &n_fds), PACKET_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_packet_brings_its_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_packet_received_with_a_full_table_comes_without_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_packet_longer_than_the_room_fails_and_leaks_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packet_of_a_closed_peer_is_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
