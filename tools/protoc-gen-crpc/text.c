#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

enum { FIRST_CAPACITY = 4096 };

void text_init(struct text *text)
{
    *text = (struct text){0};
}

void text_deinit(struct text *text)
{
    free(text->data);
    text_init(text);
}

const char *text_data(const struct text *text)
{
    return text->data != NULL ? text->data : "";
}

/* Room for `more` bytes and the NUL. */
static char *reserve(struct text *text, size_t more)
{
    size_t needed = text->length + more + 1;
    if (needed > text->capacity) {
        size_t capacity = text->capacity != 0 ? text->capacity : FIRST_CAPACITY;
        while (capacity < needed)
            capacity *= 2;
        char *data = realloc(text->data, capacity);
        if (data == NULL)
            pool_die();
        text->data = data;
        text->capacity = capacity;
    }
    return text->data + text->length;
}

void text_append(struct text *text, const char *bytes, size_t len)
{
    char *end = reserve(text, len);
    memcpy(end, bytes, len);
    end[len] = '\0';
    text->length += len;
}

void text_put(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0)
        pool_die();
    char *end = reserve(text, (size_t)len);
    (void)vsnprintf(end, (size_t)len + 1, format, again);
    va_end(again);
    text->length += (size_t)len;
}

static void put_indent(struct text *text, size_t indent)
{
    text_printf(text, "%*s", (int)indent, "");
}

/* Bytes of a mark that reorders text (U+202A to U+202E, U+2066 to U+2069), 0: none. Left as it is,
 * one could make code look like something else, and compilers warn of it. */
static size_t reordering_mark(const char *c)
{
    static const char *const MARKS[] = {"\342\200\252", "\342\200\253", "\342\200\254",
        "\342\200\255", "\342\200\256", "\342\201\246", "\342\201\247", "\342\201\250",
        "\342\201\251"};
    enum { MARK_BYTES = 3 };
    for (size_t i = 0; i < ARRAY_LENGTH(MARKS); i++) {
        if (strncmp(c, MARKS[i], MARK_BYTES) == 0)
            return MARK_BYTES;
    }
    return 0;
}

/* ---- comments ---- */

/* Where the filling of a comment stands. */
struct filler {
    struct text *text;
    size_t indent;
    size_t column; /* of the present line; 0: nothing on it yet */
};

static void begin_line(struct filler *filler)
{
    text_put(filler->text, "\n");
    put_indent(filler->text, filler->indent);
    text_put(filler->text, " *");
    filler->column = filler->indent + 2;
}

/* "*" and "/" side by side, in either order, would end the comment or seem to begin another; two
 * "?" may begin a trigraph, which at the end of a line is one that compilers warn of. */
static bool is_torn(char a, char b)
{
    return (a == '*' && b == '/') || (a == '/' && b == '*') || (a == '?' && b == '?');
}

static void put_word(struct filler *filler, const char *word, size_t len)
{
    if (filler->column + 1 + len > TEXT_COLUMNS)
        begin_line(filler);
    text_put(filler->text, " ");
    for (size_t i = 0; i < len; i++) {
        size_t mark = reordering_mark(word + i);
        if (mark > 0) {
            i += mark - 1;
            continue;
        }
        text_append(filler->text, word + i, 1);
        if (i + 1 < len && is_torn(word[i], word[i + 1]))
            text_put(filler->text, " ");
    }
    filler->column += 1 + len;
}

static bool begins_anew(const char *line, size_t len)
{
    return len == 0 || line[0] == ' ' || line[0] == '-' || line[0] == '*';
}

/* What separates words: blanks, and control characters, which have no place in a line. */
static bool is_gap(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static void put_words(struct filler *filler, const char *line, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t begin = at;
        while (at < len && !is_gap(line[at]))
            at++;
        if (at > begin)
            put_word(filler, line + begin, at - begin);
        else
            at++;
    }
}

void text_comment(struct text *text, size_t indent, const char *comment)
{
    if (comment[0] == '\0')
        return;
    put_indent(text, indent);
    text_put(text, "/*");
    /* " * /" must fit behind the last word. */
    struct filler filler = {.text = text, .indent = indent, .column = indent + 2 + 3};
    bool was_blank = false;
    bool first = true;
    for (const char *line = comment; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        bool anew = begins_anew(line, len);
        if ((anew || was_blank) && !first)
            begin_line(&filler);
        put_words(&filler, line, len);
        was_blank = len == 0;
        first = false;
        line += len + (line[len] == '\n');
    }
    text_put(text, " */\n");
}

