/* The path of a listener's socket: permissions, the dead, the living, and what is no socket. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "listener_host.h"
#include "unit.h"

/* The code that binding to `path` fails with, RPC_OK if it does not. */
static enum rpc_code bind_code(struct host *host, const char *path, const char *expected_text)
{
    struct rpc_error *error = NULL;
    if (rpc_listener_bind(host->listener, path, 0600, &error) == RPC_DONE)
        return RPC_OK;
    enum rpc_code code = error->code;
    if (strstr(error->message, expected_text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", expected_text, error->message);
    rpc_error_free(error);
    return code;
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void test_socket_has_exactly_the_mode(void **state)
{
    struct host host;
    (void)state;
    mode_t old = umask(0077);
    host_new(&host, NULL);
    assert_int_equal(rpc_listener_bind(host.listener, host.path, 0666, NULL), RPC_DONE);
    assert_int_equal(mode_of(host.path), 0666);
    host_close(&host);
    (void)umask(0);
    host_open(&host, NULL);
    assert_int_equal(mode_of(host.path), 0600);
    host_close(&host);
    (void)umask(old);
}

static void test_path_goes_with_the_listener(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    rpc_listener_free(host.listener);
    host.listener = NULL;
    assert_int_not_equal(access(host.path, F_OK), 0);
    host_close(&host);
}

static void test_successor_at_the_path_is_left_alone(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    assert_int_equal(unlink(host.path), 0);
    int fd = open(host.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    rpc_listener_free(host.listener);
    host.listener = NULL;
    assert_int_equal(access(host.path, F_OK), 0);
    host_close(&host);
}

/* As a killed process leaves it. */
static void leave_dead_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
}

static void test_dead_socket_is_replaced(void **state)
{
    struct host host;
    (void)state;
    host_new(&host, NULL);
    leave_dead_socket(host.path);
    assert_int_equal(bind_code(&host, host.path, ""), RPC_OK);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_close(&host);
}

static void test_living_socket_is_left_alone(void **state)
{
    struct host host;
    struct host second;
    (void)state;
    host_open(&host, NULL);
    host_new(&second, NULL);
    assert_int_equal(bind_code(&second, host.path, "a process listens on it"), RPC_ALREADY_EXISTS);
    host_close(&second);
    host_settle(&host);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    host_close(&host);
}

static void test_file_is_left_alone(void **state)
{
    struct host host;
    (void)state;
    host_new(&host, NULL);
    int fd = open(host.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(bind_code(&host, host.path, "is no socket"), RPC_ALREADY_EXISTS);
    assert_int_equal(access(host.path, F_OK), 0);
    host_close(&host);
}

static void test_socket_of_another_kind_is_left_alone(void **state)
{
    struct host host;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    host_new(&host, NULL);
    memcpy(address.sun_path, host.path, strlen(host.path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(bind_code(&host, host.path, "another kind"), RPC_ALREADY_EXISTS);
    (void)close(fd);
    host_close(&host);
}

static void test_path_that_does_not_fit_is_refused(void **state)
{
    struct host host;
    char path[RPC_LISTENER_PATH_MAX + 2];
    (void)state;
    host_new(&host, NULL);
    memset(path, 'x', sizeof path);
    path[RPC_LISTENER_PATH_MAX + 1] = '\0';
    assert_int_equal(bind_code(&host, path, "108 bytes"), RPC_INVALID_ARGUMENT);
    assert_int_equal(bind_code(&host, "", "empty"), RPC_INVALID_ARGUMENT);
    assert_int_equal(
        bind_code(&host, "/nowhere/at/all", "opening the directory of /nowhere/at/all"),
        RPC_NOT_FOUND);
    host_close(&host);
}

/* The longest that fits, NUL and all. */
static void test_longest_path_is_served(void **state)
{
    struct host host;
    char path[RPC_LISTENER_PATH_MAX + 1];
    (void)state;
    host_new(&host, NULL);
    memset(path, 'x', sizeof path);
    path[RPC_LISTENER_PATH_MAX] = '\0';
    size_t len = strlen(host.directory);
    memcpy(path, host.directory, len);
    path[len] = '/';
    assert_int_equal(bind_code(&host, path, ""), RPC_OK);
    struct rpc_client *client = rpc_client_connect(path, 0, NULL);
    assert_non_null(client);
    rpc_client_close(client);
    host_close(&host);
}

static void test_locked_directory_is_told(void **state)
{
    struct host host;
    (void)state;
    host_new(&host, NULL);
    int fd = open(host.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(bind_code(&host, host.path, "is locked by another process"), RPC_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - began_at >= RPC_LISTENER_BIND_MS);
    (void)close(fd);
    assert_int_equal(bind_code(&host, host.path, ""), RPC_OK);
    host_close(&host);
}

/* Binds when `start` closes, tells on `told`, and lives until `end` closes: nobody may find it
 * dead. */
static pid_t fork_heir(const char *path, int start[2], int told[2], int end[2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char byte = 0;
    (void)close(start[1]);
    (void)close(end[1]);
    struct rpc_listener *listener = rpc_listener_new(NULL, NULL);
    (void)!read(start[0], &byte, 1);
    bool is_heir = listener != NULL && rpc_listener_bind(listener, path, 0600, NULL) == RPC_DONE;
    byte = is_heir ? 1 : 0;
    (void)!write(told[1], &byte, 1);
    (void)!read(end[0], &byte, 1);
    _exit(0);
}

static void test_dead_socket_has_one_heir(void **state)
{
    enum { HEIRS = 16 };
    struct host host;
    int start[2];
    int told[2];
    int end[2];
    pid_t pids[HEIRS];
    int n_heirs = 0;
    (void)state;
    host_new(&host, NULL);
    leave_dead_socket(host.path);
    assert_int_equal(pipe(start) + pipe(told) + pipe(end), 0);
    for (int i = 0; i < HEIRS; i++)
        pids[i] = fork_heir(host.path, start, told, end);
    (void)close(start[1]);
    for (int i = 0; i < HEIRS; i++) {
        char is_heir = 0;
        assert_int_equal(read(told[0], &is_heir, 1), 1);
        n_heirs += is_heir;
    }
    assert_int_equal(n_heirs, 1);
    struct rpc_client *client = rpc_client_connect(host.path, 0, NULL);
    assert_non_null(client);
    rpc_client_close(client);
    (void)close(end[1]);
    for (int i = 0; i < HEIRS; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    (void)close(start[0]);
    (void)close(end[0]);
    (void)close(told[0]);
    (void)close(told[1]);
    host_close(&host);
}

static void test_second_socket_is_refused(void **state)
{
    struct host host;
    (void)state;
    host_open(&host, NULL);
    assert_int_equal(bind_code(&host, "/tmp/x", "has a socket"), RPC_FAILED_PRECONDITION);
    rpc_listener_stop(host.listener);
    host_settle(&host);
    assert_int_equal(bind_code(&host, host.path, "was stopped"), RPC_FAILED_PRECONDITION);
    host_close(&host);
}

/* As an activating manager hands it over: blocking, and shared with others. */
static void test_listening_descriptor_is_taken(void **state)
{
    struct host host;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    host_new(&host, NULL);
    memcpy(address.sun_path, host.path, strlen(host.path));
    int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listen_fd, 8), 0);
    assert_int_equal(rpc_listener_take_listening_fd(host.listener, listen_fd, NULL), RPC_DONE);
    int fd = guest_connect(&host);
    guest_call(fd, 1, "GetStatus", 0);
    assert_int_equal(guest_answer(&host, fd, 1), RPC_OK);
    (void)close(fd);
    rpc_listener_free(host.listener);
    host.listener = NULL;
    /* Who bound it removes it. */
    assert_int_equal(access(host.path, F_OK), 0);
    host_close(&host);
}

static void test_descriptor_that_does_not_listen_is_consumed_and_refused(void **state)
{
    struct host host;
    struct rpc_error *error = NULL;
    (void)state;
    host_new(&host, NULL);
    size_t before = count_descriptors();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(rpc_listener_take_listening_fd(host.listener, fd, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
    rpc_error_free(error);
    assert_int_equal(count_descriptors(), before);
    host_close(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_has_exactly_the_mode),
        cmocka_unit_test(test_path_goes_with_the_listener),
        cmocka_unit_test(test_successor_at_the_path_is_left_alone),
        cmocka_unit_test(test_dead_socket_is_replaced),
        cmocka_unit_test(test_living_socket_is_left_alone),
        cmocka_unit_test(test_file_is_left_alone),
        cmocka_unit_test(test_socket_of_another_kind_is_left_alone),
        cmocka_unit_test(test_path_that_does_not_fit_is_refused),
        cmocka_unit_test(test_longest_path_is_served),
        cmocka_unit_test(test_locked_directory_is_told),
        cmocka_unit_test(test_dead_socket_has_one_heir),
        cmocka_unit_test(test_second_socket_is_refused),
        cmocka_unit_test(test_listening_descriptor_is_taken),
        cmocka_unit_test(test_descriptor_that_does_not_listen_is_consumed_and_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
