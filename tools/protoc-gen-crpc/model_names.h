/* Names that give way to those of types: a message is called as its proto says, and what comes of
 * another type and would bear its name takes a longer one. FileInfo beside File, ModeName beside an
 * enum Mode. */
#ifndef PROTOC_GEN_CRPC_MODEL_NAMES_H
#define PROTOC_GEN_CRPC_MODEL_NAMES_H

#include "model.h"

/* Fills `info_name` of every type and `function_name` of every enum; imports are linked already. */
void model_give_names(struct model *model);

#endif
