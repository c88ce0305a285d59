#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/upgrade/install.h"
#include "client/upgrade/release_file.h"
#include "client/upgrade/warden.h"
#include "common/base/clock.h"
#include "place.h"
#include "unit.h"

/* One run of a release's install steps. */
struct trial {
    struct arena arena;
    const flocks_release *file;
    struct error error;
    int result;
    unsigned told;
};

enum { PATIENCE_MS = 60 * 1000, PAUSE_US = 5000 };

static void note_progress(void *data, const struct update_progress *progress)
{
    struct trial *trial = data;
    trial->told++;
    assert_non_null(strstr(progress->message, "Installing"));
}

/* `text`: flocks-release.yaml; in the place, with what is said written to "log". */
static void run(struct trial *trial, const char *text, int cancel_fd)
{
    const char *const environment[] = {"FLOCKS_VERSION=1.2.0", "REPLACED=wrong", NULL};
    *trial = (struct trial){.error = ERROR_INIT};
    arena_init(&trial->arena, RELEASE_FILE_ARENA_BYTES);
    int result = release_file_parse(text, strlen(text), &trial->arena, &trial->file, &trial->error);
    if (result != 0)
        fail_msg("%s: %s", text, trial->error.text);
    place_write_text("log", "");
    int log_fd = open(place_path("log"), O_WRONLY | O_APPEND | O_CLOEXEC);
    const struct install_request request = {.directory = place_path("."),
        .file = trial->file,
        .environment = environment,
        .log_fd = log_fd,
        .log_path = "logs/update.log",
        .cancel_fd = cancel_fd,
        .on_progress = note_progress,
        .data = trial};
    trial->result = install_run(&request, &trial->error);
    (void)close(log_fd);
}

static void end(struct trial *trial)
{
    arena_deinit(&trial->arena);
}

static void check_failed(const struct trial *trial, int result, const char *why)
{
    if (trial->result != result || strstr(trial->error.text, why) == NULL ||
        strncmp(trial->error.text, "installing the release: step ", 29) != 0 ||
        trial->error.hint[0] == '\0')
        fail_msg("%d, \"%s\" (%s)", trial->result, trial->error.text, trial->error.hint);
}

/* The number in a file that a step has written; 0: there is none yet. */
static pid_t read_pid(const char *name)
{
    if (!place_has(name))
        return 0;
    char *text = place_read(name, NULL);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    free(text);
    return pid;
}

/* Not alive, or not to be found any more. */
static bool is_gone(pid_t pid)
{
    char path[64];
    char text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    const char *end_of_name = len <= 0 ? NULL : strrchr(text, ')');
    return end_of_name == NULL || end_of_name[2] == 'Z' || end_of_name[2] == 'X';
}

static void await_gone(pid_t pid)
{
    int64_t until_at = clock_monotonic_ms() + PATIENCE_MS;
    while (!is_gone(pid) && clock_monotonic_ms() < until_at)
        (void)usleep(PAUSE_US);
    assert_true(is_gone(pid));
}

/* ---- steps ---- */

static void test_install_runs_steps_in_order_and_logs_them(void **state)
{
    (void)state;
    struct trial trial;
    assert_int_equal(mkdir(place_path("sub"), 0700), 0);
    run(&trial,
        "install:\n"
        "- {name: first, command: [sh, -c, 'echo one; echo two >&2']}\n"
        "- {command: [sh, -c, 'pwd; echo $FLOCKS_VERSION $REPLACED'], directory: sub,\n"
        "   environment: {REPLACED: right}}\n",
        -1);
    assert_int_equal(trial.result, 0);
    assert_int_equal(trial.told, 2);
    char *log = place_read("log", NULL);
    assert_non_null(strstr(log, "install step 1 of 2 (first): begins\none\ntwo\n"));
    assert_non_null(strstr(log, "install step 1 of 2 (first): is done\n"));
    assert_non_null(strstr(log, "install step 2 of 2 (sh): begins\n"));
    assert_non_null(strstr(log, "/sub\n1.2.0 right\n"));
    free(log);
    end(&trial);
}

/* Packages from anywhere run scripts of their own when they are installed. */
static void test_install_steps_do_not_get_the_token(void **state)
{
    (void)state;
    struct trial trial;
    assert_int_equal(setenv("FLOCKS_UPDATE_TOKEN", "hidden", 1), 0);
    run(&trial, "install: [{command: [sh, -c, 'env; echo all']}]\n", -1);
    assert_int_equal(unsetenv("FLOCKS_UPDATE_TOKEN"), 0);
    assert_int_equal(trial.result, 0);
    char *log = place_read("log", NULL);
    assert_non_null(strstr(log, "all\n"));
    assert_null(strstr(log, "hidden"));
    free(log);
    end(&trial);
}

