#include "common/release/link_switch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"

int link_read(const char *link, char out[LINK_TEXT_MAX + 1], struct error *error)
{
    char target[LINK_TEXT_MAX + 2];
    ssize_t len = readlink(link, target, sizeof target);
    out[0] = '\0';
    if (len < 0 && errno == ENOENT)
        return LINK_NONE;
    if (len < 0 && errno == EINVAL) {
        int result =
            error_set(error, STATUS_FAILED_PRECONDITION, "%s is not a symbolic link", link);
        error_set_hint(error, "move it away: upgrades make a link there, and replace nothing else");
        return result;
    }
    if (len < 0)
        return error_set_errno(error, errno, "reading the link %s", link);
    if (len > LINK_TEXT_MAX)
        return error_set(error, STATUS_FAILED_PRECONDITION,
            "the link %s points to a path longer than %d bytes", link, LINK_TEXT_MAX);
    memcpy(out, target, (size_t)len);
    out[len] = '\0';
    return 0;
}

static int replace(const char *link, const char *temporary, const char *target, struct error *error)
{
    if (symlink(target, temporary) < 0)
        return error_set_errno(error, errno, "making the link %s", temporary);
    if (rename(temporary, link) == 0)
        return 0;
    int result = error_set_errno(error, errno, "switching the link %s to %s", link, target);
    (void)unlink(temporary);
    return result;
}

static int change(const char *link, bool is_so, const char *target, struct error *error)
{
    char temporary[PATH_MAX];
    int written = snprintf(temporary, sizeof temporary, "%s.flocks-switch", link);
    if (written < 0 || (size_t)written >= sizeof temporary)
        return error_set_errno(error, ENAMETOOLONG, "switching the link %s", link);
    /* Of an earlier try that was cut short, perhaps behind the rename of a later one. */
    if (unlink(temporary) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "removing %s", temporary);
    if (is_so)
        return 0;
    if (target[0] != '\0')
        return replace(link, temporary, target, error);
    if (unlink(link) < 0 && errno != ENOENT)
        return error_set_errno(error, errno, "removing the link %s", link);
    return 0;
}

int link_switch(const char *link, const char *target, struct error *error)
{
    char found[LINK_TEXT_MAX + 1];
    if (strlen(target) > LINK_TEXT_MAX)
        return error_set_errno(error, ENAMETOOLONG, "switching the link %s", link);
    int result = link_read(link, found, error);
    if (result < 0)
        return result;
    result = change(link, strcmp(found, target) == 0, target, error);
    if (result >= 0)
        result = fd_sync_parent(link, error);
    if (result < 0)
        return result;
    /* Somebody who did not know of us may have put another temporary link under our rename. */
    result = link_read(link, found, error);
    if (result >= 0 && strcmp(found, target) != 0)
        return error_set(error, STATUS_ABORTED,
            "somebody else switches the link %s: it points to %s, not to %s", link,
            found[0] == '\0' ? "nothing" : found, target);
    return result < 0 ? result : 0;
}

/* ---- sets ---- */

static bool is_plain(const char *text)
{
    size_t len = strnlen(text, LINK_TEXT_MAX + 1);
    if (len > LINK_TEXT_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    }
    return true;
}

/* Absolute, and every component a name. */
static bool is_normal(const char *path)
{
    if (path[0] != '/' || path[1] == '\0')
        return false;
    while (*path != '\0') {
        size_t len = strcspn(++path, "/");
        if (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && memcmp(path, "..", 2) == 0))
            return false;
        path += len;
    }
    return true;
}

bool link_change_is_good(const struct link_change *change)
{
    return is_plain(change->link) && is_normal(change->link) && is_plain(change->old_target) &&
           is_plain(change->new_target);
}

static bool has_link(const struct link_set *set, const char *link)
{
    for (size_t i = 0; i < set->n_changes; i++) {
        if (strcmp(set->changes[i].link, link) == 0)
            return true;
    }
    return false;
}

int link_set_add(
    struct link_set *set, const char *link, const char *new_target, struct error *error)
{
    struct link_change added = {.link = ""};
    if (strlen(link) > LINK_TEXT_MAX || strlen(new_target) > LINK_TEXT_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "a link to switch, or its target, has more than %d bytes", LINK_TEXT_MAX);
    memcpy(added.link, link, strlen(link) + 1);
    memcpy(added.new_target, new_target, strlen(new_target) + 1);
    if (!link_change_is_good(&added) || has_link(set, link))
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "a link to switch is not absolute, has '.' or '..' or control characters in it, or is "
            "named twice");
    if (set->n_changes >= LINK_SET_MAX)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED,
            "%s is one link more than the %d of an upgrade", link, LINK_SET_MAX);
    int result = link_read(link, added.old_target, error);
    if (result < 0)
        return result;
    if (!link_change_is_good(&added))
        return error_set(error, STATUS_FAILED_PRECONDITION,
            "the link %s points to a path with control characters", link);
    set->changes[set->n_changes++] = added;
    return 0;
}

int link_set_look(const struct link_set *set, enum link_set_state *out, struct error *error)
{
    size_t n_old = 0;
    size_t n_new = 0;
    size_t n_known = 0;
    for (size_t i = 0; i < set->n_changes; i++) {
        const struct link_change *change = &set->changes[i];
        char found[LINK_TEXT_MAX + 1];
        int result = link_read(change->link, found, NULL);
        if (result < 0 && result != -STATUS_FAILED_PRECONDITION)
            return link_read(change->link, found, error);
        bool is_old = result >= 0 && strcmp(found, change->old_target) == 0;
        bool is_new = result >= 0 && strcmp(found, change->new_target) == 0;
        n_old += is_old;
        n_new += is_new;
        n_known += is_old || is_new;
    }
    if (n_known < set->n_changes)
        *out = LINK_SET_FOREIGN;
    else if (n_old == set->n_changes)
        *out = LINK_SET_OLD;
    else
        *out = n_new == set->n_changes ? LINK_SET_NEW : LINK_SET_MIXED;
    return 0;
}

static int refuse_foreign(const struct link_set *set, struct error *error)
{
    enum link_set_state state = LINK_SET_FOREIGN;
    int result = link_set_look(set, &state, error);
    if (result < 0 || state != LINK_SET_FOREIGN)
        return result;
    for (size_t i = 0; i < set->n_changes; i++) {
        const struct link_change *change = &set->changes[i];
        char found[LINK_TEXT_MAX + 1];
        result = link_read(change->link, found, error);
        if (result < 0)
            return result;
        if (strcmp(found, change->old_target) != 0 && strcmp(found, change->new_target) != 0) {
            result = error_set(error, STATUS_FAILED_PRECONDITION,
                "%s points to %s, neither to %s nor to %s", change->link,
                found[0] == '\0' ? "nothing" : found, change->old_target, change->new_target);
            error_set_hint(error, "somebody else has changed it; put it to one of the two");
            return result;
        }
    }
    return 0;
}

int link_set_switch(const struct link_set *set, struct error *error)
{
    int result = refuse_foreign(set, error);
    for (size_t i = 0; i < set->n_changes && result == 0; i++)
        result = link_switch(set->changes[i].link, set->changes[i].new_target, error);
    return result;
}

int link_set_restore(const struct link_set *set, struct error *error)
{
    int result = refuse_foreign(set, error);
    for (size_t i = set->n_changes; i > 0 && result == 0; i--)
        result = link_switch(set->changes[i - 1].link, set->changes[i - 1].old_target, error);
    return result;
}
