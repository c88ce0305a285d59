#include "slots.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000 * 1000 * 1000 };

static_assert(sizeof(struct slot) == SLOT_SIZE, "one slot is one cache line");

int64_t slots_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

struct slot *slots_open(const char *path)
{
    const size_t size = (size_t)SLOTS_MAX * SLOT_SIZE;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        perror(path);
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (memory == MAP_FAILED) {
        perror(path);
        return NULL;
    }
    return memory;
}

static uint32_t load_starts(const struct slot *slot)
{
    return __atomic_load_n(&slot->starts, __ATOMIC_ACQUIRE);
}

void slot_announce(struct slot *slot, int64_t started_ns)
{
    slot->pid = (int32_t)getpid();
    slot->started_ns = started_ns;
    (void)__atomic_add_fetch(&slot->starts, 1, __ATOMIC_RELEASE);
    (void)syscall(SYS_futex, &slot->starts, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

int slot_wait(const struct slot *slot, uint32_t seen, int64_t until_ns)
{
    while (load_starts(slot) == seen) {
        int64_t left = until_ns - slots_now_ns();
        if (left <= 0)
            return 0;
        struct timespec wait = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        (void)syscall(SYS_futex, &slot->starts, FUTEX_WAIT, seen, &wait, NULL, 0);
    }
    return 1;
}
