/* The loop, and the way to the end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/instance.h"
#include "server/keeper/state.h"

enum { EVENTS_PER_WAIT = 64 };

void keeper_watch(struct keeper *keeper, int operation, int fd, uint32_t events,
    enum event_kind kind, size_t place)
{
    struct epoll_event event = {
        .events = events, .data.u64 = (uint64_t)kind << 32 | (uint64_t)place};
    if (epoll_ctl(keeper->epoll_fd, operation, fd, &event) != 0)
        log_error("descriptor cannot be watched", "kind=%d errno=%d", (int)kind, errno);
}

/* ---- the end ---- */

static void kill_children(const struct keeper *keeper)
{
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        int32_t pid = keeper->children.pids[place];
        if (pid <= 0)
            continue;
        const struct child *child = &keeper->children.table[place];
        log_warn("killed at shutdown", "pid=%d slot=%u", pid, child->slot);
        if (child->adopted_fd > 0) {
            (void)!adopted_signal(child, SIGKILL, true);
            (void)!adopted_signal(child, SIGKILL, false);
            continue;
        }
        (void)kill(-pid, SIGKILL);
        (void)kill(pid, SIGKILL);
    }
}

/* Our own log is an output too: while we hold its writing end it does not come to its end. */
static void close_log(struct keeper *keeper)
{
    CLEANUP(fd_close) int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0)
        return;
    fd_close(&keeper->log_fd);
    keeper->log_fd = STDERR_FILENO;
    log_open(keeper->log_fd, "flocks-keeper", LOG_LEVEL_INFO);
}

static void begin_draining(struct keeper *keeper)
{
    kill_children(keeper);
    if (keeper->server.pid > 0)
        (void)kill(keeper->server.pid, SIGKILL);
    keeper->server.rerun_at = 0;
    log_info("keeper ends", "exit_code=%d", keeper->exit_code);
    close_log(keeper);
    outputs_forget_all(&keeper->outputs);
    captor_flush(keeper);
}

void keeper_enter(struct keeper *keeper, enum keeper_phase phase)
{
    static const int64_t bounds_ms[] = {
        [KEEPER_SERVING] = 0,
        [KEEPER_ENDING] = KEEPER_SHUTDOWN_MS,
        [KEEPER_LEAVING] = KEEPER_LEAVE_MS,
        [KEEPER_DRAINING] = KEEPER_DRAIN_MS,
    };
    keeper->phase = phase;
    keeper->phase_ends_at = clock_monotonic_ms() + bounds_ms[phase];
    if (phase == KEEPER_DRAINING)
        begin_draining(keeper);
}

static void ask_to_end(struct keeper *keeper, int signal_number)
{
    /* Without a terminal there is none to hang up: a habit of asking for a reload. */
    bool is_mistaken = signal_number == SIGHUP && !keeper->is_foreground;
    if (keeper->phase != KEEPER_SERVING || is_mistaken)
        return;
    log_info("asked to end", "signal=%d", signal_number);
    keeper->shutdown_signal = signal_number;
    keeper->answer_by = clock_monotonic_ms() + KEEPER_ANSWER_MS;
    keeper_enter(keeper, KEEPER_ENDING);
    replacement_shut(keeper);
    /* One that keeps dying is tried at once. */
    keeper->server.rerun_delay_ms = 0;
    if (keeper->server.rerun_at != 0)
        keeper->server.rerun_at = clock_monotonic_ms();
    link_tell_events(keeper);
}

static bool has_ended(const struct keeper *keeper)
{
    if (keeper->phase != KEEPER_DRAINING)
        return false;
    bool is_empty = keeper->server.pid == 0 && keeper->captor.pid == 0 &&
                    keeper->captor.rerun_at == 0 && keeper->children.n_processes == 0;
    return is_empty || clock_monotonic_ms() >= keeper->phase_ends_at;
}

/* ---- the loop ---- */

