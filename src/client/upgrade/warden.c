#include "client/upgrade/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    OUTPUT_BYTES = 16 * 1024,
    /* Numbers of children, read at once. */
    CHILDREN_BYTES = 4096,
    /* From one round of killing to the next, if nothing dies before. */
    KILL_ROUND_MS = 100,
    /* For the warden itself, beyond what the command and the killing may take. */
    PATIENCE_MS = 5 * 1000,
    NOT_EXECUTED = 127
};

/* What the warden says at its end, in one write. */
struct verdict {
    int end;
    int number;
    unsigned n_left;
    int is_haunted;
};

/* Ends of pipes, -1 where they are not there. */
struct channels {
    int output[2];
    /* Closed by the starter: the command has to end. */
    int control[2];
    int verdict[2];
    /* errno of a program that could not be executed. */
    int failure[2];
};

/* ---- in the command's process ---- */

static void restore_signals(void)
{
    sigset_t none;
    struct sigaction as_usual = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &as_usual, NULL);
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(
    const struct warden_request *request, const struct channels *channels, pid_t warden)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    restore_signals();
    /* What our own starter may have left open. */
    (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    (void)setsid();
    /* Should somebody kill the warden, or have done it before this. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != warden)
        _exit(NOT_EXECUTED);
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
        dup2(channels->output[1], STDOUT_FILENO) >= 0 &&
        dup2(channels->output[1], STDERR_FILENO) >= 0 && chdir(request->directory) == 0)
        (void)execve(request->program, request->arguments, request->environment);
    int number = errno;
    (void)!write(channels->failure[1], &number, sizeof number);
    _exit(NOT_EXECUTED);
}

/* ---- in the warden's process ---- */

/* Nothing here takes memory or a lock: this is a copy of a process that may have had threads. */
struct watch {
    const struct warden_request *request;
    struct channels *channels;
    int signal_fd;
    pid_t command;
    bool is_over;
    int status;
};

static void reap(struct watch *watch)
{
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == watch->command) {
            watch->is_over = true;
            watch->status = status;
        }
    }
}

static void drain_signals(int signal_fd)
{
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) > 0)
        continue;
}

/* Kills every child, and tells how many there were. Their own children come to us as they die. */
static unsigned kill_children(void)
{
    char text[CHILDREN_BYTES + 1];
    unsigned n = 0;
    CLEANUP(fd_close) int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, CHILDREN_BYTES);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    char *rest = text;
    for (;;) {
        char *end = NULL;
        long pid = strtol(rest, &end, 10);
        /* Each is followed by a space: one that is not was cut. */
        if (end == rest || *end != ' ' || pid <= 1)
            return n;
        (void)kill((pid_t)pid, SIGKILL);
        n++;
        rest = end;
    }
}

/* Whether all are gone. *out_n: how many there were at first. */
static bool end_all(struct watch *watch, unsigned *out_n)
{
    int64_t deadline_at = clock_monotonic_ms() + WARDEN_KILL_MS;
    struct pollfd wanted = {.fd = watch->signal_fd, .events = POLLIN};
    bool is_first = true;
    do {
        reap(watch);
        unsigned n = kill_children();
        *out_n = is_first ? n : *out_n;
        is_first = false;
        reap(watch);
        /* No child at all: nothing can come to us any more. */
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return true;
        (void)poll(&wanted, 1, KILL_ROUND_MS);
        drain_signals(watch->signal_fd);
    } while (clock_monotonic_ms() < deadline_at);
    return false;
}

/* Until the command ends, or has to. */
static enum warden_end watch_command(struct watch *watch)
{
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), watch->request->timeout_ms);
    for (;;) {
        struct pollfd wanted[] = {{.fd = watch->signal_fd, .events = POLLIN},
            {.fd = watch->channels->control[0], .events = POLLIN}};
        reap(watch);
        if (watch->is_over)
            return WIFEXITED(watch->status) ? WARDEN_EXITED : WARDEN_SIGNALED;
        int64_t left = deadline_at - clock_monotonic_ms();
        if (left <= 0)
            return WARDEN_TIMED_OUT;
        (void)poll(wanted, ARRAY_LENGTH(wanted), left > INT32_MAX ? INT32_MAX : (int)left);
        if (wanted[1].revents != 0)
            return WARDEN_CANCELLED;
        drain_signals(watch->signal_fd);
    }
}

static int number_of(const struct watch *watch, enum warden_end end)
{
    if (end == WARDEN_EXITED)
        return WEXITSTATUS(watch->status);
    return end == WARDEN_SIGNALED ? WTERMSIG(watch->status) : 0;
}

