/* signal-safety(7): the handlers use write, kill and _exit only. */
#include "client/cli/interrupt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/outcome.h"

/* A signal handler has no other way to its data. */
static struct {
    char to_stderr[INTERRUPT_NOTICE_MAX];
    char to_stdout[INTERRUPT_NOTICE_MAX];
    int exit_codes[2]; /* SIGINT, SIGTERM */
    volatile sig_atomic_t is_pending;
    volatile sig_atomic_t forward_to;
} state;

static void write_text(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        return;
}

static void say_and_exit(int signal_number)
{
    write_text(STDERR_FILENO, state.to_stderr);
    write_text(STDOUT_FILENO, state.to_stdout);
    _exit(state.exit_codes[signal_number == SIGTERM]);
}

static void set_flag(int signal_number)
{
    (void)signal_number;
    state.is_pending = 1;
}

static void forward(int signal_number)
{
    int saved = errno;
    kill(state.forward_to, signal_number);
    errno = saved;
}

static void handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void interrupt_exit_with(const char *to_stderr, const char *to_stdout)
{
    sigset_t both;
    sigset_t before;
    if (state.forward_to != 0)
        return;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    (void)snprintf(state.to_stderr, sizeof(state.to_stderr), "%s", to_stderr);
    (void)snprintf(state.to_stdout, sizeof(state.to_stdout), "%s", to_stdout);
    state.exit_codes[0] = outcome_exit_code(OUTCOME_INTERRUPTED);
    state.exit_codes[1] = outcome_exit_code(OUTCOME_TERMINATED);
    handle(SIGINT, say_and_exit);
    handle(SIGTERM, say_and_exit);
    handle(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void interrupt_set_flag(sigset_t *out_mask)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, out_mask);
    sigdelset(out_mask, SIGINT);
    sigdelset(out_mask, SIGTERM);
    handle(SIGINT, set_flag);
    handle(SIGTERM, set_flag);
    handle(SIGPIPE, SIG_IGN);
}

bool interrupt_is_pending(void)
{
    return state.is_pending != 0;
}

void interrupt_forward_to(int pid)
{
    state.forward_to = pid;
    handle(SIGINT, SIG_IGN);
    handle(SIGTERM, forward);
}

void interrupt_forward_no_more(void)
{
    handle(SIGTERM, say_and_exit);
    handle(SIGINT, say_and_exit);
    state.forward_to = 0;
}
