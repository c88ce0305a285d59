#include "comments.h"

#include <string.h>

#include "pool.h"

struct comment_path comment_path_in(const struct comment_path *path, int32_t field, int32_t index)
{
    struct comment_path inner = *path;
    if (inner.length + 2 <= COMMENTS_PATH_MAX) {
        inner.steps[inner.length++] = field;
        inner.steps[inner.length++] = index;
    }
    return inner;
}

static const Google__Protobuf__SourceCodeInfo__Location *find(
    const Google__Protobuf__FileDescriptorProto *file, const struct comment_path *path)
{
    const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;
    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        const Google__Protobuf__SourceCodeInfo__Location *location = info->location[i];
        /* An empty path may have no array. */
        if (location->n_path == path->length &&
            (path->length == 0 ||
                memcmp(location->path, path->steps, path->length * sizeof(path->steps[0])) == 0))
            return location;
    }
    return NULL;
}

struct comment_place comments_place(
    const Google__Protobuf__FileDescriptorProto *file, const struct comment_path *path)
{
    const Google__Protobuf__SourceCodeInfo__Location *location = find(file, path);
    if (location == NULL || location->n_span < 2)
        return (struct comment_place){0};
    return (struct comment_place){.line = location->span[0] + 1, .column = location->span[1] + 1};
}

/* protoc leaves the blank behind each comment mark,
 * and in a block comment may leave indentation. */
static const char *without_margin(const char *comment, struct arena *pool)
{
    char *text = pool_calloc(pool, strlen(comment) + 1, 1);
    size_t len = 0;
    for (const char *line = comment; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        size_t margin = line[0] == ' ' ? 1 : 0;
        size_t end = line_len;
        while (end > margin && (line[end - 1] == ' ' || line[end - 1] == '\r'))
            end--;
        if (len > 0)
            text[len++] = '\n';
        memcpy(text + len, line + margin, end - margin);
        len += end - margin;
        line += line_len + (line[line_len] == '\n');
    }
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    return text;
}

const char *comments_text(const Google__Protobuf__FileDescriptorProto *file,
    const struct comment_path *path, struct arena *pool)
{
    const Google__Protobuf__SourceCodeInfo__Location *location = find(file, path);
    if (location == NULL)
        return "";
    if (location->leading_comments != NULL)
        return without_margin(location->leading_comments, pool);
    if (location->trailing_comments != NULL)
        return without_margin(location->trailing_comments, pool);
    return "";
}
