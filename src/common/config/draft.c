#include "common/config/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_origins(const void *a, const void *b)
{
    const struct draft_origin *left = a;
    const struct draft_origin *right = b;
    return strcmp(left->path, right->path);
}

/* Settings add a few to those of the file. */
enum { SETTINGS_ROOM = 64 };

void draft_take_origins(struct draft *draft, const struct yaml_origins *origins)
{
    draft->origins_capacity = origins->n + SETTINGS_ROOM;
    draft->origins = arena_calloc(draft->arena, draft->origins_capacity, sizeof(*draft->origins));
    if (draft->origins == NULL) {
        draft->is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < origins->n && !draft->is_builtin; i++) {
        const struct yaml_origin *from = &origins->items[i];
        draft->origins[draft->n_origins++] = (struct draft_origin){from->path,
            FLOCKS_CONFIG_LAYER_FILE, draft->file, from->line, from->column, from->is_place};
    }
    if (draft->n_origins > 0)
        qsort(draft->origins, draft->n_origins, sizeof(*draft->origins), compare_origins);
}

static struct draft_origin *find(const struct draft *draft, const char *path)
{
    struct draft_origin wanted = {.path = path};
    if (draft->n_origins == 0)
        return NULL;
    return bsearch(
        &wanted, draft->origins, draft->n_origins, sizeof(*draft->origins), compare_origins);
}

void draft_set_origin(
    struct draft *draft, const char *path, enum flocks_config_layer layer, const char *source)
{
    struct draft_origin origin = {.path = path, .layer = layer, .source = source};
    struct draft_origin *present = find(draft, path);
    if (present != NULL) {
        *present = origin;
        return;
    }
    if (draft->n_origins == draft->origins_capacity) {
        draft->is_out_of_memory = true;
        return;
    }
    size_t at = draft->n_origins++;
    while (at > 0 && strcmp(draft->origins[at - 1].path, path) > 0) {
        draft->origins[at] = draft->origins[at - 1];
        at--;
    }
    draft->origins[at] = origin;
}

/* Cuts the last ".name" or "[index]" off; false: nothing is left. */
static bool cut_last(char *path)
{
    char *dot = strrchr(path, '.');
    char *bracket = strrchr(path, '[');
    char *cut = bracket > dot ? bracket : dot;
    if (cut == NULL)
        return false;
    *cut = '\0';
    return true;
}

struct mistake_place draft_place(const struct draft *draft, const char *path)
{
    char shorter[SCHEMA_PATH_MAX];
    (void)snprintf(shorter, sizeof(shorter), "%s", path);
    do {
        const struct draft_origin *origin = find(draft, shorter);
        if (origin != NULL)
            return (struct mistake_place){origin->source, origin->line, origin->column, path};
    } while (cut_last(shorter));
    uint32_t first = draft->is_builtin ? 0 : 1;
    return (struct mistake_place){draft->file, first, first, path};
}

struct mistake *draft_refuse(struct draft *draft, const char *path, const char *format, ...)
{
    char text[MISTAKE_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    /* clang-tidy 14 forgets va_start when it looks through a caller.
     * NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct mistake_place place = draft_place(draft, path);
    return mistakes_add(draft->mistakes, &place, "%s", text);
}

bool draft_is_mistaken(const struct draft *draft, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < draft->mistakes->n; i++) {
        const char *known = draft->mistakes->items[i].path;
        if (strncmp(known, path, len) == 0 && strchr(".[", known[len]) != NULL)
            return true;
    }
    return draft->mistakes->n_dropped > 0;
}

const char *draft_service_path(struct draft *draft, const char *service, const char *rest)
{
    const char *path =
        arena_printf(draft->arena, "services.%s%s%s", service, rest[0] != '\0' ? "." : "", rest);
    if (path == NULL)
        draft->is_out_of_memory = true;
    return path != NULL ? path : "";
}
