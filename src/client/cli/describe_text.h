/* Descriptions of the API for people, much as the .proto files have it. Pure. */
#ifndef FLOCKS_CLI_DESCRIBE_TEXT_H
#define FLOCKS_CLI_DESCRIBE_TEXT_H

#include <stdio.h>

#include "client/cli/definitions.h"

/* Services and their methods, a line each. */
void describe_text_overview(const struct crpc_catalog *catalog, bool color, FILE *out);
/* One symbol: what it is, then its definitions with comments and rules. */
void describe_text_symbol(
    const struct symbol *symbol, const struct definitions *definitions, bool color, FILE *out);

/* "int32", "string" ... of a field whose type has no name of its own. */
const char *describe_text_scalar(ProtobufCType type);

#endif
