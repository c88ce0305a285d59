/* signal-safety(7): the handlers use write, kill and _exit only. */
#include "client/cli/interrupt.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/outcome.h"
#include "common/base/attributes.h"

/* A signal handler has no other way to its data. */
static struct {
    char to_stderr[INTERRUPT_NOTICE_MAX];
    char to_stdout[INTERRUPT_NOTICE_MAX];
    int exit_codes[2]; /* SIGINT, SIGTERM */
    volatile sig_atomic_t is_pending;
    volatile sig_atomic_t is_to_suspend;
    volatile sig_atomic_t is_resized;
    volatile sig_atomic_t forward_to;
    volatile sig_atomic_t n_interrupts;
    volatile sig_atomic_t n_terminations;
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
    if (signal_number == SIGTSTP)
        state.is_to_suspend = 1;
    else if (signal_number == SIGWINCH)
        state.is_resized = 1;
    else
        state.is_pending = 1;
}

static void count(int signal_number)
{
    if (signal_number == SIGINT && state.n_interrupts < INT_MAX)
        state.n_interrupts++;
    if (signal_number == SIGTERM && state.n_terminations < INT_MAX)
        state.n_terminations++;
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

/* Blocks all of `signals` and has them handled in a ppoll(2) with `*out_mask`. */
static void handle_all(const int *signals, size_t n, void (*handler)(int), sigset_t *out_mask)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < n; i++)
        sigaddset(&blocked, signals[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, out_mask);
    for (size_t i = 0; i < n; i++) {
        sigdelset(out_mask, signals[i]);
        handle(signals[i], handler);
    }
    handle(SIGPIPE, SIG_IGN);
}

void interrupt_set_flag(sigset_t *out_mask)
{
    static const int signals[] = {SIGINT, SIGTERM};
    handle_all(signals, ARRAY_LENGTH(signals), set_flag, out_mask);
}

void interrupt_count(sigset_t *out_mask)
{
    static const int signals[] = {SIGINT, SIGTERM};
    handle_all(signals, ARRAY_LENGTH(signals), count, out_mask);
}

void interrupt_count_no_more(const sigset_t *mask)
{
    handle(SIGTERM, say_and_exit);
    handle(SIGINT, say_and_exit);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

struct interrupt_counts interrupt_counts(void)
{
    return (struct interrupt_counts){
        .n_interrupts = state.n_interrupts, .n_terminations = state.n_terminations};
}

void interrupt_watch_screen(sigset_t *out_mask)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    handle_all(signals, ARRAY_LENGTH(signals), set_flag, out_mask);
}

enum interrupt_news interrupt_take(void)
{
    if (state.is_pending != 0)
        return INTERRUPT_END;
    if (state.is_to_suspend != 0) {
        state.is_to_suspend = 0;
        return INTERRUPT_SUSPEND;
    }
    if (state.is_resized != 0) {
        state.is_resized = 0;
        return INTERRUPT_RESIZE;
    }
    return INTERRUPT_NONE;
}

void interrupt_suspend(void)
{
    /* SIGTSTP has our handler; a shell sees no difference. */
    (void)raise(SIGSTOP);
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
