#include "common/rpc/index.h"

#include <string.h>

#include "common/base/search.h"

/* How a row compares with what is looked for. */
struct key {
    const struct crpc_index *index;
    const char *name;
    int32_t number;
};

static int compare_file(const void *data, size_t row)
{
    const struct key *key = data;
    return strcmp(key->index->names + key->index->files[row].name, key->name);
}

static int compare_symbol(const void *data, size_t row)
{
    const struct key *key = data;
    return strcmp(key->index->names + key->index->symbols[row].name, key->name);
}

static int compare_extendee(const void *data, size_t row)
{
    const struct key *key = data;
    return strcmp(key->index->names + key->index->extensions[row].extendee, key->name);
}

static int compare_extension(const void *data, size_t row)
{
    const struct key *key = data;
    int order = compare_extendee(key, row);
    int32_t number = key->index->extensions[row].number;
    return order != 0 ? order : (number > key->number) - (number < key->number);
}

const struct crpc_index_file *crpc_index_file(const struct crpc_index *index, const char *name)
{
    const struct key key = {.index = index, .name = name};
    size_t row = search_first(&key, index->n_files, compare_file);
    return row < index->n_files && compare_file(&key, row) == 0 ? &index->files[row] : NULL;
}

const struct crpc_index_symbol *crpc_index_symbol(
    const struct crpc_index *index, const char *full_name)
{
    const struct key key = {.index = index, .name = full_name};
    size_t row = search_first(&key, index->n_symbols, compare_symbol);
    return row < index->n_symbols && compare_symbol(&key, row) == 0 ? &index->symbols[row] : NULL;
}

const struct crpc_index_extension *crpc_index_extensions(
    const struct crpc_index *index, const char *extendee, int32_t number, size_t *out_n)
{
    const struct key key = {.index = index, .name = extendee, .number = number};
    size_t row = search_first(&key, index->n_extensions, compare_extension);
    size_t end = row;
    while (end < index->n_extensions && compare_extendee(&key, end) == 0)
        end++;
    *out_n = end - row;
    return end > row ? &index->extensions[row] : NULL;
}
