/* What no C can be generated from, or none that is safe: found before anything is printed. Pure. */
#ifndef PROTOC_GEN_CRPC_REFUSE_H
#define PROTOC_GEN_CRPC_REFUSE_H

#include "model.h"
#include "text.h"

/* Appends one line per mistake of the files that are generated, "path:line:column: what, and what
 * to do"; nothing: all is well. */
void refuse_model(const struct model *model, struct text *mistakes);

#endif
