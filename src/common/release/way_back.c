#include "common/release/way_back.h"

#include <stdio.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/release/release_keep.h"

enum {
    WAY_BACK_MODE = 0600,
    /* "CURRENT BEFORE\n" */
    WAY_BACK_BYTES_MAX = 2 * (VERSION_TEXT_MAX + 1)
};

int way_back_write(const char *path, const char *current, const char *before, struct error *error)
{
    char line[WAY_BACK_BYTES_MAX + 1];
    int len = snprintf(line, sizeof line, "%s %s\n", current, before);
    if (len < 0 || (size_t)len >= sizeof line)
        return error_set(error, STATUS_INVALID_ARGUMENT, "no names of releases for %s", path);
    fd_sweep_temporaries(path);
    return fd_replace_file(path, line, (size_t)len, WAY_BACK_MODE, error);
}

bool way_back_read(const char *path, const char *current, char out[VERSION_TEXT_MAX + 1])
{
    CLEANUP(free_text) char *text = NULL;
    size_t len = 0;
    size_t current_len = strlen(current);
    if (fd_read_file(path, WAY_BACK_BYTES_MAX, &text, &len, NULL) < 0)
        return false;
    if (strncmp(text, current, current_len) != 0 || text[current_len] != ' ')
        return false;
    const char *before = text + current_len + 1;
    size_t before_len = strcspn(before, "\n");
    if (before_len > VERSION_TEXT_MAX || before[before_len] != '\n')
        return false;
    memcpy(out, before, before_len);
    out[before_len] = '\0';
    return release_name_is_good(out);
}
