/* What a person sees: whether there is a terminal, colours, and one line on it that is written
 * over. */
#ifndef FLOCKS_CLI_TERMINAL_H
#define FLOCKS_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

enum terminal_color {
    TERMINAL_PLAIN,
    TERMINAL_BOLD,
    TERMINAL_DIM,
    TERMINAL_GREEN,
    TERMINAL_YELLOW,
    TERMINAL_RED
};

/* True when `stream` is a terminal that understands colours, and neither `refused` (--no-color) nor
 * NO_COLOR (https://no-color.org) speaks against it. */
bool terminal_has_color(FILE *stream, bool refused);
/* Escape sequence; "" for TERMINAL_PLAIN or when `enabled` is false. */
const char *terminal_color(enum terminal_color color, bool enabled);
const char *terminal_reset(bool enabled);

/* True when a person reads standard output as it comes. */
bool terminal_is_reader(void);
/* True when a line on `stream` can be written over. */
bool terminal_is_live(FILE *stream);

/* Writes peer- or file-supplied text made safe (safe_text.h), so that it cannot drive the
 * terminal. */
void terminal_print_escaped(FILE *stream, const char *text);
/* The same, but tabs stay tabs: a line that a service wrote. */
void terminal_print_output(FILE *stream, const char *line);

#endif
