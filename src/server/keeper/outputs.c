#include "server/keeper/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/packet.h"

_Static_assert((int)CAPTURE_SLOTS >= (int)KEEPER_SLOTS, "counters for every slot");

static int make_shared(void)
{
    CLEANUP(fd_close) int fd = memfd_create("flocks-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, KEEPER_SHARED_BYTES) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return -1;
    return fd_take(&fd);
}

int outputs_init(struct outputs *outputs, int shared_fd)
{
    struct stat status;
    outputs->control_fd = -1;
    outputs->shared_fd = shared_fd >= 0 ? shared_fd : make_shared();
    if (outputs->shared_fd < 0 || fstat(outputs->shared_fd, &status) != 0)
        return errno;
    if (status.st_size < (off_t)sizeof(struct keeper_shared))
        return EINVAL;
    void *shared = mmap(NULL, sizeof(struct keeper_shared), PROT_READ | PROT_WRITE, MAP_SHARED,
        outputs->shared_fd, 0);
    if (shared == MAP_FAILED)
        return errno;
    outputs->shared = shared;
    return 0;
}

/* The same pipe through a new open file, so with flags of its own. */
static int open_again(int fd, int flags)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

/* A pipe as one descriptor for both ends. */
static int make_pipe(int flags, int bound)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    int both = open_again(ends[0], O_RDWR | flags);
    int open_error = errno;
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    errno = open_error;
    if (both >= bound) {
        fd_close(&both);
        errno = EMFILE;
    }
    return both;
}

static size_t find_unused(const struct outputs *outputs)
{
    size_t place = 0;
    while (place < CAPTURE_ENTRIES && outputs->table[place].is_used)
        place++;
    return place;
}

static void owe(struct outputs *outputs, bool *what)
{
    if (!*what)
        outputs->n_owed++;
    *what = true;
}

static void settle(struct outputs *outputs, bool *what)
{
    if (*what)
        outputs->n_owed--;
    *what = false;
}

static uint64_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

int outputs_make_private(const struct outputs *outputs)
{
    return make_pipe(O_NONBLOCK, outputs->descriptor_bound);
}

static void occupy(
    struct outputs *outputs, size_t place, uint32_t slot, int pipe_fd, int private_fd)
{
    outputs->table[place] = (struct output){
        .is_used = true, .slot = slot, .pipe_fd = pipe_fd, .private_fd = private_fd};
    outputs->of_slot[slot] = (uint16_t)(place + 1);
    outputs->n_used++;
    outputs->shared->pipes[slot] = (struct keeper_pipes){
        .pipe_inode = inode_of(pipe_fd), .private_inode = inode_of(private_fd)};
}

static int add(struct outputs *outputs, size_t place, uint32_t slot)
{
    CLEANUP(fd_close) int pipe_fd = make_pipe(0, outputs->descriptor_bound);
    CLEANUP(fd_close) int private_fd = outputs_make_private(outputs);
    if (pipe_fd < 0 || private_fd < 0)
        return errno;
    occupy(outputs, place, slot, fd_take(&pipe_fd), fd_take(&private_fd));
    owe(outputs, &outputs->table[place].owes_open);
    return 0;
}

int outputs_adopt(struct outputs *outputs, uint32_t slot, int pipe_fd, int private_fd)
{
    size_t place = find_unused(outputs);
    if (place == CAPTURE_ENTRIES || outputs->of_slot[slot] != 0)
        return ENOSPC;
    occupy(outputs, place, slot, pipe_fd, private_fd);
    outputs->table[place].awaits_path = true;
    return 0;
}

int outputs_restore(struct outputs *outputs, const struct output *output, const char *path)
{
    size_t place = find_unused(outputs);
    if (output->slot >= KEEPER_SLOTS ||
        (!output->is_closing && outputs->of_slot[output->slot] != 0))
        return EINVAL;
    if (place == CAPTURE_ENTRIES || !text_pool_set(&outputs->paths, place, path))
        return ENOSPC;
    outputs->table[place] = *output;
    outputs->table[place].is_used = true;
    if (!output->is_closing)
        outputs->of_slot[output->slot] = (uint16_t)(place + 1);
    outputs->n_used++;
    return 0;
}

static void drop(struct outputs *outputs, size_t place)
{
    struct output *output = &outputs->table[place];
    settle(outputs, &output->owes_open);
    settle(outputs, &output->owes_change);
    fd_close(&output->pipe_fd);
    fd_close(&output->private_fd);
    text_pool_remove(&outputs->paths, place);
    *output = (struct output){0};
    outputs->n_used--;
}

static bool is_registered(
    const struct outputs *outputs, size_t place, const char *path, uint64_t max_size, uint32_t keep)
{
    const struct output *output = &outputs->table[place];
    return output->max_size == max_size && output->keep == keep &&
           strcmp(text_pool_get(&outputs->paths, place), path) == 0;
}

