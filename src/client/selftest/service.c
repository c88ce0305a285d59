/* Small and misbehaved on purpose. */
#include "client/selftest/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/attributes.h"
#include "common/base/fd.h"

enum { BACKLOG = 64, STRAYS = 2 };

static volatile sig_atomic_t is_to_close;

static void note_close(int signal_number)
{
    (void)signal_number;
    is_to_close = 1;
}

static void handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

/* ---- web ---- */

static int listen_on(int port)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        fd_close(&fd);
        return -1;
    }
    return fd;
}

/* One answer for one connection; requests are short. */
static void answer(int listener)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    char request[1024];
    CLEANUP(fd_close) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (poll(&readable, 1, 1000) > 0 && read(fd, request, sizeof(request)) > 0)
        (void)!write(fd, text, sizeof(text) - 1);
}

static int serve_web(const char *port)
{
    CLEANUP(fd_close) int listener = listen_on((int)strtol(port, NULL, 10));
    if (listener < 0)
        return 1;
    handle(SIGUSR1, note_close);
    handle(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd readable = {.fd = listener, .events = POLLIN};
        int n = poll(&readable, 1, -1);
        if (is_to_close)
            fd_close(&listener);
        if (n > 0 && listener >= 0)
            answer(listener);
    }
}

/* ---- deaf, family ---- */

static void sleep_for_ever(void)
{
    for (;;)
        (void)pause();
}

static void record(const char *path)
{
    char line[32];
    int len = snprintf(line, sizeof(line), "%d\n", (int)getpid());
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && len > 0)
        (void)!write(fd, line, (size_t)len);
}

/* A session of its own; `twice`: and a parent that is gone, as daemons do it. */
static void make_stray(const char *path, bool twice)
{
    pid_t child = fork();
    if (child != 0)
        return;
    (void)setsid();
    if (twice && fork() != 0)
        _exit(0);
    handle(SIGTERM, SIG_IGN);
    handle(SIGHUP, SIG_IGN);
    record(path);
    sleep_for_ever();
}

static int serve_family(const char *path)
{
    make_stray(path, false);
    make_stray(path, true);
    sleep_for_ever();
    return 0;
}

int service_run(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "web") == 0)
        return serve_web(argv[1]);
    if (argc == 2 && strcmp(argv[0], "family") == 0)
        return serve_family(argv[1]);
    handle(SIGTERM, SIG_IGN);
    sleep_for_ever();
    return 0;
}
