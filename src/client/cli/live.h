/* Something on a terminal that changes: a block of lines that is written over, or the whole screen,
 * which is given back afterwards. Each picture is one write, so that nothing has to be put right
 * when the process is killed between two. */
#ifndef FLOCKS_CLI_LIVE_H
#define FLOCKS_CLI_LIVE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    /* A terminal that does not tell its size. */
    LIVE_COLUMNS = 80,
    LIVE_ROWS = 24,
    /* Longest picture: a thousand services. A longer one is not drawn. */
    LIVE_PICTURE_MAX_BYTES = 1024 * 1024
};

/* Embedded by value; zeroed but for `fd` is nothing drawn. */
struct live {
    int fd;
    size_t rows;  /* of the block that stands there */
    bool is_open; /* the screen is ours */
};

/* The block, in place of the one before. "" removes it. */
void live_draw_block(struct live *live, const char *text);

/* Takes the screen: what was there comes back with live_close_screen. The cursor is hidden. */
void live_open_screen(struct live *live);
void live_draw_screen(struct live *live, const char *text);
/* Idempotent. */
void live_close_screen(struct live *live);

#endif
