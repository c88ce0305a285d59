#include "client/upgrade/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"

enum { SIGNAL_EXIT = 128 };

/* For the handlers, which have no other way to what they work on. */
static volatile sig_atomic_t asked_fd = -1;
static volatile sig_atomic_t child_pid;

static void ask_for_end(int number)
{
    const uint64_t one = 1;
    int saved = errno;
    (void)number;
    (void)!write((int)asked_fd, &one, sizeof one);
    errno = saved;
}

static void pass_on(int number)
{
    int saved = errno;
    if (child_pid > 0)
        (void)kill((pid_t)child_pid, number);
    errno = saved;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* Whoever runs us with one of them closed must not find a socket in its place. */
static void fill_standard_descriptors(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
    fd_close(&fd);
}

_Noreturn static void stay_behind(pid_t child)
{
    int status = 0;
    child_pid = (sig_atomic_t)child;
    handle(SIGINT, pass_on);
    handle(SIGTERM, pass_on);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT + WTERMSIG(status));
}

/* Whoever started us has made us the leader of a session without a terminal. */
static bool leads_already(void)
{
    CLEANUP(fd_close) int fd = -1;
    if (getsid(0) != getpid())
        return false;
    fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return fd < 0;
}

static int lead_session(struct error *error)
{
    if (setsid() >= 0 || leads_already())
        return 0;
    pid_t child = fork();
    if (child < 0)
        return error_set_errno(error, errno, "leaving the session of the caller");
    if (child > 0)
        stay_behind(child);
    return setsid() < 0 ? error_set_errno(error, errno, "beginning a session") : 0;
}

int update_detach(int *out_fd, struct error *error)
{
    fill_standard_descriptors();
    /* What the caller had blocked is not blocked for us. */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    int result = lead_session(error);
    if (result < 0)
        return result;
    *out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (*out_fd < 0)
        return error_set_errno(error, errno, "eventfd");
    asked_fd = *out_fd;
    handle(SIGHUP, SIG_IGN);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGINT, ask_for_end);
    handle(SIGTERM, ask_for_end);
    return 0;
}
