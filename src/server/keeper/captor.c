/* Running capture: our own image, a second time. Bytes wait in the pipes while there is none. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/helper.h"
#include "server/keeper/state.h"

/* The running image, also when the file has been replaced. */
static const struct image own_image = {.fd = -1, .path = "/proc/self/exe"};

static pid_t run(const struct keeper *keeper, int control_fd)
{
    static char program[] = "flocks-keeper";
    static char role[] = "--capture";
    static char *const arguments[] = {program, role, NULL};
    struct helper_plan plan = {
        .image = &own_image,
        .arguments = arguments,
        .output_fd = keeper->log_fd,
        .descriptors = {control_fd, keeper->outputs.shared_fd},
        .n_descriptors = 2,
    };
    return helper_start(&plan);
}

void captor_start(struct keeper *keeper)
{
    struct captor *captor = &keeper->captor;
    int ends[2] = {-1, -1};
    captor->rerun_at = 0;
    captor->started_at = clock_monotonic_ms();
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0)
        pid = run(keeper, ends[1]);
    fd_close(&ends[1]);
    if (pid < 0) {
        log_error("capture cannot be run", "errno=%d", errno);
        fd_close(&ends[0]);
        captor->rerun_at = captor->started_at + KEEPER_RERUN_MS;
        return;
    }
    captor->pid = pid;
    struct keeper_memory *memory = &keeper->outputs.shared->memory;
    uint64_t start_ticks = 0;
    atomic_store(&memory->captor_pid, 0);
    if (inventory_start_ticks(pid, &start_ticks)) {
        atomic_store(&memory->captor_start_ticks, start_ticks);
        atomic_store(&memory->captor_pid, pid);
    }
    outputs_attach(&keeper->outputs, ends[0]);
    keeper_watch(keeper, EPOLL_CTL_ADD, ends[0], EPOLLIN, EVENT_CAPTURE, 0);
    captor_flush(keeper);
}

void captor_flush(struct keeper *keeper)
{
    struct outputs *outputs = &keeper->outputs;
    if (outputs->control_fd < 0)
        return;
    bool is_blocked = outputs_flush(outputs);
    keeper_watch(keeper, EPOLL_CTL_MOD, outputs->control_fd,
        is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EVENT_CAPTURE, 0);
    if (!is_blocked && keeper->phase == KEEPER_DRAINING)
        outputs_end_orders(outputs);
}

void captor_exited(struct keeper *keeper, int wait_status)
{
    struct captor *captor = &keeper->captor;
    captor->pid = 0;
    outputs_receive(&keeper->outputs);
    outputs_detach(&keeper->outputs);
    if (keeper->phase == KEEPER_DRAINING && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return;
    log_warn("capture ended", "wait_status=0x%x", (unsigned)wait_status);
    /* One that cannot even start must not keep us busy. */
    int64_t now = clock_monotonic_ms();
    if (WIFEXITED(wait_status) && now - captor->started_at < KEEPER_RERUN_MS)
        captor->rerun_at = now + KEEPER_RERUN_MS;
    else
        captor_start(keeper);
}