static _Noreturn void stand_watch(const struct warden_request *request, struct channels *channels)
{
    struct watch watch = {.request = request, .channels = channels};
    struct verdict verdict = {.end = WARDEN_NOT_STARTED};
    sigset_t child;
    fd_close(&channels->output[0]);
    fd_close(&channels->control[1]);
    fd_close(&channels->verdict[0]);
    (void)setsid();
    (void)sigfillset(&child);
    (void)pthread_sigmask(SIG_BLOCK, &child, NULL);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    watch.signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    bool is_ready = watch.signal_fd >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    pid_t warden = getpid();
    watch.command = is_ready ? fork() : -1;
    if (watch.command == 0)
        become(request, channels, warden);
    verdict.number = errno;
    fd_close(&channels->output[1]);
    fd_close(&channels->failure[1]);
    if (watch.command > 0) {
        verdict.end = (int)watch_command(&watch);
        verdict.is_haunted = !end_all(&watch, &verdict.n_left);
        verdict.number = number_of(&watch, (enum warden_end)verdict.end);
    }
    int failure = 0;
    if (read(channels->failure[0], &failure, sizeof failure) == (ssize_t)sizeof failure) {
        verdict.end = WARDEN_NOT_STARTED;
        verdict.number = failure;
    }
    (void)!write(channels->verdict[1], &verdict, sizeof verdict);
    _exit(0);
}

/* ---- in the starter's process ---- */

static void close_channels(struct channels *channels)
{
    int *pairs[] = {channels->output, channels->control, channels->verdict, channels->failure};
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        fd_close(&pairs[i][0]);
        fd_close(&pairs[i][1]);
    }
}

static int open_channels(struct channels *channels, struct error *error)
{
    int *pairs[] = {channels->output, channels->control, channels->verdict, channels->failure};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
        pairs[i][0] = pairs[i][1] = -1;
    for (size_t i = 0; i < ARRAY_LENGTH(pairs) && result == 0; i++) {
        if (pipe2(pairs[i], O_CLOEXEC) < 0)
            result = error_set_errno(error, errno, "making a pipe");
    }
    if (result == 0)
        result = fd_set_nonblocking(channels->output[0], true, error);
    if (result == 0)
        result = fd_set_nonblocking(channels->failure[0], true, error);
    return result;
}

/* What is there now. False: nothing more will come. */
static bool pass_output(const struct warden_request *request, int fd)
{
    char bytes[OUTPUT_BYTES];
    ssize_t got = 0;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        if (request->on_output != NULL)
            request->on_output(request->data, bytes, (size_t)got);
        /* One that writes without an end must not keep us from the rest. */
        if ((size_t)got < sizeof bytes)
            return true;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until the warden says how it ended. */
static bool await_verdict(
    const struct warden_request *request, struct channels *channels, struct verdict *out)
{
    int64_t deadline_at = clock_add_ms(
        clock_monotonic_ms(), clock_add_ms(request->timeout_ms, WARDEN_KILL_MS + PATIENCE_MS));
    int cancel_fd = request->cancel_fd;
    while (clock_monotonic_ms() < deadline_at) {
        struct pollfd wanted[] = {{.fd = channels->output[0], .events = POLLIN},
            {.fd = channels->verdict[0], .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
        int64_t left = deadline_at - clock_monotonic_ms();
        (void)poll(wanted, ARRAY_LENGTH(wanted), left > INT32_MAX ? INT32_MAX : (int)left);
        if (wanted[0].revents != 0 && !pass_output(request, channels->output[0]))
            fd_close(&channels->output[0]);
        if (wanted[2].revents != 0) {
            fd_close(&channels->control[1]);
            cancel_fd = -1;
        }
        if (wanted[1].revents == 0)
            continue;
        bool is_said = read(channels->verdict[0], out, sizeof *out) == (ssize_t)sizeof *out;
        /* All writers are gone, or were given up. */
        while (channels->output[0] >= 0 && pass_output(request, channels->output[0]) &&
               poll(wanted, 1, 0) > 0)
            continue;
        return is_said;
    }
    return false;
}

int warden_run(
    const struct warden_request *request, struct warden_outcome *out, struct error *error)
{
    struct channels channels;
    struct verdict verdict = {.end = WARDEN_NOT_STARTED};
    int result = open_channels(&channels, error);
    pid_t warden = result == 0 ? fork() : -1;
    if (warden == 0)
        stand_watch(request, &channels);
    if (result == 0 && warden < 0)
        result = error_set_errno(error, errno, "making a process");
    if (warden > 0) {
        fd_close(&channels.output[1]);
        fd_close(&channels.control[0]);
        fd_close(&channels.verdict[1]);
        fd_close(&channels.failure[1]);
        if (!await_verdict(request, &channels, &verdict))
            result = error_set(error, STATUS_INTERNAL, "the process that watches over %s has died",
                request->program);
        (void)kill(warden, SIGKILL);
        (void)waitpid(warden, NULL, 0);
    }
    close_channels(&channels);
    *out = (struct warden_outcome){.end = (enum warden_end)verdict.end,
        .number = verdict.number,
        .n_left = verdict.n_left,
        .is_haunted = verdict.is_haunted != 0};
    return result;
}
