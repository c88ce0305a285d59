#include "common/release/adoption.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/adopting.h"
#include "common/release/tree.h"

/* Exchanged and removed before anything begins, to see whether that can be done. */
static const char probe_name[] = ".flocks-probe" ADOPTION_ENDING;

enum { ENDING_LEN = sizeof ADOPTION_ENDING - 1, RELEASE_MODE = 0755 };

/* ---- what was begun ---- */

/* Whether entry `name` of directory `fd` says that its adoption was begun: of a release by the link
 * that leads out, of the root by the last one that is left. */
static bool says_begun(int fd, const char *name, char out[NAME_MAX + 1])
{
    struct place place;
    char outward[ADOPTING_TEXT_SIZE];
    size_t len = strlen(name);
    if (adopting_look(fd, name, &place) < 0 || place.kind != PLACE_LINK)
        return false;
    /* In the root the name itself has the ending. */
    bool has_ending = len > ENDING_LEN && strcmp(name + len - ENDING_LEN, ADOPTION_ENDING) == 0;
    memcpy(out, name, len + 1);
    adopting_text_out(out, outward);
    if (strcmp(place.target, outward) == 0)
        return true;
    if (!has_ending)
        return false;
    out[len - ENDING_LEN] = '\0';
    adopting_text_out(out, outward);
    return strcmp(place.target, outward) == 0;
}

struct names {
    char (*items)[NAME_MAX + 1];
    size_t n;
    /* Entries that were looked at. */
    size_t n_seen;
};

static int take_begun(const struct adopting *adopting, DIR *directory, struct names *names)
{
    const struct dirent *found = NULL;
    while ((errno = 0, found = readdir(directory)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        if (++names->n_seen > ADOPTION_ENTRIES_MAX)
            return 0;
        if (names->n < ADOPTION_NAMES_MAX &&
            says_begun(dirfd(directory), found->d_name, names->items[names->n]))
            names->n++;
    }
    return errno == 0 ? 0 : adopting_fail(adopting, "reading it", "");
}

static int find_begun(const struct adopting *adopting, int fd, struct names *names)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (directory == NULL) {
        int result = adopting_fail(adopting, "reading it", "");
        fd_close(&copy);
        return result;
    }
    int result = take_begun(adopting, directory, names);
    (void)closedir(directory);
    return result;
}

/* All of one release: *out_n are begun, and *out_is_all: nothing else is in it. */
static int finish_release(struct adopting *adopting, bool with_root, size_t *out_n)
{
    struct names names = {.items = calloc(ADOPTION_NAMES_MAX + 1, sizeof *names.items)};
    *out_n = 0;
    if (names.items == NULL)
        return error_set_errno(adopting->error, ENOMEM, "adopting %s", adopting->dir->root);
    int result = find_begun(adopting, adopting->release_fd, &names);
    names.n_seen = 0;
    if (result == 0 && with_root)
        result = find_begun(adopting, adopting->dir->root_fd, &names);
    for (size_t i = 0; result == 0 && i < names.n; i++)
        result = adopting_finish_name(adopting, names.items[i]);
    *out_n = names.n;
    free(names.items);
    return result;
}

/* Whether a release holds nothing but what is to be adopted: it was published, and is not yet
 * current. */
static int is_waiting(struct adopting *adopting, bool *out)
{
    struct names names = {.items = calloc(ADOPTION_NAMES_MAX + 1, sizeof *names.items)};
    *out = false;
    if (names.items == NULL)
        return error_set_errno(adopting->error, ENOMEM, "adopting %s", adopting->dir->root);
    int result = find_begun(adopting, adopting->release_fd, &names);
    *out = names.n > 0 && names.n == names.n_seen;
    free(names.items);
    return result;
}

static int open_release(struct adopting *adopting, const char *version)
{
    adopting->release_fd = tree_open_directory(adopting->dir->releases_fd, version);
    return adopting->release_fd < 0 ? adopting_fail(adopting, "opening the release", version) : 0;
}

static int make_current(const struct adopting *adopting, const char *version)
{
    char path[PATH_MAX];
    char target[LINK_TEXT_MAX + 1];
    release_dir_target(version, target);
    int result = release_dir_current_path(adopting->dir, path, adopting->error);
    return result < 0 ? result : link_switch(path, target, adopting->error);
}

