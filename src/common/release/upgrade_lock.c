#include "common/release/upgrade_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/utf8.h"

enum {
    LOCK_MODE = 0600,
    /* The file is removed by others, which nobody ought to do, at most so often in a row. */
    LOCK_TRIES = 8,
    LOCK_TEXT_SIZE = UPGRADE_LOCK_WHO_MAX + 32
};

/* Whether the name still leads to what is locked. */
static bool is_there(const char *path, int fd)
{
    struct stat named;
    struct stat held;
    return stat(path, &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
           named.st_ino == held.st_ino;
}

static void make_plain(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    }
    while (*text != '\0' && !utf8_is_valid((const uint8_t *)text, strlen(text)))
        text[strlen(text) - 1] = '\0';
}

static void read_holder(int fd, struct upgrade_lock_holder *out)
{
    char text[LOCK_TEXT_SIZE];
    char *rest = NULL;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    *out = (struct upgrade_lock_holder){.pid = 0};
    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    long pid = strtol(text, &rest, 10);
    if (pid <= 0 || pid > INT32_MAX || *rest != ' ')
        return;
    out->pid = (pid_t)pid;
    (void)snprintf(out->who, sizeof out->who, "%s", rest + 1);
    make_plain(out->who);
}

/* Only for messages: a lock without its text is a lock. */
static void write_holder(int fd, const char *who)
{
    char text[LOCK_TEXT_SIZE];
    char plain[UPGRADE_LOCK_WHO_MAX + 1];
    (void)snprintf(plain, sizeof plain, "%s", who);
    make_plain(plain);
    int len = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), plain);
    if (len > 0 && ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)len, 0);
}

/* 0, UPGRADE_LOCK_HELD, or negative. */
static int lock_file(int fd, const char *path, struct error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return UPGRADE_LOCK_HELD;
    return error_set_errno(error, errno, "locking %s", path);
}

int upgrade_lock_take(const char *path, const char *who, int *out,
    struct upgrade_lock_holder *out_holder, struct error *error)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        CLEANUP(fd_close)
        int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, LOCK_MODE);
        if (fd < 0)
            return error_set_errno(error, errno, "opening %s, the lock of upgrades", path);
        int result = lock_file(fd, path, error);
        if (result < 0)
            return result;
        if (!is_there(path, fd))
            continue;
        if (result == UPGRADE_LOCK_HELD) {
            if (out_holder != NULL)
                read_holder(fd, out_holder);
            return result;
        }
        write_holder(fd, who);
        *out = fd_take(&fd);
        return 0;
    }
    return error_set(
        error, STATUS_ABORTED, "%s, the lock of upgrades, is removed again and again", path);
}

int upgrade_lock_look(const char *path, struct upgrade_lock_holder *out_holder, struct error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return error_set_errno(error, errno, "opening %s, the lock of upgrades", path);
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return error_set_errno(error, errno, "looking at the lock %s", path);
    if (lock.l_type == F_UNLCK)
        return 0;
    if (out_holder != NULL)
        read_holder(fd, out_holder);
    return UPGRADE_LOCK_HELD;
}
