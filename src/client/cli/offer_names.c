#include "client/cli/offer_names.h"

#include <stdbool.h>
#include <string.h>

#include "client/cli/method_name.h"
#include "client/cli/symbol.h"

/* ---- methods ---- */

static void offer_with_service(
    const struct offer *offer, const struct crpc_service_info *service, char between)
{
    const char *name = method_name_short(service->full_name);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct rpc_method *method = &service->methods[i];
        offer_pair(offer, name, between, method->name, method->comment);
        if (name != service->full_name)
            offer_pair(offer, service->full_name, between, method->name, method->comment);
    }
}

static bool has_method_like(const struct crpc_catalog *catalog, const char *partial)
{
    for (size_t i = 0; i < catalog->n_services; i++)
        for (size_t k = 0; k < catalog->services[i].n_methods; k++)
            if (strncmp(catalog->services[i].methods[k].name, partial, strlen(partial)) == 0)
                return true;
    return false;
}

void offer_methods(const struct offer *offer, const struct crpc_catalog *catalog)
{
    /* In a full name a dot stands in the package, too. */
    bool has_dot = strchr(offer->partial, '.') && !strchr(offer->partial, '/');
    bool is_alone = has_method_like(catalog, offer->partial);
    for (size_t i = 0; i < catalog->n_services; i++) {
        const struct crpc_service_info *service = &catalog->services[i];
        for (size_t k = 0; is_alone && k < service->n_methods; k++)
            offer_word(offer, service->methods[k].name, service->methods[k].comment);
        if (!is_alone)
            offer_with_service(offer, service, has_dot ? '.' : '/');
    }
}

/* ---- symbols ---- */

struct symbols {
    const struct offer *offer;
    bool has_dot;
};

static const char *comment_of(const struct symbol *symbol)
{
    switch (symbol->kind) {
    case SYMBOL_SERVICE:
        return symbol->service->comment;
    case SYMBOL_METHOD:
        return symbol->method->comment;
    case SYMBOL_MESSAGE:
        return symbol->message->comment;
    case SYMBOL_ENUM:
        return symbol->enumeration->comment;
    case SYMBOL_FIELD:
        return symbol->field->comment;
    case SYMBOL_VALUE:
        return symbol->value->comment;
    case SYMBOL_KIND_COUNT:
        break;
    }
    return "";
}

static void offer_one(void *data, const struct symbol *symbol)
{
    const struct symbols *symbols = data;
    char name[SYMBOL_NAME_SIZE];
    const char *comment = comment_of(symbol);
    const char *about = comment[0] ? comment : symbol_kind_text(symbol->kind);
    bool is_inside = symbol->kind == SYMBOL_METHOD || symbol->kind == SYMBOL_FIELD ||
                     symbol->kind == SYMBOL_VALUE;
    symbol_name(symbol, name);
    if (!symbols->has_dot) {
        if (!is_inside)
            offer_word(symbols->offer, method_name_short(name), about);
        if (symbol->kind == SYMBOL_METHOD)
            offer_word(symbols->offer, symbol->method->name, about);
        return;
    }
    /* "flocks.v1.Type.field": the last dot, or the one before it, ends the package. */
    const char *last = strrchr(name, '.');
    const char *short_name = last ? last + 1 : name;
    for (const char *c = name; is_inside && c < last; c++)
        if (*c == '.')
            short_name = c + 1;
    if (is_inside)
        offer_word(symbols->offer, short_name, about);
    /* Of full names what is inside comes when its parent has been written. */
    size_t parent_len = is_inside && last ? (size_t)(last - name) + 1 : 0;
    if (short_name != name && strncmp(symbols->offer->partial, name, parent_len) == 0)
        offer_word(symbols->offer, name, about);
}

void offer_symbols(const struct offer *offer, const struct crpc_catalog *catalog)
{
    struct symbols symbols = {.offer = offer, .has_dot = strchr(offer->partial, '.') != NULL};
    symbol_each(catalog, offer_one, &symbols);
}
