/* What no C can be generated from, or none that is safe: found before anything is printed. Pure. */
#ifndef PROTOC_GEN_CRPC_REFUSE_H
#define PROTOC_GEN_CRPC_REFUSE_H

#include "model.h"
#include "text.h"

/* Appends one line per mistake in the files that are generated, "path:line:column: what is wrong;
 * what to do"; nothing: all is well. With `lint=strict` our own house rules count too. */
void refuse_model(const struct model *model, struct text *mistakes);

/* The parts of it, each of the whole model. */
void refuse_names(const struct model *model, struct text *mistakes);
void refuse_clashes(const struct model *model, struct text *mistakes);
void refuse_recursion(const struct model *model, struct text *mistakes);
void refuse_unsupported(const struct model *model, struct text *mistakes);
void refuse_house_rules(const struct model *model, struct text *mistakes);

/* One such line. */
void refuse_at(struct text *mistakes, const struct model_file *file,
    const struct comment_path *path, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
