#include "common/release/release_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char partial_ending[] = ".partial";

enum { PARTIAL_LEN = sizeof partial_ending - 1 };

static bool is_partial_name(const char *text, size_t len)
{
    return len > PARTIAL_LEN && strcmp(text + len - PARTIAL_LEN, partial_ending) == 0;
}

static bool parse_name(const char *text, struct version *out)
{
    return !is_partial_name(text, strlen(text)) && version_parse(text, out) &&
           strcmp(out->text, text) == 0;
}

bool release_name_is_good(const char *text)
{
    struct version version;
    return parse_name(text, &version);
}

bool release_entry_parse(const char *name, struct release_entry *out)
{
    char text[VERSION_TEXT_MAX + 1];
    size_t len = strlen(name);
    struct release_entry entry = {.is_partial = is_partial_name(name, len)};
    if (entry.is_partial)
        len -= PARTIAL_LEN;
    if (len >= sizeof text)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    if (!parse_name(text, &entry.version))
        return false;
    *out = entry;
    return true;
}

void release_entry_name(const struct release_entry *entry, char out[RELEASE_NAME_SIZE])
{
    (void)snprintf(out, RELEASE_NAME_SIZE, "%s%s", entry->version.text,
        entry->is_partial ? partial_ending : "");
}

static int compare_entries(const void *a, const void *b)
{
    const struct release_entry *one = a;
    const struct release_entry *other = b;
    int order = version_compare(&other->version, &one->version);
    /* Builds of one version: any order, but always the same. */
    if (order == 0)
        order = strcmp(other->version.text, one->version.text);
    return order != 0 ? order : one->is_partial - other->is_partial;
}

void release_entries_sort(struct release_entry *entries, size_t n_entries)
{
    if (n_entries > 0)
        qsort(entries, n_entries, sizeof entries[0], compare_entries);
}

static bool is_named(const struct release_entry *entry, const char *const *named, size_t n_named)
{
    for (size_t i = 0; i < n_named; i++) {
        if (named[i] != NULL && strcmp(named[i], entry->version.text) == 0)
            return true;
    }
    return false;
}

/* Of those that share the places, in a sorted listing: the older ones first, newest first. */
static bool goes_before(size_t one, size_t other, size_t current)
{
    bool is_older = one > current;
    bool is_other_older = other > current;
    return is_older == is_other_older ? one < other : is_older;
}

bool release_may_go(const struct release_entry *entries, size_t n_entries, size_t at, size_t keep,
    const char *const *named, size_t n_named)
{
    size_t current = 0;
    size_t n_before = 0;
    while (current < n_entries && !entries[current].is_current)
        current++;
    if (current == n_entries || at == current || is_named(&entries[at], named, n_named))
        return false;
    for (size_t i = 0; i < n_entries; i++) {
        const struct release_entry *entry = &entries[i];
        n_before += i != current && !entry->is_partial && !is_named(entry, named, n_named) &&
                    goes_before(i, at, current);
    }
    return entries[at].is_partial || n_before >= keep;
}