static void test_install_program_with_a_slash_is_the_release_s(void **state)
{
    (void)state;
    struct trial trial;
    place_write_text("tool.sh", "#!/bin/sh\necho the tool of $0\n");
    assert_int_equal(chmod(place_path("tool.sh"), 0755), 0);
    run(&trial, "install: [{command: [./tool.sh], directory: sub}]\n", -1);
    assert_int_equal(trial.result, 0);
    end(&trial);
    run(&trial, "install: [{command: [./missing.sh]}]\n", -1);
    check_failed(&trial, -STATUS_NOT_FOUND, "missing.sh");
    end(&trial);
}

static void test_install_failure_names_step_status_and_last_line(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial,
        "install:\n"
        "- {command: ['true']}\n"
        "- {name: pip install, command: [sh, -c, 'echo a; printf \"no \\033[1mindex\\n\\n\"; exit "
        "3']}\n"
        "- {command: [touch, third]}\n",
        -1);
    check_failed(&trial, -STATUS_FAILED_PRECONDITION,
        "step 2 of 3 (pip install): it ended with exit status 3; the last that it said: no "
        "?[1mindex");
    assert_non_null(strstr(trial.error.hint, "logs/update.log"));
    assert_false(place_has("third"));
    end(&trial);
    run(&trial, "install: [{command: [sh, -c, 'kill -SEGV $$']}]\n", -1);
    check_failed(&trial, -STATUS_FAILED_PRECONDITION, "signal 11 (SIGSEGV)");
    end(&trial);
    place_write_text("text.sh", "no program");
    assert_int_equal(chmod(place_path("text.sh"), 0755), 0);
    run(&trial, "install: [{command: [./text.sh]}]\n", -1);
    check_failed(&trial, -STATUS_FAILED_PRECONDITION, "could not be started (ENOEXEC)");
    end(&trial);
}

static void test_install_retries_what_failed(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial,
        "install: [{command: [sh, -c, 'test -e tried || { touch tried; exit 1; }'], retries: 1}]\n",
        -1);
    assert_int_equal(trial.result, 0);
    assert_int_equal(trial.told, 2);
    end(&trial);
    run(&trial, "install: [{command: ['false'], retries: 1}]\n", -1);
    check_failed(&trial, -STATUS_FAILED_PRECONDITION, "exit status 1 (2 attempts)");
    end(&trial);
}

static void test_install_hang_is_killed_with_all_that_it_started(void **state)
{
    (void)state;
    struct trial trial;
    place_write_text("hang.sh",
        "#!/bin/sh\n"
        "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > a.pid; exec sleep 1000' &\n"
        "while ! test -s a.pid; do sleep 0.01; done\n"
        "echo $$ > b.pid\n"
        "echo waiting for the network\n"
        "sleep 1000\n");
    assert_int_equal(chmod(place_path("hang.sh"), 0755), 0);
    run(&trial, "install: [{name: fetch, command: [./hang.sh], timeout: 2s}]\n", -1);
    check_failed(
        &trial, -STATUS_DEADLINE_EXCEEDED, "(fetch): it did not end within 2s and was killed");
    /* Where the machine was too slow for it there is nothing to be found. */
    pid_t a = read_pid("a.pid");
    pid_t b = read_pid("b.pid");
    assert_true(a == 0 || is_gone(a));
    assert_true(b == 0 || is_gone(b));
    if (b != 0)
        assert_non_null(strstr(trial.error.text, "waiting for the network"));
    end(&trial);
}

static void test_install_leaves_no_process_of_a_step_that_ended(void **state)
{
    (void)state;
    struct trial trial;
    place_write_text("daemon.sh",
        "#!/bin/sh\n"
        "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > c.pid; exec sleep 1000' &\n"
        "while ! test -s c.pid; do sleep 0.01; done\n");
    assert_int_equal(chmod(place_path("daemon.sh"), 0755), 0);
    run(&trial, "install: [{command: [./daemon.sh]}]\n", -1);
    assert_int_equal(trial.result, 0);
    assert_true(read_pid("c.pid") > 0);
    assert_true(is_gone(read_pid("c.pid")));
    char *log = place_read("log", NULL);
    assert_non_null(strstr(log, "processes that it had left were killed"));
    free(log);
    end(&trial);
}

