#include "server/supervise/lease_disk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "server/supervise/lease_state.h"

enum { RECORD_MODE = 0600 };

static int record_path(const char *run, const char *ending, char out[PATH_MAX], struct error *error)
{
    int written = snprintf(out, PATH_MAX, "%s/lease.pb%s", run, ending);

    if (written < 0 || written >= PATH_MAX)
        return error_set_errno(error, ENAMETOOLONG, "name the record of leases in %s", run);
    return 0;
}

int lease_disk_write(const char *run, const uint8_t *bytes, size_t len, struct error *error)
{
    char path[PATH_MAX];
    int result = record_path(run, "", path, error);

    if (result < 0)
        return result;
    /* Of a flocksd that was killed while it wrote; whoever hands over has written. */
    fd_sweep_temporaries(path);
    return fd_replace_file(path, bytes, len, RECORD_MODE, error);
}

int lease_disk_read(const char *run, uint8_t **out, size_t *out_len, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    char *text = NULL;
    int result = record_path(run, "", path, error);

    if (result < 0)
        return result;
    fd_sweep_temporaries(path);
    if (lstat(path, &status) != 0 && errno == ENOENT)
        return LEASE_DISK_NONE;
    result = fd_read_file(path, LEASE_RECORD_MAX, &text, out_len, error);
    *out = (uint8_t *)text;
    return result;
}

bool lease_disk_has_record(const char *run)
{
    char path[PATH_MAX];
    struct error error = ERROR_INIT;

    return record_path(run, "", path, &error) == 0 && access(path, F_OK) == 0;
}

int lease_disk_put_aside(const char *run, char *out_path, size_t out_size, struct error *error)
{
    char path[PATH_MAX];
    char aside[PATH_MAX];
    char ending[64];
    int result = record_path(run, "", path, error);

    (void)snprintf(
        ending, sizeof ending, ".unreadable-%lld", (long long)(clock_wall_ns() / 1000000000));
    if (result == 0)
        result = record_path(run, ending, aside, error);
    if (result == 0 && rename(path, aside) != 0)
        result = error_set_errno(error, errno, "put %s aside", path);
    if (result == 0)
        (void)snprintf(out_path, out_size, "%s", aside);
    return result;
}

/* ---- links ---- */

/* lease_undo's link is not a link. */
#define NOT_A_LINK 1
/* There is nothing of that name. */
#define NO_LINK 2

/* What it points to now; *out is cut where it could not be equal to a target anyway. */
static int read_link(const char *link, char out[PATH_MAX], struct error *error)
{
    ssize_t len = readlink(link, out, PATH_MAX - 1);

    out[len > 0 ? len : 0] = '\0';
    if (len >= 0)
        return 0;
    if (errno == EINVAL)
        return NOT_A_LINK;
    return errno == ENOENT ? NO_LINK : error_set_errno(error, errno, "read the link %s", link);
}

static int refuse_other(const char *link, struct error *error)
{
    return error_set(error, STATUS_FAILED_PRECONDITION, "%s is not a symbolic link", link);
}

int lease_disk_check_link(const struct lease_undo *undo, struct error *error)
{
    char target[PATH_MAX];
    int result = read_link(undo->link, target, error);

    if (result == NOT_A_LINK)
        return refuse_other(undo->link, error);
    if (result == NO_LINK && undo->target[0] == '\0')
        return 0;
    if (result == NO_LINK)
        return error_set(error, STATUS_FAILED_PRECONDITION, "there is no link %s", undo->link);
    if (result == 0 && undo->target[0] == '\0')
        return error_set(
            error, STATUS_FAILED_PRECONDITION, "there is a link %s, to %s", undo->link, target);
    if (result == 0 && strcmp(target, undo->target) != 0)
        return error_set(error, STATUS_FAILED_PRECONDITION, "%s points to %s, not to %s",
            undo->link, target, undo->target);
    return result;
}

static int replace_link(const struct lease_undo *undo, struct error *error)
{
    char temporary[PATH_MAX];
    int written =
        snprintf(temporary, sizeof temporary, "%s.flocks-undo-%d", undo->link, (int)getpid());
    int result = 0;

    if (written < 0 || (size_t)written >= sizeof temporary)
        return error_set_errno(error, ENAMETOOLONG, "put the link %s back", undo->link);
    /* Of an earlier try that was cut short. */
    (void)unlink(temporary);
    if (symlink(undo->target, temporary) != 0)
        return error_set_errno(error, errno, "make the link %s", temporary);
    if (rename(temporary, undo->link) != 0)
        result = error_set_errno(error, errno, "put the link %s back", undo->link);
    if (result < 0)
        (void)unlink(temporary);
    return result;
}

int lease_disk_restore_link(const struct lease_undo *undo, struct error *error)
{
    char target[PATH_MAX];
    int result = read_link(undo->link, target, error);

    if (result < 0)
        return result;
    if (result == NOT_A_LINK)
        return refuse_other(undo->link, error);
    bool is_there = result == 0;
    bool is_wanted = undo->target[0] != '\0';
    if (is_there == is_wanted && (!is_there || strcmp(target, undo->target) == 0))
        return 0;
    if (is_wanted)
        result = replace_link(undo, error);
    else
        result = unlink(undo->link) == 0
                     ? 0
                     : error_set_errno(error, errno, "remove the link %s", undo->link);
    return result < 0 ? result : fd_sync_parent(undo->link, error);
}
