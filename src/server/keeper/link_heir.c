/* What flocksd holds so that the keeper's death loses nothing, and becoming the keeper. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/paths.h"
#include "server/keeper/legacy.h"
#include "server/keeper/link_internal.h"

/* Without room for them the keeper's death would cost what is in these pipes, and nothing else. */
static struct link_pipes *pipes_of(struct keeper_link *link, uint32_t slot)
{
    if (slot >= link->n_pipes) {
        size_t n = slot + 16U;
        struct link_pipes *pipes = reallocarray(link->pipes, n, sizeof *pipes);
        if (pipes == NULL)
            return NULL;
        for (size_t i = link->n_pipes; i < n; i++)
            pipes[i] = (struct link_pipes){.pipe_fd = -1, .private_fd = -1};
        link->pipes = pipes;
        link->n_pipes = n;
    }
    return &link->pipes[slot];
}

void link_keep_pipes(struct keeper_link *link, uint32_t slot)
{
    struct link_pipes *pipes = link->n_answer_fds == 2 ? pipes_of(link, slot) : NULL;
    if (pipes == NULL)
        return;
    link_drop_pipes(link, slot);
    pipes->pipe_fd = fd_take(&link->answer_fds[0]);
    pipes->private_fd = fd_take(&link->answer_fds[1]);
}

void link_drop_pipes(struct keeper_link *link, uint32_t slot)
{
    if (slot >= link->n_pipes)
        return;
    fd_close(&link->pipes[slot].pipe_fd);
    fd_close(&link->pipes[slot].private_fd);
}

/* ---- becoming the keeper ---- */

static void add_output(struct keeper_legacy *legacy, uint32_t slot, const struct link_pipes *pipes)
{
    if (pipes->pipe_fd >= 0 && legacy->n_outputs < KEEPER_SLOTS)
        legacy->outputs[legacy->n_outputs++] = (struct keeper_legacy_output){
            .slot = slot, .pipe_fd = pipes->pipe_fd, .private_fd = pipes->private_fd};
}

static void describe(
    const struct keeper_link *link, const struct keeper_welcome *welcome, struct keeper_legacy *out)
{
    *out = (struct keeper_legacy){
        .magic = KEEPER_LEGACY_MAGIC,
        .state_fd = welcome->state_fd,
        .shared_fd = link->shared_fd,
        .listener_fd = welcome->listener_fd,
        .notify_fd = welcome->notify_fd,
        .lock_fd = link->lock_fd,
        .inventory_fd = link->inventory_fd,
    };
    add_output(out, KEEPER_SLOT_DAEMON, &link->daemon_pipes);
    for (size_t slot = 0; slot < link->n_pipes && slot < KEEPER_SLOT_DAEMON; slot++)
        add_output(out, (uint32_t)slot, &link->pipes[slot]);
}

/* Whether exec passes them on. */
static int let_through(const struct keeper_legacy *legacy, bool on)
{
    int flags = on ? 0 : FD_CLOEXEC;
    int result = 0;
#define LET_THROUGH(name) result |= fcntl(legacy->name##_fd, F_SETFD, flags);
    KEEPER_LEGACY_PARTS(LET_THROUGH)
#undef LET_THROUGH
    for (uint32_t i = 0; i < legacy->n_outputs; i++) {
        result |= fcntl(legacy->outputs[i].pipe_fd, F_SETFD, flags);
        result |= fcntl(legacy->outputs[i].private_fd, F_SETFD, flags);
    }
    return result;
}

static int write_legacy(const struct keeper_legacy *legacy, int *out_fd, struct error *error)
{
    CLEANUP(fd_close) int fd = memfd_create("flocks-legacy", MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "note what the keeper takes over");
    int result = fd_write_all(fd, legacy, sizeof *legacy, error);
    if (result == 0)
        *out_fd = fd_take(&fd);
    return result;
}

enum {
    HEIR_ARGUMENTS = 12,
    /* Options of flocksd that are passed on; its own bound is lower (OPTIONS_SETTINGS_MAX). */
    HEIR_OPTIONS_MAX = 512
};

