#include "client/updater/unpacking.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/archive_path.h"
#include "client/updater/cancel.h"
#include "common/base/fd.h"
#include "common/release/tree.h"

enum {
    /* From one look at cancel_fd, and one call of on_progress, to the next. */
    STEP_BYTES = 1024 * 1024
};

/* ---- refusing ---- */

int unpacking_refuse(struct unpacking *work, const char *path, const char *why)
{
    char shown[ARCHIVE_PATH_SHOWN_SIZE];
    archive_path_show(path, shown);
    int result = error_set(work->error, STATUS_INVALID_ARGUMENT,
        "%s is not safe to unpack: \"%s\": %s", work->request->name, shown, why);
    error_set_hint(work->error, "do not use it; tell whoever published it");
    return result;
}

static int exceed(struct unpacking *work, const char *what)
{
    int result = error_set(work->error, STATUS_RESOURCE_EXHAUSTED, "%s holds %s than is allowed",
        work->request->name, what);
    error_set_hint(work->error, "do not use it; tell whoever published it");
    return result;
}

/* As above, but another machine could take it. */
static int exceed_disk(struct unpacking *work, const char *what, uint64_t free)
{
    int result = error_set(work->error, STATUS_RESOURCE_EXHAUSTED,
        "%s does not fit the disk: it holds more than the %" PRIu64 " %s that may be used",
        work->request->name, free, what);
    error_set_hint(work->error, "make room on the disk, then try again");
    return result;
}

static int exceed_files(struct unpacking *work)
{
    uint64_t free = work->request->files_free;
    return free != 0 && free <= work->entries_max ? exceed_disk(work, "files", free)
                                                  : exceed(work, "more files");
}

int unpacking_fail_at(struct unpacking *work, const char *path)
{
    int saved = errno;
    char shown[ARCHIVE_PATH_SHOWN_SIZE];
    archive_path_show(path, shown);
    if (saved == EDQUOT && work->progress.entries >= work->entries_max)
        return exceed_files(work);
    int result =
        error_set_errno(work->error, saved, "unpacking %s: \"%s\"", work->request->name, shown);
    if (saved == ENOSPC || saved == EDQUOT)
        error_set_hint(work->error, "make room on the disk, then try again");
    return result;
}

/* What libarchive said. Its text may quote the archive. */
int unpacking_damaged(struct unpacking *work)
{
    char shown[ARCHIVE_PATH_SHOWN_SIZE];
    const char *text = archive_error_string(work->archive);
    archive_path_show(text == NULL ? "no reason given" : text, shown);
    if (work->input.read_error != 0)
        return error_set_errno(
            work->error, work->input.read_error, "reading %s", work->request->name);
    bool is_first = !work->has_entry;
    int result = error_set(work->error, is_first ? STATUS_INVALID_ARGUMENT : STATUS_DATA_LOSS,
        is_first ? "%s is no tar or zip archive that can be read here: %s"
                 : "%s is damaged or not whole: %s",
        work->request->name, shown);
    error_set_hint(work->error, "download it again");
    return result;
}

/* ---- bounds ---- */

int unpacking_tell_progress(struct unpacking *work)
{
    if (cancel_is_asked(work->request->cancel_fd))
        return error_set(
            work->error, STATUS_CANCELLED, "unpacking %s was interrupted", work->request->name);
    work->progress.bytes_read = work->input.high;
    if (work->request->on_progress != NULL && !work->is_measuring)
        work->request->on_progress(work->request->data, &work->progress);
    work->step = 0;
    return 0;
}

static int count_bytes(struct unpacking *work, uint64_t more)
{
    if (more > work->bytes_max - work->progress.bytes_written)
        return exceed(work, "more bytes");
    work->progress.bytes_written += more;
    if (work->progress.bytes_written >
        work->progress.bytes_total * UNPACK_RATIO_MAX + UNPACK_RATIO_FREE_BYTES)
        return exceed(work, "more bytes for its size");
    uint64_t free = work->request->bytes_free;
    if (free != 0 && work->progress.bytes_written > free)
        return exceed_disk(work, "MiB", free >> 20);
    return 0;
}

/* Everything that is made counts, needed directories in tree_make_directory. */
static int count_entry(struct unpacking *work)
{
    if (work->progress.entries >= work->entries_max)
        return exceed_files(work);
    work->progress.entries++;
    return 0;
}

/* ---- where an entry goes ---- */

static void note_top(struct unpacking *work, const char *path, bool is_directory)
{
    size_t len = strcspn(path, "/");
    if (work->top[0] == '\0')
        memcpy(work->top, path, len);
    else if (strncmp(work->top, path, len) != 0 || work->top[len] != '\0')
        work->has_several = true;
    work->top_is_directory |= is_directory || path[len] == '/';
}

