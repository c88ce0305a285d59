/* Growing text of one generated file, and the few layouts that generated C needs: comments filled
 * to the page, argument lists broken where they are too long, string literals. Must never know what
 * it is that it prints. */
#ifndef PROTOC_GEN_CRPC_TEXT_H
#define PROTOC_GEN_CRPC_TEXT_H

#include <stddef.h>

#include "common/base/attributes.h"

enum {
    /* The project's line length (.clang-format). */
    TEXT_COLUMNS = 100,
    TEXT_INDENT = 4
};

/* Owned: text_deinit. `data` is NUL-terminated, and "" is a valid state of a zeroed struct only
 * after text_data. */
struct text {
    char *data;
    size_t length;
    size_t capacity;
};

void text_init(struct text *text);
void text_deinit(struct text *text);
/* Never NULL; valid until the next change. */
const char *text_data(const struct text *text);

void text_append(struct text *text, const char *bytes, size_t len);
void text_put(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* A block comment of its own lines at `indent` columns, its words filled to the page; a blank line
 * and a line that begins with a blank, "-" or "*" begin anew. Nothing for an empty comment. */
void text_comment(struct text *text, size_t indent, const char *comment);

/* `head`(`arguments`)`tail` and a line end. The arguments are separated
 * by ", ". A line that would be too long is broken as clang-format
 * breaks it: all of them below, else as many on each line as fit. */
void text_call(
    struct text *text, size_t indent, const char *head, const char *arguments, const char *tail);

/* "left = head(arguments);" on one line, or with the call below, or with its arguments below. */
void text_assign_call(
    struct text *text, size_t indent, const char *left, const char *head, const char *arguments);

/* "left right" and `end` on one line or two: a typedef, an assignment, a row. */
void text_pair(struct text *text, size_t indent, const char *left, const char *right, char end);

/* "#define name value", on two lines where one is too short. */
void text_define(struct text *text, const char *name, const char *value);

/* `string` as a C literal with its quotes. */
void text_literal(struct text *text, const char *string);

#endif
