/* Accepting that fails: the loop neither spins nor forgets who waits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "harness.h"
#include "server/transport/limits.h"

enum { FRAME_MAX = 128 };

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);

/* What accept4 fails with; 0: it does not. */
static int accept_error;
static int n_accepts;

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    n_accepts++;
    if (accept_error == 0)
        return __real_accept4(fd, address, len, flags);
    errno = accept_error;
    return -1;
}

/* `most` calls of accept4 may be made while it fails for three rests. */
static void fail_then_answer(int error, int most)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int64_t deadline_at;
    int64_t end_at;
    int fd;

    harness_open(&harness, 0);
    accept_error = error;
    n_accepts = 0;
    fd = client_connect(&harness);
    deadline_at = harness_deadline();
    end_at = clock_monotonic_ms() + 3L * TRANSPORT_REST_MS;
    while (clock_monotonic_ms() < end_at)
        harness_turn(&harness, deadline_at);
    assert_in_range(n_accepts, 1, most);
    accept_error = 0;
    client_send(fd, frame, client_frame(frame, 1, "GetStatus"));
    assert_true(client_has_answer(&harness, fd, 1));
    (void)close(fd);
    harness_close(&harness);
}

static void test_accept_without_memory_rests_and_is_tried_again(void **state)
{
    (void)state;
    fail_then_answer(ENOMEM, 4);
    fail_then_answer(ENOBUFS, 4);
}

/* All descriptors of the machine are taken: not even the one in reserve helps. */
static void test_accept_without_descriptors_rests_and_is_tried_again(void **state)
{
    (void)state;
    fail_then_answer(ENFILE, 4 * TRANSPORT_ACCEPTS_PER_TURN * 2);
}

static void test_closing_while_accepting_rests_leaves_nothing(void **state)
{
    struct harness harness;
    int64_t deadline_at;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    accept_error = ENOMEM;
    n_accepts = 0;
    fd = client_connect(&harness);
    deadline_at = harness_deadline();
    while (n_accepts == 0)
        harness_turn(&harness, deadline_at);
    accept_error = 0;
    (void)close(fd);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_without_memory_rests_and_is_tried_again),
        cmocka_unit_test(test_accept_without_descriptors_rests_and_is_tried_again),
        cmocka_unit_test(test_closing_while_accepting_rests_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
