/* Where everything of one instance lies. One root, nothing outside it. */
#ifndef FLOCKS_BASE_PATHS_H
#define FLOCKS_BASE_PATHS_H

#include <limits.h>
#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"

enum {
    /* Longer ones are no addresses. */
    PATHS_TCP_SIZE = 64
};

/* Plain value; every path is absolute and NUL-terminated. */
struct paths {
    char root[PATH_MAX];
    char run[PATH_MAX];  /* <root>/run, 0700 */
    char logs[PATH_MAX]; /* <root>/logs, 0700 */
    char config[PATH_MAX];
    char lock[PATH_MAX];   /* <root>/run/flocksd.lock: held by the keeper while an instance lives */
    char socket[PATH_MAX]; /* <root>/run/flocksd.sock, or the fallback below */
    /* sun_path holds 107 bytes. A longer path is served at /tmp/flocks-<uid>/<hash of
     * root>/flocksd.sock (directory 0700, ours, checked) and <root>/run/flocksd.sock is a symbolic
     * link to it. */
    bool socket_is_fallback;
    /* FLOCKS_SOCKET if that is "tcp:...": where clients connect, and nothing else has to do with
     * it. "": it is not. */
    char tcp[PATHS_TCP_SIZE];
    /* <root>/run/notify.sock, where services send what sd_notify(3) says; too long a path: beside
     * the socket's fallback. */
    char notify[PATH_MAX];
    bool notify_is_fallback;
};

/* Root: `root` if not NULL, else FLOCKS_ROOT, else ~/.flocks. Configuration: `config` if not NULL,
 * else FLOCKS_CONFIG, else <root>/flocks.yaml. Socket: FLOCKS_SOCKET or as above. Relative texts
 * are taken from the working directory. Touches nothing on disk. */
NODISCARD int paths_resolve(
    const char *root, const char *config, struct paths *out, struct error *error);

/* Makes root, run, logs (and the fallbacks' directory) with mode 0700. A root or run directory that
 * others may write to is refused, with the command that repairs it; one that others may only read
 * is repaired (chmod 0700), and *out_repaired says so. Not ours (owner): refused. */
NODISCARD int paths_prepare(const struct paths *paths, bool *out_repaired, struct error *error);

/* Removes the sockets' names, and what long paths of them need: the link, and the fallbacks'
 * directories if nothing is in them any more. What paths_prepare has made for somebody who has not
 * yet bound a socket there may go with them: whoever holds the lock prepares again. Only for
 * whoever holds the lock. */
void paths_unlink_sockets(const struct paths *paths);

/* Directory of the running program, from /proc/self/exe. */
NODISCARD int paths_program_directory(char out[PATH_MAX], struct error *error);
/* `name` beside the running program, else in ../libexec/flocks, else in FLOCKS_LIBEXEC (which is
 * looked at first when set). NOT_FOUND names every place that was looked at. */
NODISCARD int paths_find_program(const char *name, char out[PATH_MAX], struct error *error);

#endif
