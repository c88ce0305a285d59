/* Everything of the API that has a name, and finding it by what people write of that name. Pure. */
#ifndef FLOCKS_CLI_SYMBOL_H
#define FLOCKS_CLI_SYMBOL_H

#include <stdbool.h>

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "crpc/catalog.h"

enum {
    /* Longest full name with its NUL; longer ones are cut. */
    SYMBOL_NAME_SIZE = 256
};

enum symbol_kind {
    SYMBOL_SERVICE,
    SYMBOL_METHOD,
    SYMBOL_MESSAGE,
    SYMBOL_ENUM,
    SYMBOL_FIELD,
    SYMBOL_VALUE,
    SYMBOL_KIND_COUNT
};

/* Plain value; everything in it is static. What does not belong to the kind is NULL. */
struct symbol {
    enum symbol_kind kind;
    const struct crpc_service_info *service; /* a method's, too */
    const struct rpc_method *method;
    const struct crpc_message_info *message; /* a field's, too */
    const struct crpc_field_info *field;
    const struct crpc_enum_info *enumeration; /* a value's, too */
    const struct crpc_enum_value_info *value;
};

/* "service", "method" ... */
const char *symbol_kind_text(enum symbol_kind kind);
/* Full name of what it stands in, or of itself. */
const char *symbol_parent(const struct symbol *symbol);
/* "flocks.v1.ServiceStatus.state". */
void symbol_name(const struct symbol *symbol, char out[SYMBOL_NAME_SIZE]);

/* Every symbol once: services, each with its methods; messages, each with its fields; enums, each
 * with its values. */
void symbol_each(const struct crpc_catalog *catalog,
    void (*visit)(void *data, const struct symbol *symbol), void *data);

/* By full name, by its last parts ("ServiceStatus.state", "state"), or, where nothing is called so,
 * by a part of the last one. `/` may stand for a dot, case counts only where it decides, and what
 * stands by itself goes before fields and values. Values also as "ServiceState.HEALTHY".
 * -STATUS_INVALID_ARGUMENT: nothing is called so (with the nearest), or several are (with names).
 */
NODISCARD int symbol_find(
    const struct crpc_catalog *catalog, const char *name, struct symbol *out, struct error *error);

#endif
