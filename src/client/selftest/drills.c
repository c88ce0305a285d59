/* Limits are generous, for a busy machine: a drill tells whether a promise holds, its time how
 * well. */
#include "client/selftest/drills.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "flocks/calls.h"

#include "common/base/attributes.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    WITHIN_MS = 10 * 1000,
    /* A foreign process must not be taken for the service meanwhile. */
    NEVER_MS = 500,
    FLOOD_CLIENTS = 200,
    FLOOD_LOOKS = 20,
    /* A status under flood. */
    FLOOD_ANSWER_MS = 1000,
    STRAYS = 2
};

static void held(struct drill_result *out, int64_t took_ms)
{
    out->verdict = VERDICT_HELD;
    out->took_ms = took_ms;
}

/* Answers false. What goes wrong while somebody wants the end says nothing about the promise. */
static bool broke(struct drill_result *out, const char *message)
{
    out->verdict = stage_is_interrupted() ? VERDICT_NOT_TRIED : VERDICT_BROKEN;
    (void)snprintf(
        out->message, sizeof(out->message), "%s", stage_is_interrupted() ? "interrupted" : message);
    return false;
}

/* The web service, HEALTHY; every drill about it begins so. */
static bool find_web(struct stage *stage, struct seen *out, struct drill_result *result)
{
    if (stage_wait(stage, STAGE_WEB, stage_is_healthy, NULL, WITHIN_MS) >= 0 &&
        stage_look(stage, STAGE_WEB, out))
        return true;
    return broke(result, "its service was not healthy before");
}

/* Tells a service that was just harmed, and waits for its next generation. */
static void expect_next(struct stage *stage, const struct seen *before, struct drill_result *out)
{
    int64_t took_ms = stage_wait(stage, STAGE_WEB, stage_is_healthy_again, before, WITHIN_MS);
    if (took_ms < 0)
        broke(out, "it was not healthy again within 10 s");
    else
        held(out, took_ms);
}

/* ---- one service ---- */

static void drill_kill(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    if (!find_web(stage, &before, out))
        return;
    (void)kill(before.pid, SIGKILL);
    expect_next(stage, &before, out);
}

static void drill_hang(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    if (!find_web(stage, &before, out))
        return;
    (void)kill(before.pid, SIGSTOP);
    expect_next(stage, &before, out);
}

static bool is_noticed(const struct seen *now, const struct seen *before)
{
    return now->state != FLOCKS_SERVICE_STATE_HEALTHY || now->generation != before->generation;
}

static void drill_listener(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    if (!find_web(stage, &before, out))
        return;
    (void)kill(before.pid, SIGUSR1);
    int64_t took_ms = stage_wait(stage, STAGE_WEB, is_noticed, &before, WITHIN_MS);
    if (took_ms < 0) {
        broke(out, "a service that does not listen any more is called healthy");
        return;
    }
    expect_next(stage, &before, out);
    if (out->verdict == VERDICT_HELD)
        (void)snprintf(out->message, sizeof(out->message), "known after %d ms", (int)took_ms);
}

/* ---- a foreign process on the port ---- */

static int hold_port(int port)
{
    int on = 1;
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        return -1;
    return fd_take(&fd);
}

static bool is_port_held(const struct seen *now, const struct seen *before)
{
    (void)before;
    return now->state == FLOCKS_SERVICE_STATE_WAITING &&
           now->reason == FLOCKS_STATE_REASON_PORT_HELD;
}

/* Whether the explanation names this very process. */
static bool is_named(struct stage *stage)
{
    const struct rpc_options options = {.timeout_ms = STAGE_ANSWER_MS};
    flocks_explain_service_request request = FLOCKS_EXPLAIN_SERVICE_REQUEST_INIT;
    const flocks_explain_service_response *response = NULL;
    request.service = STAGE_WEB;
    if (flocks_client_explain_service(stage->client, &options, &request, &response, NULL) !=
        RPC_DONE)
        return false;
    bool is_us = response->holder && response->holder->pid == (int)getpid();
    rpc_message_free(&response->base);
    return is_us;
}

