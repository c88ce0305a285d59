/* Pure functions on an effective configuration, wherever
 * it came from: origins, masks, single values. */
#include <stdlib.h>
#include <string.h>

#include "flocks/v1/config.info.h"

#include "common/config/config.h"
#include "common/config/value_path.h"
#include "common/schema/message.h"
#include "common/schema/schema_path.h"
#include "common/schema/schema_value.h"

/* ---- services and values ---- */

const flocks_service_config *config_find_service(const flocks_config *message, const char *name)
{
    for (size_t i = 0; i < message->n_services; i++) {
        if (strcmp(message->services[i]->key, name) == 0)
            return message->services[i]->value;
    }
    return NULL;
}

const char *config_value_text(const flocks_config *message, const char *path, struct arena *arena)
{
    struct value_place place;
    if (value_path_find(&flocks_config_info, &message->base, path, &place) != VALUE_PATH_FOUND ||
        schema_count(place.message, &place.field) == 0)
        return NULL;
    return schema_value_format(&place.field, schema_get(place.message, &place.field, 0), arena);
}

/* ---- origins ---- */

/* A walk over every value of a message. */
struct walk {
    struct arena *arena;
    flocks_config_origin *const *given;
    size_t n_given;
    struct schema_path path;
    /* Counted by the first pass, filled by the second. */
    flocks_config_origin **out;
    size_t n;
    bool is_out_of_memory;
};

static int compare_path(const void *path, const void *origin)
{
    const flocks_config_origin *const *candidate = origin;
    return strcmp(path, (*candidate)->path);
}

static flocks_config_origin *find_given(const struct walk *walk)
{
    if (walk->n_given == 0)
        return NULL;
    flocks_config_origin *const *found = bsearch(
        walk->path.text, walk->given, walk->n_given, sizeof(flocks_config_origin *), compare_path);
    return found != NULL ? *found : NULL;
}

static flocks_config_origin *new_default(struct walk *walk)
{
    flocks_config_origin *origin = arena_alloc(walk->arena, sizeof(*origin));
    const char *path = arena_strdup(walk->arena, walk->path.text);
    if (origin == NULL || path == NULL) {
        walk->is_out_of_memory = true;
        return NULL;
    }
    *origin = (flocks_config_origin)FLOCKS_CONFIG_ORIGIN_INIT;
    origin->path = path;
    origin->layer = FLOCKS_CONFIG_LAYER_DEFAULT;
    return origin;
}

static void take_value(struct walk *walk)
{
    size_t at = walk->n++;
    if (walk->out == NULL || walk->is_out_of_memory)
        return;
    flocks_config_origin *given = find_given(walk);
    walk->out[at] = given != NULL ? given : new_default(walk);
}

static void walk_message(
    struct walk *walk, const struct crpc_message_info *info, const ProtobufCMessage *message);

static void walk_element(struct walk *walk, const struct schema_field *field,
    const ProtobufCMessage *message, size_t index)
{
    if (schema_value_is_text(field))
        take_value(walk);
    else
        walk_message(walk, field->info->message, schema_get(message, field, index).message);
}

static void walk_map(
    struct walk *walk, const struct schema_field *map, const ProtobufCMessage *message)
{
    struct schema_field key = schema_field_at(map->info->message, 0);
    struct schema_field value = schema_field_at(map->info->message, 1);
    for (size_t i = 0; i < schema_count(message, map); i++) {
        const ProtobufCMessage *entry = schema_get(message, map, i).message;
        const char *name = schema_get(entry, &key, 0).text;
        size_t before = schema_path_push(&walk->path, name, strlen(name));
        walk_element(walk, &value, entry, 0);
        schema_path_pop(&walk->path, before);
    }
}

static void walk_message(
    struct walk *walk, const struct crpc_message_info *info, const ProtobufCMessage *message)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        bool is_repeated = schema_field_is_repeated(&field);
        if (!is_repeated && schema_count(message, &field) == 0)
            continue;
        size_t before = schema_path_push(&walk->path, field.info->name, strlen(field.info->name));
        if (field.info->is_map)
            walk_map(walk, &field, message);
        else if (is_repeated)
            take_value(walk);
        else
            walk_element(walk, &field, message, 0);
        schema_path_pop(&walk->path, before);
    }
}

flocks_config_origin **config_all_origins(const flocks_config *message,
    flocks_config_origin *const *origins, size_t n_origins, struct arena *arena, size_t *out_n)
{
    struct walk walk = {.arena = arena, .given = origins, .n_given = n_origins};
    walk_message(&walk, &flocks_config_info, &message->base);
    flocks_config_origin **all = arena_calloc(arena, walk.n, sizeof(flocks_config_origin *));
    if (all == NULL)
        return NULL;
    walk.out = all;
    walk.n = 0;
    walk_message(&walk, &flocks_config_info, &message->base);
    *out_n = walk.n;
    return walk.is_out_of_memory ? NULL : all;
}

/* ---- what a restart keeps ---- */

static bool is_kept(enum flocks_config_layer layer)
{
    return layer == FLOCKS_CONFIG_LAYER_COMMAND_LINE || layer == FLOCKS_CONFIG_LAYER_ENVIRONMENT ||
           layer == FLOCKS_CONFIG_LAYER_RUNNING;
}

const char **config_running_settings(const flocks_config *message,
    flocks_config_origin *const *origins, size_t n_origins, struct arena *arena, size_t *out_n)
{
    const char **settings = arena_calloc(arena, CONFIG_OPTION_COUNT, sizeof(*settings));
    if (settings == NULL)
        return NULL;
    *out_n = 0;
    for (size_t i = 0; i < n_origins * CONFIG_OPTION_COUNT; i++) {
        const flocks_config_origin *origin = origins[i / CONFIG_OPTION_COUNT];
        const char *path = config_options[i % CONFIG_OPTION_COUNT].path;
        if (!is_kept(origin->layer) || strcmp(origin->path, path) != 0)
            continue;
        const char *value = config_value_text(message, path, arena);
        if (value == NULL)
            continue;
        settings[*out_n] = arena_printf(arena, "%s=%s", path, value);
        if (settings[(*out_n)++] == NULL)
            return NULL;
    }
    return settings;
}

/* ---- secrets ---- */

static void mask(const struct crpc_message_info *info, ProtobufCMessage *message, bool is_secret);

static void mask_element(
    const struct schema_field *field, ProtobufCMessage *message, size_t index, bool is_secret)
{
    static const union schema_value stars = {.text = "***"};
    union schema_value value = schema_get(message, field, index);
    if (schema_field_is_message(field)) {
        mask(field->info->message, schema_message_writable(value.message), is_secret);
    } else if (is_secret && field->descriptor->type == PROTOBUF_C_TYPE_STRING) {
        if (schema_field_is_repeated(field))
            schema_set_at(message, field, index, stars);
        else
            schema_set(message, field, stars);
    }
}

/* In an entry of a secret map the value is the secret; keys stay readable. */
static void mask(const struct crpc_message_info *info, ProtobufCMessage *message, bool is_secret)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        bool is_key = is_secret && i == 0;
        for (size_t j = 0; j < schema_count(message, &field) && !is_key; j++)
            mask_element(&field, message, j, is_secret || field.info->secret);
    }
}

flocks_config *config_masked(const flocks_config *message, struct arena *arena)
{
    ProtobufCMessage *copy = schema_message_copy(&flocks_config_info, &message->base, arena);
    if (copy != NULL)
        mask(&flocks_config_info, copy, false);
    return (flocks_config *)copy;
}
