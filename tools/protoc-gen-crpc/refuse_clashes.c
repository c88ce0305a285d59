/* Two things of the run that would be given one C name. Structs, enums, functions, constants and
 * macros count as one name space, because they are one in C++ and a macro reaches everywhere. */
#include <stdlib.h>
#include <string.h>

#include "naming.h"
#include "pool.h"
#include "refuse.h"

/* One C name and where it comes from. */
struct symbol {
    const char *name;
    const char *origin; /* "message flocks.v1.Probe" */
    const struct model_file *file;
    const struct comment_path *path;
    size_t order;
    const struct symbol *clash; /* the first of the same name; only of what is refused */
};

struct symbols {
    struct arena *pool;
    size_t n;
    size_t capacity;
    struct symbol *rows;
};

static void add(struct symbols *symbols, const struct model_file *file,
    const struct comment_path *path, const char *origin, const char *name)
{
    if (symbols->n == symbols->capacity) {
        size_t capacity = symbols->capacity == 0 ? 1024 : 2 * symbols->capacity;
        struct symbol *rows = pool_calloc(symbols->pool, capacity, sizeof(*rows));
        if (symbols->n > 0)
            memcpy(rows, symbols->rows, symbols->n * sizeof(*rows));
        symbols->rows = rows;
        symbols->capacity = capacity;
    }
    symbols->rows[symbols->n] = (struct symbol){
        .name = name, .origin = origin, .file = file, .path = path, .order = symbols->n};
    symbols->n++;
}

static void add_message(struct symbols *symbols, const struct model_message *message)
{
    struct arena *pool = symbols->pool;
    const struct model_file *file = message->file;
    const char *origin = pool_printf(pool, "message %s", message->full_name);
    add(symbols, file, &message->path, origin, message->short_name);
    add(symbols, file, &message->path, origin, message->info_name);
    add(symbols, file, &message->path, origin, pool_printf(pool, "%s_INIT", message->short_upper));
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct model_field *field = &message->fields[i];
        if (field->oneof >= 0)
            add(symbols, file, &field->path,
                pool_printf(pool, "oneof member %s.%s", message->full_name, field->name),
                pool_printf(pool, "%s_%s_%s", message->short_upper,
                    naming_upper(pool, message->oneofs[field->oneof].name),
                    naming_upper(pool, field->name)));
    }
}

static void add_enum(struct symbols *symbols, const struct model_enum *enumeration)
{
    static const char *const FUNCTIONS[] = {"_from", "_name"};
    struct arena *pool = symbols->pool;
    const struct model_file *file = enumeration->file;
    const char *origin = pool_printf(pool, "enum %s", enumeration->full_name);
    add(symbols, file, &enumeration->path, origin, enumeration->short_name);
    add(symbols, file, &enumeration->path, origin, enumeration->info_name);
    for (size_t i = 0; i < ARRAY_LENGTH(FUNCTIONS); i++)
        add(symbols, file, &enumeration->path, origin,
            pool_printf(pool, "%s%s", enumeration->function_name, FUNCTIONS[i]));
    add(symbols, file, &enumeration->path, origin,
        pool_printf(pool, "%s_COUNT", enumeration->short_upper));
    for (size_t i = 0; i < enumeration->n_values; i++)
        add(symbols, file, &enumeration->values[i].path,
            pool_printf(pool, "value %s.%s", enumeration->full_name, enumeration->values[i].name),
            enumeration->values[i].constant);
}

/* The names that a method gives to functions and types, behind `stem`. */
static void add_suffixes(struct symbols *symbols, const struct model_service *service,
    const struct model_method *method, const char *stem, const char *const *suffixes)
{
    const char *origin =
        pool_printf(symbols->pool, "method %s.%s", service->full_name, method->name);
    for (; *suffixes != NULL; suffixes++)
        add(symbols, service->file, &method->path, origin,
            pool_printf(symbols->pool, "%s%s", stem, *suffixes));
}

/* Server and client names differ behind the stem, because the two stems are one where the service
 * is named like the prefix. */
static void add_stubs(
    struct symbols *symbols, const struct model_service *service, const struct model_method *method)
{
    static const char *const SERVER[] = {"_call", "_base", NULL};
    static const char *const SERVER_REPLY[] = {"_reply", NULL};
    static const char *const SERVER_STREAM[] = {"_stream", "_begin", "_wake", NULL};
    static const char *const SERVER_SEND[] = {"_send", NULL};
    static const char *const CLIENT_UNARY[] = {"", "_begin", "_done_fn", NULL};
    static const char *const CLIENT_STREAM[] = {
        "", "_client_stream", "_rpc_stream", "_close", "_hooks", "_watch", NULL};
    static const char *const CLIENT_WRITE[] = {"_write", "_half_close", NULL};
    static const char *const CLIENT_NEXT[] = {"_next", NULL};
    static const char *const CLIENT_FINISH[] = {"_finish", NULL};
    const char *server = method->call_name;
    const char *client = method->client_name;
    add_suffixes(symbols, service, method, server, SERVER);
    add_suffixes(symbols, service, method, client, method->is_unary ? CLIENT_UNARY : CLIENT_STREAM);
    if (!method->is_unary)
        add_suffixes(symbols, service, method, server, SERVER_STREAM);
    if (!method->server_streams)
        add_suffixes(symbols, service, method, server, SERVER_REPLY);
    if (method->server_streams)
        add_suffixes(symbols, service, method, server, SERVER_SEND);
    if (method->client_streams)
        add_suffixes(symbols, service, method, client, CLIENT_WRITE);
    if (!method->is_unary)
        add_suffixes(
            symbols, service, method, client, method->server_streams ? CLIENT_NEXT : CLIENT_FINISH);
}

