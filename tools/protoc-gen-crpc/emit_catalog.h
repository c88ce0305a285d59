/* One table of all services, messages and enums of a run: <PATH>.catalog.{h,c}
 * (crpc/catalog.h). */
#ifndef PROTOC_GEN_CRPC_EMIT_CATALOG_H
#define PROTOC_GEN_CRPC_EMIT_CATALOG_H

#include "model.h"
#include "text.h"

/* `path` is the option's: "flocks/v1/flocks" declares flocks_catalog. */
void emit_catalog_header(struct text *text, const struct model *model, const char *path);
void emit_catalog_source(struct text *text, const struct model *model, const char *path);

#endif
