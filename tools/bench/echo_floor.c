/* What two processes and a socket cost by themselves: a socketpair, blocking reads and writes, the
 * other end sends back what it got. Prints nanoseconds, one round trip a line.
 *
 *   bench-echo-floor ROUNDS BYTES */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rounds.h"

struct end {
    int fd;
    uint8_t *bytes;
    size_t len;
};

static int write_all(const struct end *end)
{
    for (size_t done = 0; done < end->len;) {
        ssize_t n = write(end->fd, end->bytes + done, end->len - done);
        if (n <= 0)
            return 1;
        done += (size_t)n;
    }
    return 0;
}

static int read_all(const struct end *end)
{
    for (size_t done = 0; done < end->len;) {
        ssize_t n = read(end->fd, end->bytes + done, end->len - done);
        if (n <= 0)
            return 1;
        done += (size_t)n;
    }
    return 0;
}

static _Noreturn void answer(const struct end *end)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read_all(end) == 0 && write_all(end) == 0)
        ;
    _exit(0);
}

static int ask(void *data, size_t index)
{
    const struct end *end = data;
    (void)index;
    return write_all(end) != 0 || read_all(end) != 0;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        (void)fprintf(stderr, "usage: %s ROUNDS BYTES\n", arguments[0]);
        return 2;
    }
    size_t rounds = rounds_number(arguments[1]);
    struct end end = {.len = rounds_number(arguments[2])};
    int fds[2];
    end.bytes = rounds_message(end.len);
    if (end.bytes == NULL || rounds == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return 1;
    pid_t pid = fork();
    end.fd = pid == 0 ? fds[1] : fds[0];
    (void)close(pid == 0 ? fds[0] : fds[1]);
    if (pid == 0)
        answer(&end);
    return pid < 0 || rounds_run(rounds, ask, &end) != 0;
}
