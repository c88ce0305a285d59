/* The n-th allocation of the library fails, or its n-th system call, for every n, blocking and
 * driven: each call ends honestly, nothing leaks, no descriptor stays. A lost connection is healed.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "flocks/calls.h"

#include "common/base/clock.h"
#include "daemon_double.h"
#include "unit.h"

/* Linked with --wrap. */
ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int n_max, int timeout_ms);
int __real_timerfd_create(int clock, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int n_max, int timeout_ms);
int __wrap_timerfd_create(int clock, int flags);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

/* Allocations left until one fails; negative: none does. */
static int left_until_failure = -1;
static bool has_failed;

static bool fails_now(void)
{
    if (left_until_failure < 0 || left_until_failure-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

/* ---- system calls ---- */

enum system_call {
    CALL_NONE,
    CALL_RECV,
    CALL_SEND,
    CALL_POLL,
    CALL_SOCKET,
    CALL_CONNECT,
    CALL_EPOLL_CREATE,
    CALL_EPOLL_CTL,
    CALL_EPOLL_WAIT,
    CALL_TIMERFD_CREATE
};

static enum system_call failing_call;
static int failing_errno;
/* Of that call, until one fails; negative: none does. */
static int left_until_call_fails = -1;
/* Nobody must notice. */
static bool must_heal;

static bool call_fails_now(enum system_call call)
{
    if (call != failing_call || left_until_call_fails < 0 || left_until_call_fails-- > 0)
        return false;
    has_failed = true;
    errno = failing_errno;
    return true;
}

/* As when the other side is gone: with the error comes the end. */
static ssize_t fail_on(int fd)
{
    int error_number = errno;
    if (error_number == EPIPE || error_number == ECONNRESET)
        (void)shutdown(fd, SHUT_RDWR);
    errno = error_number;
    return -1;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
    return call_fails_now(CALL_RECV) ? fail_on(fd) : __real_recv(fd, bytes, len, flags);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    return call_fails_now(CALL_SEND) ? fail_on(fd) : __real_send(fd, bytes, len, flags);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    return call_fails_now(CALL_POLL) ? -1 : __real_poll(fds, n, timeout_ms);
}

int __wrap_socket(int domain, int type, int protocol)
{
    return call_fails_now(CALL_SOCKET) ? -1 : __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return call_fails_now(CALL_CONNECT) ? -1 : __real_connect(fd, address, len);
}

int __wrap_epoll_create1(int flags)
{
    return call_fails_now(CALL_EPOLL_CREATE) ? -1 : __real_epoll_create1(flags);
}

/* Taking out never fails. */
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    bool fails = operation != EPOLL_CTL_DEL && call_fails_now(CALL_EPOLL_CTL);
    return fails ? -1 : __real_epoll_ctl(epoll_fd, operation, fd, event);
}

int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int n_max, int timeout_ms)
{
    return call_fails_now(CALL_EPOLL_WAIT) ? -1
                                           : __real_epoll_wait(epoll_fd, events, n_max, timeout_ms);
}

int __wrap_timerfd_create(int clock, int flags)
{
    return call_fails_now(CALL_TIMERFD_CREATE) ? -1 : __real_timerfd_create(clock, flags);
}

/* ---- what is checked ---- */

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

/* There is one, it says something, and it does not blame the request. */
static void check_failure(const struct flocks_error *error)
{
    assert_true(has_failed);
    if (must_heal)
        fail_msg(
            "call %d, %s: %s", (int)failing_call, strerrorname_np(failing_errno), error->message);
    assert_non_null(error);
    assert_true(error->message[0] != '\0');
    assert_true(error->code == RPC_RESOURCE_EXHAUSTED || error->code == RPC_UNAVAILABLE ||
                error->code == RPC_DEADLINE_EXCEEDED || error->code == RPC_INTERNAL);
}

static const struct rpc_pair NOTE = {.key = "note", .value = "one"};
static const struct rpc_options OPTIONS = {.timeout_ms = 5000, .metadata = &NOTE, .n_metadata = 1};

