#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "common/rpc/wire.h"
#include "pool.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;

/* Field number in descriptor.proto. */
enum { FILE_SOURCE_CODE_INFO = 9 };

/* One file while its symbols are collected. */
struct collector {
    struct arena *pool;
    struct index *index;
    size_t symbols_capacity;
    size_t extensions_capacity;
    uint32_t file;
};

/* ---- growing tables ---- */

/* `table` or a larger copy, with room for one more. */
static void *with_room(struct arena *pool, void *table, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return table;
    size_t wanted = *capacity == 0 ? 64 : 2 * *capacity;
    void *larger = pool_calloc(pool, wanted, size);
    if (n > 0)
        memcpy(larger, table, n * size);
    *capacity = wanted;
    return larger;
}

static const char *join(struct arena *pool, const char *scope, const char *name)
{
    return scope[0] == '\0' ? pool_strdup(pool, name) : pool_printf(pool, "%s.%s", scope, name);
}

/* Answers the full name. */
static const char *add_symbol(
    struct collector *collector, const char *scope, const char *name, enum crpc_symbol_kind kind)
{
    struct index *index = collector->index;
    index->symbols = with_room(collector->pool, index->symbols, index->n_symbols,
        &collector->symbols_capacity, sizeof(*index->symbols));
    const char *full_name = join(collector->pool, scope, name);
    index->symbols[index->n_symbols++] =
        (struct index_symbol){.name = full_name, .file = collector->file, .kind = kind};
    return full_name;
}

/* ---- declarations ---- */

static void add_extension(struct collector *collector, const char *scope, const field_proto *field)
{
    struct index *index = collector->index;
    index->extensions = with_room(collector->pool, index->extensions, index->n_extensions,
        &collector->extensions_capacity, sizeof(*index->extensions));
    /* Without the dot that says that it is a full name. */
    index->extensions[index->n_extensions++] = (struct index_extension){
        .extendee = field->extendee + 1, .number = field->number, .file = collector->file};
    (void)add_symbol(collector, scope, field->name, CRPC_SYMBOL_EXTENSION);
}

static void add_enum(struct collector *collector, const char *scope, const enum_proto *enumeration)
{
    (void)add_symbol(collector, scope, enumeration->name, CRPC_SYMBOL_ENUM);
    for (size_t i = 0; i < enumeration->n_value; i++)
        (void)add_symbol(collector, scope, enumeration->value[i]->name, CRPC_SYMBOL_ENUM_VALUE);
}

/* Nesting is bounded (sound.h). */
static void add_message(
    struct collector *collector, const char *scope, const message_proto *message)
{
    const char *name = add_symbol(collector, scope, message->name, CRPC_SYMBOL_MESSAGE);
    for (size_t i = 0; i < message->n_field; i++)
        (void)add_symbol(collector, name, message->field[i]->name, CRPC_SYMBOL_FIELD);
    for (size_t i = 0; i < message->n_oneof_decl; i++)
        (void)add_symbol(collector, name, message->oneof_decl[i]->name, CRPC_SYMBOL_ONEOF);
    for (size_t i = 0; i < message->n_enum_type; i++)
        add_enum(collector, name, message->enum_type[i]);
    for (size_t i = 0; i < message->n_extension; i++)
        add_extension(collector, name, message->extension[i]);
    for (size_t i = 0; i < message->n_nested_type; i++)
        add_message(collector, name, message->nested_type[i]);
}

static void add_service(
    struct collector *collector, const char *scope, const service_proto *service)
{
    const char *name = add_symbol(collector, scope, service->name, CRPC_SYMBOL_SERVICE);
    for (size_t i = 0; i < service->n_method; i++)
        (void)add_symbol(collector, name, service->method[i]->name, CRPC_SYMBOL_METHOD);
}

static void add_declarations(struct collector *collector, const file_proto *file)
{
    const char *package = file->package != NULL ? file->package : "";
    for (size_t i = 0; i < file->n_message_type; i++)
        add_message(collector, package, file->message_type[i]);
    for (size_t i = 0; i < file->n_enum_type; i++)
        add_enum(collector, package, file->enum_type[i]);
    for (size_t i = 0; i < file->n_extension; i++)
        add_extension(collector, package, file->extension[i]);
    for (size_t i = 0; i < file->n_service; i++)
        add_service(collector, package, file->service[i]);
}

/* ---- bytes ---- */

static void cut_source_info(
    struct arena *pool, const struct rpc_wire_field *whole, struct index_file *file)
{
    struct rpc_wire_reader reader = rpc_wire_reader(whole->data, whole->len);
    struct rpc_wire_field field;
    uint8_t *out = pool_calloc(pool, whole->len + 1, 1);
    const uint8_t *from = reader.next;
    file->descriptor = out;
    while (rpc_wire_next(&reader, &field) > 0) {
        size_t len = (size_t)(reader.next - from);
        if (field.number != FILE_SOURCE_CODE_INFO) {
            memcpy(out, from, len);
            out += len;
        }
        from = reader.next;
    }
    file->descriptor_len = (size_t)(out - file->descriptor);
}

