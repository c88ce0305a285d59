/* Cells in one growing array; widths are counted in columns, not bytes. */
#include "client/cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/safe_text.h"

enum {
    /* Between two columns. */
    GAP = 2,
    /* Longest text of a cell; every text of the schema that is shown here is shorter. */
    CELL_MAX = 512
};

struct cell {
    char *text;
    enum terminal_color color;
};

struct table {
    const char *const *headings;
    size_t n_columns;
    size_t widths[TABLE_COLUMNS_MAX];
    struct cell *cells;
    size_t n_cells;
    size_t capacity;
    bool cell_lost;
};

struct table *table_new(const char *const *headings, size_t n_columns)
{
    assert(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);
    struct table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->headings = headings;
    table->n_columns = n_columns;
    for (size_t i = 0; i < n_columns; i++)
        table->widths[i] = safe_text_columns(headings[i]);
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

static bool make_room(struct table *table)
{
    if (table->n_cells < table->capacity)
        return true;
    size_t capacity = table->capacity ? table->capacity * 2 : 64;
    struct cell *cells = realloc(table->cells, capacity * sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_cell(struct table *table, enum terminal_color color, const char *format, ...)
{
    char text[CELL_MAX];
    char safe[CELL_MAX * (SAFE_TEXT_FORM_SIZE - 1)];
    va_list arguments;
    va_start(arguments, format);
    /* clang 14 takes va_start for nothing here. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len >= 0)
        safe_text_copy(text, safe, sizeof(safe));
    char *copy = len >= 0 && make_room(table) ? strdup(safe) : NULL;
    if (!copy) {
        table->cell_lost = true;
        return;
    }
    size_t column = table->n_cells % table->n_columns;
    size_t width = safe_text_columns(copy);
    if (width > table->widths[column])
        table->widths[column] = width;
    table->cells[table->n_cells++] = (struct cell){.text = copy, .color = color};
}

static void print_cell(const struct table *table, size_t column, const char *text,
    enum terminal_color color, size_t *pending, FILE *stream, bool enabled)
{
    size_t width = safe_text_columns(text);
    if (width > 0) {
        fprintf(stream, "%*s%s%s%s", (int)*pending, "", terminal_color(color, enabled), text,
            color == TERMINAL_PLAIN ? "" : terminal_reset(enabled));
        *pending = 0;
    }
    *pending += table->widths[column] - width + GAP;
}

bool table_print(const struct table *table, FILE *stream, bool color)
{
    assert(table->n_columns > 0);
    size_t pending = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        print_cell(table, i, table->headings[i], TERMINAL_BOLD, &pending, stream, color);
    fputc('\n', stream);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        if (column == 0)
            pending = 0;
        const struct cell *cell = &table->cells[i];
        print_cell(table, column, cell->text, cell->color, &pending, stream, color);
        if (column + 1 == table->n_columns)
            fputc('\n', stream);
    }
    return !table->cell_lost;
}
