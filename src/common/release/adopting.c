#include "common/release/adopting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* Each step of a name is taken once; more rounds mean that somebody works against it. */
    ROUNDS_MAX = 8
};

int adopting_fail(const struct adopting *adopting, const char *what, const char *name)
{
    return error_set_errno(
        adopting->error, errno, "adopting %s/%s: %s", adopting->dir->root, name, what);
}

int adopting_look(int fd, const char *name, struct place *out)
{
    struct stat status;
    *out = (struct place){.kind = PLACE_NONE};
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -1;
    out->kind = S_ISLNK(status.st_mode) ? PLACE_LINK : PLACE_REAL;
    if (out->kind == PLACE_REAL)
        return 0;
    ssize_t len = readlinkat(fd, name, out->target, sizeof out->target - 1);
    if (len < 0)
        return -1;
    out->target[len] = '\0';
    return 0;
}

void adopting_text_out(const char *name, char out[ADOPTING_TEXT_SIZE])
{
    (void)snprintf(
        out, ADOPTING_TEXT_SIZE, "../../%.*s%s", ADOPTION_NAME_MAX, name, ADOPTION_ENDING);
}

/* "current/<name>". */
static void text_in(const char *name, char out[ADOPTING_TEXT_SIZE])
{
    (void)snprintf(out, ADOPTING_TEXT_SIZE, "current/%.*s", ADOPTION_NAME_MAX, name);
}

static bool is_link_to(const struct place *place, const char *target)
{
    return place->kind == PLACE_LINK && strcmp(place->target, target) == 0;
}

/* ---- one name ---- */

static int sync_both(const struct adopting *adopting, const char *name)
{
    if (fsync(adopting->release_fd) < 0 || fsync(adopting->dir->root_fd) < 0)
        return adopting_fail(adopting, "writing it to the disk", name);
    return 0;
}

static int refuse_state(const struct adopting *adopting, const char *name)
{
    int result = error_set(adopting->error, STATUS_FAILED_PRECONDITION,
        "adopting %s/%s: somebody else has changed it, or %s%s beside it, meanwhile",
        adopting->dir->root, name, name, ADOPTION_ENDING);
    error_set_hint(adopting->error,
        "see that %s leads to its content, and remove the link of that name from the current "
        "release",
        name);
    return result;
}

static int refuse_exchange(struct adopting *adopting, const char *name)
{
    adopting->cannot_exchange = errno == EXDEV || errno == EINVAL || errno == ENOSYS;
    int result = adopting_fail(adopting, "exchanging it with a link", name);
    if (adopting->cannot_exchange)
        error_set_hint(adopting->error,
            "its file system cannot exchange it: stop the services and install the release into an "
            "empty root, or copy it (an image's lower layer cannot be renamed)");
    return result;
}

bool adopting_withdraw_name(const struct adopting *adopting, const char *name)
{
    int root = adopting->dir->root_fd;
    char beside[NAME_MAX + 1];
    char inward[ADOPTING_TEXT_SIZE];
    struct place at_name;
    struct place at_beside;
    (void)snprintf(beside, sizeof beside, "%.*s%s", ADOPTION_NAME_MAX, name, ADOPTION_ENDING);
    text_in(name, inward);
    if (adopting_look(root, name, &at_name) < 0 || at_name.kind != PLACE_REAL ||
        adopting_look(root, beside, &at_beside) < 0)
        return false;
    return !is_link_to(&at_beside, inward) || unlinkat(root, beside, 0) == 0;
}

/* The next step, or *out_is_done. Written to the disk before the one after it. */
static int step_name(struct adopting *adopting, const char *name, bool *out_is_done)
{
    int root = adopting->dir->root_fd;
    int release = adopting->release_fd;
    char beside[NAME_MAX + 1];
    char outward[ADOPTING_TEXT_SIZE];
    char inward[ADOPTING_TEXT_SIZE];
    struct place at_name;
    struct place at_beside;
    struct place at_release;
    (void)snprintf(beside, sizeof beside, "%.*s%s", ADOPTION_NAME_MAX, name, ADOPTION_ENDING);
    adopting_text_out(name, outward);
    text_in(name, inward);
    *out_is_done = false;
    if (adopting_look(root, name, &at_name) < 0 || adopting_look(root, beside, &at_beside) < 0 ||
        adopting_look(release, name, &at_release) < 0)
        return adopting_fail(adopting, "looking at it", name);
    if (!is_link_to(&at_release, outward)) {
        if (is_link_to(&at_beside, outward) && unlinkat(root, beside, 0) < 0)
            return adopting_fail(adopting, "removing a link", name);
        *out_is_done = true;
        return sync_both(adopting, name);
    }
    if (at_name.kind == PLACE_REAL && at_beside.kind == PLACE_NONE) {
        if (symlinkat(inward, root, beside) < 0)
            return adopting_fail(adopting, "making a link", name);
    } else if (at_name.kind == PLACE_REAL && is_link_to(&at_beside, inward)) {
        if (renameat2(root, name, root, beside, RENAME_EXCHANGE) < 0)
            return refuse_exchange(adopting, name);
    } else if (is_link_to(&at_name, inward) && at_beside.kind == PLACE_REAL) {
        if (renameat2(root, beside, release, name, RENAME_EXCHANGE) < 0)
            return adopting_fail(adopting, "exchanging it with a link in the release", name);
    } else {
        return refuse_state(adopting, name);
    }
    return sync_both(adopting, name);
}

int adopting_finish_name(struct adopting *adopting, const char *name)
{
    bool is_done = false;
    int result = 0;
    for (unsigned round = 0; result == 0 && !is_done && round < ROUNDS_MAX; round++)
        result = step_name(adopting, name, &is_done);
    return result == 0 && !is_done ? refuse_state(adopting, name) : result;
}
