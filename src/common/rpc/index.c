#include "common/rpc/index.h"

#include <string.h>

/* How a row compares with what is looked for. */
struct key {
    const struct crpc_index *index;
    const char *name;
    int32_t number;
};

static int compare_file(const struct key *key, size_t row)
{
    return strcmp(key->index->names + key->index->files[row].name, key->name);
}

static int compare_symbol(const struct key *key, size_t row)
{
    return strcmp(key->index->names + key->index->symbols[row].name, key->name);
}

static int compare_extendee(const struct key *key, size_t row)
{
    return strcmp(key->index->names + key->index->extensions[row].extendee, key->name);
}

static int compare_extension(const struct key *key, size_t row)
{
    int order = compare_extendee(key, row);
    int32_t number = key->index->extensions[row].number;
    return order != 0 ? order : (number > key->number) - (number < key->number);
}

/* The first of `n` rows that is not below the key; `n` if all are. */
static size_t first_from(
    const struct key *key, size_t n, int (*compare)(const struct key *key, size_t row))
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(key, middle) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct crpc_index_file *crpc_index_file(const struct crpc_index *index, const char *name)
{
    const struct key key = {.index = index, .name = name};
    size_t row = first_from(&key, index->n_files, compare_file);
    return row < index->n_files && compare_file(&key, row) == 0 ? &index->files[row] : NULL;
}

const struct crpc_index_symbol *crpc_index_symbol(
    const struct crpc_index *index, const char *full_name)
{
    const struct key key = {.index = index, .name = full_name};
    size_t row = first_from(&key, index->n_symbols, compare_symbol);
    return row < index->n_symbols && compare_symbol(&key, row) == 0 ? &index->symbols[row] : NULL;
}

const struct crpc_index_extension *crpc_index_extensions(
    const struct crpc_index *index, const char *extendee, int32_t number, size_t *out_n)
{
    const struct key key = {.index = index, .name = extendee, .number = number};
    size_t row = first_from(&key, index->n_extensions, compare_extension);
    size_t end = row;
    while (end < index->n_extensions && compare_extendee(&key, end) == 0)
        end++;
    *out_n = end - row;
    return end > row ? &index->extensions[row] : NULL;
}
