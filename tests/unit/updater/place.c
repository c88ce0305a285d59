#include "place.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"

enum { FILE_MAX = 256 * 1024 * 1024, PATHS = 64 };

static char directory[] = "/tmp/flocks-updater-XXXXXX";
static pid_t server = -1;
static int server_fd = -1;

static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    abort();
}

int place_open(void **state)
{
    (void)state;
    demand(mkdtemp(directory) != NULL, "mkdtemp");
    return 0;
}

int place_close(void **state)
{
    (void)state;
    if (server > 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
        (void)close(server_fd);
    }
    place_run((const char *const[]){"chmod", "-R", "u+rwX", directory, NULL});
    place_run((const char *const[]){"rm", "-rf", "--", directory, NULL});
    return 0;
}

const char *place_path(const char *name)
{
    static char paths[PATHS][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    (void)snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return path;
}

void place_write(const char *name, const void *bytes, size_t len)
{
    CLEANUP(fd_close)
    int fd = open(place_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    demand(fd >= 0, name);
    demand(fd_write_all(fd, bytes, len, NULL) == 0, name);
}

void place_write_text(const char *name, const char *text)
{
    place_write(name, text, strlen(text));
}

void place_write_noise(const char *name, size_t len, unsigned seed)
{
    unsigned char *bytes = malloc(len + 1);
    demand(bytes != NULL, "malloc");
    uint64_t state = seed + 0x9e3779b97f4a7c15U;
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (unsigned char)state;
    }
    place_write(name, bytes, len);
    free(bytes);
}

char *place_read(const char *name, size_t *out_len)
{
    char *text = NULL;
    size_t len = 0;
    demand(fd_read_file(place_path(name), FILE_MAX, &text, &len, NULL) == 0, name);
    if (out_len != NULL)
        *out_len = len;
    return text;
}

bool place_has(const char *name)
{
    return access(place_path(name), F_OK) == 0;
}

int place_open_file(const char *name)
{
    int fd = open(place_path(name), O_RDONLY | O_CLOEXEC);
    demand(fd >= 0, name);
    return fd;
}

static void become(const char *const arguments[])
{
    char *copies[32] = {NULL};
    for (size_t i = 0; arguments[i] != NULL && i + 1 < ARRAY_LENGTH(copies); i++)
        copies[i] = strdup(arguments[i]);
    if (copies[0] != NULL && chdir(directory) == 0)
        (void)execvp(copies[0], copies);
    perror(arguments[0]);
    _exit(127);
}

void place_run(const char *const arguments[])
{
    pid_t pid = fork();
    demand(pid >= 0, "fork");
    if (pid == 0) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)dup2(fd, STDIN_FILENO);
        (void)dup2(fd, STDOUT_FILENO);
        become(arguments);
    }
    int status = 0;
    demand(waitpid(pid, &status, 0) == pid, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "%s failed: status %#x\n", arguments[0], (unsigned)status);
        abort();
    }
}

pid_t place_start(const char *const arguments[], int *out_fd)
{
    int input[2];
    int output[2];
    demand(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0, "pipe2");
    pid_t pid = fork();
    demand(pid >= 0, "fork");
    if (pid == 0) {
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        become(arguments);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    *out_fd = output[0];
    return pid;
}

struct place_server place_serve(const char *script)
{
    struct place_server out;
    char line[64];
    size_t n = 0;
    place_run((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "tls.key", "-out", "tls.pem", "-days",
        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        NULL});
    server = place_start(
        (const char *const[]){"/usr/bin/python3", script, "tls.pem", "tls.key", NULL}, &server_fd);
    while (n == 0 || line[n - 1] != '\n') {
        demand(n + 1 < sizeof line && read(server_fd, line + n, 1) == 1, script);
        n++;
    }
    line[n] = '\0';
    char *rest = NULL;
    out.port = (int)strtol(line, &rest, 10);
    out.port_tls = (int)strtol(rest, NULL, 10);
    demand(out.port > 0 && out.port_tls > 0, line);
    return out;
}
