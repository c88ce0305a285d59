/* Double fork, so that the browser is nobody's zombie; its exec error comes back through a
 * close-on-exec pipe. */
#include "client/cli/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"

static bool is_set(const char *name)
{
    /* A program of one thread that never sets a variable. */
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return value && value[0];
}

bool browser_is_possible(void)
{
    return (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")) && isatty(STDERR_FILENO);
}

/* In the grandchild. */
static void run_browser(const char *url, int error_fd)
{
    const char *browser = getenv("BROWSER"); // NOLINT(concurrency-mt-unsafe)
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
        dup2(null_fd, STDERR_FILENO) < 0)
        _exit(1);
    if (browser && browser[0])
        execlp(browser, browser, url, (char *)NULL);
    execlp("xdg-open", "xdg-open", url, (char *)NULL);
    if (write(error_fd, "!", 1) < 0)
        _exit(1);
    _exit(1);
}

bool browser_open(const char *url)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    CLEANUP(fd_close) int read_end = ends[0];
    CLEANUP(fd_close) int write_end = ends[1];
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        setsid();
        if (fork() == 0)
            run_browser(url, write_end);
        _exit(0);
    }
    fd_close(&write_end);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    char byte = 0;
    return read(read_end, &byte, 1) == 0;
}
