#include "model_calls.h"

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

static bool has_method(const struct model_service *service, const char *snake)
{
    for (size_t i = 0; i < service->n_methods; i++) {
        if (strcmp(service->methods[i].snake, snake) == 0)
            return true;
    }
    return false;
}

/* Whether a service of the file other than its own has a method of this name. */
static bool is_shared(
    const struct model_file *file, const struct model_service *own, const char *snake)
{
    for (size_t i = 0; i < file->n_services; i++) {
        if (&file->services[i] != own && has_method(&file->services[i], snake))
            return true;
    }
    return false;
}

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

/* Whether a handle or function whose name begins with `stem` would bear that of a type that is seen
 * where it is declared: a method Hello and a message HelloReply. Types that other files of the run
 * happen to have do not count, or names would change with what else is generated. */
static bool is_type(const struct model *model, const struct short_names *names,
    const struct model_file *file, const char *stem)
{
    static const char *const SUFFIXES[] = {
        "_call", "_base", "_reply", "_stream", "_begin", "_send", "_wake"};
    for (size_t i = 0; i < ARRAY_LENGTH(SUFFIXES); i++) {
        const struct short_name key = {.name = pool_printf(model->pool, "%s%s", stem, SUFFIXES[i])};
        const struct short_name *found =
            bsearch(&key, names->rows, names->n, sizeof(key), compare_short_names);
        if (found != NULL && is_seen(file, found->file))
            return true;
    }
    return false;
}

static const char *call_name(const struct model *model, const struct short_names *names,
    const struct model_service *service, const struct model_method *method)
{
    const struct model_file *file = service->file;
    if (model->options->long_calls || is_shared(file, service, method->snake))
        return method->client_name;
    const char *name = file->prefix[0] == '\0'
                           ? method->snake
                           : pool_printf(model->pool, "%s_%s", file->prefix, method->snake);
    return is_type(model, names, file, name) ? method->client_name : name;
}

void model_name_calls(const struct model *model)
{
    const struct short_names names = short_names_of(model);
    for (size_t i = 0; i < model->n_files; i++) {
        const struct model_file *file = &model->files[i];
        for (size_t k = 0; k < file->n_services; k++) {
            const struct model_service *service = &file->services[k];
            for (size_t n = 0; n < service->n_methods; n++)
                service->methods[n].call_name =
                    call_name(model, &names, service, &service->methods[n]);
        }
    }
}
