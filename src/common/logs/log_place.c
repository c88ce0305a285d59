#include "common/logs/log_place.h"

#include <errno.h>
#include <unistd.h>

/* FNV-1a, 32 bits. */
static const uint32_t check_basis = 2166136261U;
static const uint32_t check_prime = 16777619U;

uint32_t log_place_check(const char *bytes, size_t len)
{
    uint32_t check = check_basis;
    size_t begin = len > LOG_PLACE_CHECK_BYTES ? len - LOG_PLACE_CHECK_BYTES : 0;

    for (size_t i = begin; i < len; i++)
        check = (check ^ (uint8_t)bytes[i]) * check_prime;
    return check;
}

size_t log_place_check_length(uint64_t offset)
{
    return offset > LOG_PLACE_CHECK_BYTES ? LOG_PLACE_CHECK_BYTES : (size_t)offset;
}

int log_place_pread(
    int fd, uint64_t offset, char *bytes, size_t len, size_t *out_len, struct error *error)
{
    *out_len = 0;
    while (*out_len < len) {
        ssize_t n = pread(fd, bytes + *out_len, len - *out_len, (off_t)(offset + *out_len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(error, errno, "read a log file");
        if (n == 0)
            break;
        *out_len += (size_t)n;
    }
    return 0;
}

int log_place_in(
    int fd, struct log_file_id file, uint64_t offset, struct log_place *out, struct error *error)
{
    char before[LOG_PLACE_CHECK_BYTES];
    size_t wanted = log_place_check_length(offset);
    size_t len = 0;
    int result = log_place_pread(fd, offset - wanted, before, wanted, &len, error);

    if (result < 0)
        return result;
    *out =
        (struct log_place){.file = file, .offset = offset, .check = log_place_check(before, len)};
    return 0;
}

int log_place_distance(const char *path, const struct log_place *place, uint64_t *out)
{
    uint64_t size = 0;
    int result = log_files_size_from(path, place->file, &size);

    if (result != 0 || size < place->offset)
        return LOG_FILES_LOST;
    *out = size - place->offset;
    return 0;
}