/* `sorted` are the places in index->files by the order of the request. */
static void take_bytes(struct arena *pool, const struct index *index, const uint32_t *sorted,
    struct rpc_wire_reader request, uint32_t files_field)
{
    struct rpc_wire_field field;
    size_t n = 0;
    while (n < index->n_files && rpc_wire_next(&request, &field) > 0) {
        if (field.number == files_field && field.type == RPC_WIRE_BYTES)
            cut_source_info(pool, &field, &index->files[sorted[n++]]);
    }
}

/* ---- closures ---- */

static size_t place_of_file(const struct index *index, const char *name)
{
    size_t low = 0;
    size_t high = index->n_files;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->files[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* protoc sends imports before importers, so that one pass from the back finds all of them. */
static void close_file(struct arena *pool, const struct index *index, file_proto *const *files,
    const uint32_t *sorted, size_t which)
{
    bool *is_in = pool_calloc(pool, index->n_files, sizeof(*is_in));
    struct index_file *file = &index->files[sorted[which]];
    file->closure = pool_calloc(pool, which + 1, sizeof(*file->closure));
    file->n_closure = 0;
    is_in[sorted[which]] = true;
    for (size_t i = which + 1; i > 0; i--) {
        const file_proto *importer = files[i - 1];
        for (size_t k = 0; is_in[sorted[i - 1]] && k < importer->n_dependency; k++) {
            size_t place = place_of_file(index, importer->dependency[k]);
            if (place < index->n_files)
                is_in[place] = true;
        }
    }
    file->closure[file->n_closure++] = sorted[which];
    for (size_t i = 0; i < which; i++) {
        if (is_in[sorted[i]])
            file->closure[file->n_closure++] = sorted[i];
    }
}

/* ---- order ---- */

static int compare_texts(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static int compare_symbols(const void *a, const void *b)
{
    const struct index_symbol *left = a;
    const struct index_symbol *right = b;
    return strcmp(left->name, right->name);
}

static int compare_extensions(const void *a, const void *b)
{
    const struct index_extension *left = a;
    const struct index_extension *right = b;
    int order = strcmp(left->extendee, right->extendee);
    return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

static void sort(void *table, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    if (n > 1)
        qsort(table, n, size, compare);
}

static void collect_names(struct arena *pool, struct index *index)
{
    size_t n = 0;
    index->names = pool_calloc(
        pool, index->n_files + index->n_symbols + index->n_extensions + 1, sizeof(*index->names));
    for (size_t i = 0; i < index->n_files; i++)
        index->names[n++] = index->files[i].name;
    for (size_t i = 0; i < index->n_symbols; i++)
        index->names[n++] = index->symbols[i].name;
    for (size_t i = 0; i < index->n_extensions; i++)
        index->names[n++] = index->extensions[i].extendee;
    sort((void *)index->names, n, sizeof(*index->names), compare_texts);
    for (size_t i = 0; i < n; i++) {
        if (index->n_names == 0 || strcmp(index->names[index->n_names - 1], index->names[i]) != 0)
            index->names[index->n_names++] = index->names[i];
    }
}

size_t index_of_name(const struct index *index, const char *name)
{
    const char *const *found = bsearch(
        &name, (const void *)index->names, index->n_names, sizeof(*index->names), compare_texts);
    return (size_t)(found - (const char *const *)index->names);
}

/* The places of `files` when they are sorted by name, which index->files then are. */
static uint32_t *sort_files(
    struct arena *pool, struct index *index, file_proto *const *files, size_t n_files)
{
    uint32_t *sorted = pool_calloc(pool, n_files + 1, sizeof(*sorted));
    const char **names = pool_calloc(pool, n_files + 1, sizeof(*names));
    for (size_t i = 0; i < n_files; i++)
        names[i] = files[i]->name;
    sort((void *)names, n_files, sizeof(*names), compare_texts);
    for (size_t i = 0; i < n_files; i++)
        index->files[i].name = names[i];
    for (size_t i = 0; i < n_files; i++)
        sorted[i] = (uint32_t)place_of_file(index, files[i]->name);
    return sorted;
}

const struct index *index_new(struct arena *pool, file_proto *const *files, size_t n_files,
    const uint8_t *request, size_t len, uint32_t files_field)
{
    struct index *index = pool_calloc(pool, 1, sizeof(*index));
    struct collector collector = {.pool = pool, .index = index};
    index->n_files = n_files;
    index->files = pool_calloc(pool, n_files + 1, sizeof(*index->files));
    const uint32_t *sorted = sort_files(pool, index, files, n_files);
    take_bytes(pool, index, sorted, rpc_wire_reader(request, len), files_field);
    for (size_t i = 0; i < n_files; i++) {
        collector.file = sorted[i];
        add_declarations(&collector, files[i]);
        close_file(pool, index, files, sorted, i);
    }
    sort(index->symbols, index->n_symbols, sizeof(*index->symbols), compare_symbols);
    sort(index->extensions, index->n_extensions, sizeof(*index->extensions), compare_extensions);
    collect_names(pool, index);
    return index;
}
