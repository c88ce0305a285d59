#include "client/updater/archive_path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

static bool is_plain(const char *text, size_t len)
{
    if (!utf8_is_valid((const uint8_t *)text, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            return false;
    }
    return true;
}

static bool is_dots(const char *component, size_t len, size_t n_dots)
{
    return len == n_dots && memcmp(component, "..", n_dots) == 0;
}

/* What is wrong with any path or target, before its components are looked at. */
static const char *check_text(const char *text)
{
    size_t len = strnlen(text, ARCHIVE_PATH_MAX + 1);
    if (len == 0)
        return "it is empty";
    if (len > ARCHIVE_PATH_MAX)
        return "it is too long";
    if (!is_plain(text, len))
        return "it is not plain text";
    return text[0] == '/' ? "it is absolute" : NULL;
}

const char *archive_path_clean(const char *path, char out[ARCHIVE_PATH_MAX + 1])
{
    const char *why = check_text(path);
    size_t depth = 0;
    size_t n = 0;
    while (why == NULL && *path != '\0') {
        size_t len = strcspn(path, "/");
        if (is_dots(path, len, 2))
            why = "it contains \"..\"";
        else if (len > NAME_MAX)
            why = "a name in it is too long";
        else if (len > 0 && !is_dots(path, len, 1)) {
            if (n > 0)
                out[n++] = '/';
            memcpy(out + n, path, len);
            n += len;
            if (++depth > ARCHIVE_PATH_DEPTH_MAX)
                why = "it is too deep";
        }
        path += len;
        path += *path == '/';
    }
    out[n] = '\0';
    return why;
}

size_t archive_path_depth(const char *path)
{
    size_t depth = *path != '\0';
    for (; *path != '\0'; path++)
        depth += *path == '/';
    return depth;
}

const char *archive_path_check_link(const char *link, const char *target)
{
    const char *why = check_text(target);
    /* The link's own name is not a directory. */
    size_t above = archive_path_depth(link) - 1;
    bool has_name = false;
    while (why == NULL && *target != '\0') {
        size_t len = strcspn(target, "/");
        if (is_dots(target, len, 2)) {
            if (has_name)
                why = "it has \"..\" after a name";
            else if (above-- == 0)
                why = "it leads outside";
        } else if (len > 0 && !is_dots(target, len, 1)) {
            has_name = true;
        }
        target += len;
        target += *target == '/';
    }
    return why;
}

void archive_path_show(const char *path, char out[ARCHIVE_PATH_SHOWN_SIZE])
{
    size_t len = strnlen(path, ARCHIVE_PATH_SHOWN_SIZE);
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t width = utf8_character_length((const uint8_t *)path + i, len - i);
        bool is_shown = width > 1 || (width == 1 && (uint8_t)path[i] >= ' ' && path[i] != 0x7f);
        size_t kept = is_shown ? width : 1;
        if (n + kept >= ARCHIVE_PATH_SHOWN_SIZE)
            break;
        if (is_shown)
            memcpy(out + n, path + i, width);
        else
            out[n] = '?';
        n += kept;
        i += width == 0 ? 1 : width;
    }
    out[n] = '\0';
}
