#include "client/selftest/stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flocks/calls.h"

#include "client/selftest/sweep.h"
#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    /* Arguments of one `flocks`, and those before them. */
    ARGUMENTS_MAX = 16,
    EXEC_FAILED = 127
};

static volatile sig_atomic_t is_interrupted;

/* ---- signals and sleep ---- */

static void note_signal(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

void stage_catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++) {
        struct sigaction action = {.sa_handler = note_signal};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i], &action, NULL);
    }
}

bool stage_is_interrupted(void)
{
    return is_interrupted != 0;
}

bool stage_sleep(int64_t ms)
{
    if (!is_interrupted)
        (void)poll(NULL, 0, (int)ms);
    return !is_interrupted;
}

/* ---- running flocks ---- */

static void exec_flocks(const struct stage *stage, const char *const *arguments)
{
    /* execv promises not to change them. */
    union {
        const char *const *constant;
        char *const *items;
    } argv;
    const char *items[ARGUMENTS_MAX] = {stage->flocks, "--root", stage->root, "--quiet"};
    char log[STAGE_ROOT_MAX + 16];
    for (size_t n = 4; *arguments && n < ARGUMENTS_MAX - 1; n++)
        items[n] = *arguments++;
    argv.constant = items;
    (void)snprintf(log, sizeof(log), "%s/commands.log", stage->root);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Ctrl-C is for us to handle. */
    (void)setsid();
    if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        execv(stage->flocks, argv.items);
    _exit(EXEC_FAILED);
}

/* Ends it when its time is up. */
static int wait_for_exit(pid_t child, int64_t limit_ms, struct error *error)
{
    int64_t until = clock_add_ms(clock_monotonic_ms(), limit_ms);
    int status = 0;
    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child && WIFEXITED(status))
            return WEXITSTATUS(status);
        if (ended != 0)
            return error_set(error, STATUS_INTERNAL, "flocks did not end by itself");
        if (clock_monotonic_ms() >= until)
            break;
        (void)poll(NULL, 0, STAGE_LOOK_MS);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return error_set(
        error, STATUS_DEADLINE_EXCEEDED, "flocks took longer than %d s", (int)(limit_ms / 1000));
}

int stage_run(
    const struct stage *stage, const char *const *arguments, int64_t limit_ms, struct error *error)
{
    pid_t child = fork();
    if (child < 0)
        return error_set_errno(error, errno, "fork for %s", stage->flocks);
    if (child == 0)
        exec_flocks(stage, arguments);
    return wait_for_exit(child, limit_ms, error);
}

/* ---- opening ---- */

/* One that was free a moment ago; -1. */
static int pick_port(void)
{
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return -1;
    return ntohs(address.sin_port);
}

/* Times are short, so that the whole takes a minute; nothing else differs from a product's. */
static const char config_format[] =
    "services:\n"
    "  " STAGE_WEB ":\n"
    "    command: [\"%s\", --serve, web, \"${port}\"]\n"
    "    port: %d\n"
    "    probes:\n"
    "      ready: {http: {path: /}, period: 50ms, timeout: 500ms}\n"
    "      alive: {http: {path: /}, period: 100ms, timeout: 300ms, failure_threshold: 3,"
    " on_failure: RESTART}\n"
    "    listener: {grace: 300ms}\n"
    "    restart: {delay: 10ms, max_delay: 100ms, give_up_after: 0}\n"
    "    stop: {grace: 500ms}\n"
    "  " STAGE_DEAF ":\n"
    "    command: [\"%s\", --serve, deaf]\n"
    "    start: false\n"
    "    stop: {grace: 500ms}\n"
    "  " STAGE_FAMILY ":\n"
    "    command: [\"%s\", --serve, family, \"%s/strays\"]\n"
    "    start: false\n"
    "    stop: {grace: 500ms}\n";