/* ADOPTION_NOTHING: no release waits. */
static int find_waiting(struct adopting *adopting, char version[VERSION_TEXT_MAX + 1])
{
    struct release_list list;
    int result = release_dir_list(adopting->dir, &list, adopting->error);
    for (size_t i = 0; result == 0 && i < list.n_entries; i++) {
        bool waits = false;
        if (list.entries[i].is_partial)
            continue;
        memcpy(version, list.entries[i].version.text, VERSION_TEXT_MAX + 1);
        result = open_release(adopting, version);
        if (result == 0)
            result = is_waiting(adopting, &waits);
        fd_close(&adopting->release_fd);
        if (result == 0 && waits)
            return 0;
    }
    return result < 0 ? result : ADOPTION_NOTHING;
}

/* Nothing can be exchanged here: as if it had not been begun, so far as nothing was. */
static void withdraw(struct adopting *adopting, const char *version)
{
    struct names names = {.items = calloc(ADOPTION_NAMES_MAX + 1, sizeof *names.items)};
    struct adopting quiet = {.dir = adopting->dir, .release_fd = adopting->release_fd};
    char path[PATH_MAX];
    uint32_t budget = ADOPTION_ENTRIES_MAX;
    bool is_all = names.items != NULL && find_begun(&quiet, quiet.release_fd, &names) == 0 &&
                  names.n == names.n_seen;
    for (size_t i = 0; is_all && i < names.n; i++)
        is_all = adopting_withdraw_name(&quiet, names.items[i]);
    free(names.items);
    if (is_all && release_dir_current_path(quiet.dir, path, NULL) == 0 &&
        link_switch(path, "", NULL) == 0)
        (void)!release_dir_remove(quiet.dir, version, &budget, NULL);
}

int adoption_continue(const struct release_dir *dir, struct error *error)
{
    struct adopting adopting = {.dir = dir, .release_fd = -1, .error = error};
    char version[VERSION_TEXT_MAX + 1];
    size_t n = 0;
    int result = release_dir_current(dir, version, error);
    if (result == RELEASE_DIR_NONE) {
        result = find_waiting(&adopting, version);
        if (result == 0)
            result = make_current(&adopting, version);
    }
    if (result != 0)
        return result;
    result = open_release(&adopting, version);
    if (result == 0)
        result = finish_release(&adopting, true, &n);
    if (adopting.cannot_exchange)
        withdraw(&adopting, version);
    fd_close(&adopting.release_fd);
    return result == 0 && n == 0 ? ADOPTION_NOTHING : result;
}

/* ---- beginning ---- */

bool adoption_is_due(const struct release_dir *dir, const char *name)
{
    struct place place;
    return strchr(name, '/') == NULL && adopting_look(dir->root_fd, name, &place) == 0 &&
           place.kind == PLACE_REAL;
}

static int check_text(const struct adopting *adopting, const char *name)
{
    static const char *const own[] = {
        ".", "..", "", "current", "releases", "run", "logs", "flocks.yaml"};
    const char *why = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        if (strcmp(name, own[i]) == 0)
            why = "it is needed here";
    }
    if (strchr(name, '/') != NULL)
        why = "it has to be one name, without a slash";
    if (strlen(name) > ADOPTION_NAME_MAX)
        why = "it is too long";
    if (why == NULL)
        return 0;
    int result = error_set(
        adopting->error, STATUS_INVALID_ARGUMENT, "adopting '%.*s': %s", NAME_MAX, name, why);
    error_set_hint(adopting->error, "change update.adopt in flocks.yaml");
    return result;
}

static int refuse_place(const struct adopting *adopting, const char *name, const char *why)
{
    int result = error_set(adopting->error, STATUS_FAILED_PRECONDITION, "adopting %s/%s: %s",
        adopting->dir->root, name, why);
    error_set_hint(adopting->error,
        "lay it where a release can be exchanged with it, or take it out of update.adopt");
    return result;
}

