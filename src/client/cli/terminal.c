/* ECMA-48 sequences that every terminal of the last thirty years knows; no terminfo, which costs
 * more than the command. */
#include "client/cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/safe_text.h"

static bool is_capable_terminal(FILE *stream)
{
    /* A program of one thread that never sets a variable. */
    const char *term = getenv("TERM"); // NOLINT(concurrency-mt-unsafe)
    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

bool terminal_has_color(FILE *stream, bool refused)
{
    const char *no_color = getenv("NO_COLOR"); // NOLINT(concurrency-mt-unsafe)
    return !refused && !(no_color && no_color[0]) && is_capable_terminal(stream);
}

bool terminal_is_reader(void)
{
    return isatty(STDOUT_FILENO);
}

const char *terminal_color(enum terminal_color color, bool enabled)
{
    static const char *const sequences[] = {
        [TERMINAL_PLAIN] = "",
        [TERMINAL_BOLD] = "\033[1m",
        [TERMINAL_DIM] = "\033[2m",
        [TERMINAL_GREEN] = "\033[32m",
        [TERMINAL_YELLOW] = "\033[33m",
        [TERMINAL_RED] = "\033[31m",
    };
    return enabled ? sequences[color] : "";
}

const char *terminal_reset(bool enabled)
{
    return enabled ? "\033[0m" : "";
}

bool terminal_is_live(FILE *stream)
{
    return is_capable_terminal(stream);
}

static void print_safe(FILE *stream, const char *text, bool keeps_tabs)
{
    size_t len = strlen(text);
    while (len > 0) {
        char form[SAFE_TEXT_FORM_SIZE] = "\t";
        size_t n = 1;
        if (!keeps_tabs || text[0] != '\t')
            n = safe_text_next(text, len, form);
        fputs(form, stream);
        text += n;
        len -= n;
    }
}

void terminal_print_escaped(FILE *stream, const char *text)
{
    print_safe(stream, text, false);
}

void terminal_print_output(FILE *stream, const char *line)
{
    print_safe(stream, line, true);
}