static int write_config(const struct stage *stage, struct error *error)
{
    char path[STAGE_ROOT_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/flocks.yaml", stage->root);
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set_errno(error, errno, "write %s", path);
    int written = fprintf(
        file, config_format, stage->self, stage->port, stage->self, stage->self, stage->root);
    if (fclose(file) != 0 || written < 0)
        return error_set_errno(error, errno, "write %s", path);
    return 0;
}

static int make_root(struct stage *stage, const char *parent, struct error *error)
{
    char root[STAGE_ROOT_MAX];
    int len = snprintf(root, sizeof(root), "%s/flocks-selftest-XXXXXX", parent);
    if (len < 0 || (size_t)len >= sizeof(root))
        return error_set(error, STATUS_INVALID_ARGUMENT, "the path %s is too long", parent);
    if (!mkdtemp(root))
        return error_set_errno(error, errno, "make a directory in %s", parent);
    memcpy(stage->root, root, sizeof(root));
    stage->port = pick_port();
    if (stage->port < 0)
        return error_set_errno(error, errno, "find a free port of the loopback address");
    return write_config(stage, error);
}

static int connect_client(struct stage *stage, struct error *error)
{
    const struct flocks_client_options options = {.root = stage->root};
    struct flocks_error *failure = NULL;
    stage->client = flocks_client_new(&options, &failure);
    if (stage->client)
        return 0;
    int result = error_set(error, STATUS_INTERNAL, "%s", failure ? failure->message : "no memory");
    flocks_error_free(failure);
    return result;
}

int stage_open(struct stage *stage, const char *parent, struct error *error)
{
    static const char *const start[] = {"start", "--no-browser", NULL};
    int result = make_root(stage, parent, error);
    if (result == 0)
        result = stage_run(stage, start, STAGE_COMMAND_MS, error);
    if (result > 0) {
        result = error_set(error, STATUS_INTERNAL, "`flocks start` exited with %d", result);
        error_set_hint(error, "--keep leaves the directory for a look at its logs");
    }
    return result == 0 ? connect_client(stage, error) : result;
}

size_t stage_close(struct stage *stage)
{
    static const char *const stop[] = {"stop", NULL};
    if (!stage->root[0])
        return 0;
    flocks_client_free(stage->client);
    stage->client = NULL;
    int stopped = stage_run(stage, stop, STAGE_COMMAND_MS, NULL);
    size_t n_left = sweep_processes(stage->root);
    /* A command that hung is no better than one that left something. */
    return n_left + (stopped < 0);
}

/* ---- looking ---- */

static void read_service(
    const flocks_get_status_response *response, const char *service, struct seen *out)
{
    for (size_t i = 0; i < response->n_services; i++) {
        const flocks_service_status *status = response->services[i];
        if (strcmp(status->name, service) != 0)
            continue;
        out->state = (int)status->state;
        out->reason = (int)status->reason;
        out->pid = status->pid;
        out->generation = status->generation;
    }
}

bool stage_look(struct stage *stage, const char *service, struct seen *out)
{
    const struct rpc_options options = {.timeout_ms = STAGE_ANSWER_MS};
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *response = NULL;
    *out = (struct seen){.pid = 0};
    if (flocks_client_get_status(stage->client, &options, &request, &response, NULL) != RPC_DONE)
        return false;
    read_service(response, service, out);
    if (response->daemon) {
        out->daemon_pid = response->daemon->pid;
        out->keeper_pid = response->daemon->keeper_pid;
    }
    rpc_message_free(&response->base);
    return true;
}

int64_t stage_wait(struct stage *stage, const char *service, stage_condition condition,
    const struct seen *before, int64_t limit_ms)
{
    int64_t began_at = clock_monotonic_ms();
    do {
        struct seen now;
        if (stage_look(stage, service, &now) && condition(&now, before))
            return clock_monotonic_ms() - began_at;
    } while (clock_monotonic_ms() - began_at < limit_ms && stage_sleep(STAGE_LOOK_MS));
    return -1;
}

bool stage_is_healthy(const struct seen *now, const struct seen *before)
{
    (void)before;
    return now->state == FLOCKS_SERVICE_STATE_HEALTHY;
}

bool stage_is_healthy_again(const struct seen *now, const struct seen *before)
{
    return now->state == FLOCKS_SERVICE_STATE_HEALTHY && now->generation > before->generation;
}

/* ---- doing ---- */

static int take_failure(struct flocks_error *failure, struct error *error)
{
    int result = error_set(error, STATUS_INTERNAL, "%s", failure ? failure->message : "no memory");
    flocks_error_free(failure);
    return result;
}

int stage_start(struct stage *stage, const char *service, bool waits, struct error *error)
{
    const struct rpc_options options = {.timeout_ms = STAGE_COMMAND_MS};
    struct flocks_error *failure = NULL;
    const char *names[] = {service};
    flocks_start_services_request request = FLOCKS_START_SERVICES_REQUEST_INIT;
    const flocks_start_services_response *response = NULL;
    request.services = names;
    request.n_services = 1;
    request.wait = waits;
    if (flocks_client_start_services(stage->client, &options, &request, &response, &failure) !=
        RPC_DONE)
        return take_failure(failure, error);
    rpc_message_free(&response->base);
    return 0;
}

int stage_stop(struct stage *stage, const char *service, struct error *error)
{
    const struct rpc_options options = {.timeout_ms = STAGE_COMMAND_MS};
    struct flocks_error *failure = NULL;
    const char *names[] = {service};
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const flocks_stop_services_response *response = NULL;
    request.services = names;
    request.n_services = 1;
    request.wait = true;
    if (flocks_client_stop_services(stage->client, &options, &request, &response, &failure) !=
        RPC_DONE)
        return take_failure(failure, error);
    rpc_message_free(&response->base);
    return 0;
}

bool stage_is_gone(pid_t pid)
{
    char path[64];
    char text[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    const char *behind = len > 0 ? strrchr(text, ')') : NULL;
    return !behind || behind[1] == '\0' || behind[2] == 'Z' || behind[2] == 'X';
}