/* A mount point cannot be renamed, whatever lies on it. */
static int check_mount(const struct adopting *adopting, int fd, const char *name)
{
    struct statx at_root = {.stx_mask = 0};
    struct statx at_name = {.stx_mask = 0};
    int root = adopting->dir->root_fd;
    if (statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &at_root) < 0 ||
        statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_MNT_ID, &at_name) < 0)
        return adopting_fail(adopting, "looking at it", name);
    bool has_mounts = (at_root.stx_mask & at_name.stx_mask & STATX_MNT_ID) != 0;
    if (at_root.stx_dev_major != at_name.stx_dev_major ||
        at_root.stx_dev_minor != at_name.stx_dev_minor ||
        (has_mounts && at_root.stx_mnt_id != at_name.stx_mnt_id))
        return refuse_place(adopting, name[0] == '\0' ? "releases" : name,
            "it lies on another file system, or something is mounted on it");
    return 0;
}

static int check_name(const struct adopting *adopting, const char *name)
{
    char beside[NAME_MAX + 1];
    struct place place;
    int result = check_text(adopting, name);
    if (result < 0 || !adoption_is_due(adopting->dir, name))
        return result;
    (void)snprintf(beside, sizeof beside, "%s%s", name, ADOPTION_ENDING);
    if (adopting_look(adopting->dir->root_fd, beside, &place) < 0)
        return adopting_fail(adopting, "looking beside it", name);
    if (place.kind != PLACE_NONE)
        return refuse_place(adopting, name, "its name with " ADOPTION_ENDING " is taken");
    return check_mount(adopting, adopting->dir->root_fd, name);
}

/* Exchanges two links, one in the root and one in the new release. */
static int probe(const struct adopting *adopting)
{
    int root = adopting->dir->root_fd;
    int release = adopting->release_fd;
    if (unlinkat(root, probe_name, 0) < 0 && errno != ENOENT)
        return adopting_fail(adopting, "removing it", probe_name);
    if (symlinkat("a", root, probe_name) < 0 || symlinkat("b", release, probe_name) < 0)
        return adopting_fail(adopting, "making it", probe_name);
    int result = renameat2(root, probe_name, release, probe_name, RENAME_EXCHANGE);
    int saved = errno;
    if (unlinkat(root, probe_name, 0) < 0 || unlinkat(release, probe_name, 0) < 0)
        return adopting_fail(adopting, "removing it", probe_name);
    if (result == 0)
        return 0;
    errno = saved;
    result = adopting_fail(adopting, "exchanging two names of its file system", "");
    if (saved != EINVAL && saved != ENOSYS && saved != EXDEV)
        return result;
    result = error_set(adopting->error, STATUS_UNIMPLEMENTED,
        "adopting what lies in %s: its file system cannot exchange two names (renameat2: %s)",
        adopting->dir->root, error_errno_name(saved));
    error_set_hint(adopting->error,
        "stop the services and install the release into an empty root, or use another file system");
    return result;
}

static int make_links(const struct adopting *adopting, const char *const *names, size_t n_names)
{
    char outward[ADOPTING_TEXT_SIZE];
    for (size_t i = 0; i < n_names; i++) {
        if (!adoption_is_due(adopting->dir, names[i]))
            continue;
        adopting_text_out(names[i], outward);
        /* A name that is there twice is one. */
        if (symlinkat(outward, adopting->release_fd, names[i]) < 0 && errno != EEXIST)
            return adopting_fail(adopting, "making a link", names[i]);
    }
    return 0;
}

static int remove_partial(const struct adopting *adopting, const char *version)
{
    uint32_t budget = ADOPTION_ENTRIES_MAX;
    int result = release_dir_remove_partial(adopting->dir, version, &budget, adopting->error);
    return result == RELEASE_DIR_MORE
               ? error_set(adopting->error, STATUS_FAILED_PRECONDITION,
                     "adopting what lies in %s: a partial release %s is in the way",
                     adopting->dir->root, version)
               : result;
}

