/* What the server's side of a streaming method has besides its handler: a struct of typed hooks,
 * the functions of its call, and the thunks that tell the engine's hooks from the typed ones. No
 * function is ever called through a type that is not its own. */
#ifndef PROTOC_GEN_CRPC_EMIT_SERVER_STREAM_H
#define PROTOC_GEN_CRPC_EMIT_SERVER_STREAM_H

#include "model.h"
#include "text.h"

/* How streams work, for the header's first comment. */
extern const char EMIT_SERVER_STREAM_WHAT[];

void emit_server_stream_declare(
    struct text *text, const struct model *model, const struct model_method *method);
void emit_server_stream_define(
    struct text *text, const struct model *model, const struct model_method *method);

#endif