static struct flocks_client *new_client(void)
{
    const struct flocks_client_options options = {.socket = double_path()};
    struct flocks_error *error = NULL;
    struct flocks_client *client = flocks_client_new(&options, &error);
    if (client == NULL)
        check_failure(error);
    flocks_error_free(error);
    return client;
}

/* ---- blocking ---- */

static void ask(struct flocks_client *client)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_get_status(client, &OPTIONS, &request, &status, &error) == RPC_DONE)
        rpc_message_free(&status->base);
    else
        check_failure(error);
    flocks_error_free(error);
}

static void fail_to_stop(struct flocks_client *client)
{
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    const flocks_stop_services_response *response = NULL;
    struct flocks_error *error = NULL;
    assert_int_equal(
        flocks_client_stop_services(client, &OPTIONS, &request, &response, &error), RPC_ERROR);
    if (error->code != RPC_NOT_FOUND)
        check_failure(error);
    flocks_error_free(error);
}

static void listen_to(struct flocks_client *client)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream = flocks_client_watch_events(client, &OPTIONS, &request, &error);
    const flocks_watch_events_response *event = NULL;
    enum rpc_result result = stream == NULL ? RPC_ERROR : RPC_DONE;
    unsigned n = 0;
    while (result == RPC_DONE) {
        result = flocks_client_watch_events_next(stream, &event, &error);
        if (result != RPC_DONE)
            break;
        assert_int_equal(strtoul(event->token, NULL, 10), ++n);
        rpc_message_free(&event->base);
    }
    if (result == RPC_ERROR)
        check_failure(error);
    flocks_error_free(error);
    flocks_stream_close(stream);
}

static void talk_blocking(void)
{
    struct flocks_client *client = new_client();
    if (client == NULL)
        return;
    ask(client);
    fail_to_stop(client);
    listen_to(client);
    flocks_client_free(client);
}

/* ---- driven ---- */

static int n_due;
static unsigned n_seen;

static void on_status(
    void *data, const struct flocks_error *error, const flocks_get_status_response *response)
{
    (void)data;
    assert_true((error == NULL) != (response == NULL));
    if (error != NULL)
        check_failure(error);
    n_due--;
}

static enum rpc_take on_event(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *event)
{
    (void)data;
    (void)stream;
    assert_int_equal(strtoul(event->token, NULL, 10), ++n_seen);
    return RPC_TAKE_DONE;
}

static void on_end(void *data, struct flocks_stream *stream, const struct flocks_error *error)
{
    (void)data;
    (void)stream;
    if (error != NULL)
        check_failure(error);
    n_due--;
}

static void drive(struct flocks_client *client)
{
    static const struct flocks_client_watch_events_hooks HOOKS = {
        .message = on_event, .ended = on_end};
    flocks_get_status_request status = FLOCKS_GET_STATUS_REQUEST_INIT;
    flocks_watch_events_request events = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    struct flocks_error *error = NULL;
    n_seen = 0;
    n_due = 2;
    if (flocks_client_get_status_begin(client, &OPTIONS, &status, on_status, NULL, &error) ==
        NULL) {
        check_failure(error);
        flocks_error_free(error);
        error = NULL;
        n_due--;
    }
    struct flocks_stream *stream =
        flocks_client_watch_events_watch(client, &OPTIONS, &events, &HOOKS, NULL, &error);
    if (stream == NULL) {
        check_failure(error);
        n_due--;
    }
    flocks_error_free(error);
    int64_t until_at = clock_monotonic_ms() + 20000;
    while (n_due > 0) {
        struct pollfd ready = {.fd = flocks_client_fd(client), .events = POLLIN};
        assert_true(__real_poll(&ready, 1, (int)(until_at - clock_monotonic_ms())) > 0);
        flocks_client_process(client);
    }
    flocks_stream_close(stream);
}

static void talk_driven(void)
{
    struct flocks_client *client = new_client();
    if (client == NULL)
        return;
    struct flocks_error *error = NULL;
    if (flocks_client_drive(client, &error) == RPC_DONE)
        drive(client);
    else
        check_failure(error);
    flocks_error_free(error);
    flocks_client_free(client);
}

