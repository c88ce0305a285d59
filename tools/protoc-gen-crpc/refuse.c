#include "refuse.h"

#include <stdarg.h>
#include <stdio.h>

#include "pool.h"

void refuse_at(struct text *mistakes, const struct model_file *file,
    const struct comment_path *path, const char *format, ...)
{
    enum { MISTAKE_MAX = 1024 }; /* longer texts are cut: names are what makes them long */
    char what[MISTAKE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    if (len < 0)
        pool_die();
    struct comment_place place = comments_place(file->proto, path);
    text_printf(mistakes, "%s%s:%d:%d: %s", mistakes->length > 0 ? "\n" : "", file->path,
        place.line, place.column, what);
}

void refuse_model(const struct model *model, struct text *mistakes)
{
    refuse_unsupported(model, mistakes);
    refuse_recursion(model, mistakes);
    refuse_names(model, mistakes);
    refuse_clashes(model, mistakes);
    if (model->options->lint_strict)
        refuse_house_rules(model, mistakes);
}
