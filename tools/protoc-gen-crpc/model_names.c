#include "model_names.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"

/* A type's short name and where it is declared. */
struct short_name {
    const char *name;
    const struct model_file *file;
};

/* All of the run, by name. */
struct short_names {
    size_t n;
    struct short_name *rows;
};

static int compare_short_names(const void *a, const void *b)
{
    const struct short_name *left = a;
    const struct short_name *right = b;
    return strcmp(left->name, right->name);
}

static struct short_names short_names_of(const struct model *model)
{
    struct short_names names = {0};
    names.rows = pool_calloc(model->pool, model->n_messages + model->n_enums, sizeof(*names.rows));
    for (size_t i = 0; i < model->n_messages; i++)
        names.rows[names.n++] = (struct short_name){
            .name = model->messages[i].short_name, .file = model->messages[i].file};
    for (size_t i = 0; i < model->n_enums; i++)
        names.rows[names.n++] =
            (struct short_name){.name = model->enums[i].short_name, .file = model->enums[i].file};
    if (names.n > 0)
        qsort(names.rows, names.n, sizeof(*names.rows), compare_short_names);
    return names;
}

static bool is_seen(const struct model_file *file, const struct model_file *declared)
{
    for (size_t i = 0; i < file->n_imports; i++) {
        if (file->imports[i].file == declared)
            return true;
    }
    return file == declared;
}

/* Whether one of the names that begin with `stem` would be that of a type which is seen where they
 * are declared. Types that other files of the run happen to have do not count, or names would
 * change with what else is generated. `suffixes` end with NULL. */
static bool is_type(const struct model *model, const struct short_names *names,
    const struct model_file *file, const char *stem, const char *const *suffixes)
{
    for (; *suffixes != NULL; suffixes++) {
        const struct short_name key = {.name = pool_printf(model->pool, "%s%s", stem, *suffixes)};
        const struct short_name *found =
            bsearch(&key, names->rows, names->n, sizeof(key), compare_short_names);
        if (found != NULL && is_seen(file, found->file))
            return true;
    }
    return false;
}

static const char *info_name(const struct model *model, const struct short_names *names,
    const struct model_file *file, const char *short_name)
{
    static const char *const SUFFIXES[] = {"_info", NULL};
    bool is_taken = is_type(model, names, file, short_name, SUFFIXES);
    return pool_printf(model->pool, "%s%s_info", short_name, is_taken ? "_type" : "");
}

static const char *function_name(const struct model *model, const struct short_names *names,
    const struct model_enum *enumeration)
{
    static const char *const SUFFIXES[] = {"_from", "_name", NULL};
    const char *name = enumeration->short_name;
    bool is_taken = is_type(model, names, enumeration->file, name, SUFFIXES);
    return is_taken ? pool_printf(model->pool, "%s_enum", name) : name;
}

void model_give_names(struct model *model)
{
    const struct short_names names = short_names_of(model);
    for (size_t i = 0; i < model->n_messages; i++) {
        struct model_message *message = &model->messages[i];
        message->info_name = info_name(model, &names, message->file, message->short_name);
    }
    for (size_t i = 0; i < model->n_enums; i++) {
        struct model_enum *enumeration = &model->enums[i];
        enumeration->info_name =
            info_name(model, &names, enumeration->file, enumeration->short_name);
        enumeration->function_name = function_name(model, &names, enumeration);
    }
}