/* Opens the directory that `path` is in; *out_name is its last component. The descriptor belongs to
 * `work`. */
int unpacking_open_parent(struct unpacking *work, const char *path, const char **out_name)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    *out_name = slash == NULL ? path : slash + 1;
    if (work->parent_fd >= 0 && strncmp(work->parent, path, len) == 0 && work->parent[len] == '\0')
        return 0;
    fd_close(&work->parent_fd);
    memcpy(work->parent, path, len);
    work->parent[len] = '\0';
    work->parent_fd = tree_make_directory(work->root_fd, work->parent, UNPACKING_MODE_KEPT,
        work->entries_max, &work->progress.entries);
    if (work->parent_fd >= 0)
        return 0;
    if (errno == ENOTDIR || errno == ELOOP)
        return unpacking_refuse(work, path, "a file is in the place of its directory");
    return unpacking_fail_at(work, path);
}

int unpacking_refuse_second(struct unpacking *work, const char *path)
{
    if (errno == EEXIST || errno == EISDIR || errno == ENOTDIR)
        return unpacking_refuse(work, path, "it occurs twice");
    return unpacking_fail_at(work, path);
}

/* ---- entries by kind ---- */

static int make_directory(struct unpacking *work, const char *path, mode_t mode)
{
    const char *name = NULL;
    int result = unpacking_open_parent(work, path, &name);
    if (result < 0)
        return result;
    CLEANUP(fd_close)
    int fd = tree_make_directory(
        work->parent_fd, name, UNPACKING_MODE_KEPT, work->entries_max, &work->progress.entries);
    if (fd < 0)
        return unpacking_refuse_second(work, path);
    mode_t kept = (mode & UNPACKING_MODE_KEPT) | S_IRWXU;
    if (strchr(path, '/') == NULL)
        work->top_mode = kept;
    return fchmod(fd, kept) < 0 ? unpacking_fail_at(work, path) : 0;
}