/* ---- failures ---- */

static void fail_each(void (*talk)(void))
{
    double_make_place();
    double_listen();
    double_run(&(struct daemon_script){.last = 3});
    int n_before = count_descriptors();
    int n = 0;
    do {
        has_failed = false;
        left_until_failure = n++;
        talk();
        left_until_failure = -1;
        assert_int_equal(count_descriptors(), n_before);
    } while (has_failed);
    assert_true(n > 20);
    double_remove_place();
}

/* Answers how many times it was called. */
static int fail_each_call(enum system_call call, int error_number, bool heals, void (*talk)(void))
{
    double_make_place();
    double_listen();
    double_run(&(struct daemon_script){.last = 3});
    int n_before = count_descriptors();
    int n = 0;
    failing_call = call;
    failing_errno = error_number;
    must_heal = heals;
    do {
        has_failed = false;
        left_until_call_fails = n++;
        talk();
        left_until_call_fails = -1;
        assert_int_equal(count_descriptors(), n_before);
    } while (has_failed);
    must_heal = false;
    double_remove_place();
    return n - 1;
}

static void test_every_failing_allocation_of_blocking_calls_ends_honestly(void **state)
{
    (void)state;
    fail_each(talk_blocking);
}

static void test_every_failing_allocation_of_driven_calls_ends_honestly(void **state)
{
    (void)state;
    fail_each(talk_driven);
}

static void test_every_lost_connection_of_blocking_calls_is_healed(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_RECV, ECONNRESET, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_SEND, EPIPE, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_SEND, ENOBUFS, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_CONNECT, ECONNREFUSED, true, talk_blocking) > 1);
}

static void test_every_interrupted_call_of_blocking_calls_goes_on(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_RECV, EINTR, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_SEND, EINTR, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_POLL, EINTR, true, talk_blocking) > 2);
    assert_true(fail_each_call(CALL_CONNECT, EINTR, true, talk_blocking) > 1);
}

static void test_every_failing_resource_of_blocking_calls_ends_honestly(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_SOCKET, EMFILE, false, talk_blocking) > 1);
    assert_true(fail_each_call(CALL_POLL, ENOMEM, true, talk_blocking) > 2);
}

static void test_every_lost_connection_of_driven_calls_is_healed(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_RECV, ECONNRESET, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_SEND, EPIPE, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_CONNECT, ECONNREFUSED, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_CONNECT, EAGAIN, true, talk_driven) > 1);
}

static void test_every_interrupted_call_of_driven_calls_goes_on(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_RECV, EINTR, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_SEND, EINTR, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_CONNECT, EINTR, true, talk_driven) > 1);
    assert_true(fail_each_call(CALL_EPOLL_WAIT, EINTR, true, talk_driven) > 1);
}

static void test_every_failing_resource_of_driven_calls_ends_honestly(void **state)
{
    (void)state;
    assert_true(fail_each_call(CALL_SOCKET, EMFILE, false, talk_driven) > 1);
    assert_true(fail_each_call(CALL_EPOLL_CREATE, EMFILE, false, talk_driven) > 0);
    assert_true(fail_each_call(CALL_TIMERFD_CREATE, EMFILE, false, talk_driven) > 0);
    assert_true(fail_each_call(CALL_EPOLL_CTL, ENOMEM, false, talk_driven) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_of_blocking_calls_ends_honestly),
        cmocka_unit_test(test_every_failing_allocation_of_driven_calls_ends_honestly),
        cmocka_unit_test(test_every_lost_connection_of_blocking_calls_is_healed),
        cmocka_unit_test(test_every_interrupted_call_of_blocking_calls_goes_on),
        cmocka_unit_test(test_every_failing_resource_of_blocking_calls_ends_honestly),
        cmocka_unit_test(test_every_lost_connection_of_driven_calls_is_healed),
        cmocka_unit_test(test_every_interrupted_call_of_driven_calls_goes_on),
        cmocka_unit_test(test_every_failing_resource_of_driven_calls_ends_honestly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