/* releases/<version> with nothing but links, not yet current. */
static int make_release(
    struct adopting *adopting, const char *version, const char *const *names, size_t n_names)
{
    char partial[RELEASE_NAME_SIZE];
    struct release_entry entry = {.is_partial = true};
    if (!version_parse(version, &entry.version))
        return error_set(
            adopting->error, STATUS_INVALID_ARGUMENT, "a release cannot be called '%s'", version);
    release_entry_name(&entry, partial);
    int result = remove_partial(adopting, version);
    if (result < 0)
        return result;
    if (mkdirat(adopting->dir->releases_fd, partial, RELEASE_MODE) < 0)
        return adopting_fail(adopting, "making a release", partial);
    result = open_release(adopting, partial);
    if (result == 0)
        result = probe(adopting);
    if (result == 0)
        result = make_links(adopting, names, n_names);
    if (result == 0)
        result = release_dir_publish(adopting->dir, version, adopting->error);
    if (result < 0)
        (void)!remove_partial(&(struct adopting){.dir = adopting->dir}, version);
    return result;
}

static int choose_version(
    const struct adopting *adopting, const char *version, char out[VERSION_TEXT_MAX + 1])
{
    struct place place;
    const char *const endings[] = {"", strchr(version, '+') == NULL ? "+adopted" : ".adopted"};
    for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
        int written = snprintf(out, VERSION_TEXT_MAX + 1, "%s%s", version, endings[i]);
        if (written < 0 || written > VERSION_TEXT_MAX || !release_name_is_good(out))
            break;
        if (adopting_look(adopting->dir->releases_fd, out, &place) == 0 && place.kind == PLACE_NONE)
            return 0;
    }
    return error_set(adopting->error, STATUS_ALREADY_EXISTS,
        "adopting what lies in %s: there is no name left for release %s", adopting->dir->root,
        version);
}

/* One that is cut off has to be found again. */
static int check_root(const struct adopting *adopting)
{
    struct names names = {.items = calloc(ADOPTION_NAMES_MAX + 1, sizeof *names.items)};
    if (names.items == NULL)
        return error_set_errno(adopting->error, ENOMEM, "adopting %s", adopting->dir->root);
    int result = find_begun(adopting, adopting->dir->root_fd, &names);
    free(names.items);
    if (result < 0 || names.n_seen <= ADOPTION_ENTRIES_MAX)
        return result;
    result = error_set(adopting->error, STATUS_FAILED_PRECONDITION,
        "adopting what lies in %s: it has more than %d names", adopting->dir->root,
        ADOPTION_ENTRIES_MAX);
    error_set_hint(adopting->error, "move what does not belong there to another directory");
    return result;
}

static int check_all(const struct adopting *adopting, const char *const *names, size_t n_names)
{
    char current[VERSION_TEXT_MAX + 1];
    bool is_due = false;
    int result = release_dir_current(adopting->dir, current, adopting->error);
    if (result == 0)
        return error_set(adopting->error, STATUS_FAILED_PRECONDITION,
            "adopting what lies in %s: release %s is current already", adopting->dir->root,
            current);
    if (result < 0)
        return result;
    if (n_names > ADOPTION_NAMES_MAX)
        return error_set(adopting->error, STATUS_INVALID_ARGUMENT, "more than %d names to adopt",
            ADOPTION_NAMES_MAX);
    result = check_root(adopting);
    if (result == 0)
        result = check_mount(adopting, adopting->dir->releases_fd, "");
    for (size_t i = 0; result == 0 && i < n_names; i++) {
        result = check_name(adopting, names[i]);
        is_due = is_due || adoption_is_due(adopting->dir, names[i]);
    }
    return result == 0 && !is_due ? ADOPTION_NOTHING : result;
}

int adoption_run(const struct release_dir *dir, const char *version, const char *const *names,
    size_t n_names, struct error *error)
{
    struct adopting adopting = {.dir = dir, .release_fd = -1, .error = error};
    char name[VERSION_TEXT_MAX + 1];
    size_t n = 0;
    int result = check_all(&adopting, names, n_names);
    if (result == 0)
        result = choose_version(&adopting, version, name);
    if (result == 0)
        result = make_release(&adopting, name, names, n_names);
    if (result == 0)
        result = make_current(&adopting, name);
    if (result == 0)
        result = finish_release(&adopting, false, &n);
    if (adopting.cannot_exchange)
        withdraw(&adopting, name);
    fd_close(&adopting.release_fd);
    return result;
}
