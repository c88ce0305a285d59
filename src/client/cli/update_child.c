/* fork(2), execv(3), pidfd_open(2). */
#include "client/cli/update_child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/poll_until.h"
#include "common/base/fd.h"

enum {
    READ_BYTES = 64 * 1024,
    /* What stands in its pipes when it ends, at most; somebody else may have them open and write
     * for ever. */
    LAST_READS_MAX = 32,
    EXEC_FAILED = 127
};

/* ---- arguments ---- */

void update_arguments_add(struct update_arguments *arguments, const char *text)
{
    assert(arguments->n < UPDATE_ARGUMENTS_MAX - 1);
    arguments->items[arguments->n++] = text;
}

void update_arguments_add_value(
    struct update_arguments *arguments, const char *name, const char *value)
{
    if (!value)
        return;
    update_arguments_add(arguments, name);
    update_arguments_add(arguments, value);
}

void update_arguments_init(
    struct update_arguments *arguments, const struct cli *cli, const char *verb)
{
    *arguments = (struct update_arguments){.n = 0};
    update_arguments_add(arguments, "flocks-update");
    update_arguments_add_value(arguments, "--root", cli->paths.root);
    if (cli->config_is_named)
        update_arguments_add_value(arguments, "--config", cli->paths.config);
    if (cli_text(cli, OPTION_SOCKET) && !cli->paths.tcp[0])
        update_arguments_add_value(arguments, "--socket", cli->paths.socket);
    update_arguments_add(arguments, verb);
}

/* ---- the child ---- */

static void run_child(
    const char *program, const struct update_arguments *arguments, int out, int err)
{
    /* execv promises not to change them. */
    union {
        const char *const *constant;
        char *const *items;
    } argv;
    argv.constant = arguments->items;
    sigset_t none;
    sigemptyset(&none);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0)
        _exit(EXEC_FAILED);
    /* Ignored signals stay ignored over exec; handled ones would end it until its own stand. */
    (void)signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    execv(program, argv.items);
    dprintf(STDERR_FILENO, "run %s: errno %d (%s)\n", program, errno, error_errno_name(errno));
    _exit(EXEC_FAILED);
}

/* A pipe whose reading end, which does not block, is ours. */
static int make_pipe(int *out_read, int *out_write, struct error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(error, errno, "make a pipe for flocks-update");
    *out_read = ends[0];
    *out_write = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0
               ? 0
               : error_set_errno(error, errno, "prepare a pipe for flocks-update");
}

static int start(struct update_child *child, const char *program,
    const struct update_arguments *arguments, struct error *error)
{
    CLEANUP(fd_close) int out = -1;
    CLEANUP(fd_close) int err = -1;
    int result = make_pipe(&child->out, &out, error);
    if (result == 0)
        result = make_pipe(&child->err, &err, error);
    if (result < 0)
        return result;
    child->pid = fork();
    if (child->pid < 0)
        return error_set_errno(error, errno, "fork for flocks-update");
    if (child->pid == 0)
        run_child(program, arguments, out, err);
    /* Not waited for by anybody else, so the pid is still its own. */
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd >= 0)
        return 0;
    result = error_set_errno(error, errno, "hold process %d", (int)child->pid);
    kill(child->pid, SIGTERM);
    return result;
}

int update_child_open(struct update_child *child, const struct update_arguments *arguments,
    update_line_fn on_line, void *data, struct error *error)
{
    char program[PATH_MAX];
    *child =
        (struct update_child){.on_line = on_line, .data = data, .pidfd = -1, .out = -1, .err = -1};
    update_lines_init(&child->lines);
    update_lines_init(&child->words);
    int result = paths_find_program("flocks-update", program, error);
    return result == 0 ? start(child, program, arguments, error) : result;
}

void update_child_close(struct update_child *child)
{
    fd_close(&child->out);
    fd_close(&child->err);
    fd_close(&child->pidfd);
    update_lines_deinit(&child->lines);
    update_lines_deinit(&child->words);
}

/* ---- what it says ---- */

static void take_line(void *data, const char *line, size_t len)
{
    const struct update_child *child = data;
    child->on_line(child->data, line, len);
}

static void take_word(void *data, const char *line, size_t len)
{
    struct update_child *child = data;
    if (child->n_said < UPDATE_WORDS_MAX)
        (void)snprintf(child->said[child->n_said++], UPDATE_WORD_SIZE, "%.*s",
            (int)(len < UPDATE_WORD_SIZE ? len : UPDATE_WORD_SIZE - 1), line);
}

/* One piece. False: nothing is there now, or never again. */
static bool read_some(
    struct update_child *child, int *fd, struct update_lines *lines, update_line_fn on_line)
{
    static char bytes[READ_BYTES];
    if (*fd < 0)
        return false;
    ssize_t n = read(*fd, bytes, sizeof(bytes));
    if (n > 0) {
        update_lines_feed(lines, bytes, (size_t)n, on_line, child);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        fd_close(fd);
    return false;
}

static void reap(struct update_child *child)
{
    bool goes_on = true;
    for (int i = 0; goes_on && i < LAST_READS_MAX; i++) {
        goes_on = read_some(child, &child->out, &child->lines, take_line);
        goes_on |= read_some(child, &child->err, &child->words, take_word);
    }
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        continue;
    child->has_ended = true;
}

static bool is_readable(const struct pollfd *poll_fd)
{
    return (poll_fd->revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

enum update_child_news update_child_wait(
    struct update_child *child, int64_t due_at, const sigset_t *mask)
{
    struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN},
        {.fd = child->out, .events = POLLIN}, {.fd = child->err, .events = POLLIN}};
    if (child->has_ended)
        return UPDATE_CHILD_ENDED;
    int n = poll_until(fds, ARRAY_LENGTH(fds), due_at, mask);
    if (n < 0)
        return UPDATE_CHILD_SIGNAL;
    if (n == 0)
        return UPDATE_CHILD_DUE;
    if (is_readable(&fds[0])) {
        reap(child);
        return UPDATE_CHILD_ENDED;
    }
    if (is_readable(&fds[1]))
        (void)read_some(child, &child->out, &child->lines, take_line);
    if (is_readable(&fds[2]))
        (void)read_some(child, &child->err, &child->words, take_word);
    return UPDATE_CHILD_NEWS;
}

void update_child_signal(const struct update_child *child, int signal_number)
{
    if (!child->has_ended)
        (void)syscall(SYS_pidfd_send_signal, child->pidfd, signal_number, NULL, 0);
}

bool update_child_ended_well(const struct update_child *child, bool is_failure)
{
    return WIFEXITED(child->status) && (WEXITSTATUS(child->status) != 0) == is_failure;
}

int update_child_explain(const struct update_child *child, struct error *error)
{
    char said[ERROR_TEXT_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < child->n_said && len < sizeof(said) - 1; i++) {
        (void)snprintf(said + len, sizeof(said) - len, "%s%s", i == 0 ? ": " : "; ",
            child->said[i] + strspn(child->said[i], " "));
        len = strlen(said);
    }
    if (WIFSIGNALED(child->status))
        return error_set(error, STATUS_INTERNAL, "flocks-update was ended by signal %d%s",
            WTERMSIG(child->status), said);
    return error_set(
        error, STATUS_INTERNAL, "flocks-update exited with %d%s", WEXITSTATUS(child->status), said);
}
