/* Columns of text, each as wide as its widest cell. */
#ifndef FLOCKS_CLI_TABLE_H
#define FLOCKS_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "client/cli/terminal.h"
#include "common/base/attributes.h"

enum { TABLE_COLUMNS_MAX = 12 };

struct table;

/* `headings` is borrowed, `n_columns` of them. NULL when memory is short. */
NODISCARD struct table *table_new(const char *const *headings, size_t n_columns);
void table_free(struct table *table);

/* Cells are given row by row from the left, copied, made safe (safe_text.h). A cell that
 * does not fit into memory makes table_print answer false. */
void table_cell(struct table *table, enum terminal_color color, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Headings (bold) and rows; trailing blanks of a row are left out. False when a cell was lost. */
bool table_print(const struct table *table, FILE *stream, bool color);

#endif
