/* Resolves and prepares the places of one instance. */
#include "common/base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/fd.h"

static const char SOCKET_NAME[] = "flocksd.sock";
static const char NOTIFY_NAME[] = "notify.sock";

enum {
    /* Times that the fallbacks' directories are made: who ends at this moment removes empty ones.
     */
    FALLBACK_TRIES = 16,
    /* Longest text that sun_path holds with its NUL (unix(7)). */
    SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1
};

/* ---- composing ---- */

static int join(char out[PATH_MAX], const char *directory, const char *name, struct error *error)
{
    const char *separator = strcmp(directory, "/") == 0 ? "" : "/";
    int n = snprintf(out, PATH_MAX, "%s%s%s", directory, separator, name);
    if (n < 0 || n >= PATH_MAX)
        return error_set_errno(
            error, ENAMETOOLONG, "composing a path from %s and %s", directory, name);
    return 0;
}

/* Drops doubled and trailing slashes and "." components;
 * ".." stays, it depends on symbolic links. */
static void tidy(char *path)
{
    char *target = path;
    for (const char *source = path; *source != '\0';) {
        size_t n = strcspn(source, "/");
        if (n > 0 && !(n == 1 && source[0] == '.')) {
            *target++ = '/';
            memmove(target, source, n);
            target += n;
        }
        source += n + (source[n] == '/');
    }
    if (target == path)
        *target++ = '/';
    *target = '\0';
}

static int make_absolute(const char *text, char out[PATH_MAX], struct error *error)
{
    char directory[PATH_MAX] = "";
    if (text[0] != '/' && getcwd(directory, sizeof directory) == NULL)
        return error_set_errno(error, errno, "finding the working directory");
    /* tidy() writes a slash before the first component, so there must be one to overwrite. */
    int n = snprintf(out, PATH_MAX, "%s/%s", directory, text);
    if (n < 0 || n >= PATH_MAX)
        return error_set_errno(error, ENAMETOOLONG, "resolving %s", text);
    tidy(out);
    return 0;
}

/* Follows the symbolic links of the part of `path` that exists, so that two spellings of one root
 * give one instance, before the root is made and after. */
static int canonicalise(char path[PATH_MAX], struct error *error)
{
    char prefix[PATH_MAX];
    (void)snprintf(prefix, sizeof prefix, "%s", path);
    for (;;) {
        char resolved[PATH_MAX];
        if (realpath(prefix, resolved) != NULL) {
            char rest[PATH_MAX];
            (void)snprintf(rest, sizeof rest, "%s", path + strlen(prefix));
            if (rest[0] == '\0') {
                (void)snprintf(path, PATH_MAX, "%s", resolved);
                return 0;
            }
            return join(path, resolved, rest + (rest[0] == '/'), error);
        }
        char *slash = strrchr(prefix, '/');
        if (slash == prefix || slash == NULL)
            return 0;
        *slash = '\0';
    }
}

/* ---- resolving ---- */

static const char *environment(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): read at start-up, and nobody calls setenv. */
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int resolve_root(const char *root, struct paths *out, struct error *error)
{
    if (root == NULL)
        root = environment("FLOCKS_ROOT");
    char of_home[PATH_MAX];
    if (root == NULL) {
        const char *home = environment("HOME");
        if (home == NULL) {
            int result = error_set(error, STATUS_INVALID_ARGUMENT,
                "choosing the root directory: neither FLOCKS_ROOT nor HOME is set");
            error_set_hint(error, "set FLOCKS_ROOT or give --root DIRECTORY");
            return result;
        }
        int result = join(of_home, home, ".flocks", error);
        if (result != 0)
            return result;
        root = of_home;
    }
    int result = make_absolute(root, out->root, error);
    if (result != 0)
        return result;
    return canonicalise(out->root, error);
}

static int resolve_config(const char *config, struct paths *out, struct error *error)
{
    if (config == NULL)
        config = environment("FLOCKS_CONFIG");
    if (config == NULL)
        return join(out->config, out->root, "flocks.yaml", error);
    return make_absolute(config, out->config, error);
}