static bool expect_held(struct stage *stage, struct drill_result *out)
{
    if (stage_wait(stage, STAGE_WEB, is_port_held, NULL, WITHIN_MS) < 0)
        return broke(out, "it did not wait for the port");
    if (stage_wait(stage, STAGE_WEB, stage_is_healthy, NULL, NEVER_MS) >= 0)
        return broke(out, "a foreign process was called the service");
    /* It is looked for beside other work. */
    int64_t until = clock_monotonic_ms() + WITHIN_MS;
    while (!is_named(stage))
        if (clock_monotonic_ms() > until || !stage_sleep(STAGE_LOOK_MS))
            return broke(out, "the holder of the port is not named");
    return true;
}

static void drill_port(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    struct error error = ERROR_INIT;
    if (!find_web(stage, &before, out))
        return;
    if (stage_stop(stage, STAGE_WEB, &error) < 0) {
        broke(out, error.text);
        return;
    }
    CLEANUP(fd_close) int holder = hold_port(stage->port);
    if (holder < 0 || stage_start(stage, STAGE_WEB, false, &error) < 0) {
        broke(out, holder < 0 ? "the port was not free after the stop" : error.text);
        return;
    }
    bool was_held = expect_held(stage, out);
    fd_close(&holder);
    int64_t took_ms = stage_wait(stage, STAGE_WEB, stage_is_healthy, NULL, WITHIN_MS);
    if (was_held && took_ms < 0)
        broke(out, "it did not start when the port was free");
    else if (was_held)
        held(out, took_ms);
}

/* ---- stops ---- */

static void drill_deaf(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    struct error error = ERROR_INIT;
    if (stage_start(stage, STAGE_DEAF, true, &error) < 0 ||
        !stage_look(stage, STAGE_DEAF, &before) || before.pid <= 0) {
        broke(out, error.text[0] ? error.text : "it did not start");
        return;
    }
    int64_t began_at = clock_monotonic_ms();
    if (stage_stop(stage, STAGE_DEAF, &error) < 0)
        broke(out, error.text);
    else if (!stage_is_gone(before.pid))
        broke(out, "it still runs");
    else
        held(out, clock_monotonic_ms() - began_at);
}

/* How many of the strays have told their pids. */
static size_t read_strays(const struct stage *stage, pid_t out[STRAYS])
{
    char path[STAGE_ROOT_MAX + 16];
    char line[32];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/strays", stage->root);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (n < STRAYS && fgets(line, sizeof(line), file) && strchr(line, '\n'))
        out[n++] = (pid_t)strtol(line, NULL, 10);
    (void)fclose(file);
    return n;
}

static void drill_strays(struct stage *stage, struct drill_result *out)
{
    struct error error = ERROR_INIT;
    pid_t strays[STRAYS];
    int64_t until = clock_monotonic_ms() + WITHIN_MS;
    if (stage_start(stage, STAGE_FAMILY, true, &error) < 0) {
        broke(out, error.text);
        return;
    }
    while (read_strays(stage, strays) < STRAYS)
        if (clock_monotonic_ms() > until || !stage_sleep(STAGE_LOOK_MS)) {
            broke(out, "its strays were not seen");
            return;
        }
    int64_t began_at = clock_monotonic_ms();
    if (stage_stop(stage, STAGE_FAMILY, &error) < 0) {
        broke(out, error.text);
        return;
    }
    held(out, clock_monotonic_ms() - began_at);
    for (size_t i = 0; i < STRAYS; i++)
        if (!stage_is_gone(strays[i]))
            broke(out, "a stray still runs");
}

/* ---- flocks itself ---- */

static bool has_another_daemon(const struct seen *now, const struct seen *before)
{
    return now->daemon_pid > 0 && now->daemon_pid != before->daemon_pid;
}

