#include "server/keeper/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"

int image_open(struct image *image, const char *path)
{
    (void)snprintf(image->path, sizeof image->path, "%s", path);
    image->fd = open(path, O_PATH | O_CLOEXEC);
    return image->fd >= 0 ? 0 : errno;
}

void image_close(struct image *image)
{
    fd_close(&image->fd);
    image->path[0] = '\0';
}

void image_move(struct image *image, struct image *from)
{
    fd_close(&image->fd);
    *image = *from;
    from->fd = -1;
    from->path[0] = '\0';
}

static bool is_at_its_path(const struct image *image)
{
    struct stat named;
    struct stat held;
    return stat(image->path, &named) == 0 && fstat(image->fd, &held) == 0 &&
           named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

int image_execute(const struct image *image, char *const *arguments)
{
    if (image->fd < 0 || is_at_its_path(image))
        (void)execv(image->path, arguments);
    else
        (void)syscall(SYS_execveat, image->fd, "", arguments, environ, AT_EMPTY_PATH);
    return errno;
}
