#include "select.h"

#include <stdbool.h>
#include <string.h>

#include "pool.h"
#include "rewrite.h"

/* Numbers of descriptor.proto, as they stand in the paths of locations. */
enum { FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6, FILE_EXTENSION = 7, SERVICE_METHOD = 2 };
enum { GONE = -1 };

/* A message or an enum at the top of a file, with all that is nested in it. */
struct declaration {
    const char *full_name;                      /* ".flocks.v1.ServiceStatus" */
    Google__Protobuf__DescriptorProto *message; /* NULL: an enum */
    bool is_kept;
};

struct selection {
    struct arena *pool;
    Google__Protobuf__FileDescriptorSet *set;
    size_t n_declarations;
    struct declaration *declarations; /* file by file: messages, then enums */
    const char *const *methods;
    size_t n_methods;
};

/* ---- what is there ---- */

static const char *full_name_of(
    struct arena *pool, const Google__Protobuf__FileDescriptorProto *file, const char *name)
{
    if (file->package == NULL || file->package[0] == '\0')
        return pool_printf(pool, ".%s", name);
    return pool_printf(pool, ".%s.%s", file->package, name);
}

static void declare(struct selection *selection, const Google__Protobuf__FileDescriptorProto *file,
    const char *name, Google__Protobuf__DescriptorProto *message)
{
    selection->declarations[selection->n_declarations++] = (struct declaration){
        .full_name = full_name_of(selection->pool, file, name), .message = message};
}

static void index_declarations(struct selection *selection)
{
    size_t n = 0;
    for (size_t i = 0; i < selection->set->n_file; i++)
        n += selection->set->file[i]->n_message_type + selection->set->file[i]->n_enum_type;
    selection->declarations = pool_calloc(selection->pool, n, sizeof(*selection->declarations));
    for (size_t i = 0; i < selection->set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = selection->set->file[i];
        for (size_t k = 0; k < file->n_message_type; k++)
            declare(selection, file, file->message_type[k]->name, file->message_type[k]);
        for (size_t k = 0; k < file->n_enum_type; k++)
            declare(selection, file, file->enum_type[k]->name, NULL);
    }
}

static bool is_method(const struct selection *selection,
    const Google__Protobuf__FileDescriptorProto *file,
    const Google__Protobuf__ServiceDescriptorProto *service,
    const Google__Protobuf__MethodDescriptorProto *method, const char *wanted)
{
    const char *name = pool_printf(
        selection->pool, "%s.%s", full_name_of(selection->pool, file, service->name), method->name);
    return strcmp(name + 1, wanted) == 0;
}

/* ---- what is reached ---- */

static void keep_type(struct selection *selection, const char *type);

static void keep_fields(
    struct selection *selection, const Google__Protobuf__DescriptorProto *message)
{
    for (size_t i = 0; i < message->n_field; i++) {
        if (message->field[i]->type_name != NULL)
            keep_type(selection, message->field[i]->type_name);
    }
    for (size_t i = 0; i < message->n_nested_type; i++)
        keep_fields(selection, message->nested_type[i]);
}

/* The declaration that `type` is or lies in. Each is entered once, so recursion in a schema ends.
 */
static void keep_type(struct selection *selection, const char *type)
{
    for (size_t i = 0; i < selection->n_declarations; i++) {
        struct declaration *declaration = &selection->declarations[i];
        size_t len = strlen(declaration->full_name);
        if (strncmp(type, declaration->full_name, len) != 0 ||
            (type[len] != '\0' && type[len] != '.') || declaration->is_kept)
            continue;
        declaration->is_kept = true;
        if (declaration->message != NULL)
            keep_fields(selection, declaration->message);
    }
}

/* False: there is none of that name. */
static bool keep_method(struct selection *selection, const char *wanted)
{
    for (size_t i = 0; i < selection->set->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *file = selection->set->file[i];
        for (size_t k = 0; k < file->n_service; k++) {
            const Google__Protobuf__ServiceDescriptorProto *service = file->service[k];
            for (size_t n = 0; n < service->n_method; n++) {
                const Google__Protobuf__MethodDescriptorProto *method = service->method[n];
                if (!is_method(selection, file, service, method, wanted))
                    continue;
                keep_type(selection, method->input_type);
                keep_type(selection, method->output_type);
                return true;
            }
        }
    }
    return false;
}

/* ---- cutting ---- */

/* New numbers by old ones, GONE for what was cut. */
struct numbers {
    size_t n;
    int32_t *by_old;
};

/* Where the things of one file went. */
struct moves {
    struct numbers messages;
    struct numbers enums;
    struct numbers services;
    struct numbers *methods; /* by the service's old number */
};

static struct numbers numbers_of(struct arena *pool, size_t n)
{
    struct numbers numbers = {.n = n, .by_old = pool_calloc(pool, n + 1, sizeof(*numbers.by_old))};
    for (size_t i = 0; i < n; i++)
        numbers.by_old[i] = GONE;
    return numbers;
}