static bool has_another_keeper(const struct seen *now, const struct seen *before)
{
    return now->keeper_pid > 0 && now->keeper_pid != before->keeper_pid;
}

/* The service has run through it, and is still looked after. */
static void expect_untouched(
    struct stage *stage, const struct seen *before, int64_t took_ms, struct drill_result *out)
{
    struct seen now;
    if (took_ms < 0) {
        broke(out, "nobody took over within 10 s");
        return;
    }
    if (stage_is_gone(before->pid) || !stage_look(stage, STAGE_WEB, &now) ||
        now.pid != before->pid || now.generation != before->generation) {
        broke(out, "its services did not run on");
        return;
    }
    (void)kill(now.pid, SIGKILL);
    if (stage_wait(stage, STAGE_WEB, stage_is_healthy_again, &now, WITHIN_MS) < 0)
        broke(out, "a service that died afterwards was not restarted");
    else
        held(out, took_ms);
}

static void drill_daemon(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    if (!find_web(stage, &before, out))
        return;
    (void)kill(before.daemon_pid, SIGKILL);
    expect_untouched(
        stage, &before, stage_wait(stage, STAGE_WEB, has_another_daemon, &before, WITHIN_MS), out);
}

static void drill_keeper(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    if (!find_web(stage, &before, out))
        return;
    (void)kill(before.keeper_pid, SIGKILL);
    expect_untouched(
        stage, &before, stage_wait(stage, STAGE_WEB, has_another_keeper, &before, WITHIN_MS), out);
}

/* ---- clients ---- */

/* Half of them say nothing, half say nonsense. Answers how many there are. */
static size_t open_flood(const struct stage *stage, int fds[FLOOD_CLIENTS])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = 0;
    (void)snprintf(
        address.sun_path, sizeof(address.sun_path), "%s", flocks_client_socket(stage->client));
    while (n < FLOOD_CLIENTS) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
            fd_close(&fd);
            break;
        }
        /* A frame's beginning that never goes on. */
        if (n % 2 == 1)
            (void)send(fd, "\0\0\0", 3, MSG_NOSIGNAL);
        fds[n++] = fd;
    }
    return n;
}

static void drill_flood(struct stage *stage, struct drill_result *out)
{
    struct seen before;
    struct seen now;
    int fds[FLOOD_CLIENTS];
    int64_t slowest_ms = 0;
    if (!find_web(stage, &before, out))
        return;
    size_t n = open_flood(stage, fds);
    (void)kill(before.pid, SIGKILL);
    expect_next(stage, &before, out);
    for (int i = 0; i < FLOOD_LOOKS && out->verdict == VERDICT_HELD; i++) {
        int64_t began_at = clock_monotonic_ms();
        if (!stage_look(stage, STAGE_WEB, &now))
            broke(out, "status was not answered");
        int64_t took_ms = clock_monotonic_ms() - began_at;
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
    }
    for (size_t i = 0; i < n; i++)
        fd_close(&fds[i]);
    if (out->verdict == VERDICT_HELD && slowest_ms > FLOOD_ANSWER_MS)
        broke(out, "status took longer than 1 s");
    else if (out->verdict == VERDICT_HELD)
        (void)snprintf(out->message, sizeof(out->message), "%zu clients; slowest status %d ms", n,
            (int)slowest_ms);
}

const struct drill drills[] = {
    {"service killed", "a service that dies is started again", drill_kill},
    {"service hangs", "one that does not answer is replaced", drill_hang},
    {"listener closed", "one that stops listening is noticed, and replaced", drill_listener},
    {"port held", "a foreign process is named, waited for, never called healthy", drill_port},
    {"TERM ignored", "stopped means gone", drill_deaf},
    {"strays", "stopped means empty, whatever left the group", drill_strays},
    {"flocksd killed", "the services run on", drill_daemon},
    {"keeper killed", "the services run on", drill_keeper},
    {"flood of clients", "no client delays a restart, or a status", drill_flood},
};
const size_t n_drills = ARRAY_LENGTH(drills);
