#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/process.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "unit.h"

static void test_process_read_of_ourselves(void **state)
{
    struct process process;
    (void)state;
    assert_int_equal(process_read(getpid(), &process, NULL), 0);
    assert_int_equal(process.group, getpgrp());
    assert_int_equal(process.uid, geteuid());
    assert_non_null(strstr(process.executable, "test_cli_process"));
    assert_non_null(strstr(process.command, "test_cli_process"));
    int64_t age_s = clock_wall_ns() / 1000000000 - process_started_at_s(&process);
    assert_true(age_s >= -2 && age_s < 60);
}

static void test_process_read_of_nobody_and_of_a_zombie(void **state)
{
    struct process process;
    (void)state;
    assert_int_equal(process_read(0, &process, NULL), PROCESS_GONE);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_read(child, &process, NULL), PROCESS_GONE);
    waitpid(child, NULL, 0);
    assert_int_equal(process_read(child, &process, NULL), PROCESS_GONE);
}

static void test_process_open_refuses_a_recycled_pid(void **state)
{
    struct process process;
    int fd = -1;
    (void)state;
    assert_int_equal(process_read(getpid(), &process, NULL), 0);
    process.start_ticks--;
    assert_int_equal(process_open(&process, &fd, NULL), PROCESS_GONE);
    assert_int_equal(fd, -1);
}

/* A group of a leader and a member that both ignore SIGTERM; ready when a byte came through
 * `ready_fd`. */
static pid_t spawn_stubborn_group(int *ready_fd)
{
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        (void)signal(SIGTERM, SIG_IGN);
        if (fork() < 0 || write(ends[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[1]);
    *ready_fd = ends[0];
    return child;
}

static void test_process_end_kills_a_stubborn_group(void **state)
{
    struct process process;
    int status = 0;
    int members_fd = -1;
    char byte = 0;
    (void)state;
    pid_t child = spawn_stubborn_group(&members_fd);
    assert_int_equal(process_read(child, &process, NULL), 0);
    pid_t reaper = fork();
    if (reaper == 0) {
        struct error error = ERROR_INIT;
        _exit(process_end(&process, true, 50, &error) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(waitpid(reaper, &status, 0), reaper);
    assert_int_equal(status, 0);
    /* The end of the pipe: nobody of the group holds it. */
    assert_int_equal(read(members_fd, &byte, 1), 0);
    fd_close(&members_fd);
}

static void test_process_end_wakes_a_stopped_process(void **state)
{
    struct process process;
    int status = 0;
    (void)state;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_int_equal(process_read(child, &process, NULL), 0);
    /* A pidfd is readable when its process is a zombie. */
    assert_int_equal(process_end(&process, false, 30000, NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_read_of_ourselves),
        cmocka_unit_test(test_process_read_of_nobody_and_of_a_zombie),
        cmocka_unit_test(test_process_open_refuses_a_recycled_pid),
        cmocka_unit_test(test_process_end_kills_a_stubborn_group),
        cmocka_unit_test(test_process_end_wakes_a_stopped_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
