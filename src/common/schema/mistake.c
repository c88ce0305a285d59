#include "common/schema/mistake.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

enum {
    /* All kept mistakes with their longest texts fit. */
    MISTAKES_ARENA_BYTES = 1024 * 1024
};

void mistakes_init(struct mistakes *mistakes)
{
    *mistakes = (struct mistakes){0};
    arena_init(&mistakes->arena, MISTAKES_ARENA_BYTES);
}

void mistakes_deinit(struct mistakes *mistakes)
{
    arena_deinit(&mistakes->arena);
    *mistakes = (struct mistakes){0};
}

/* Nothing that a person quoted may steer a terminal. */
PRINTF_LIKE(2, 0)
static char *format_text(struct arena *arena, const char *format, va_list arguments)
{
    char text[MISTAKE_TEXT_MAX];
    /* clang-tidy 14 forgets va_start when it looks through a caller.
     * NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(text, sizeof(text), format, arguments);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f')
            *c = '?';
    }
    return arena_strdup(arena, text);
}

/* The first mistake of the same file lends its name and its rank. */
static void place_in_file(struct mistakes *mistakes, struct mistake *mistake, const char *file)
{
    for (size_t i = 0; i < mistakes->n; i++) {
        if (strcmp(mistakes->items[i].file, file) == 0) {
            mistake->file = mistakes->items[i].file;
            mistake->file_rank = mistakes->items[i].file_rank;
            return;
        }
    }
    mistake->file = arena_strdup(&mistakes->arena, file);
    mistake->file_rank = (uint32_t)mistakes->n;
}

static struct mistake *take_slot(struct mistakes *mistakes)
{
    if (mistakes->items == NULL) {
        mistakes->items = arena_calloc(&mistakes->arena, MISTAKES_MAX, sizeof(*mistakes->items));
        mistakes->capacity = mistakes->items != NULL ? MISTAKES_MAX : 0;
    }
    return mistakes->n < mistakes->capacity ? &mistakes->items[mistakes->n] : NULL;
}

struct mistake *mistakes_add(
    struct mistakes *mistakes, const struct mistake_place *place, const char *format, ...)
{
    struct mistake *mistake = take_slot(mistakes);
    if (mistake == NULL) {
        mistakes->n_dropped++;
        return NULL;
    }
    va_list arguments;
    va_start(arguments, format);
    *mistake = (struct mistake){
        .line = place->line,
        .column = place->column,
        .path = arena_strdup(&mistakes->arena, place->path),
        .message = format_text(&mistakes->arena, format, arguments),
        .hint = "",
    };
    va_end(arguments);
    place_in_file(mistakes, mistake, place->file);
    if (mistake->file == NULL || mistake->path == NULL || mistake->message == NULL) {
        mistakes->n_dropped++;
        return NULL;
    }
    mistakes->n++;
    return mistake;
}

void mistake_set_hint(struct mistakes *mistakes, struct mistake *mistake, const char *format, ...)
{
    if (mistake == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    const char *hint = format_text(&mistakes->arena, format, arguments);
    va_end(arguments);
    if (hint != NULL)
        mistake->hint = hint;
}

/* Whether `a` is to stand after `b`. */
static bool is_later(const struct mistake *a, const struct mistake *b)
{
    if (a->file_rank != b->file_rank)
        return a->file_rank > b->file_rank;
    if (a->line != b->line)
        return a->line > b->line;
    return a->column > b->column;
}

void mistakes_sort(struct mistakes *mistakes)
{
    /* Insertion: stable, and there are few. */
    for (size_t i = 1; i < mistakes->n; i++) {
        struct mistake moving = mistakes->items[i];
        size_t at = i;
        while (at > 0 && is_later(&mistakes->items[at - 1], &moving)) {
            mistakes->items[at] = mistakes->items[at - 1];
            at--;
        }
        mistakes->items[at] = moving;
    }
}

static void print_one(const struct mistake *mistake, FILE *out)
{
    fprintf(out, "%s:", mistake->file);
    if (mistake->line > 0)
        fprintf(out, "%u:%u:", mistake->line, mistake->column);
    if (mistake->path[0] != '\0')
        fprintf(out, " %s:", mistake->path);
    fprintf(out, " %s\n", mistake->message);
    if (mistake->hint[0] != '\0')
        fprintf(out, "    hint: %s\n", mistake->hint);
}

void mistakes_print(const struct mistakes *mistakes, FILE *out)
{
    for (size_t i = 0; i < mistakes->n; i++)
        print_one(&mistakes->items[i], out);
    if (mistakes->n_dropped > 0)
        fprintf(out, "and %zu more\n", mistakes->n_dropped);
}