/* FNV-1a, 64 bits: only to name a directory that is ours alone. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325U;
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001B3U;
    return hash;
}

/* /tmp/flocks-<uid>/<hash of root>, and what is in it. */
static void fallback_path(const struct paths *paths, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "/tmp/flocks-%u/%016llx%s%s", (unsigned)geteuid(),
        (unsigned long long)hash_text(paths->root), name[0] != '\0' ? "/" : "", name);
}

static int resolve_notify(struct paths *out, struct error *error)
{
    int result = join(out->notify, out->run, NOTIFY_NAME, error);
    if (result != 0 || strlen(out->notify) <= SOCKET_PATH_MAX)
        return result;
    fallback_path(out, NOTIFY_NAME, out->notify);
    out->notify_is_fallback = true;
    return 0;
}

static int take_tcp(const char *text, struct paths *out, struct error *error)
{
    if (strlen(text) >= sizeof out->tcp)
        return error_set(error, STATUS_INVALID_ARGUMENT, "FLOCKS_SOCKET: '%s' is no address", text);
    memcpy(out->tcp, text, strlen(text) + 1);
    return 0;
}

static int resolve_socket(struct paths *out, struct error *error)
{
    const char *chosen = environment("FLOCKS_SOCKET");
    if (chosen != NULL && strncmp(chosen, "tcp:", 4) == 0) {
        int tcp_result = take_tcp(chosen, out, error);
        if (tcp_result != 0)
            return tcp_result;
        chosen = NULL;
    }
    int result = chosen != NULL ? make_absolute(chosen, out->socket, error)
                                : join(out->socket, out->run, SOCKET_NAME, error);
    if (result != 0 || strlen(out->socket) <= SOCKET_PATH_MAX)
        return result;
    if (chosen != NULL) {
        result = error_set(error, STATUS_INVALID_ARGUMENT,
            "FLOCKS_SOCKET has %zu bytes; a socket path has at most %d", strlen(out->socket),
            (int)SOCKET_PATH_MAX);
        error_set_hint(error, "choose a shorter path");
        return result;
    }
    fallback_path(out, SOCKET_NAME, out->socket);
    out->socket_is_fallback = true;
    return 0;
}

int paths_resolve(const char *root, const char *config, struct paths *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    int result = resolve_root(root, out, error);
    if (result == 0)
        result = join(out->run, out->root, "run", error);
    if (result == 0)
        result = join(out->logs, out->root, "logs", error);
    if (result == 0)
        result = join(out->lock, out->run, "flocksd.lock", error);
    if (result == 0)
        result = resolve_config(config, out, error);
    if (result == 0)
        result = resolve_socket(out, error);
    if (result == 0)
        result = resolve_notify(out, error);
    return result;
}

/* ---- preparing ---- */

static int refuse(const char *path, const char *why, struct error *error)
{
    int result = error_set(error, STATUS_PERMISSION_DENIED, "using directory %s: %s", path, why);
    error_set_hint(error, "chmod 0700 %s", path);
    return result;
}

/* An existing directory: ours, and closed to others before anything is trusted in it. */
static int check_directory(const char *path, bool *out_repaired, struct error *error)
{
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno, "opening directory %s", path);
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set_errno(error, errno, "reading the attributes of %s", path);
    if (status.st_uid != geteuid()) {
        int result = error_set(error, STATUS_PERMISSION_DENIED,
            "using directory %s: it belongs to user %u and we are user %u", path,
            (unsigned)status.st_uid, (unsigned)geteuid());
        error_set_hint(error, "run as its owner, or choose another root with --root");
        return result;
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return refuse(path, "others may write to it", error);
    if ((status.st_mode & 07777) == 0700)
        return 0;
    if (fchmod(fd, 0700) != 0)
        return error_set_errno(error, errno, "closing directory %s to others", path);
    *out_repaired = true;
    return 0;
}

static int prepare_directory(const char *path, bool *out_repaired, struct error *error)
{
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return error_set_errno(error, errno, "making directory %s", path);
    return check_directory(path, out_repaired, error);
}

/* Missing directories above `path`. What exists is not looked at. */
static int make_parents(const char *path, struct error *error)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0700) != 0 && errno != EEXIST)
            return error_set_errno(error, errno, "making directory %s", parent);
        *slash = '/';
    }
    return 0;
}

