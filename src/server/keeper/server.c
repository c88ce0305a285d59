/* Running flocksd: at once when it dies, with a growing pause when it dies before it was ready. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/helper.h"
#include "server/keeper/instance.h"
#include "server/keeper/state.h"

static void rerun_later(struct server *server)
{
    int delay = server->rerun_delay_ms * 2;
    if (delay < KEEPER_RERUN_MS)
        delay = KEEPER_RERUN_MS;
    if (delay > KEEPER_RERUN_MAX_MS)
        delay = KEEPER_RERUN_MAX_MS;
    server->rerun_delay_ms = delay;
    server->rerun_at = clock_monotonic_ms() + delay;
}

/* What was deleted (by a cleaner of old files, by hand) is there again for the flocksd that starts
 * now: one that notices exits. */
static void restore_names(struct keeper *keeper)
{
    struct error error = ERROR_INIT;
    int result = instance_restore(&keeper->paths, &keeper->files, &error);
    keeper->outputs.shared->memory.listener_name = keeper->files.listener_name;
    keeper->outputs.shared->memory.notify_name = keeper->files.notify_name;
    if (result == 0)
        result =
            inventory_restore(keeper->paths.run, &keeper->inventory, &keeper->inventory_fd, &error);
    keeper->is_unreachable = result != 0;
    if (result != 0)
        log_error("the instance's files cannot be made again", "error=%s", error.text);
}

/* The link becomes 3; 4 is what makes it our heir from its first instruction on (link.h). */
static pid_t run(struct keeper *keeper, int link_fd)
{
    CLEANUP(fd_close) int advance_fd = -1;
    struct helper_plan plan = {
        .image = &keeper->server.image,
        .arguments = keeper->server.arguments,
        .output_fd = keeper->log_fd,
        .descriptors = {link_fd, -1},
        .n_descriptors = 1,
    };
    if (link_advance(keeper, &advance_fd) == 0)
        plan.descriptors[plan.n_descriptors++] = advance_fd;
    else
        log_warn("flocksd is no heir before its Hello", "errno=%d", errno);
    return helper_start(&plan);
}

void server_start(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    int ends[2] = {-1, -1};
    server->rerun_at = 0;
    server->is_ready = false;
    server->has_failed = false;
    restore_names(keeper);
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0)
        pid = run(keeper, ends[1]);
    fd_close(&ends[1]);
    if (pid < 0) {
        log_error("flocksd cannot be run", "errno=%d", errno);
        fd_close(&ends[0]);
        rerun_later(server);
        return;
    }
    server->pid = pid;
    server->starts++;
    atomic_store(&keeper->outputs.shared->memory.server_starts, server->starts);
    inventory_set_owner(keeper->inventory, INVENTORY_SERVER, pid);
    link_open(keeper, ends[0]);
    log_info("flocksd runs", "pid=%d start=%u", (int)pid, server->starts);
}

static void say_how(int wait_status, char *out, size_t size)
{
    if (WIFSIGNALED(wait_status))
        (void)snprintf(out, size, "killed by signal %d", WTERMSIG(wait_status));
    else
        (void)snprintf(out, size, "exit code %d", WEXITSTATUS(wait_status));
}

/* The first one never served: whoever started us is told, and we end. */
static void give_up(struct keeper *keeper, const char *how)
{
    char text[128];
    (void)snprintf(
        text, sizeof text, "flocksd ended before it was ready (%s); see logs/daemon.log", how);
    instance_tell(&keeper->ready_fd, "error", text);
    keeper->exit_code = 1;
    keeper_enter(keeper, KEEPER_DRAINING);
}

/* Nobody is left who could end the services in order. */
static void end_without(struct keeper *keeper)
{
    log_error(
        "no flocksd can be run, the children are asked to end", "starts=%u", keeper->server.starts);
    keeper->exit_code = 1;
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        const struct child *child = &keeper->children.table[place];
        if (keeper->children.pids[place] <= 0)
            continue;
        if (child->adopted_fd > 0)
            (void)!adopted_signal(child, SIGTERM, true);
        else
            (void)kill(-child->pid, SIGTERM);
    }
    keeper_enter(keeper, KEEPER_LEAVING);
}

/* One that exits has its reasons; one that was killed from outside has none, and deserves another
 * try. */
static bool is_hopeless(const struct server *server, int wait_status)
{
    return !server->was_ready &&
           (!WIFSIGNALED(wait_status) || server->starts >= KEEPER_FIRST_STARTS_MAX);
}

/* It was not ready. */
static void start_after_failure(struct keeper *keeper, int wait_status, const char *how)
{
    struct server *server = &keeper->server;
    if (is_hopeless(server, wait_status))
        give_up(keeper, how);
    else if (keeper->phase == KEEPER_ENDING && ++server->n_deaths >= KEEPER_ENDING_DEATHS)
        end_without(keeper);
    else
        rerun_later(server);
}

void server_exited(struct keeper *keeper, int wait_status)
{
    struct server *server = &keeper->server;
    char how[48];
    say_how(wait_status, how, sizeof how);
    /* What it said before it died counts. */
    link_turn(keeper, EPOLLIN);
    link_close(keeper);
    server->pid = 0;
    keeper->answer_by = 0;
    if (keeper->phase == KEEPER_DRAINING)
        return;
    log_info("flocksd ended", "exit_code=%d signal=%d was_ready=%d",
        WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1,
        WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0, server->is_ready);
    bool was_ready = server->is_ready;
    bool is_turned_back = replacement_server_ended(keeper, how);
    if (keeper->phase == KEEPER_LEAVING)
        keeper_enter(keeper, KEEPER_DRAINING);
    else if (was_ready || is_turned_back)
        server_start(keeper);
    else
        start_after_failure(keeper, wait_status, how);
}
