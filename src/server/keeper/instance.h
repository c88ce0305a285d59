/* What makes this the only keeper of a root: the lock, the socket, and the word to whoever started
 * us. None of it is ever inherited by a child. */
#ifndef FLOCKS_KEEPER_INSTANCE_H
#define FLOCKS_KEEPER_INSTANCE_H

#include <stdint.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"

enum instance_condition {
    /* Another keeper holds the lock, or lives without it: the file was deleted. */
    INSTANCE_BUSY = 1
};

/* Takes the lock file (flock, kept open, never deleted) and writes our pid into it. */
NODISCARD int instance_lock(const struct paths *paths, int *out_lock_fd, struct error *error);

/* What a socket's path led to when it was bound. */
struct instance_name {
    uint64_t device;
    uint64_t inode;
};

/* What the instance has in the file system, open. */
struct instance_files {
    int lock_fd;
    int listener_fd;
    int notify_fd;
    struct instance_name listener_name;
    struct instance_name notify_name;
};

/* Binds and listens at paths->socket (mode 0600, non-blocking). Only while the lock is held. A dead
 * socket in its place is removed; one that answers, or anything else, is ALREADY_EXISTS. */
NODISCARD int instance_listen(const struct paths *paths, int *out_listener_fd,
    struct instance_name *out_name, struct error *error);

/* Binds the socket for sd_notify(3) at paths->notify (datagrams with their senders' credentials;
 * mode 0600, non-blocking). Only while the lock is held. */
NODISCARD int instance_bind_notify(const struct paths *paths, int *out_notify_fd,
    struct instance_name *out_name, struct error *error);

/* Makes again what is not at its path any more: directories, lock file, sockets. Descriptors of
 * what was made anew are replaced; the rest is not touched. Fails when somebody else has the lock
 * or serves the path by now. No heap; does not wait. */
NODISCARD int instance_restore(
    const struct paths *paths, struct instance_files *files, struct error *error);
/* Our pid into the lock file. */
NODISCARD int instance_sign(const struct paths *paths, int lock_fd, struct error *error);

/* Writes `word`, a space and `text` if there is one, and a newline to *fd; closes it. Nothing when
 * it is -1: the word is given once. Never blocks for a pipe that has room for a line. */
void instance_tell(int *fd, const char *word, const char *text);

#endif