static bool take_signals(struct keeper *keeper)
{
    struct signalfd_siginfo info;
    bool has_children = false;
    while (read(keeper->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            has_children = true;
        else
            ask_to_end(keeper, (int)info.ssi_signo);
    }
    return has_children && reap_all(keeper);
}

/* True: there is more to reap at once. */
static bool dispatch(struct keeper *keeper, const struct epoll_event *event)
{
    size_t place = (size_t)(event->data.u64 & UINT32_MAX);
    switch ((enum event_kind)(event->data.u64 >> 32)) {
    case EVENT_SIGNAL:
        return take_signals(keeper);
    case EVENT_LINK:
        link_turn(keeper, event->events);
        return false;
    case EVENT_CAPTURE:
        outputs_receive(&keeper->outputs);
        captor_flush(keeper);
        return false;
    case EVENT_SPAWN_REPORT:
        spawning_report(keeper, place);
        return false;
    case EVENT_ADOPTED:
        adopted_turn(keeper, place);
        return false;
    case EVENT_CHECK:
        replacement_heard(keeper, place);
        return false;
    }
    return false;
}

static int64_t earliest(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a == 0 ? b : a;
    return a < b ? a : b;
}

static int wait_ms(const struct keeper *keeper, bool has_more)
{
    if (has_more)
        return 0;
    int64_t at = earliest(keeper->server.rerun_at, keeper->captor.rerun_at);
    at = earliest(at, keeper->answer_by);
    at = earliest(at, keeper->dying_at);
    at = earliest(at, keeper->replacement.ends_at);
    if (keeper->phase != KEEPER_SERVING)
        at = earliest(at, keeper->phase_ends_at);
    if (at == 0)
        return -1;
    int64_t left = at - clock_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

/* Who hangs cannot end anything in order; who takes over can. */
static void replace_silent_server(struct keeper *keeper)
{
    keeper->answer_by = 0;
    if (keeper->server.pid <= 0)
        return;
    log_error("flocksd does not answer, killed", "pid=%d", (int)keeper->server.pid);
    (void)kill(keeper->server.pid, SIGKILL);
}

static void run_timers(struct keeper *keeper)
{
    int64_t now = clock_monotonic_ms();
    if (keeper->answer_by != 0 && now >= keeper->answer_by)
        replace_silent_server(keeper);
    if (keeper->dying_at != 0 && now >= keeper->dying_at)
        adopted_give_up(keeper, now);
    if (keeper->replacement.ends_at != 0 && now >= keeper->replacement.ends_at)
        replacement_expired(keeper);
    if (keeper->server.rerun_at != 0 && now >= keeper->server.rerun_at)
        server_start(keeper);
    if (keeper->captor.rerun_at != 0 && now >= keeper->captor.rerun_at)
        captor_start(keeper);
    if (keeper->phase == KEEPER_LEAVING && keeper->server.pid == 0 &&
        keeper->children.n_processes == 0)
        keeper_enter(keeper, KEEPER_DRAINING);
    bool is_late = keeper->phase_ends_at != 0 && now >= keeper->phase_ends_at;
    if (!is_late || keeper->phase == KEEPER_SERVING || keeper->phase == KEEPER_DRAINING)
        return;
    log_error("flocksd did not end in time", "phase=%d", (int)keeper->phase);
    keeper->exit_code = 1;
    keeper_enter(keeper, KEEPER_DRAINING);
}

static void clean_up(struct keeper *keeper)
{
    paths_unlink_sockets(&keeper->paths);
    /* Whoever could not be killed is for the next start. */
    if (keeper->children.n_processes == 0)
        inventory_remove(keeper->paths.run);
}

int keeper_run(struct keeper *keeper)
{
    /* After another image: what ended meanwhile. */
    bool has_more = keeper->server.pid > 0;
    if (keeper->captor.pid > 0)
        /* Its image is the earlier one, too. A kill costs no byte, because we hold the pipes. */
        (void)kill(keeper->captor.pid, SIGKILL);
    else
        captor_start(keeper);
    if (keeper->server.pid == 0)
        server_start(keeper);
    while (!has_ended(keeper)) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int n_events =
            epoll_wait(keeper->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(keeper, has_more));
        if (has_more)
            has_more = reap_all(keeper);
        for (int i = 0; i < n_events; i++)
            has_more = dispatch(keeper, &events[i]) || has_more;
        run_timers(keeper);
        replacement_turn(keeper);
    }
    clean_up(keeper);
    return keeper->exit_code;
}