static int link_fallback(const struct paths *paths, struct error *error)
{
    char link[PATH_MAX];
    int result = join(link, paths->run, SOCKET_NAME, error);
    if (result != 0)
        return result;
    char target[PATH_MAX] = "";
    if (readlink(link, target, sizeof target - 1) > 0 && strcmp(target, paths->socket) == 0)
        return 0;
    if (unlink(link) != 0 && errno != ENOENT)
        return error_set_errno(error, errno, "removing %s", link);
    if (symlink(paths->socket, link) != 0)
        return error_set_errno(error, errno, "linking %s to %s", link, paths->socket);
    return 0;
}

/* /tmp/flocks-<uid> and the directory of this root in it. Anybody may have made them before us,
 * which is why both are checked. */
static int prepare_fallback(const struct paths *paths, bool *out_repaired, struct error *error)
{
    char directory[PATH_MAX];
    fallback_path(paths, "", directory);
    char *middle = strrchr(directory, '/');
    for (int left = FALLBACK_TRIES;; left--) {
        *middle = '\0';
        int result = prepare_directory(directory, out_repaired, error);
        *middle = '/';
        if (result != 0)
            return result;
        result = prepare_directory(directory, out_repaired, error);
        if (result != -STATUS_NOT_FOUND || left == 0)
            return result;
    }
}

static void remove_fallback(const struct paths *paths)
{
    char directory[PATH_MAX];
    fallback_path(paths, "", directory);
    (void)rmdir(directory);
    *strrchr(directory, '/') = '\0';
    (void)rmdir(directory);
}

void paths_unlink_sockets(const struct paths *paths)
{
    char link[PATH_MAX];
    if (paths->socket_is_fallback && join(link, paths->run, SOCKET_NAME, NULL) == 0)
        (void)unlink(link);
    (void)unlink(paths->socket);
    (void)unlink(paths->notify);
    if (paths->socket_is_fallback || paths->notify_is_fallback)
        remove_fallback(paths);
}

int paths_prepare(const struct paths *paths, bool *out_repaired, struct error *error)
{
    *out_repaired = false;
    int result = make_parents(paths->root, error);
    if (result == 0)
        result = prepare_directory(paths->root, out_repaired, error);
    if (result == 0)
        result = prepare_directory(paths->run, out_repaired, error);
    if (result == 0)
        result = prepare_directory(paths->logs, out_repaired, error);
    if (result == 0 && (paths->socket_is_fallback || paths->notify_is_fallback))
        result = prepare_fallback(paths, out_repaired, error);
    if (result == 0 && paths->socket_is_fallback)
        result = link_fallback(paths, error);
    return result;
}

/* ---- programs ---- */

int paths_program_directory(char out[PATH_MAX], struct error *error)
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n < 0)
        return error_set_errno(error, errno, "reading /proc/self/exe");
    out[n] = '\0';
    /* The kernel adds " (deleted)" to the name of a
     * replaced program; the directory is what we want. */
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        return error_set(error, STATUS_INTERNAL, "/proc/self/exe names no file: %s", out);
    slash[slash == out] = '\0';
    return 0;
}

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

int paths_find_program(const char *name, char out[PATH_MAX], struct error *error)
{
    char beside[PATH_MAX];
    char libexec[PATH_MAX];
    int result = paths_program_directory(beside, error);
    if (result == 0)
        result = join(libexec, beside, "../libexec/flocks", error);
    if (result != 0)
        return result;
    const char *chosen = environment("FLOCKS_LIBEXEC");
    const char *const directories[] = {chosen, beside, libexec};
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        if (directories[i] == NULL)
            continue;
        result = join(out, directories[i], name, error);
        if (result != 0)
            return result;
        if (is_program(out))
            return 0;
    }
    result = error_set(error, STATUS_NOT_FOUND, "finding the program %s: not in %s%s%s or %s", name,
        chosen == NULL ? "" : chosen, chosen == NULL ? "" : ", ", beside, libexec);
    error_set_hint(error, "install it beside the others or set FLOCKS_LIBEXEC");
    return result;
}
