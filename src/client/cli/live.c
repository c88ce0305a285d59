/* The alternate screen and the cursor's visibility: xterm's private modes 1049 and 25. */
#include "client/cli/live.h"

#include <string.h>
#include <sys/ioctl.h>

#include "client/cli/frame.h"
#include "common/base/fd.h"

static const char open_sequence[] = "\033[?1049h\033[?25l";
static const char close_sequence[] = "\033[?25h\033[?1049l";

/* A terminal that is gone has nobody to tell. */
static void write_out(const struct live *live, const void *bytes, size_t len)
{
    int ignored = fd_write_all(live->fd, bytes, len, NULL);
    (void)ignored;
}

static struct frame_size size_of(const struct live *live)
{
    struct winsize size = {0};
    struct frame_size out = {.columns = LIVE_COLUMNS, .rows = LIVE_ROWS};
    if (ioctl(live->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
        out = (struct frame_size){.columns = size.ws_col, .rows = size.ws_row};
    return out;
}

void live_draw_block(struct live *live, const char *text)
{
    struct buffer picture;
    size_t rows = 0;
    if (!text[0] && live->rows == 0)
        return;
    buffer_init(&picture, LIVE_PICTURE_MAX_BYTES);
    if (frame_append_block(&picture, text, size_of(live), live->rows, &rows) == 0) {
        write_out(live, buffer_data(&picture), buffer_length(&picture));
        live->rows = rows;
    }
    buffer_deinit(&picture);
}

void live_open_screen(struct live *live)
{
    if (!live->is_open)
        write_out(live, open_sequence, strlen(open_sequence));
    live->is_open = true;
}

void live_draw_screen(struct live *live, const char *text)
{
    struct buffer picture;
    buffer_init(&picture, LIVE_PICTURE_MAX_BYTES);
    if (frame_append_screen(&picture, text, size_of(live)) == 0)
        write_out(live, buffer_data(&picture), buffer_length(&picture));
    buffer_deinit(&picture);
}

void live_close_screen(struct live *live)
{
    if (live->is_open)
        write_out(live, close_sequence, strlen(close_sequence));
    live->is_open = false;
}
