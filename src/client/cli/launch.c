/* fork and exec; one line comes back over a pipe: "ready", "busy" or "error <text>". */
#include "client/cli/launch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/interrupt.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum { KEEPER_ARGUMENTS_MAX = LAUNCH_ARGUMENTS_MAX + 16, EXEC_FAILED = 127 };

void launch_add(struct launch_arguments *arguments, const char *text)
{
    assert(arguments->n < LAUNCH_ARGUMENTS_MAX);
    arguments->items[arguments->n++] = text;
}

int launch_word(const char *word, struct error *error)
{
    static const char failed[] = "error ";
    if (strcmp(word, "ready") == 0)
        return LAUNCH_READY;
    if (strcmp(word, "busy") == 0)
        return LAUNCH_BUSY;
    if (strncmp(word, failed, sizeof(failed) - 1) == 0)
        return error_set(error, STATUS_FAILED_PRECONDITION, "the daemon did not start: %s",
            word + sizeof(failed) - 1);
    return error_set(error, STATUS_INTERNAL, "the keeper said \"%s\"", word);
}

/* ---- the child ---- */

struct keeper_command {
    char program[PATH_MAX];
    char ready_fd[16];
    const char *items[KEEPER_ARGUMENTS_MAX + 1];
    size_t n;
};

static void add(struct keeper_command *command, const char *text)
{
    assert(command->n < KEEPER_ARGUMENTS_MAX);
    command->items[command->n++] = text;
}

static void build_command(const struct cli *cli, const struct launch_arguments *arguments,
    int ready_fd, struct keeper_command *command)
{
    (void)snprintf(command->ready_fd, sizeof(command->ready_fd), "%d", ready_fd);
    add(command, command->program);
    add(command, "--root");
    add(command, cli->paths.root);
    if (arguments->config) {
        add(command, "--config");
        add(command, arguments->config);
    }
    if (cli_text(cli, OPTION_SOCKET) && !cli->paths.tcp[0]) {
        add(command, "--socket");
        add(command, cli->paths.socket);
    }
    add(command, "--ready-fd");
    add(command, command->ready_fd);
    if (cli_flag(cli, OPTION_FOREGROUND, false))
        add(command, "--foreground");
    add(command, "--");
    for (size_t i = 0; i < arguments->n; i++)
        add(command, arguments->items[i]);
}

/* No terminal, and a place for last words that come before the keeper's own log. */
static bool detach(const struct paths *paths)
{
    char log[PATH_MAX + 32];
    (void)snprintf(log, sizeof(log), "%s/daemon.log", paths->logs);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return setsid() >= 0 && chdir(paths->root) == 0 && null_fd >= 0 &&
           dup2(null_fd, STDIN_FILENO) >= 0 && dup2(null_fd, STDOUT_FILENO) >= 0 &&
           dup2(log_fd < 0 ? null_fd : log_fd, STDERR_FILENO) >= 0;
}

static void run_keeper(const struct cli *cli, const struct keeper_command *command, int ready_fd)
{
    /* execv promises not to change them. */
    union {
        const char *const *constant;
        char *const *items;
    } argv;
    argv.constant = command->items;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    /* Ignored signals stay ignored over exec. */
    (void)signal(SIGPIPE, SIG_DFL);
    if ((cli_flag(cli, OPTION_FOREGROUND, false) || detach(&cli->paths)) &&
        fd_set_cloexec(ready_fd, false, NULL) == 0)
        execv(command->program, argv.items); // NOLINT(clang-analyzer-core.NonNullParamChecker)
    dprintf(ready_fd, "error run %s: errno %d (%s)\n", command->program, errno,
        error_errno_name(errno));
    _exit(EXEC_FAILED);
}

/* ---- the parent ---- */

/* The keeper's line without its newline; "" when it closed the pipe without one. */
static int read_word(int fd, char word[LAUNCH_WORD_MAX], struct error *error)
{
    int64_t deadline_at = clock_add_ms(clock_monotonic_ms(), LAUNCH_READY_MS);
    size_t len = 0;
    word[0] = '\0';
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_at - clock_monotonic_ms();
        int n = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
        if (n == 0)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "the daemon was not ready within %d s", LAUNCH_READY_MS / 1000);
        if (n < 0)
            continue;
        ssize_t got = read(fd, word + len, LAUNCH_WORD_MAX - 1 - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            len += (size_t)got;
        word[len] = '\0';
        char *newline = strchr(word, '\n');
        if (newline)
            *newline = '\0';
        if (newline || got <= 0 || len == LAUNCH_WORD_MAX - 1)
            return 0;
    }
}

static int explain_silence(pid_t keeper, struct error *error)
{
    int status = 0;
    if (waitpid(keeper, &status, 0) < 0)
        return error_set(error, STATUS_INTERNAL, "the keeper ended before it was ready");
    if (WIFSIGNALED(status))
        return error_set(error, STATUS_INTERNAL,
            "the keeper was ended by signal %d before it was ready", WTERMSIG(status));
    return error_set(error, STATUS_INTERNAL, "the keeper exited with %d before it was ready",
        WEXITSTATUS(status));
}

static int wait_ready(const struct cli *cli, int fd, pid_t keeper, struct error *error)
{
    char word[LAUNCH_WORD_MAX];
    int result = read_word(fd, word, error);
    if (result == 0 && word[0] == '\0')
        result = explain_silence(keeper, error);
    else if (result == 0)
        result = launch_word(word, error);
    if (result < 0 && error && !error->hint[0])
        error_set_hint(
            error, "`flocks logs daemon` or %s/daemon.log may say more", cli->paths.logs);
    return result;
}

/* With --foreground a SIGTERM from here on is the keeper's: whoever ends `flocks start` ends what
 * it runs, also while its services are still starting. */
static pid_t fork_keeper(const struct cli *cli, const struct keeper_command *command, int write_end)
{
    sigset_t terminate;
    sigset_t before;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &terminate, &before);
    pid_t keeper = fork();
    if (keeper > 0 && cli_flag(cli, OPTION_FOREGROUND, false))
        interrupt_forward_to((int)keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (keeper == 0)
        run_keeper(cli, command, write_end);
    return keeper;
}

int launch_keeper(const struct cli *cli, const struct launch_arguments *arguments,
    pid_t *out_foreground, struct error *error)
{
    struct keeper_command command = {.n = 0};
    int ends[2];
    *out_foreground = 0;
    int result = paths_find_program("flocks-keeper", command.program, error);
    if (result < 0)
        return result;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(error, errno, "make a pipe for the keeper");
    CLEANUP(fd_close) int read_end = ends[0];
    CLEANUP(fd_close) int write_end = ends[1];
    build_command(cli, arguments, write_end, &command);
    pid_t keeper = fork_keeper(cli, &command, write_end);
    if (keeper < 0)
        return error_set_errno(error, errno, "fork for the keeper");
    fd_close(&write_end);
    result = wait_ready(cli, read_end, keeper, error);
    if (!cli_flag(cli, OPTION_FOREGROUND, false))
        return result;
    if (result == LAUNCH_READY)
        *out_foreground = keeper;
    else
        interrupt_forward_no_more();
    return result;
}