/* ---- lines that may be too long ---- */

/* One argument of a list separated by ", ", its comma included; 0: none left. */
static size_t argument_length(const char *argument)
{
    const char *comma = strstr(argument, ", ");
    return comma != NULL ? (size_t)(comma - argument) + 1 : strlen(argument);
}

/* As many arguments on each line as fit; `column` is where the first would begin. */
static void fill_arguments(
    struct text *text, size_t indent, size_t column, const char *arguments, size_t tail_len)
{
    bool is_first = true;
    for (const char *argument = arguments; *argument != '\0';) {
        size_t len = argument_length(argument);
        bool is_last = argument[len] == '\0';
        size_t needed = (is_first ? 0 : 1) + len + (is_last ? tail_len : 0);
        if (column + needed > TEXT_COLUMNS) {
            text_put(text, "\n");
            put_indent(text, indent);
            column = indent;
        } else if (!is_first) {
            text_put(text, " ");
            column++;
        }
        text_append(text, argument, len);
        column += len;
        argument += len + (is_last ? 0 : 1);
        is_first = false;
    }
}

void text_call(
    struct text *text, size_t indent, const char *head, const char *arguments, const char *tail)
{
    put_indent(text, indent);
    text_printf(text, "%s(", head);
    size_t column = indent + strlen(head) + 1;
    size_t tail_len = 1 + strlen(tail);
    size_t len = strlen(arguments) + tail_len;
    bool fits_behind_head = column + len <= TEXT_COLUMNS;
    bool fits_below = indent + TEXT_INDENT + len <= TEXT_COLUMNS;
    if (!fits_behind_head && fits_below) {
        text_put(text, "\n");
        put_indent(text, indent + TEXT_INDENT);
        column = indent + TEXT_INDENT;
    }
    fill_arguments(text, indent + TEXT_INDENT, column, arguments, tail_len);
    text_printf(text, ")%s\n", tail);
}

void text_assign_call(
    struct text *text, size_t indent, const char *left, const char *head, const char *arguments)
{
    size_t call = strlen(head) + 1 + strlen(arguments) + 2;
    bool fits_behind = indent + strlen(left) + 3 + call <= TEXT_COLUMNS;
    bool fits_below = indent + TEXT_INDENT + call <= TEXT_COLUMNS;
    struct text whole;
    text_init(&whole);
    if (!fits_behind && fits_below) {
        put_indent(text, indent);
        text_printf(text, "%s =\n", left);
        indent += TEXT_INDENT;
    } else {
        text_printf(&whole, "%s = ", left);
    }
    text_put(&whole, head);
    text_call(text, indent, text_data(&whole), arguments, ";");
    text_deinit(&whole);
}

void text_pair(struct text *text, size_t indent, const char *left, const char *right, char end)
{
    put_indent(text, indent);
    if (indent + strlen(left) + 1 + strlen(right) + 1 <= TEXT_COLUMNS) {
        text_printf(text, "%s %s%c\n", left, right, end);
        return;
    }
    text_printf(text, "%s\n", left);
    put_indent(text, indent + TEXT_INDENT);
    text_printf(text, "%s%c\n", right, end);
}

void text_define(struct text *text, const char *name, const char *value)
{
    static const char DEFINE[] = "#define ";
    if (sizeof(DEFINE) + strlen(name) + strlen(value) <= TEXT_COLUMNS)
        text_printf(text, "%s%s %s\n", DEFINE, name, value);
    else
        text_printf(
            text, "%s%-*s\\\n    %s\n", DEFINE, (int)(TEXT_COLUMNS - sizeof(DEFINE)), name, value);
}

/* ---- literals ---- */

static void put_octal(struct text *text, char c)
{
    text_printf(text, "\\%03o", (unsigned)(unsigned char)c);
}

void text_literal(struct text *text, const char *string)
{
    text_put(text, "\"");
    for (const char *c = string; *c != '\0'; c++) {
        if (*c == '\n')
            text_put(text, "\\n");
        else if (*c == '"' || *c == '\\')
            text_printf(text, "\\%c", *c);
        else if ((unsigned char)*c < 0x20 || (*c == '?' && c[1] == '?'))
            /* Two "?" and a third character may be a trigraph. Three digits end the escape. */
            put_octal(text, *c);
        else if (reordering_mark(c) > 0) {
            put_octal(text, *c++);
            put_octal(text, *c++);
            put_octal(text, *c);
        } else
            text_append(text, c, 1);
    }
    text_put(text, "\"");
}
