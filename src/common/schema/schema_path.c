#include "common/schema/schema_path.h"

#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

static void append(struct schema_path *path, const char *text, size_t len)
{
    size_t room = SCHEMA_PATH_MAX - 1 - path->len;
    len = utf8_cut(text, len, room);
    memcpy(path->text + path->len, text, len);
    path->len += len;
    path->text[path->len] = '\0';
}

size_t schema_path_push(struct schema_path *path, const char *name, size_t name_len)
{
    size_t before = path->len;
    if (before > 0)
        append(path, ".", 1);
    append(path, name, name_len);
    return before;
}

size_t schema_path_push_index(struct schema_path *path, size_t index)
{
    size_t before = path->len;
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", index);
    append(path, text, (size_t)len);
    return before;
}

void schema_path_pop(struct schema_path *path, size_t len)
{
    path->len = len;
    path->text[len] = '\0';
}
