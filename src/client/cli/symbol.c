#include "client/cli/symbol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client/cli/method_name.h"
#include "common/schema/nearest.h"

const char *symbol_kind_text(enum symbol_kind kind)
{
    static const char *const texts[SYMBOL_KIND_COUNT] = {
        [SYMBOL_SERVICE] = "service",
        [SYMBOL_METHOD] = "method",
        [SYMBOL_MESSAGE] = "message",
        [SYMBOL_ENUM] = "enum",
        [SYMBOL_FIELD] = "field",
        [SYMBOL_VALUE] = "enum value",
    };
    return texts[kind];
}

static void join(const char *parent, const char *name, char out[SYMBOL_NAME_SIZE])
{
    (void)snprintf(out, SYMBOL_NAME_SIZE, "%s.%s", parent, name);
}

const char *symbol_parent(const struct symbol *symbol)
{
    if (symbol->service)
        return symbol->service->full_name;
    if (symbol->message)
        return symbol->message->full_name;
    return symbol->enumeration ? symbol->enumeration->full_name : "";
}

void symbol_name(const struct symbol *symbol, char out[SYMBOL_NAME_SIZE])
{
    const char *parent = symbol_parent(symbol);
    if (symbol->method)
        join(parent, symbol->method->name, out);
    else if (symbol->field)
        join(parent, symbol->field->name, out);
    else if (symbol->value)
        join(parent, symbol->value->name, out);
    else
        (void)snprintf(out, SYMBOL_NAME_SIZE, "%s", parent);
}

/* ---- all of them ---- */

static void visit_service(const struct crpc_service_info *service,
    void (*visit)(void *data, const struct symbol *symbol), void *data)
{
    struct symbol symbol = {.kind = SYMBOL_SERVICE, .service = service};
    visit(data, &symbol);
    symbol.kind = SYMBOL_METHOD;
    for (size_t i = 0; i < service->n_methods; i++) {
        symbol.method = &service->methods[i];
        visit(data, &symbol);
    }
}

static void visit_message(const struct crpc_message_info *message,
    void (*visit)(void *data, const struct symbol *symbol), void *data)
{
    struct symbol symbol = {.kind = SYMBOL_MESSAGE, .message = message};
    visit(data, &symbol);
    symbol.kind = SYMBOL_FIELD;
    for (size_t i = 0; i < message->n_fields; i++) {
        symbol.field = &message->fields[i];
        visit(data, &symbol);
    }
}

static void visit_enum(const struct crpc_enum_info *enumeration,
    void (*visit)(void *data, const struct symbol *symbol), void *data)
{
    struct symbol symbol = {.kind = SYMBOL_ENUM, .enumeration = enumeration};
    visit(data, &symbol);
    symbol.kind = SYMBOL_VALUE;
    for (size_t i = 0; i < enumeration->n_values; i++) {
        symbol.value = &enumeration->values[i];
        visit(data, &symbol);
    }
}

void symbol_each(const struct crpc_catalog *catalog,
    void (*visit)(void *data, const struct symbol *symbol), void *data)
{
    for (size_t i = 0; i < catalog->n_services; i++)
        visit_service(&catalog->services[i], visit, data);
    for (size_t i = 0; i < catalog->n_messages; i++)
        visit_message(catalog->messages[i], visit, data);
    for (size_t i = 0; i < catalog->n_enums; i++)
        visit_enum(catalog->enums[i], visit, data);
}

/* ---- one of them ---- */

/* How a name fits, the best first: full name, its end, its end in other letters, both again of what
 * stands inside something, a part of the last name. */
enum fit {
    FIT_FULL,
    FIT_END,
    FIT_END_IN_ANY_CASE,
    FIT_END_INSIDE,
    FIT_END_INSIDE_IN_ANY_CASE,
    FIT_PART,
    FIT_PART_INSIDE,
    FIT_NONE
};

struct search {
    char wanted[SYMBOL_NAME_SIZE]; /* with dots only */
    size_t len;
    enum fit fit; /* of what was found */
    size_t n_found;
    struct symbol found; /* the first */
    char names[ERROR_HINT_MAX];
    struct nearest nearest;
};

/* The last part of its name, in static storage. */
static const char *own_name(const struct symbol *symbol)
{
    if (symbol->value)
        return symbol->value->name;
    if (symbol->field)
        return symbol->field->name;
    if (symbol->method)
        return symbol->method->name;
    return method_name_short(symbol_parent(symbol));
}