/* An older keeper's image does not know the option. */
static bool passes_image(const struct keeper_link *link, const struct keeper_heir *heir)
{
    return heir->flocksd_fd >= 0 && link->protocol >= KEEPER_PROTOCOL_REPLACES;
}

/* In the caller's array, which has room for them, the options and the end. `image_fd` NULL: left
 * out. */
static void plan_arguments(const struct keeper_heir *heir, const char *legacy_fd,
    const char *image_fd, size_t n_options, const char **out)
{
    const char *const fixed[] = {"flocks-keeper", "--root", heir->root, "--config", heir->config,
        "--flocksd", heir->flocksd, "--take-over", legacy_fd};
    size_t n = ARRAY_LENGTH(fixed);
    memcpy(out, fixed, sizeof fixed);
    if (image_fd != NULL) {
        out[n++] = "--flocksd-fd";
        out[n++] = image_fd;
    }
    out[n++] = "--";
    for (size_t i = 0; i < n_options; i++)
        out[n++] = heir->server_options[i];
    out[n] = NULL;
}

static size_t count_options(const struct keeper_heir *heir)
{
    size_t n = 0;
    while (heir->server_options[n] != NULL)
        n++;
    return n;
}

/* Answers errno. */
static int execute(const struct keeper_link *link, char **arguments)
{
    char path[PATH_MAX];
    if (link->image_fd >= 0)
        (void)syscall(SYS_execveat, link->image_fd, "", arguments, environ, AT_EMPTY_PATH);
    int failure = errno;
    if (paths_find_program("flocks-keeper", path, NULL) == 0) {
        (void)execv(path, arguments);
        failure = errno;
    }
    return failure;
}

/* Nothing may end the new image before it listens to signals itself; what comes meanwhile waits.
 * But SIGIO, which only this one uses, would end it afterwards. */
static int execute_undisturbed(const struct keeper_link *link, char **arguments)
{
    sigset_t all;
    sigset_t before;
    struct sigaction io;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)sigaction(SIGIO, &(struct sigaction){.sa_handler = SIG_IGN}, &io);
    int failure = execute(link, arguments);
    (void)sigaction(SIGIO, &io, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

int keeper_link_become(struct keeper_link *link, const struct keeper_welcome *welcome,
    const struct keeper_heir *heir, struct error *error)
{
    static struct keeper_legacy legacy;
    /* execve promises not to change them. */
    static union {
        char *writable[HEIR_ARGUMENTS + HEIR_OPTIONS_MAX + 1];
        const char *read_only[HEIR_ARGUMENTS + HEIR_OPTIONS_MAX + 1];
    } argv;
    char number[16];
    char image_number[16];
    bool has_image = passes_image(link, heir);
    CLEANUP(fd_close) int fd = -1;
    describe(link, welcome, &legacy);
    int result = write_legacy(&legacy, &fd, error);
    if (result != 0)
        return result;
    (void)snprintf(number, sizeof number, "%d", fd);
    (void)snprintf(image_number, sizeof image_number, "%d", heir->flocksd_fd);
    size_t n_options = count_options(heir);
    if (n_options > HEIR_OPTIONS_MAX)
        return error_set(
            error, STATUS_RESOURCE_EXHAUSTED, "more than %d options", HEIR_OPTIONS_MAX);
    plan_arguments(heir, number, has_image ? image_number : NULL, n_options, argv.read_only);
    if (let_through(&legacy, true) == 0 && fcntl(fd, F_SETFD, 0) == 0 &&
        (!has_image || fcntl(heir->flocksd_fd, F_SETFD, 0) == 0))
        result = error_set_errno(error, execute_undisturbed(link, argv.writable), "run the keeper");
    else
        result = error_set_errno(error, errno, "pass on what the keeper takes over");
    (void)let_through(&legacy, false);
    if (has_image)
        (void)fcntl(heir->flocksd_fd, F_SETFD, FD_CLOEXEC);
    return result;
}
