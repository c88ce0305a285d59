#include "options.h"

#include <string.h>

#include "naming.h"
#include "pool.h"

/* Why names cannot begin with this, or NULL. A keyword can: more follows it. */
static const char *prefix_mistake(const char *key, const char *prefix, struct arena *pool)
{
    bool is_name = prefix[0] != '\0' && (prefix[0] < '0' || prefix[0] > '9') && prefix[0] != '_';
    for (const char *c = prefix; *c != '\0'; c++) {
        is_name = is_name && ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                                 (*c >= '0' && *c <= '9') || *c == '_');
    }
    return is_name ? NULL
                   : pool_printf(pool,
                         "%s=%s: names in C cannot begin so; a prefix is letters, digits and "
                         "underscores, a letter first",
                         key, prefix);
}

static const char *add_prefix(
    struct options *options, const char *key, const char *prefix, struct arena *pool)
{
    if (strcmp(key, "prefix") == 0)
        options->prefix = prefix;
    else
        options->prefixes[options->n_prefixes++] =
            (struct option_prefix){.package = key + strlen("prefix."), .prefix = prefix};
    return prefix_mistake(key, prefix, pool);
}

static const char *parse_one(
    struct options *options, const char *key, const char *value, struct arena *pool)
{
    bool is_prefix = strcmp(key, "prefix") == 0 || strncmp(key, "prefix.", 7) == 0;
    if (is_prefix && value != NULL)
        return add_prefix(options, key, value, pool);
    if (strcmp(key, "calls") == 0 && value != NULL && strcmp(value, "short") == 0)
        options->short_calls = true;
    else if (strcmp(key, "nano") == 0 && value == NULL)
        options->nano = true;
    else if (strcmp(key, "nano") == 0 && value != NULL && strcmp(value, "client") == 0)
        options->nano = options->nano_client = true;
    else if (strcmp(key, "rules") == 0 && value != NULL)
        options->rules_path = value;
    else if (strcmp(key, "catalog") == 0 && value != NULL)
        options->catalog_path = value;
    else if (strcmp(key, "index") == 0 && value != NULL && value[0] != '\0')
        options->index_path = value;
    else if (strcmp(key, "lint") == 0 && value != NULL && strcmp(value, "strict") == 0)
        options->lint_strict = true;
    else
        return pool_printf(pool,
            "unknown option '%s'; known are prefix=NAME, prefix.PACKAGE=NAME, calls=short, nano, "
            "nano=client, rules=PATH, catalog=PATH, index=PATH, lint=strict",
            key);
    return NULL;
}

const char *options_parse(struct options *options, const char *parameter, struct arena *pool)
{
    *options = (struct options){0};
    char *rest = pool_strdup(pool, parameter);
    options->prefixes = pool_calloc(pool, strlen(parameter) / 2 + 1, sizeof(*options->prefixes));
    while (*rest != '\0') {
        char *key = rest;
        size_t len = strcspn(key, ",");
        rest += len + (key[len] == ',');
        key[len] = '\0';
        char *value = strchr(key, '=');
        if (value != NULL)
            *value++ = '\0';
        const char *mistake = parse_one(options, key, value, pool);
        if (mistake != NULL)
            return mistake;
    }
    return NULL;
}

const char *options_name_of_file(const char *stem, struct arena *pool)
{
    const char *slash = strrchr(stem, '/');
    char *name = pool_strdup(pool, slash != NULL ? slash + 1 : stem);
    for (char *c = name; *c != '\0'; c++) {
        bool is_in_name =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!is_in_name)
            *c = '_';
    }
    return name[0] >= '0' && name[0] <= '9' ? pool_printf(pool, "file_%s", name) : name;
}

const char *options_prefix(const struct options *options, const char *package, const char *stem,
    bool is_generated, struct arena *pool)
{
    for (size_t i = 0; i < options->n_prefixes; i++) {
        if (strcmp(options->prefixes[i].package, package) == 0)
            return options->prefixes[i].prefix;
    }
    if (is_generated && options->prefix != NULL)
        return options->prefix;
    return package[0] != '\0' ? naming_replace(pool, package, '.', '_')
                              : options_name_of_file(stem, pool);
}
