/* Lines that do not fit are counted in the last one. */
#include "client/cli/frame.h"

#include <string.h>

#include "client/cli/safe_text.h"

#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"
#define PLAIN "\033[0m"

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n' || p[1] == '\0';
    return n;
}

/* A cut line may have lost the end of a colour. */
static int append_line(struct buffer *out, const char *line, size_t len, size_t columns)
{
    size_t fits = safe_text_cut(line, len, columns);
    int result = buffer_append(out, line, fits);
    if (result == 0 && fits < len && memchr(line, '\033', len))
        result = buffer_append_text(out, PLAIN);
    return result == 0 ? buffer_append_text(out, ERASE_LINE) : result;
}

/* `rows` of them at most, between them a new line. */
static int append_lines(
    struct buffer *out, const char *text, struct frame_size size, size_t *out_rows)
{
    size_t n = count_lines(text);
    size_t shown = n <= size.rows ? n : size.rows - 1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < shown; i++) {
        size_t len = strcspn(text, "\n");
        if (i > 0)
            result = buffer_append_text(out, "\r\n");
        if (result == 0)
            result = append_line(out, text, len, size.columns);
        text += len + (text[len] == '\n');
    }
    if (result == 0 && shown < n)
        result =
            buffer_printf(out, "%s... %zu more" ERASE_LINE, shown > 0 ? "\r\n" : "", n - shown);
    *out_rows = shown + (shown < n);
    return result;
}

int frame_append_screen(struct buffer *out, const char *text, struct frame_size size)
{
    size_t rows = 0;
    int result = buffer_append_text(out, NO_WRAP "\033[H");
    if (result == 0 && size.rows > 0)
        result = append_lines(out, text, size, &rows);
    return result == 0 ? buffer_append_text(out, ERASE_BELOW WRAP) : result;
}

int frame_append_block(struct buffer *out, const char *text, struct frame_size size,
    size_t rows_before, size_t *out_rows)
{
    struct frame_size room = {.columns = size.columns, .rows = size.rows > 1 ? size.rows - 1 : 1};
    *out_rows = 0;
    int result = buffer_append_text(out, NO_WRAP "\r");
    if (result == 0 && rows_before > 1)
        result = buffer_printf(out, "\033[%zuA", rows_before - 1);
    if (result == 0)
        result = append_lines(out, text, room, out_rows);
    return result == 0 ? buffer_append_text(out, ERASE_BELOW WRAP) : result;
}