static bool has_part(const char *name, const struct search *search)
{
    for (; strlen(name) >= search->len; name++)
        if (strncasecmp(name, search->wanted, search->len) == 0)
            return true;
    return false;
}

static enum fit fit_end(const struct search *search, const char *name, bool is_inside)
{
    size_t name_len = strlen(name);
    if (search->len > name_len)
        return FIT_NONE;
    const char *end = name + name_len - search->len;
    if ((end != name && end[-1] != '.') || strcasecmp(end, search->wanted) != 0)
        return FIT_NONE;
    bool is_same = strcmp(end, search->wanted) == 0;
    if (end == name && is_same)
        return FIT_FULL;
    if (is_inside)
        return is_same ? FIT_END_INSIDE : FIT_END_INSIDE_IN_ANY_CASE;
    return is_same ? FIT_END : FIT_END_IN_ANY_CASE;
}

static enum fit better(enum fit a, enum fit b)
{
    return a < b ? a : b;
}

/* protobuf puts values beside their enum; people put them into it, often by the short name. */
static enum fit fit_value(const struct search *search, const struct symbol *symbol)
{
    char name[SYMBOL_NAME_SIZE];
    const char *parent = symbol->enumeration->full_name;
    size_t package_len = (size_t)(method_name_short(parent) - parent);
    (void)snprintf(name, sizeof(name), "%.*s%s", (int)package_len, parent, symbol->value->name);
    enum fit beside = fit_end(search, name, true);
    join(parent, symbol->value->short_name, name);
    return better(beside, fit_end(search, name, true));
}

static enum fit fit_of(const struct search *search, const struct symbol *symbol)
{
    char name[SYMBOL_NAME_SIZE];
    bool is_inside = symbol->kind == SYMBOL_FIELD || symbol->kind == SYMBOL_VALUE;
    symbol_name(symbol, name);
    enum fit fit = fit_end(search, name, is_inside);
    if (symbol->kind == SYMBOL_VALUE)
        fit = better(fit, fit_value(search, symbol));
    if (fit == FIT_NONE && has_part(strchr(search->wanted, '.') ? name : own_name(symbol), search))
        fit = is_inside ? FIT_PART_INSIDE : FIT_PART;
    return fit;
}

static void consider(void *data, const struct symbol *symbol)
{
    struct search *search = data;
    enum fit fit = fit_of(search, symbol);
    nearest_offer(&search->nearest, own_name(symbol));
    if (fit == FIT_NONE || fit > search->fit)
        return;
    if (fit < search->fit) {
        search->fit = fit;
        search->found = *symbol;
        search->n_found = 0;
        search->names[0] = '\0';
    }
    char name[SYMBOL_NAME_SIZE];
    symbol_name(symbol, name);
    size_t len = strlen(search->names);
    (void)snprintf(
        search->names + len, sizeof(search->names) - len, "%s%s", len > 0 ? ", " : "", name);
    search->n_found++;
}

static int refuse_unknown(const struct search *search, const char *name, struct error *error)
{
    int result = error_set(error, STATUS_INVALID_ARGUMENT, "nothing is called \"%s\"", name);
    const char *near = nearest_result(&search->nearest);
    if (near)
        error_set_hint(error, "did you mean %s?", near);
    else
        error_set_hint(error, "`flocks describe` lists services and methods");
    return result;
}

static int refuse_many(const struct search *search, const char *name, struct error *error)
{
    int result = error_set(
        error, STATUS_INVALID_ARGUMENT, "%zu things are called \"%s\"", search->n_found, name);
    error_set_hint(error, "say which: %s", search->names);
    return result;
}

int symbol_find(
    const struct crpc_catalog *catalog, const char *name, struct symbol *out, struct error *error)
{
    struct search search = {.fit = FIT_NONE};
    (void)snprintf(search.wanted, sizeof(search.wanted), "%s", name[0] == '/' ? name + 1 : name);
    for (char *c = search.wanted; *c; c++)
        if (*c == '/')
            *c = '.';
    search.len = strlen(search.wanted);
    nearest_init(&search.nearest, search.wanted, search.len);
    if (search.len > 0)
        symbol_each(catalog, consider, &search);
    if (search.n_found == 0)
        return refuse_unknown(&search, name, error);
    if (search.n_found > 1)
        return refuse_many(&search, name, error);
    *out = search.found;
    return 0;
}
