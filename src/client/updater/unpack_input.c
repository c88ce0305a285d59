#include "client/updater/unpack_input.h"

#include <archive.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static la_ssize_t read_chunk(struct archive *archive, void *data, const void **out)
{
    struct unpack_input *input = data;
    ssize_t n = -1;
    do
        n = pread(input->fd, input->chunk, sizeof input->chunk, (off_t)input->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        input->read_error = errno;
        archive_set_error(archive, errno, "cannot be read");
        return ARCHIVE_FATAL;
    }
    input->offset += (uint64_t)n;
    if (input->offset > input->high)
        input->high = input->offset;
    *out = input->chunk;
    return n;
}

static la_int64_t skip(struct archive *archive, void *data, la_int64_t wanted)
{
    struct unpack_input *input = data;
    (void)archive;
    uint64_t left = input->size > input->offset ? input->size - input->offset : 0;
    uint64_t skipped = wanted < 0 ? 0 : (uint64_t)wanted;
    skipped = skipped < left ? skipped : left;
    input->offset += skipped;
    return (la_int64_t)skipped;
}

static la_int64_t seek(struct archive *archive, void *data, la_int64_t offset, int whence)
{
    struct unpack_input *input = data;
    la_int64_t base = 0;
    if (whence == SEEK_CUR)
        base = (la_int64_t)input->offset;
    else if (whence == SEEK_END)
        base = (la_int64_t)input->size;
    la_int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) {
        archive_set_error(archive, EINVAL, "points before its beginning");
        return ARCHIVE_FATAL;
    }
    input->offset = (uint64_t)target;
    return target;
}

/* ARCHIVE_WARN would mean: by running a program of that name. zip by its central directory alone:
 * read as a stream, one that is cut unpacks as if it were whole, without modes and with links as
 * files. */
static bool support(struct archive *archive)
{
    return archive_read_support_filter_gzip(archive) == ARCHIVE_OK &&
           archive_read_support_filter_xz(archive) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(archive) == ARCHIVE_OK &&
           archive_read_support_format_tar(archive) == ARCHIVE_OK &&
           archive_read_support_format_zip_seekable(archive) == ARCHIVE_OK &&
           archive_read_set_read_callback(archive, read_chunk) == ARCHIVE_OK &&
           archive_read_set_skip_callback(archive, skip) == ARCHIVE_OK &&
           archive_read_set_seek_callback(archive, seek) == ARCHIVE_OK;
}

int unpack_input_open(struct unpack_input *input, int fd, const char *name,
    struct archive **out_archive, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(error, errno, "reading %s", name);
    if (!S_ISREG(status.st_mode))
        return error_set(error, STATUS_INVALID_ARGUMENT, "%s is not a regular file", name);
    input->fd = fd;
    input->read_error = 0;
    input->size = (uint64_t)status.st_size;
    input->offset = 0;
    input->high = 0;
    struct archive *archive = archive_read_new();
    if (archive == NULL)
        return error_set_errno(error, ENOMEM, "reading %s", name);
    if (!support(archive) || archive_read_set_callback_data(archive, input) != ARCHIVE_OK ||
        archive_read_open1(archive) != ARCHIVE_OK) {
        const char *why = archive_error_string(archive);
        int result = error_set(error, STATUS_INVALID_ARGUMENT,
            "%s is no tar or zip archive that can be read here: %s", name,
            why == NULL ? "libarchive lacks a format" : why);
        error_set_hint(error, "download it again");
        (void)archive_read_free(archive);
        return result;
    }
    *out_archive = archive;
    return 0;
}