int outputs_register(
    struct outputs *outputs, uint32_t slot, const char *path, uint64_t max_size, uint32_t keep)
{
    bool is_new = outputs->of_slot[slot] == 0;
    size_t place = is_new ? find_unused(outputs) : outputs->of_slot[slot] - 1U;
    /* Every flocksd that takes over registers all: capture has nothing to do then. */
    if (!is_new && is_registered(outputs, place, path, max_size, keep))
        return 0;
    if (place == CAPTURE_ENTRIES || !text_pool_set(&outputs->paths, place, path))
        return ENOSPC;
    int failure = is_new ? add(outputs, place, slot) : 0;
    if (failure != 0) {
        text_pool_remove(&outputs->paths, place);
        return failure;
    }
    struct output *output = &outputs->table[place];
    output->max_size = max_size;
    output->keep = keep;
    if (output->awaits_path)
        owe(outputs, &output->owes_open);
    else if (!output->owes_open)
        owe(outputs, &output->owes_change);
    output->awaits_path = false;
    return 0;
}

int outputs_pipe(const struct outputs *outputs, uint32_t slot)
{
    size_t place = outputs->of_slot[slot];
    return place != 0 ? outputs->table[place - 1].pipe_fd : -1;
}

bool outputs_pipes(const struct outputs *outputs, uint32_t slot, int out[2])
{
    size_t place = outputs->of_slot[slot];
    if (place == 0)
        return false;
    out[0] = outputs->table[place - 1].pipe_fd;
    out[1] = outputs->table[place - 1].private_fd;
    return true;
}

void outputs_forget(struct outputs *outputs, uint32_t slot)
{
    size_t place = outputs->of_slot[slot];
    if (place == 0)
        return;
    struct output *output = &outputs->table[place - 1];
    outputs->of_slot[slot] = 0;
    outputs->shared->pipes[slot] = (struct keeper_pipes){0};
    output->is_closing = true;
    int reading = open_again(output->pipe_fd, O_RDONLY | O_NONBLOCK);
    fd_close(&output->pipe_fd);
    output->pipe_fd = reading;
}

void outputs_forget_all(struct outputs *outputs)
{
    for (uint32_t slot = 0; slot < KEEPER_SLOTS; slot++)
        outputs_forget(outputs, slot);
}

void outputs_attach(struct outputs *outputs, int control_fd)
{
    outputs->control_fd = control_fd;
    for (size_t place = 0; place < CAPTURE_ENTRIES; place++) {
        struct output *output = &outputs->table[place];
        if (!output->is_used || output->awaits_path)
            continue;
        settle(outputs, &output->owes_change);
        owe(outputs, &output->owes_open);
    }
}

void outputs_detach(struct outputs *outputs)
{
    fd_close(&outputs->control_fd);
}

static int send_order(struct outputs *outputs, size_t place)
{
    static struct capture_order order;
    const struct output *output = &outputs->table[place];
    order.kind = output->owes_open ? CAPTURE_OPEN : CAPTURE_CHANGE;
    order.entry = (uint32_t)place;
    order.slot = output->slot;
    order.keep = output->keep;
    order.max_size = output->max_size;
    size_t path_size = strlen(text_pool_get(&outputs->paths, place)) + 1;
    memcpy(order.path, text_pool_get(&outputs->paths, place), path_size);
    size_t len = offsetof(struct capture_order, path) + path_size;
    if (!output->owes_open)
        return packet_send(outputs->control_fd, &order, len, NULL, 0);
    CLEANUP(fd_close) int reading = open_again(output->pipe_fd, O_RDONLY | O_NONBLOCK);
    if (reading < 0)
        return PACKET_FAILED;
    return packet_send(outputs->control_fd, &order, len, (int[]){reading, output->private_fd}, 2);
}

bool outputs_flush(struct outputs *outputs)
{
    for (size_t place = 0;
         outputs->control_fd >= 0 && outputs->n_owed > 0 && place < CAPTURE_ENTRIES; place++) {
        struct output *output = &outputs->table[place];
        if (!output->owes_open && !output->owes_change)
            continue;
        int result = send_order(outputs, place);
        if (result == PACKET_WOULD_BLOCK)
            return true;
        /* Capture is gone: the next one is owed it. */
        if (result == PACKET_CLOSED)
            return false;
        if (result == PACKET_FAILED)
            log_error(
                "output cannot be handed to capture", "slot=%u errno=%d", output->slot, errno);
        settle(outputs, &output->owes_open);
        settle(outputs, &output->owes_change);
    }
    return false;
}

void outputs_end_orders(struct outputs *outputs)
{
    if (outputs->control_fd >= 0)
        (void)shutdown(outputs->control_fd, SHUT_WR);
}

void outputs_receive(struct outputs *outputs)
{
    struct capture_report report;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds;
    size_t len;
    while (outputs->control_fd >= 0) {
        int result = packet_receive(outputs->control_fd, &report, sizeof report, &len, fds, &n_fds);
        if (result != 0)
            return;
        bool known = len == sizeof report && report.entry < CAPTURE_ENTRIES;
        if (known && outputs->table[report.entry].is_closing)
            drop(outputs, report.entry);
    }
}
