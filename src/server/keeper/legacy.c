#include "server/keeper/legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/state.h"

/* ---- descriptors ---- */

/* NULL: `error` says why. */
static const struct keeper_legacy *map_legacy(int fd, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size != (off_t)sizeof(struct keeper_legacy)) {
        (void)error_set(error, STATUS_INVALID_ARGUMENT, "nothing that can be taken over");
        return NULL;
    }
    const void *memory = mmap(NULL, sizeof(struct keeper_legacy), PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) {
        (void)error_set_errno(error, errno, "read what is to be taken over");
        return NULL;
    }
    const struct keeper_legacy *legacy = memory;
    if (legacy->magic != KEEPER_LEGACY_MAGIC || legacy->n_outputs > KEEPER_SLOTS) {
        (void)error_set(error, STATUS_INVALID_ARGUMENT, "nothing that can be taken over");
        return NULL;
    }
    return legacy;
}

/* What cannot be taken is lost, and so is what its service says until it is started again; all
 * else goes on. */
static void take_outputs(struct keeper *keeper, const struct keeper_legacy *legacy)
{
    for (uint32_t i = 0; i < legacy->n_outputs; i++) {
        const struct keeper_legacy_output *output = &legacy->outputs[i];
        int fds[] = {output->pipe_fd, output->private_fd};
        bool is_open = fcntl(fds[0], F_SETFD, FD_CLOEXEC) == 0 &&
                       fcntl(fds[1], F_SETFD, FD_CLOEXEC) == 0 && output->slot < KEEPER_SLOTS;
        if (is_open && outputs_adopt(&keeper->outputs, output->slot, fds[0], fds[1]) == 0)
            continue;
        log_error("output cannot be taken over", "slot=%u", output->slot);
    }
}

static int take_parts(struct keeper *keeper, const struct keeper_legacy *legacy, int *out_shared_fd,
    struct error *error)
{
    const int parts[] = {
#define PART_FD(name) legacy->name##_fd,
        KEEPER_LEGACY_PARTS(PART_FD)
#undef PART_FD
    };
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (fcntl(parts[i], F_SETFD, FD_CLOEXEC) != 0)
            return error_set_errno(error, errno, "take over descriptor %d", parts[i]);
    keeper->state_fd = legacy->state_fd;
    keeper->files.listener_fd = legacy->listener_fd;
    keeper->files.notify_fd = legacy->notify_fd;
    keeper->files.lock_fd = legacy->lock_fd;
    keeper->inventory_fd = legacy->inventory_fd;
    *out_shared_fd = legacy->shared_fd;
    return inventory_open(keeper->inventory_fd, &keeper->inventory, error);
}

/* ---- capture of the dead keeper ---- */

/* A pidfd of exactly it; -1: it has ended. */
static int open_captor(const struct keeper_memory *memory)
{
    pid_t pid = atomic_load(&memory->captor_pid);
    uint64_t ticks = 0;
    CLEANUP(fd_close) int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0 || !inventory_start_ticks(pid, &ticks) ||
        ticks != atomic_load(&memory->captor_start_ticks))
        return -1;
    return fd_take(&pidfd);
}

/* It would fight with ours for what is in the pipes. A kill at any instant costs no byte, because
 * we hold them. */
static void end_captor(int pidfd)
{
    if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0)
        return;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (poll(&ended, 1, KEEPER_CAPTOR_END_MS) <= 0)
        log_warn("earlier capture still writes", "pidfd=%d", pidfd);
}

void legacy_end_captor(struct keeper *keeper)
{
    const struct keeper_memory *memory = &keeper->outputs.shared->memory;
    CLEANUP(fd_close) int pidfd = open_captor(memory);
    rescue_outputs(keeper, pidfd >= 0 ? atomic_load(&memory->captor_pid) : 0);
    end_captor(pidfd);
}

int legacy_take(struct keeper *keeper, int fd, struct error *error)
{
    CLEANUP(fd_close) int legacy_fd = fd;
    const struct keeper_legacy *legacy = map_legacy(legacy_fd, error);
    int shared_fd = -1;
    if (legacy == NULL)
        return -(int)error->code;
    int result = take_parts(keeper, legacy, &shared_fd, error);
    if (result != 0)
        return result;
    int failure = outputs_init(&keeper->outputs, shared_fd);
    if (failure != 0)
        return error_set_errno(error, failure, "take over the shared memory");
    struct keeper_memory *memory = &keeper->outputs.shared->memory;
    atomic_fetch_add(&memory->earlier_keepers, 1);
    keeper->server.starts = atomic_load(&memory->server_starts);
    keeper->server.was_ready = atomic_load(&keeper->outputs.shared->is_untried) == 0;
    keeper->descriptor_limit.rlim_cur = (rlim_t)atomic_load(&memory->descriptors_soft);
    keeper->descriptor_limit.rlim_max = (rlim_t)atomic_load(&memory->descriptors_hard);
    keeper->files.listener_name = memory->listener_name;
    keeper->files.notify_name = memory->notify_name;
    take_outputs(keeper, legacy);
    union {
        const struct keeper_legacy *read_only;
        void *writable;
    } mapping = {.read_only = legacy};
    (void)munmap(mapping.writable, sizeof *legacy);
    return 0;
}
