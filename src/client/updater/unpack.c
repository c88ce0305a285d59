#include "client/updater/unpack.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/archive_path.h"
#include "client/updater/unpacking.h"
#include "common/base/fd.h"
#include "common/release/tree.h"

/* Each entry of the archive. */
static int walk(
    struct unpacking *work, int (*take)(struct unpacking *work, struct archive_entry *entry))
{
    for (;;) {
        struct archive_entry *entry = NULL;
        int code = archive_read_next_header(work->archive, &entry);
        if (code == ARCHIVE_EOF)
            break;
        /* Also warnings: what libarchive only half understood is not installed. */
        if (code != ARCHIVE_OK)
            return unpacking_damaged(work);
        work->has_entry = true;
        int result = take(work, entry);
        if (result == 0)
            result = unpacking_tell_progress(work);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_entries(struct unpacking *work)
{
    int result = walk(work, unpacking_take_entry);
    if (result < 0 || work->progress.entries > 0)
        return result;
    result =
        error_set(work->error, STATUS_INVALID_ARGUMENT, "%s holds no file", work->request->name);
    error_set_hint(work->error, "do not use it; tell whoever published it");
    return result;
}

/* Without the one directory in which everything lies, if there is one. */
static int unwrap(struct unpacking *work, bool *out_is_unwrapped)
{
    fd_close(&work->parent_fd);
    *out_is_unwrapped = work->top_is_directory && !work->has_several;
    if (!*out_is_unwrapped)
        return fchmod(work->root_fd, UNPACKING_MODE_KEPT) < 0 ? unpacking_fail_at(work, ".") : 0;
    /* It may be known only from links in it. */
    uint32_t made = 0;
    CLEANUP(fd_close)
    int fd = tree_make_directory(work->root_fd, work->top, UNPACKING_MODE_KEPT, 1, &made);
    if (fd < 0 || tree_hoist(work->root_fd, work->top) < 0 ||
        fchmod(work->root_fd, work->top_mode) < 0)
        return unpacking_fail_at(work, work->top);
    return 0;
}

static int make_links(struct unpacking *work, size_t skipped)
{
    for (const struct unpacking_link *link = work->links; link != NULL; link = link->next) {
        /* One that bears the name of the directory in which everything lies. */
        if (strlen(link->path) < skipped)
            return unpacking_refuse(work, link->path, "it occurs twice");
        const char *path = link->path + skipped;
        const char *why = archive_path_check_link(path, link->target);
        if (why != NULL) {
            char shown[ARCHIVE_PATH_SHOWN_SIZE];
            archive_path_show(link->target, shown);
            int result = unpacking_refuse(work, link->path, why);
            return error_add_context(work->error, result, "a link to \"%s\"", shown);
        }
        const char *name = NULL;
        int result = unpacking_open_parent(work, path, &name);
        if (result == 0 && symlinkat(link->target, work->parent_fd, name) < 0)
            result = unpacking_refuse_second(work, link->path);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Everything into `work->root_fd`, and from there to the disk. */
static int fill(struct unpacking *work, struct unpack_outcome *out)
{
    int result = take_entries(work);
    if (result == 0)
        result = unwrap(work, &out->is_unwrapped);
    if (result == 0)
        result = make_links(work, out->is_unwrapped ? strlen(work->top) + 1 : 0);
    if (result == 0 && syncfs(work->root_fd) < 0)
        result = unpacking_fail_at(work, ".");
    if (result == 0)
        result = unpacking_tell_progress(work);
    out->progress = work->progress;
    return result;
}

/* Parent directory of the new one, and its name there. */
static int open_place(const char *directory, char name[NAME_MAX + 1], struct error *error)
{
    char copy[PATH_MAX];
    size_t len = strnlen(directory, sizeof copy);
    while (len > 1 && directory[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof copy)
        return error_set_errno(
            error, len == 0 ? ENOENT : ENAMETOOLONG, "unpacking into %s", directory);
    memcpy(copy, directory, len);
    copy[len] = '\0';
    char *slash = strrchr(copy, '/');
    const char *last = slash == NULL ? copy : slash + 1;
    if (strlen(last) > NAME_MAX || last[0] == '\0')
        return error_set_errno(error, EINVAL, "unpacking into %s", directory);
    memcpy(name, last, strlen(last) + 1);
    const char *parent = slash == NULL ? "." : copy;
    if (slash == copy)
        parent = "/";
    else if (slash != NULL)
        *slash = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(error, errno, "opening %s to unpack into it", parent) : fd;
}

static int unpack_below(
    struct unpacking *work, int place_fd, const char *name, struct unpack_outcome *out)
{
    const char *directory = work->request->directory;
    if (mkdirat(place_fd, name, S_IRWXU) < 0) {
        int result = error_set_errno(work->error, errno, "making %s to unpack into it", directory);
        if (result == -STATUS_ALREADY_EXISTS)
            error_set_hint(work->error, "remove it, or choose another place");
        return result;
    }
    work->root_fd = tree_open_directory(place_fd, name);
    int result = work->root_fd < 0 ? error_set_errno(work->error, errno, "opening %s", directory)
                                   : fill(work, out);
    if (result == 0 && fsync(place_fd) < 0)
        result = error_set_errno(
            work->error, errno, "writing the directory of %s to the disk", directory);
    fd_close(&work->parent_fd);
    fd_close(&work->root_fd);
    if (result < 0 && tree_remove(place_fd, name) < 0)
        result =
            error_add_context(work->error, result, "%s is left and has to be removed", directory);
    return result;
}

/* Before the first file is made: whether all of it can be read, and stays within the bounds. */
static int measure(struct unpacking *work)
{
    const struct unpack_request *request = work->request;
    work->is_measuring = true;
    int result =
        unpack_input_open(&work->input, request->fd, request->name, &work->archive, work->error);
    if (result < 0)
        return result;
    work->progress.bytes_total = work->input.size;
    result = walk(work, unpacking_measure_entry);
    (void)archive_read_free(work->archive);
    work->progress = (struct unpack_progress){.bytes_total = work->input.size};
    work->is_measuring = false;
    work->step = 0;
    return result;
}

static int unpack_file(struct unpacking *work, struct unpack_outcome *out)
{
    char name[NAME_MAX + 1];
    CLEANUP(fd_close) int place_fd = open_place(work->request->directory, name, work->error);
    if (place_fd < 0)
        return place_fd;
    int result = measure(work);
    if (result == 0)
        result = unpack_input_open(
            &work->input, work->request->fd, work->request->name, &work->archive, work->error);
    if (result < 0)
        return result;
    result = unpack_below(work, place_fd, name, out);
    (void)archive_read_free(work->archive);
    return result;
}

int unpack(const struct unpack_request *request, struct unpack_outcome *out, struct error *error)
{
    struct unpacking *work = calloc(1, sizeof *work);
    if (work == NULL)
        return error_set_errno(error, ENOMEM, "unpacking %s", request->name);
    work->request = request;
    work->error = error;
    work->bytes_max = request->bytes_max == 0 ? UNPACK_BYTES_MAX : request->bytes_max;
    work->entries_max = request->entries_max == 0 ? UNPACK_ENTRIES_MAX : request->entries_max;
    if (request->files_free != 0 && request->files_free < work->entries_max)
        work->entries_max = (uint32_t)request->files_free;
    work->root_fd = -1;
    work->parent_fd = -1;
    work->top_mode = UNPACKING_MODE_KEPT;
    work->last_link = &work->links;
    arena_init(&work->arena, UNPACK_LINKS_BYTES_MAX);
    /* libarchive converts names to the locale's charset, and the C locale has none beyond ASCII. */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 == (locale_t)0 ? (locale_t)0 : uselocale(utf8);
    struct unpack_outcome outcome = {.is_unwrapped = false};
    int result = unpack_file(work, &outcome);
    if (utf8 != (locale_t)0) {
        (void)uselocale(before);
        freelocale(utf8);
    }
    arena_deinit(&work->arena);
    free(work);
    if (result == 0)
        *out = outcome;
    return result;
}
