#include "client/updater/part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/updater/cancel.h"
#include "client/updater/download.h"
#include "common/base/fd.h"

enum { READ_BYTES = 64 * 1024 };

static const char HEADER[] = "flocks-part 1";

/* ---- the record ---- */

/* Lines "name value"; the order is fixed. Whoever can write it can write the file beside it. */
static int write_record(const struct part *part, const char *digest, struct error *error)
{
    char text[PART_RECORD_BYTES_MAX];
    int n = snprintf(text, sizeof text,
        "%s\nurl %s\nvalidator %s\ntotal %" PRIu64 "\nbytes %" PRIu64 "\nsha256 %s\n", HEADER,
        part->url, part->validator, part->total, part->bytes, digest);
    return fd_replace_file(part->record, text, (size_t)n, S_IRUSR | S_IWUSR, error);
}

/* The value of the next line, which must be `name`'s. NULL: it is not. Cuts the text. */
static const char *next_value(char **at, const char *name)
{
    size_t len = strlen(name);
    char *line = *at;
    char *end = strchr(line, '\n');
    if (end == NULL || strncmp(line, name, len) != 0 || line[len] != ' ')
        return NULL;
    *end = '\0';
    *at = end + 1;
    return line + len + 1;
}

static bool take_number(const char *text, uint64_t *out)
{
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool take_text(const char *text, char *out, size_t max)
{
    if (text == NULL || strlen(text) > max)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* Of this URL, and sound as far as can be seen from it. */
static bool parse_record(struct part *part, char *text, char digest[PART_DIGEST_SIZE])
{
    char url[URL_MAX + 1];
    size_t len = sizeof HEADER - 1;
    if (strncmp(text, HEADER, len) != 0 || text[len] != '\n')
        return false;
    text += len + 1;
    return take_text(next_value(&text, "url"), url, URL_MAX) && strcmp(url, part->url) == 0 &&
           take_text(next_value(&text, "validator"), part->validator, PART_VALIDATOR_MAX) &&
           take_number(next_value(&text, "total"), &part->total) &&
           take_number(next_value(&text, "bytes"), &part->recorded) &&
           take_text(next_value(&text, "sha256"), digest, PART_DIGEST_SIZE - 1) &&
           (part->total == 0 || part->recorded <= part->total);
}

static bool read_record(struct part *part, char digest[PART_DIGEST_SIZE])
{
    char *text = NULL;
    size_t len = 0;
    if (fd_read_file(part->record, PART_RECORD_BYTES_MAX, &text, &len, NULL) < 0)
        return false;
    bool is_read = strlen(text) == len && parse_record(part, text, digest);
    free(text);
    return is_read;
}

/* ---- opening ---- */

/* Hashes the bytes that the record promises. Positive: they are not all there. */
static int hash_recorded(struct part *part, int cancel_fd, struct error *error)
{
    uint8_t chunk[READ_BYTES];
    uint64_t offset = 0;
    while (offset < part->recorded) {
        if (cancel_is_asked(cancel_fd))
            return error_set(error, STATUS_CANCELLED, "the download was interrupted");
        uint64_t left = part->recorded - offset;
        ssize_t n = pread(
            part->fd, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, errno, "reading %s", part->partial);
        if (n == 0)
            return 1;
        (void)crypto_hash_sha256_update(&part->hash, chunk, (size_t)n);
        offset += (uint64_t)n;
    }
    return 0;
}

/* Takes over what an earlier download has left. */
static int take_over(struct part *part, int cancel_fd, struct error *error)
{
    char promised[PART_DIGEST_SIZE];
    char found[PART_DIGEST_SIZE];
    if (!read_record(part, promised))
        return part_restart(part, error);
    int result = hash_recorded(part, cancel_fd, error);
    if (result < 0)
        return result;
    part_digest(part, found);
    if (result > 0 || strcmp(promised, found) != 0)
        return part_restart(part, error);
    part->bytes = part->recorded;
    part->inherited = part->recorded;
    if (ftruncate(part->fd, (off_t)part->bytes) < 0)
        return error_set_errno(error, errno, "writing %s", part->partial);
    return 0;
}

static bool name_files(struct part *part, const char *path)
{
    int n = snprintf(part->record, sizeof part->record, "%s.part.record", path);
    if (n < 0 || (size_t)n >= sizeof part->record)
        return false;
    (void)snprintf(part->path, sizeof part->path, "%s", path);
    (void)snprintf(part->partial, sizeof part->partial, "%s.part", path);
    return true;
}

int part_open(
    struct part *part, const char *path, const char *shown_url, int cancel_fd, struct error *error)
{
    *part = (struct part){.fd = -1};
    (void)crypto_hash_sha256_init(&part->hash);
    if (!name_files(part, path))
        return error_set_errno(error, ENAMETOOLONG, "downloading to %s", path);
    (void)snprintf(part->url, sizeof part->url, "%s", shown_url);
    part->fd = open(part->partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (part->fd < 0)
        return error_set_errno(error, errno, "making %s", part->partial);
    int result = take_over(part, cancel_fd, error);
    if (result < 0)
        part_close(part);
    return result;
}

void part_open_text(struct part *part, struct buffer *text)
{
    *part = (struct part){.fd = -1, .text = text};
    (void)crypto_hash_sha256_init(&part->hash);
}

void part_close(struct part *part)
{
    fd_close(&part->fd);
}

/* ---- writing ---- */

int part_restart(struct part *part, struct error *error)
{
    part->bytes = 0;
    part->recorded = 0;
    part->inherited = 0;
    part->total = 0;
    part->validator[0] = '\0';
    (void)crypto_hash_sha256_init(&part->hash);
    if (part->text != NULL) {
        buffer_truncate(part->text, 0);
        return 0;
    }
    (void)unlink(part->record);
    if (ftruncate(part->fd, 0) < 0)
        return error_set_errno(error, errno, "writing %s", part->partial);
    return 0;
}

static int write_bytes(struct part *part, const uint8_t *bytes, size_t len, struct error *error)
{
    off_t offset = (off_t)part->bytes;
    while (len > 0) {
        ssize_t n = pwrite(part->fd, bytes, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int result = error_set_errno(error, errno, "writing %s", part->partial);
            error_set_hint(
                error, "make room on the disk, then try again: the download goes on from here");
            return result;
        }
        bytes += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

/* Bytes to the disk, then the record. */
static int record_bytes(struct part *part, struct error *error)
{
    char digest[PART_DIGEST_SIZE];
    if (part->text != NULL || part->bytes == part->recorded)
        return 0;
    if (fdatasync(part->fd) < 0)
        return error_set_errno(error, errno, "writing %s to the disk", part->partial);
    part_digest(part, digest);
    int result = write_record(part, digest, error);
    if (result == 0)
        part->recorded = part->bytes;
    return result;
}

int part_append(struct part *part, const void *bytes, size_t len, struct error *error)
{
    int result = 0;
    if (part->text == NULL)
        result = write_bytes(part, bytes, len, error);
    else if (buffer_append(part->text, bytes, len) < 0)
        result = error_set_errno(error, ENOMEM, "keeping %zu bytes more", len);
    if (result < 0)
        return result;
    (void)crypto_hash_sha256_update(&part->hash, bytes, len);
    part->bytes += len;
    if (part->text == NULL && part->bytes - part->recorded >= DOWNLOAD_RECORD_BYTES)
        result = record_bytes(part, error);
    return result;
}

void part_digest(const struct part *part, char out[PART_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    crypto_hash_sha256_state copy = part->hash;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&copy, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * sizeof hash] = '\0';
}

int part_finish(struct part *part, struct error *error)
{
    if (part->text != NULL)
        return 0;
    if (fsync(part->fd) < 0)
        return error_set_errno(error, errno, "writing %s to the disk", part->partial);
    if (rename(part->partial, part->path) < 0)
        return error_set_errno(error, errno, "renaming %s to %s", part->partial, part->path);
    (void)unlink(part->record);
    return fd_sync_parent(part->path, error);
}

void part_keep(struct part *part)
{
    struct error unread;
    if (part->text == NULL && record_bytes(part, &unread) < 0)
        (void)unlink(part->record);
}

void part_discard(struct part *part)
{
    if (part->text != NULL)
        return;
    (void)unlink(part->record);
    (void)unlink(part->partial);
}