static int write_at(struct unpacking *work, int fd, const char *path, const uint8_t *bytes,
    size_t len, off_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return unpacking_fail_at(work, path);
        bytes += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

struct block {
    const void *bytes;
    size_t len;
    la_int64_t offset;
};

/* next_block: the entry has no more. */
#define NO_BLOCK 1

static int next_block(struct unpacking *work, struct block *out)
{
    int code = archive_read_data_block(work->archive, &out->bytes, &out->len, &out->offset);
    if (code == ARCHIVE_EOF)
        return NO_BLOCK;
    return code == ARCHIVE_OK ? 0 : unpacking_damaged(work);
}

/* Of a file whose length is *length so far; holes count like bytes. */
static int take_block(
    struct unpacking *work, int fd, const char *path, const struct block *block, uint64_t *length)
{
    if (block->offset < 0 || (uint64_t)block->offset > INT64_MAX - block->len)
        return unpacking_refuse(work, path, "its size is none");
    uint64_t end = (uint64_t)block->offset + block->len;
    int result = end > *length ? count_bytes(work, end - *length) : 0;
    if (result < 0)
        return result;
    *length = end > *length ? end : *length;
    result = write_at(work, fd, path, block->bytes, block->len, block->offset);
    work->step += block->len;
    return result == 0 && work->step >= STEP_BYTES ? unpacking_tell_progress(work) : result;
}

static int copy_content(
    struct unpacking *work, int fd, const char *path, struct archive_entry *entry)
{
    uint64_t length = 0;
    int result = 0;
    while (result == 0) {
        struct block block;
        result = next_block(work, &block);
        if (result == 0)
            result = take_block(work, fd, path, &block, &length);
    }
    la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (result < 0)
        return result;
    if (size < 0 || (uint64_t)size <= length)
        return 0;
    /* It ends in a hole. */
    result = count_bytes(work, (uint64_t)size - length);
    if (result == 0 && ftruncate(fd, size) < 0)
        result = unpacking_fail_at(work, path);
    return result;
}

static int make_file(
    struct unpacking *work, const char *path, mode_t mode, struct archive_entry *entry)
{
    const char *name = NULL;
    int result = unpacking_open_parent(work, path, &name);
    if (result < 0)
        return result;
    CLEANUP(fd_close)
    int fd = openat(work->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
        S_IRUSR | S_IWUSR);
    if (fd < 0)
        return unpacking_refuse_second(work, path);
    result = copy_content(work, fd, path, entry);
    if (result == 0 && fchmod(fd, (mode & UNPACKING_MODE_KEPT) | S_IRUSR) < 0)
        result = unpacking_fail_at(work, path);
    /* Some file systems tell only here that the disk is full. */
    if (close(fd_take(&fd)) < 0 && result == 0)
        result = unpacking_fail_at(work, path);
    return result;
}

/* Links are made last, so that until then every name leads to a directory or file that was made
 * here. */
static int note_link(struct unpacking *work, const char *path, const char *target)
{
    if (target == NULL)
        return unpacking_refuse(work, path, "it is a link to nowhere");
    struct unpacking_link *link = arena_alloc(&work->arena, sizeof *link);
    char *path_copy = arena_strdup(&work->arena, path);
    char *target_copy = arena_strdup(&work->arena, target);
    if (link == NULL || path_copy == NULL || target_copy == NULL)
        return exceed(work, "more links");
    *link = (struct unpacking_link){.path = path_copy, .target = target_copy};
    *work->last_link = link;
    work->last_link = &link->next;
    return 0;
}

static int make_hard_link(struct unpacking *work, const char *path, const char *target)
{
    char cleaned[ARCHIVE_PATH_MAX + 1];
    const char *why = archive_path_clean(target, cleaned);
    if (why != NULL || cleaned[0] == '\0')
        return unpacking_refuse(work, path, "it is a hard link that leads outside");
    const char *slash = strrchr(cleaned, '/');
    char directory[ARCHIVE_PATH_MAX + 1] = "";
    if (slash != NULL)
        memcpy(directory, cleaned, (size_t)(slash - cleaned));
    /* made_max 0: it must be there. */
    uint32_t made = 0;
    CLEANUP(fd_close) int target_fd = tree_make_directory(work->root_fd, directory, 0, 0, &made);
    const char *name = NULL;
    int result = unpacking_open_parent(work, path, &name);
    if (result < 0)
        return result;
    /* Without AT_SYMLINK_FOLLOW. */
    if (target_fd >= 0 &&
        linkat(target_fd, slash == NULL ? cleaned : slash + 1, work->parent_fd, name, 0) == 0)
        return 0;
    if (target_fd >= 0 && errno == EEXIST)
        return unpacking_refuse(work, path, "it occurs twice");
    if (target_fd >= 0 && (errno == ENOSPC || errno == EDQUOT))
        return unpacking_fail_at(work, path);
    return unpacking_refuse(
        work, path, "it is a hard link to what is no file of the archive before it");
}

static const char *entry_path(struct archive_entry *entry)
{
    const char *path = archive_entry_pathname_utf8(entry);
    return path == NULL ? archive_entry_pathname(entry) : path;
}

static const char *entry_hard_link(struct archive_entry *entry)
{
    const char *target = archive_entry_hardlink_utf8(entry);
    return target == NULL ? archive_entry_hardlink(entry) : target;
}

static const char *entry_target(struct archive_entry *entry)
{
    const char *target = archive_entry_symlink_utf8(entry);
    return target == NULL ? archive_entry_symlink(entry) : target;
}

int unpacking_take_entry(struct unpacking *work, struct archive_entry *entry)
{
    const char *name = entry_path(entry);
    char path[ARCHIVE_PATH_MAX + 1];
    if (name == NULL)
        return unpacking_refuse(work, "?", "its name is not UTF-8");
    const char *why = archive_path_clean(name, path);
    if (why != NULL)
        return unpacking_refuse(work, name, why);
    mode_t type = archive_entry_filetype(entry);
    const char *hard = entry_hard_link(entry);
    if (path[0] == '\0')
        return type == AE_IFDIR ? 0 : unpacking_refuse(work, name, "it has no name");
    note_top(work, path, hard == NULL && type == AE_IFDIR);
    if (archive_entry_is_encrypted(entry))
        return unpacking_refuse(work, path, "it is encrypted");
    if (hard == NULL && type == AE_IFDIR)
        return make_directory(work, path, archive_entry_perm(entry));
    int result = count_entry(work);
    if (result < 0)
        return result;
    if (hard != NULL)
        return make_hard_link(work, path, hard);
    if (type == AE_IFREG)
        return make_file(work, path, archive_entry_perm(entry), entry);
    if (type == AE_IFLNK)
        return note_link(work, path, entry_target(entry));
    return unpacking_refuse(work, path, "it is neither file nor directory nor link");
}

/* Directories are not counted here: they may be named several times, or not at all. */
int unpacking_measure_entry(struct unpacking *work, struct archive_entry *entry)
{
    bool is_directory = entry_hard_link(entry) == NULL && archive_entry_filetype(entry) == AE_IFDIR;
    la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    int result = is_directory ? 0 : count_entry(work);
    if (result == 0 && size > 0 && entry_hard_link(entry) == NULL)
        result = count_bytes(work, (uint64_t)size);
    while (result == 0) {
        struct block block;
        result = next_block(work, &block);
        work->step += result == 0 ? block.len : 0;
        if (result == 0 && work->step >= STEP_BYTES)
            result = unpacking_tell_progress(work);
    }
    return result < 0 ? result : 0;
}
