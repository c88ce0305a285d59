#include "common/config/environment_file.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/environment.h"

struct parser {
    const char *at;
    const char *end;
    uint32_t line;
    const char *line_start;
    const char *file;
    struct arena *arena;
    struct mistakes *mistakes;
    struct environment_pairs *pairs;
};

enum { MISTAKEN = ENVIRONMENT_FILE_MISTAKEN };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool at_line_end(const struct parser *parser)
{
    return parser->at == parser->end || *parser->at == '\n';
}

static void skip_blanks(struct parser *parser)
{
    while (parser->at < parser->end && is_blank(*parser->at))
        parser->at++;
}

/* Past the end of this line. */
static void skip_line(struct parser *parser)
{
    while (!at_line_end(parser))
        parser->at++;
    if (parser->at < parser->end)
        parser->at++;
    parser->line++;
    parser->line_start = parser->at;
}

static int refuse(struct parser *parser, const char *message, const char *hint)
{
    uint32_t column = (uint32_t)(parser->at - parser->line_start) + 1;
    struct mistake_place place = {parser->file, parser->line, column, ""};
    mistake_set_hint(
        parser->mistakes, mistakes_add(parser->mistakes, &place, "%s", message), "%s", hint);
    return MISTAKEN;
}

/* ---- values ---- */

/* Up to a comment or the end of the line, without the blanks around it. */
static int read_bare(struct parser *parser, const char **out)
{
    const char *first = parser->at;
    const char *last = first;
    while (!at_line_end(parser)) {
        if (*parser->at == '#' && (parser->at == first || is_blank(parser->at[-1])))
            break;
        if (!is_blank(*parser->at))
            last = parser->at + 1;
        parser->at++;
    }
    *out = arena_strndup(parser->arena, first, (size_t)(last - first));
    return *out != NULL ? 0 : -STATUS_RESOURCE_EXHAUSTED;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return c;
    }
}

/* From behind the opening quote to behind the closing one; lines in between count. */
static int read_quoted(struct parser *parser, char quote, const char **out)
{
    const struct parser opening = *parser;
    char *value = arena_alloc(parser->arena, (size_t)(parser->end - parser->at) + 1);
    if (value == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    size_t len = 0;
    for (; parser->at < parser->end && *parser->at != quote; parser->at++) {
        char c = *parser->at;
        bool is_escape = c == '\\' && quote == '"' && parser->at + 1 < parser->end &&
                         strchr("ntr\"\\$", parser->at[1]) != NULL;
        if (is_escape)
            c = unescape(*++parser->at);
        else if (c == '\n') {
            parser->line++;
            parser->line_start = parser->at + 1;
        }
        value[len++] = c;
    }
    if (parser->at == parser->end) {
        struct parser here = opening;
        here.at--;
        return refuse(&here, "the quote is never closed", "close it, or quote the whole value");
    }
    parser->at++;
    value[len] = '\0';
    *out = value;
    return 0;
}

static int read_value(struct parser *parser, const char **out)
{
    skip_blanks(parser);
    if (at_line_end(parser) || (*parser->at != '"' && *parser->at != '\''))
        return read_bare(parser, out);
    char quote = *parser->at++;
    int result = read_quoted(parser, quote, out);
    if (result != 0)
        return result;
    skip_blanks(parser);
    if (!at_line_end(parser) && *parser->at != '#')
        return refuse(parser, "text follows the closing quote", "quote the whole value");
    return 0;
}

/* ---- lines ---- */

/* The last of equal names wins, in the place of the first. */
static int keep(struct parser *parser, const char *name, const char *value)
{
    struct environment_pairs *pairs = parser->pairs;
    for (size_t i = 0; i < pairs->n; i++) {
        if (strcmp(pairs->items[i].name, name) == 0) {
            pairs->items[i].value = value;
            return 0;
        }
    }
    if (pairs->n == ENVIRONMENT_FILE_MAX_KEYS)
        return refuse(parser, "too many variables", "at most 1024 are read from one file");
    pairs->items[pairs->n++] = (struct environment_pair){name, value};
    return 0;
}

static void skip_export(struct parser *parser)
{
    static const char word[] = "export";
    size_t len = sizeof(word) - 1;
    if ((size_t)(parser->end - parser->at) > len && memcmp(parser->at, word, len) == 0 &&
        is_blank(parser->at[len])) {
        parser->at += len;
        skip_blanks(parser);
    }
}

static int read_assignment(struct parser *parser)
{
    skip_export(parser);
    const char *first = parser->at;
    while (!at_line_end(parser) && *parser->at != '=' && !is_blank(*parser->at))
        parser->at++;
    size_t name_len = (size_t)(parser->at - first);
    skip_blanks(parser);
    if (at_line_end(parser) || *parser->at != '=')
        return refuse(parser, "there is no '='", "write KEY=value, or # before a comment");
    if (!environment_name_is_valid(first, name_len)) {
        parser->at = first;
        return refuse(parser, "not a variable's name", "letters, digits and '_', no digit first");
    }
    parser->at++;
    const char *name = arena_strndup(parser->arena, first, name_len);
    const char *value = NULL;
    if (name == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    int result = read_value(parser, &value);
    return result != 0 ? result : keep(parser, name, value);
}

static int read_line(struct parser *parser)
{
    skip_blanks(parser);
    int result = 0;
    if (!at_line_end(parser) && *parser->at != '#')
        result = read_assignment(parser);
    skip_line(parser);
    return result;
}

int environment_file_parse(const char *text, size_t text_len, const char *file, struct arena *arena,
    struct environment_pairs *out, struct mistakes *mistakes)
{
    struct parser parser = {.at = text,
        .end = text + text_len,
        .line = 1,
        .line_start = text,
        .file = file,
        .arena = arena,
        .mistakes = mistakes,
        .pairs = out};
    *out = (struct environment_pairs){0};
    if (text_len > ENVIRONMENT_FILE_MAX_BYTES)
        return refuse(&parser, "the file is too large", "at most 256 KiB are read");
    const char *nul = memchr(text, '\0', text_len);
    if (nul != NULL)
        return refuse(&parser, "the file holds a NUL byte: it is no text", "");
    out->items = arena_calloc(arena, ENVIRONMENT_FILE_MAX_KEYS, sizeof(*out->items));
    if (out->items == NULL)
        return -STATUS_RESOURCE_EXHAUSTED;
    int outcome = ENVIRONMENT_FILE_OK;
    while (parser.at < parser.end) {
        int result = read_line(&parser);
        if (result < 0)
            return result;
        if (result > 0)
            outcome = result;
    }
    return outcome;
}
