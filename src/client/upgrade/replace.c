#include "client/upgrade/replace.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/cancel.h"
#include "client/upgrade/release_file.h"
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

enum {
    MS_PER_S = 1000,
    /* Between two looks while nobody answers. */
    LOOK_MS = 50,
    COMPARE_BYTES = 64 * 1024
};

static int write_path(
    const char *release, const char *program, char out[PATH_MAX], struct error *error)
{
    out[0] = '\0';
    int len = program[0] != '\0' ? snprintf(out, PATH_MAX, "%s/%s", release, program) : 0;
    return len >= 0 && len < PATH_MAX
               ? 0
               : error_set(error, STATUS_INVALID_ARGUMENT, "the path of %s is too long", program);
}

static int follow(const struct update_server *server, const char *id, struct error *error)
{
    int64_t until_at = clock_add_ms(clock_monotonic_ms(), UPDATE_REPLACE_MS);
    struct update_operation operation = {.failure = ERROR_INIT};
    while (!operation.has_ended) {
        int result =
            server->calls->operation(server->self, id, operation.revision, &operation, error);
        /* While one follows the other nobody answers. */
        bool is_silent = result == UPDATE_SERVER_NONE || result == -STATUS_UNAVAILABLE ||
                         result == -STATUS_DEADLINE_EXCEEDED;
        if (result < 0 && !is_silent)
            return result;
        if (clock_monotonic_ms() >= until_at)
            return error_set(error, STATUS_DEADLINE_EXCEEDED,
                "the new programs did not take over within %d s", UPDATE_REPLACE_MS / MS_PER_S);
        if (is_silent)
            (void)cancel_wait(-1, LOOK_MS);
    }
    if (operation.has_succeeded)
        return 0;
    if (error != NULL)
        *error = operation.failure;
    return -(int)operation.failure.code;
}

static int replace(const struct update_server *server, const char *release,
    const flocks_release_programs *programs, struct error *error)
{
    char flocksd[PATH_MAX];
    char keeper[PATH_MAX];
    char id[UPDATE_ID_SIZE] = "";
    int result = write_path(release, programs->flocksd, flocksd, error);
    if (result == 0)
        result = write_path(release, programs->keeper, keeper, error);
    if (result < 0)
        return result;
    const struct update_programs request = {
        .flocksd = flocksd, .keeper = keeper, .version = programs->version};
    result = server->calls->replace(server->self, &request, id, error);
    if (result == UPDATE_SERVER_NONE)
        return 0;
    return result < 0 ? result : follow(server, id, error);
}

/* Of a release on the disk; *out is NULL where it has none. */
static int read_programs(const struct update_settings *settings, const char *name,
    char release[PATH_MAX], struct arena *arena, const flocks_release_programs **out,
    struct error *error)
{
    const flocks_release *file = NULL;
    *out = NULL;
    int len = snprintf(release, PATH_MAX, "%s/releases/%s", settings->places.root, name);
    if (len < 0 || len >= PATH_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "the path of %s is too long", name);
    int result = release_file_read(release, arena, &file, error);
    const flocks_release_programs *programs = result == 0 ? file->programs : NULL;
    if (programs != NULL && (programs->flocksd[0] != '\0' || programs->keeper[0] != '\0'))
        *out = programs;
    return result;
}

int update_replace(const struct update_settings *settings, const struct update_server *server,
    struct update_reporter *reporter, const char *name, struct error *error)
{
    char release[PATH_MAX];
    const flocks_release_programs *programs = NULL;
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, RELEASE_FILE_ARENA_BYTES);
    int result = read_programs(settings, name, release, &arena, &programs, error);
    if (programs == NULL)
        return result;
    if (reporter != NULL)
        update_reporter_step(
            reporter, FLOCKS_UPGRADE_STEP_REPLACING, "Handing over to the programs of %s", name);
    return replace(server, release, programs, error);
}

/* ---- what runs ---- */

/* Both from the beginning. False also where one cannot be read to its end. */
static bool has_same_content(int one, int other)
{
    static char bytes[2][COMPARE_BYTES];
    for (;;) {
        ssize_t n = read(one, bytes[0], COMPARE_BYTES);
        ssize_t m = n > 0 ? read(other, bytes[1], (size_t)n) : n;
        if (n <= 0)
            return n == 0;
        if (n != m || memcmp(bytes[0], bytes[1], (size_t)n) != 0)
            return false;
    }
}

static bool is_script(int fd)
{
    char start[2] = "";
    return pread(fd, start, sizeof start, 0) == sizeof start && memcmp(start, "#!", 2) == 0;
}

/* True also where nobody can tell: a process of another user, one that has just ended, or a script,
 * whose process is its interpreter or what that has become. */
static bool runs(int32_t pid, const char *path)
{
    char exe[32];
    struct stat running;
    struct stat wanted;
    (void)snprintf(exe, sizeof exe, "/proc/%d/exe", pid);
    CLEANUP(fd_close) int running_fd = open(exe, O_RDONLY | O_CLOEXEC);
    if (running_fd < 0 || fstat(running_fd, &running) < 0)
        return true;
    CLEANUP(fd_close) int wanted_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (wanted_fd < 0 || fstat(wanted_fd, &wanted) < 0)
        return false;
    if ((running.st_dev == wanted.st_dev && running.st_ino == wanted.st_ino) ||
        is_script(wanted_fd))
        return true;
    return S_ISREG(wanted.st_mode) && running.st_size == wanted.st_size &&
           has_same_content(running_fd, wanted_fd);
}

static bool is_due(const char *release, const char *program, int32_t pid)
{
    char path[PATH_MAX];
    return program[0] != '\0' && write_path(release, program, path, NULL) == 0 && !runs(pid, path);
}

void update_replace_due(const struct update_settings *settings, const struct update_server *server,
    const char *name, char out[UPDATE_DUE_SIZE])
{
    char release[PATH_MAX];
    const flocks_release_programs *programs = NULL;
    struct update_running running;
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, RELEASE_FILE_ARENA_BYTES);
    out[0] = '\0';
    if (name[0] == '\0' || read_programs(settings, name, release, &arena, &programs, NULL) < 0 ||
        programs == NULL || server->calls->running(server->self, &running, NULL) != 0)
        return;
    bool is_flocksd = is_due(release, programs->flocksd, running.flocksd_pid);
    bool is_keeper = is_due(release, programs->keeper, running.keeper_pid);
    (void)snprintf(out, UPDATE_DUE_SIZE, "%s%s%s", is_flocksd ? "flocksd" : "",
        is_flocksd && is_keeper ? " and " : "", is_keeper ? "flocks-keeper" : "");
}
