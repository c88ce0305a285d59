#include "server/keeper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/keeper/spawn.h"

enum { FIRST_EXTRA = 3 };

/* What is to be executed becomes the one after them, close-on-exec. */
static int place_image(struct image *image, int at)
{
    if (image->fd < 0 || image->fd == at)
        return 0;
    image->fd = dup3(image->fd, at, O_CLOEXEC);
    return image->fd;
}

static int place_descriptors(const struct helper_plan *plan, struct image *image)
{
    int sources[HELPER_DESCRIPTORS_MAX];
    int first_free = FIRST_EXTRA + (int)plan->n_descriptors;
    for (size_t i = 0; i < plan->n_descriptors; i++) {
        sources[i] = fcntl(plan->descriptors[i], F_DUPFD_CLOEXEC, first_free);
        if (sources[i] < 0)
            return -1;
    }
    if (image->fd >= 0)
        image->fd = fcntl(image->fd, F_DUPFD_CLOEXEC, first_free);
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input < 0 || dup2(plan->output_fd, STDOUT_FILENO) < 0 ||
        dup2(plan->output_fd, STDERR_FILENO) < 0 || dup2(input, STDIN_FILENO) < 0)
        return -1;
    for (size_t i = 0; i < plan->n_descriptors; i++)
        if (dup2(sources[i], FIRST_EXTRA + (int)i) < 0)
            return -1;
    if (place_image(image, first_free) < 0)
        return -1;
    return close_range((unsigned)first_free + (image->fd >= 0), ~0U, 0);
}

pid_t helper_start(const struct helper_plan *plan)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    spawn_reset_signals();
    (void)setsid();
    struct image image = *plan->image;
    int failure =
        place_descriptors(plan, &image) == 0 ? image_execute(&image, plan->arguments) : errno;
    log_error(
        "helper cannot be executed", "path=%s error=%s", image.path, strerrordesc_np(failure));
    _exit(HELPER_EXIT_FAILED);
}