static void test_install_interrupted_is_killed(void **state)
{
    (void)state;
    struct trial trial;
    int fd = eventfd(0, EFD_CLOEXEC);
    place_write_text("long.sh", "#!/bin/sh\necho $$ > d.pid\nexec sleep 1000\n");
    assert_int_equal(chmod(place_path("long.sh"), 0755), 0);
    pid_t helper = fork();
    assert_true(helper >= 0);
    if (helper == 0) {
        const uint64_t one = 1;
        while (read_pid("d.pid") == 0)
            (void)usleep(PAUSE_US);
        _exit(write(fd, &one, sizeof one) == (ssize_t)sizeof one ? 0 : 1);
    }
    run(&trial, "install: [{command: [./long.sh]}]\n", fd);
    assert_int_equal(trial.result, -STATUS_CANCELLED);
    assert_non_null(strstr(trial.error.text, "was interrupted"));
    assert_true(is_gone(read_pid("d.pid")));
    assert_int_equal(waitpid(helper, NULL, 0), helper);
    (void)close(fd);
    end(&trial);
}

static void test_install_ends_with_the_updater(void **state)
{
    (void)state;
    place_write_text("orphan.sh",
        "#!/bin/sh\n"
        "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > e.pid; exec sleep 1000' &\n"
        "while ! test -s e.pid; do sleep 0.01; done\n"
        "echo $$ > f.pid\n"
        "sleep 1000\n");
    assert_int_equal(chmod(place_path("orphan.sh"), 0755), 0);
    pid_t updater = fork();
    assert_true(updater >= 0);
    if (updater == 0) {
        struct trial trial;
        run(&trial, "install: [{command: [./orphan.sh]}]\n", -1);
        _exit(0);
    }
    int64_t until_at = clock_monotonic_ms() + PATIENCE_MS;
    while (read_pid("f.pid") == 0 && clock_monotonic_ms() < until_at)
        (void)usleep(PAUSE_US);
    assert_true(read_pid("f.pid") > 0);
    assert_int_equal(kill(updater, SIGKILL), 0);
    assert_int_equal(waitpid(updater, NULL, 0), updater);
    await_gone(read_pid("e.pid"));
    await_gone(read_pid("f.pid"));
}

static void test_install_output_without_end_is_cut(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial,
        "install: [{command: [sh, -c, 'head -c 9000000 /dev/zero; echo; echo done; exit 1']}]\n",
        -1);
    check_failed(&trial, -STATUS_FAILED_PRECONDITION, "the last that it said: done");
    size_t len = 0;
    char *log = place_read("log", &len);
    assert_in_range(len, 1, INSTALL_LOG_BYTES_MAX + 1024);
    free(log);
    end(&trial);
}

static void count_nothing(void *data, const char *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)data += len;
}

/* Signals as a new program has them, no terminal, nothing inherited. */
static void test_warden_gives_a_clean_process(void **state)
{
    (void)state;
    struct warden_outcome outcome;
    size_t len = 0;
    char *arguments[] = {(char[]){"sh"}, (char[]){"-c"},
        (char[]){"ls -l /proc/self/fd > fds; grep Sig[BI] /proc/self/status > signals; "
                 "ps -o sid=,pid= -p $$ > session; cat"},
        NULL};
    char *environment[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
    const struct warden_request request = {.program = "/bin/sh",
        .directory = place_path("."),
        .arguments = arguments,
        .environment = environment,
        .timeout_ms = PATIENCE_MS,
        .cancel_fd = -1,
        .on_output = count_nothing,
        .data = &len};
    int left_open = open("/dev/null", O_RDONLY);
    assert_true(left_open > STDERR_FILENO);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(warden_run(&request, &outcome, NULL), 0);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)close(left_open);
    assert_int_equal(outcome.end, WARDEN_EXITED);
    assert_int_equal(outcome.number, 0);
    assert_int_equal(len, 0);
    char *signals = place_read("signals", NULL);
    assert_string_equal(signals, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    free(signals);
    char *fds = place_read("fds", NULL);
    /* ls has one of its own. */
    assert_null(strstr(fds, " 4 -> "));
    free(fds);
    char *session = place_read("session", NULL);
    long sid = 0;
    long pid = 0;
    assert_int_equal(sscanf(session, "%ld %ld", &sid, &pid), 2); /* NOLINT(cert-err34-c) */
    assert_int_equal(sid, pid);
    free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_install_runs_steps_in_order_and_logs_them),
        cmocka_unit_test(test_install_steps_do_not_get_the_token),
        cmocka_unit_test(test_install_program_with_a_slash_is_the_release_s),
        cmocka_unit_test(test_install_failure_names_step_status_and_last_line),
        cmocka_unit_test(test_install_retries_what_failed),
        cmocka_unit_test(test_install_hang_is_killed_with_all_that_it_started),
        cmocka_unit_test(test_install_leaves_no_process_of_a_step_that_ended),
        cmocka_unit_test(test_install_interrupted_is_killed),
        cmocka_unit_test(test_install_ends_with_the_updater),
        cmocka_unit_test(test_install_output_without_end_is_cut),
        cmocka_unit_test(test_warden_gives_a_clean_process),
    };
    return cmocka_run_group_tests(tests, place_open, place_close);
}
