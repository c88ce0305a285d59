/* Every default, limit and rule of the generated files as one text, a line each: what `buf
 * breaking` does not see, for a golden file. */
#ifndef PROTOC_GEN_CRPC_RULES_FILE_H
#define PROTOC_GEN_CRPC_RULES_FILE_H

#include "model.h"
#include "text.h"

void rules_file_print(struct text *text, const struct model *model);

#endif
