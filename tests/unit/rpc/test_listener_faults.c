/* A listener with the n-th system call or allocation failing, for every n: an honest end, no leak,
 * no descriptor left, and it serves the next client. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listener_host.h"
#include "unit.h"

/* Calls left until one fails; negative: none does. */
static int left_until_failure = -1;
static bool has_failed;

static bool fails_now(void)
{
    if (left_until_failure < 0 || left_until_failure-- > 0)
        return false;
    has_failed = true;
    return true;
}

/* What listener*.c and the engine below it ask of the system: linked with --wrap. The error is the
 * worst that each may meet on a busy machine. */
#define WRAP(type, name, parameters, arguments, failure, error_number)                             \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (!fails_now())                                                                          \
            return __real_##name arguments;                                                        \
        errno = (error_number);                                                                    \
        return (failure);                                                                          \
    }

/* clang-format off */
WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, realloc, (void *memory, size_t size), (memory, size), NULL, ENOMEM)
WRAP(char *, strdup, (const char *text), (text), NULL, ENOMEM)
WRAP(int, epoll_create1, (int flags), (flags), -1, EMFILE)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), -1, EMFILE)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1, EMFILE)
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t len), (fd, address, len), -1, ENOSPC)
WRAP(int, listen, (int fd, int backlog), (fd, backlog), -1, ENOBUFS)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1, EPERM)
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), -1, EPERM)
WRAP(int, lstat, (const char *path, struct stat *out), (path, out), -1, EACCES)
WRAP(int, flock, (int fd, int operation), (fd, operation), -1, ENOLCK)
WRAP(int, accept4, (int fd, struct sockaddr *address, socklen_t *len, int flags), (fd, address, len, flags), -1, ENOMEM)
WRAP(int, epoll_ctl, (int epoll_fd, int operation, int fd, struct epoll_event *event), (epoll_fd, operation, fd, event), -1, ENOMEM)
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len), -1, ENOBUFS)
WRAP(ssize_t, recv, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags), -1, ENOMEM)
WRAP(ssize_t, send, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags), -1, ENOBUFS)
/* clang-format on */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    /* Nothing here creates a file: there is no third argument. */
    if (!fails_now())
        return __real_open(path, flags);
    errno = EMFILE;
    return -1;
}

/* ---- making a listener ---- */

static bool make_with_failure(int n)
{
    char path[64];
    struct rpc_error *error = NULL;
    size_t before = count_descriptors();
    (void)snprintf(path, sizeof path, "/tmp/crpc-faults-%d", (int)getpid());
    has_failed = false;
    left_until_failure = n;
    struct rpc_listener *listener = rpc_listener_new(NULL, &error);
    enum rpc_result result =
        listener == NULL ? RPC_ERROR : rpc_listener_bind(listener, path, 0600, &error);
    left_until_failure = -1;
    if (result == RPC_DONE) {
        assert_false(has_failed);
    } else {
        assert_non_null(error);
        assert_int_not_equal(error->code, RPC_OK);
        assert_true(strlen(error->message) > 0);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    rpc_error_free(error);
    rpc_listener_free(listener);
    assert_int_equal(count_descriptors(), before);
    return has_failed;
}

static void test_every_failure_of_making_one_is_told(void **state)
{
    int n = 0;
    (void)state;
    while (make_with_failure(n))
        n++;
    assert_true(n > 15);
}

/* ---- serving ---- */

/* Only turns that have something to do, so that a lost client does not hold the test up. */
static void take_turns(struct host *host)
{
    struct pollfd pollfd = {.fd = rpc_listener_fd(host->listener), .events = POLLIN};
    for (int i = 0; i < 20 && poll(&pollfd, 1, 0) > 0; i++) {
        /* epoll_wait is not made to fail: only a broken descriptor does that. */
        assert_int_not_equal(rpc_listener_process(host->listener, NULL), RPC_ERROR);
    }
}

static bool serve_with_failure(int n)
{
    struct host host;
    uint8_t answer[512];
    host_open(&host, NULL);
    size_t before = count_descriptors();
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    guest_call(fd, 3, "GetOperation", 0);
    has_failed = false;
    left_until_failure = n;
    take_turns(&host);
    if (host.held != NULL)
        host_release(&host);
    take_turns(&host);
    left_until_failure = -1;
    /* An answer, or the end of the connection; never silence. (Accepting may rest for a moment.) */
    assert_true(guest_receive(&host, fd, answer, sizeof answer) < sizeof answer);
    (void)close(fd);
    fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_settle(&host);
    if (host.held != NULL)
        host_release(&host);
    assert_int_equal(rpc_listener_n_connections(host.listener), 0);
    assert_int_equal(count_descriptors(), before);
    host_close(&host);
    return has_failed;
}

static void test_every_failure_of_serving_is_survived(void **state)
{
    int n = 0;
    (void)state;
    while (serve_with_failure(n))
        n++;
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failure_of_making_one_is_told),
        cmocka_unit_test(test_every_failure_of_serving_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
