/* One picture of a live display: lines cut to the terminal, with the sequences that put them over
 * the picture before. Pure: text in, bytes out.
 *
 * ECMA-48 and DECAWM only, which every terminal of the last thirty years knows. A picture never
 * wraps: lines are cut, and the terminal is told not to while it is drawn. */
#ifndef FLOCKS_CLI_FRAME_H
#define FLOCKS_CLI_FRAME_H

#include <stddef.h>

#include "common/base/attributes.h"
#include "common/base/buffer.h"

/* What can be seen of it. */
struct frame_size {
    size_t columns;
    size_t rows;
};

/* The whole screen, from its top; what is left of an earlier picture goes. 0 or what the buffer
 * refuses. */
NODISCARD int frame_append_screen(struct buffer *out, const char *text, struct frame_size size);
/* A block of lines where the cursor is, over an earlier one of `rows_before` lines (0: none), the
 * cursor then behind the last character. One row of the terminal stays free. "" removes the block.
 * `*out_rows`: the block's lines. */
NODISCARD int frame_append_block(struct buffer *out, const char *text, struct frame_size size,
    size_t rows_before, size_t *out_rows);

#endif