static void add_method(struct symbols *symbols, const struct model_service *service,
    const struct model_method *method, bool is_nano)
{
    static const char *const CONSTANT[] = {"", NULL};
    static const char *const NANO_CONSTANT[] = {"_METHOD", NULL};
    static const char *const NANO[] = {
        "_encode_request", "_decode_request", "_encode_response", "_decode_response", NULL};
    add_suffixes(symbols, service, method, method->constant, is_nano ? NANO_CONSTANT : CONSTANT);
    if (is_nano)
        add_suffixes(symbols, service, method, method->client_name, NANO);
    else
        add_stubs(symbols, service, method);
}

static void add_service(struct symbols *symbols, const struct model_service *service, bool is_nano)
{
    static const char *const STUBS[] = {"_handlers", "_service", "_methods", "_method"};
    static const char *const NANO[] = {
        "_handlers", "_service", "_dispatch", "_scratch", "_request_payload", "_response_payload"};
    struct arena *pool = symbols->pool;
    const char *const *names = is_nano ? NANO : STUBS;
    size_t n_names = is_nano ? ARRAY_LENGTH(NANO) : ARRAY_LENGTH(STUBS);
    const char *origin = pool_printf(pool, "service %s", service->full_name);
    for (size_t i = 0; i < n_names; i++)
        add(symbols, service->file, &service->path, origin,
            pool_printf(pool, "%s%s", service->short_name, names[i]));
    add(symbols, service->file, &service->path, origin,
        pool_printf(pool, "%s_SERVICE", service->short_upper));
    if (!is_nano)
        add(symbols, service->file, &service->path, origin,
            pool_printf(pool, "%s_METHOD_COUNT", service->short_upper));
    for (size_t i = 0; i < service->n_methods; i++)
        add_method(symbols, service, &service->methods[i], is_nano);
}

static int compare(const void *a, const void *b)
{
    const struct symbol *left = a;
    const struct symbol *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static int compare_order(const void *a, const void *b)
{
    const struct symbol *const *left = a;
    const struct symbol *const *right = b;
    return ((*left)->order > (*right)->order) - ((*left)->order < (*right)->order);
}

/* Those of generated files whose name somebody had before them, in the order of the files. */
static size_t find_clashes(struct symbols *symbols, const struct symbol **out)
{
    size_t n = 0;
    for (size_t i = 1; i < symbols->n; i++) {
        struct symbol *symbol = &symbols->rows[i];
        const struct symbol *before = &symbols->rows[i - 1];
        if (strcmp(before->name, symbol->name) != 0)
            continue;
        symbol->clash = before->clash != NULL ? before->clash : before;
        if (symbol->file->is_generated)
            out[n++] = symbol;
    }
    if (n > 0)
        qsort(out, n, sizeof(const struct symbol *), compare_order);
    return n;
}

/* Whether the name is one that lacks its service's because of calls=short. */
static bool lacks_service(const struct model *model, const struct symbol *symbol)
{
    static const char SUFFIX[] = "_call";
    size_t len = strlen(symbol->name);
    return model->options->short_calls &&
           strncmp(symbol->origin, "method ", strlen("method ")) == 0 && len >= sizeof(SUFFIX) &&
           strcmp(symbol->name + len - (sizeof(SUFFIX) - 1), SUFFIX) == 0;
}

static void tell_clashes(const struct model *model, struct symbols *symbols, struct text *mistakes)
{
    const struct symbol **clashes =
        pool_calloc(symbols->pool, symbols->n, sizeof(const struct symbol *));
    size_t n = find_clashes(symbols, clashes);
    for (size_t i = 0; i < n; i++) {
        /* One thing usually has several names that clash: one line says it. */
        if (i > 0 && clashes[i]->path == clashes[i - 1]->path)
            continue;
        bool is_short = lacks_service(model, clashes[i]) || lacks_service(model, clashes[i]->clash);
        refuse_at(mistakes, clashes[i]->file, clashes[i]->path,
            "%s: its C name '%s' is also that of %s; rename one%s", clashes[i]->origin,
            clashes[i]->name, clashes[i]->clash->origin,
            is_short ? ", or leave out calls=short" : "");
    }
}

void refuse_clashes(const struct model *model, struct text *mistakes)
{
    struct symbols symbols = {.pool = model->pool};
    /* Imports too: their names are in the same program. */
    for (size_t i = 0; i < model->n_messages; i++)
        add_message(&symbols, &model->messages[i]);
    for (size_t i = 0; i < model->n_enums; i++)
        add_enum(&symbols, &model->enums[i]);
    for (size_t i = 0; i < model->n_files; i++) {
        for (size_t k = 0; model->files[i].is_generated && k < model->files[i].n_services; k++)
            add_service(&symbols, &model->files[i].services[k], model->options->nano);
    }
    if (symbols.n > 0)
        qsort(symbols.rows, symbols.n, sizeof(*symbols.rows), compare);
    tell_clashes(model, &symbols, mistakes);
}
