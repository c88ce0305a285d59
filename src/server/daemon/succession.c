#include "server/daemon/succession.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"

/* ---- becoming the keeper ---- */

/* Where our own image is, or was. */
static void find_own_program(char out[PATH_MAX])
{
    static const char deleted[] = " (deleted)";
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
    size_t end = len > 0 ? (size_t)len : 0;

    out[end] = '\0';
    if (end >= sizeof deleted && strcmp(out + end - (sizeof deleted - 1), deleted) == 0)
        out[end - (sizeof deleted - 1)] = '\0';
}

static void on_retry(uv_timer_t *timer);

static void start_timer(struct succession *succession, int ms)
{
    /* Cannot fail: it is open and has a callback. */
    (void)uv_timer_start(&succession->timer, on_retry, (uint64_t)ms, 0);
}

static void become(struct succession *succession)
{
    char program[PATH_MAX];
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    const struct keeper_heir heir = {
        .root = succession->paths->root,
        .config = succession->paths->config,
        .flocksd = program,
        .flocksd_fd = program_fd,
        .server_options = succession->server_options,
    };
    int64_t now = clock_monotonic_ms();

    find_own_program(program);
    log_info("becoming the keeper", "pid=%d earlier_keepers=%u", (int)getpid(),
        (unsigned)succession->welcome->earlier_keepers);
    if (keeper_link_become(succession->link, succession->welcome, &heir, &error) == 0)
        return;
    log_error("cannot become the keeper", "error=%s", error.text);
    if (now >= succession->gives_up_at) {
        succession->failed(succession->data);
        return;
    }
    start_timer(succession, succession->retry_ms);
    succession->retry_ms *= 2;
}

/* With no keeper it is its turn; with one, that of files which could not be made again. */
static void on_retry(uv_timer_t *timer)
{
    struct succession *succession = timer->data;

    if (succession->gives_up_at != 0)
        become(succession);
    else
        succession->leave(succession->data);
}

void succession_begin(struct succession *succession)
{
    if (succession->is_closed || succession->gives_up_at != 0)
        return;
    succession->gives_up_at = clock_monotonic_ms() + SUCCESSION_PATIENCE_MS;
    succession->retry_ms = SUCCESSION_RETRY_MS;
    /* There may be nothing else that the loop runs for. */
    uv_ref((uv_handle_t *)&succession->timer);
    become(succession);
}

/* ---- files ---- */

static void on_path_lost(void *data, const char *path)
{
    struct succession *succession = data;
    bool is_hopeless = succession->welcome->is_unreachable;

    if (succession->gives_up_at != 0)
        return;
    log_error("a file of the instance was removed or replaced", "path=%s remedy=%s", path,
        is_hopeless ? "later, it could not be made again" : "made again");
    start_timer(succession, is_hopeless ? SUCCESSION_RESTORE_MS : 0);
}

int succession_open(struct succession *succession, uv_loop_t *loop, struct error *error)
{
    const struct paths *paths = succession->paths;
    const char *const watched[] = {paths->lock, paths->socket, paths->notify};

    (void)uv_timer_init(loop, &succession->timer);
    succession->timer.data = succession;
    uv_unref((uv_handle_t *)&succession->timer);
    return path_watch_open(
        loop, watched, ARRAY_LENGTH(watched), on_path_lost, succession, &succession->watch, error);
}

void succession_close(struct succession *succession)
{
    if (succession->is_closed || succession->timer.data == NULL)
        return;
    succession->is_closed = true;
    path_watch_close(succession->watch);
    uv_close((uv_handle_t *)&succession->timer, NULL);
}