static int32_t moved(const struct numbers *numbers, int32_t old)
{
    return old >= 0 && (size_t)old < numbers->n ? numbers->by_old[old] : GONE;
}

static void drop_extensions(Google__Protobuf__DescriptorProto *message)
{
    message->n_extension = 0;
    for (size_t i = 0; i < message->n_nested_type; i++)
        drop_extensions(message->nested_type[i]);
}

/* `first` is the file's first declaration; answers the one behind its last. */
static const struct declaration *cut_types(struct arena *pool,
    Google__Protobuf__FileDescriptorProto *file, const struct declaration *first,
    struct moves *moves)
{
    size_t n_messages = 0;
    moves->messages = numbers_of(pool, file->n_message_type);
    for (size_t i = 0; i < file->n_message_type; i++, first++) {
        if (!first->is_kept)
            continue;
        drop_extensions(file->message_type[i]);
        moves->messages.by_old[i] = (int32_t)n_messages;
        file->message_type[n_messages++] = file->message_type[i];
    }
    file->n_message_type = n_messages;
    size_t n_enums = 0;
    moves->enums = numbers_of(pool, file->n_enum_type);
    for (size_t i = 0; i < file->n_enum_type; i++, first++) {
        if (!first->is_kept)
            continue;
        moves->enums.by_old[i] = (int32_t)n_enums;
        file->enum_type[n_enums++] = file->enum_type[i];
    }
    file->n_enum_type = n_enums;
    file->n_extension = 0;
    return first;
}

static bool is_selected(const struct selection *selection,
    const Google__Protobuf__FileDescriptorProto *file,
    const Google__Protobuf__ServiceDescriptorProto *service,
    const Google__Protobuf__MethodDescriptorProto *method)
{
    for (size_t i = 0; i < selection->n_methods; i++) {
        if (is_method(selection, file, service, method, selection->methods[i]))
            return true;
    }
    return false;
}

static void cut_services(const struct selection *selection,
    Google__Protobuf__FileDescriptorProto *file, struct moves *moves)
{
    size_t n_services = 0;
    moves->services = numbers_of(selection->pool, file->n_service);
    moves->methods = pool_calloc(selection->pool, file->n_service + 1, sizeof(*moves->methods));
    for (size_t i = 0; i < file->n_service; i++) {
        Google__Protobuf__ServiceDescriptorProto *service = file->service[i];
        size_t n_methods = 0;
        moves->methods[i] = numbers_of(selection->pool, service->n_method);
        for (size_t k = 0; k < service->n_method; k++) {
            if (!is_selected(selection, file, service, service->method[k]))
                continue;
            moves->methods[i].by_old[k] = (int32_t)n_methods;
            service->method[n_methods++] = service->method[k];
        }
        service->n_method = n_methods;
        if (n_methods == 0)
            continue;
        moves->services.by_old[i] = (int32_t)n_services;
        file->service[n_services++] = service;
    }
    file->n_service = n_services;
}

/* False: what the location is about is gone. */
static bool move_location(
    const Google__Protobuf__SourceCodeInfo__Location *location, const struct moves *moves)
{
    int32_t *path = location->path;
    if (location->n_path < 2)
        return location->n_path == 0 || path[0] != FILE_EXTENSION;
    const struct numbers *numbers = NULL;
    if (path[0] == FILE_MESSAGE)
        numbers = &moves->messages;
    else if (path[0] == FILE_ENUM)
        numbers = &moves->enums;
    else if (path[0] == FILE_SERVICE)
        numbers = &moves->services;
    if (numbers == NULL)
        return path[0] != FILE_EXTENSION;
    int32_t old = path[1];
    path[1] = moved(numbers, old);
    if (path[1] == GONE)
        return false;
    if (path[0] != FILE_SERVICE || location->n_path < 4 || path[2] != SERVICE_METHOD)
        return true;
    path[3] = moved(&moves->methods[old], path[3]);
    return path[3] != GONE;
}

static void move_locations(Google__Protobuf__SourceCodeInfo *info, const struct moves *moves)
{
    size_t kept = 0;
    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        if (move_location(info->location[i], moves))
            info->location[kept++] = info->location[i];
    }
    if (info != NULL)
        info->n_location = kept;
}

const char *select_methods(Google__Protobuf__FileDescriptorSet *set, const char *const *methods,
    size_t n_methods, struct arena *pool)
{
    struct selection selection = {
        .pool = pool, .set = set, .methods = methods, .n_methods = n_methods};
    index_declarations(&selection);
    for (size_t i = 0; i < n_methods; i++) {
        if (!keep_method(&selection, methods[i]))
            return methods[i];
    }
    const struct declaration *next = selection.declarations;
    for (size_t i = 0; i < set->n_file; i++) {
        struct moves moves = {0};
        next = cut_types(pool, set->file[i], next, &moves);
        cut_services(&selection, set->file[i], &moves);
        move_locations(set->file[i]->source_code_info, &moves);
    }
    for (size_t i = 0; i < set->n_file; i++)
        rewrite_drop_unused_imports(set, set->file[i], pool);
    return NULL;
}
