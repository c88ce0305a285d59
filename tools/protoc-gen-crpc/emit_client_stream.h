/* The client's side of a streaming method: a typed handle, blocking functions, and the typed hooks
 * of an attached client with their thunks. No function is ever called through a type that is not
 * its own. */
#ifndef PROTOC_GEN_CRPC_EMIT_CLIENT_STREAM_H
#define PROTOC_GEN_CRPC_EMIT_CLIENT_STREAM_H

#include "model.h"
#include "text.h"

/* How streams are used, for the header's first comment. */
extern const char EMIT_CLIENT_STREAM_WHAT[];

void emit_client_stream_declare(
    struct text *text, const struct model *model, const struct model_method *method);
void emit_client_stream_define(
    struct text *text, const struct model *model, const struct model_method *method);

#endif
