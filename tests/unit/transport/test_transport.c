/* Connections over a real unix socket: doors, peers, cut frames, crowds. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "harness.h"
#include "server/transport/path_watch.h"

enum { FRAME_MAX = 128 };

static void test_call_is_answered(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    client_send(fd, frame, client_frame(frame, 1, "GetStatus"));
    assert_true(client_has_answer(&harness, fd, 1));
    (void)close(fd);
    harness_close(&harness);
}

static void test_calls_of_one_read_are_answered_by_one_write(void **state)
{
    struct harness harness;
    uint8_t frames[2 * FRAME_MAX];
    uint8_t answer[512];
    size_t len;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    len = client_frame(frames, 1, "GetStatus");
    len += client_frame(frames + len, 3, "GetStatus");
    client_send(fd, frames, len);
    len = client_receive(&harness, fd, answer, sizeof(answer));
    assert_int_equal(len, 2 * (10 + (size_t)answer[3]));
    assert_int_equal(answer[len / 2 + 7], 3);
    (void)close(fd);
    harness_close(&harness);
}

static void test_frame_cut_at_every_byte_is_answered(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    size_t len = client_frame(frame, 1, "GetStatus");
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    for (size_t i = 0; i < len; i++) {
        client_send(fd, frame + i, 1);
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    }
    assert_true(client_has_answer(&harness, fd, 1));
    (void)close(fd);
    harness_close(&harness);
}

static void test_answer_given_later_is_written(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    client_send(fd, frame, client_frame(frame, 1, "GetOperation"));
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    harness_release(&harness);
    assert_true(client_has_answer(&harness, fd, 1));
    (void)close(fd);
    harness_close(&harness);
}

static void on_guard(uv_timer_t *timer)
{
    int *fired = timer->data;

    *fired = 1;
}

/* The supervisor answers from its own prepare, which may run after the transport's. */
static void test_answer_given_while_the_loop_prepares_is_written_at_once(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    uint8_t byte;
    uv_timer_t guard;
    int fired = 0;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    (void)uv_timer_init(&harness.loop, &guard);
    guard.data = &fired;
    (void)uv_timer_start(&guard, on_guard, 2000, 0);
    harness.release_in_prepare = true;
    fd = client_connect(&harness);
    client_send(fd, frame, client_frame(frame, 1, "GetOperation"));
    while (!fired && recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    assert_false(fired);
    uv_close((uv_handle_t *)&guard, NULL);
    (void)close(fd);
    harness_close(&harness);
}

static void test_first_byte_of_no_door_closes(void **state)
{
    struct harness harness;
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    client_send(fd, "GET / HTTP/1.1\r\n", 16);
    assert_true(client_is_closed(&harness, fd));
    assert_int_equal(transport_connections(harness.transport), 0);
    (void)close(fd);
    harness_close(&harness);
}

static void test_lost_peer_cancels_its_call(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    client_send(fd, frame, client_frame(frame, 1, "GetOperation"));
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    (void)close(fd);
    harness_run_until(&harness, &harness.cancelled);
    while (transport_connections(harness.transport) > 0)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    harness_close(&harness);
}

static void test_closing_cancels_calls_in_flight(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int fd;

    (void)state;
    harness_open(&harness, 0);
    fd = client_connect(&harness);
    client_send(fd, frame, client_frame(frame, 1, "GetOperation"));
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    harness_close(&harness);
    assert_int_equal(harness.cancelled, 1);
    (void)close(fd);
}

static void test_crowd_loses_its_least_recently_active_idle_member(void **state)
{
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    int fds[5];

    (void)state;
    harness_open(&harness, 4);
    for (size_t i = 0; i < 4; i++)
        fds[i] = client_connect(&harness);
    client_send(fds[0], frame, client_frame(frame, 1, "GetOperation"));
    while (!harness.held)
        (void)uv_run(&harness.loop, UV_RUN_ONCE);
    client_send(fds[1], frame, client_frame(frame, 1, "GetStatus"));
    assert_true(client_has_answer(&harness, fds[1], 1));
    fds[4] = client_connect(&harness);
    client_send(fds[4], frame, client_frame(frame, 1, "GetStatus"));
    assert_true(client_has_answer(&harness, fds[4], 1));
    assert_true(client_is_closed(&harness, fds[2]));
    assert_int_equal(harness.cancelled, 0);
    harness_release(&harness);
    assert_true(client_has_answer(&harness, fds[0], 1));
    for (size_t i = 0; i < 5; i++)
        (void)close(fds[i]);
    harness_close(&harness);
}

/* Uses up the process's descriptors but for `n_free`; returns how many it took. */
static size_t exhaust_descriptors(int *taken, size_t capacity, size_t n_free)
{
    size_t n = 0;

    while (n < capacity && (taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    assert_true(n < capacity && n > n_free);
    for (; n_free > 0; n_free--)
        (void)close(taken[--n]);
    return n;
}

static void test_newcomer_without_descriptors_takes_the_place_of_an_idle_one(void **state)
{
    static int taken[512];
    const struct rlimit narrow = {.rlim_cur = 256, .rlim_max = 256};
    struct rlimit usual;
    struct harness harness;
    uint8_t frame[FRAME_MAX];
    size_t n_taken;
    int fds[3];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    harness_open(&harness, 0);
    for (size_t i = 0; i < 3; i++)
        fds[i] = client_socket();
    /* The soft limit alone: it can be raised again afterwards. */
    assert_int_equal(setrlimit(RLIMIT_NOFILE,
                         &(struct rlimit){.rlim_cur = narrow.rlim_cur, .rlim_max = usual.rlim_max}),
        0);
    n_taken = exhaust_descriptors(taken, 512, 2);
    for (size_t i = 0; i < 3; i++) {
        client_join(fds[i], &harness);
        client_send(fds[i], frame, client_frame(frame, 1, "GetStatus"));
        assert_true(client_has_answer(&harness, fds[i], 1));
    }
    assert_true(client_is_closed(&harness, fds[0]));
    while (n_taken > 0)
        (void)close(taken[--n_taken]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
    harness_close(&harness);
}

/* In a child of another user: 0 if the server closed without a word. */
static int speak_as_nobody(const struct harness *harness)
{
    const struct passwd *nobody = getpwnam("nobody"); /* NOLINT(concurrency-mt-unsafe) */
    uint8_t frame[FRAME_MAX];
    uint8_t byte;
    int fd;

    if (!nobody || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0)
        return 2;
    fd = client_connect(harness);
    (void)!send(fd, frame, client_frame(frame, 1, "GetStatus"), MSG_NOSIGNAL);
    return recv(fd, &byte, 1, 0) > 0 ? 1 : 0;
}

static void test_another_user_is_closed_before_a_byte_is_read(void **state)
{
    struct harness harness;
    int status = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    harness_open(&harness, 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(speak_as_nobody(&harness));
    while (waitpid(pid, &status, WNOHANG) == 0)
        (void)uv_run(&harness.loop, UV_RUN_NOWAIT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_null(harness.held);
    harness_close(&harness);
}

struct loss {
    int n;
    char path[PATH_MAX];
};

static void on_lost(void *data, const char *path)
{
    struct loss *loss = data;

    loss->n++;
    (void)snprintf(loss->path, sizeof loss->path, "%s", path);
}

static void test_removed_path_is_told_once(void **state)
{
    struct harness harness;
    struct path_watch *watch = NULL;
    struct error error = ERROR_INIT;
    struct loss loss = {.n = 0};
    const char *const paths[] = {"/proc/self/exe", harness.path};

    (void)state;
    harness_open(&harness, 0);
    assert_int_equal(path_watch_open(&harness.loop, paths, 2, on_lost, &loss, &watch, &error), 0);
    assert_int_equal(loss.n, 0);
    assert_int_equal(unlink(harness.path), 0);
    harness_run_until(&harness, &loss.n);
    assert_int_equal(loss.n, 1);
    assert_string_equal(loss.path, harness.path);
    path_watch_close(watch);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_is_answered),
        cmocka_unit_test(test_calls_of_one_read_are_answered_by_one_write),
        cmocka_unit_test(test_frame_cut_at_every_byte_is_answered),
        cmocka_unit_test(test_answer_given_later_is_written),
        cmocka_unit_test(test_answer_given_while_the_loop_prepares_is_written_at_once),
        cmocka_unit_test(test_first_byte_of_no_door_closes),
        cmocka_unit_test(test_lost_peer_cancels_its_call),
        cmocka_unit_test(test_closing_cancels_calls_in_flight),
        cmocka_unit_test(test_crowd_loses_its_least_recently_active_idle_member),
        cmocka_unit_test(test_newcomer_without_descriptors_takes_the_place_of_an_idle_one),
        cmocka_unit_test(test_another_user_is_closed_before_a_byte_is_read),
        cmocka_unit_test(test_removed_path_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
