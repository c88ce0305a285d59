#include "common/config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "flocks/v1/config.info.h"

#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/schema/message.h"
#include "common/schema/schema_path.h"
#include "common/schema/schema_value.h"

/* ---- what needs a restart ---- */

/* Every key of ServiceConfig. RESTART: the process was given it, or listens by it. NONE: read by us
 * when its time comes, or at once. */
/* clang-format off */
static const struct {
    const char *key;
    enum config_effect effect;
} effects[] = {
    {"command",           CONFIG_EFFECT_RESTART},
    {"directory",         CONFIG_EFFECT_RESTART},
    {"environment",       CONFIG_EFFECT_RESTART},
    {"environment_files", CONFIG_EFFECT_RESTART},
    {"host",              CONFIG_EFFECT_RESTART},
    {"port",              CONFIG_EFFECT_RESTART},
    {"extra_ports",       CONFIG_EFFECT_RESTART},
    {"limits",            CONFIG_EFFECT_RESTART},
    {"notify",            CONFIG_EFFECT_RESTART},
    {"watchdog",          CONFIG_EFFECT_RESTART}, /* WATCHDOG_USEC in its environment */
    {"probes",            CONFIG_EFFECT_NONE},
    {"listener",          CONFIG_EFFECT_NONE},
    {"restart",           CONFIG_EFFECT_NONE},
    {"stop",              CONFIG_EFFECT_NONE},
    {"logs",              CONFIG_EFFECT_NONE},
    {"prepare",           CONFIG_EFFECT_NONE}, /* at the next start that is asked for */
    {"after",             CONFIG_EFFECT_NONE},
    {"start",             CONFIG_EFFECT_NONE},
    {"version",           CONFIG_EFFECT_NONE},
};
/* clang-format on */

bool config_effect_of_key(const char *key, enum config_effect *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(effects); i++) {
        if (strcmp(effects[i].key, key) == 0) {
            *out = effects[i].effect;
            return true;
        }
    }
    *out = CONFIG_EFFECT_RESTART;
    return false;
}

/* ---- collecting ---- */

/* Where the comparison is. */
struct walk {
    struct arena *arena;
    struct schema_path path;
    const char *service;
    enum config_effect effect; /* of a difference here */
    bool is_secret;
    struct config_difference *items;
    size_t n;
    size_t capacity;
    size_t bytes;
    size_t n_found; /* those that were dropped too */
    /* Of the service that is compared. */
    enum config_effect strongest;
    bool is_out_of_memory;
};

static bool grow(struct walk *walk)
{
    size_t capacity = walk->capacity > 0 ? walk->capacity * 2 : 32;
    struct config_difference *items = arena_calloc(walk->arena, capacity, sizeof *items);

    if (items == NULL) {
        walk->is_out_of_memory = true;
        return false;
    }
    if (walk->n > 0)
        memcpy(items, walk->items, walk->n * sizeof *items);
    walk->items = items;
    walk->capacity = capacity;
    return true;
}

static bool is_full(const struct walk *walk, size_t bytes)
{
    return walk->n == CONFIG_DIFF_MAX || walk->bytes + bytes > CONFIG_DIFF_BYTES;
}

/* `old_text` and `new_text` are in the arena or static. */
static void add(struct walk *walk, const char *old_text, const char *new_text)
{
    const char *path;
    size_t bytes = walk->path.len + strlen(old_text) + strlen(new_text);

    walk->n_found++;
    if (walk->effect > walk->strongest)
        walk->strongest = walk->effect;
    if (is_full(walk, bytes) || (walk->n == walk->capacity && !grow(walk)))
        return;
    path = arena_strdup(walk->arena, walk->path.text);
    if (path == NULL) {
        walk->is_out_of_memory = true;
        return;
    }
    walk->bytes += bytes;
    walk->items[walk->n++] =
        (struct config_difference){path, old_text, new_text, walk->service, walk->effect};
}

/* ---- texts ---- */

static const char *cut(struct walk *walk, const char *text)
{
    static const char dots[] = "...";
    size_t len = strlen(text);

    if (len <= CONFIG_DIFF_VALUE_MAX)
        return text;
    len = utf8_cut(text, len, CONFIG_DIFF_VALUE_MAX - (sizeof dots - 1));
    return arena_printf(walk->arena, "%.*s%s", (int)len, text, dots);
}

static bool needs_quotes(const char *text)
{
    return text[0] == '\0' || strpbrk(text, " ,:[]{}\"'#\t\r\n") != NULL;
}

/* An empty text is something, an absent one is nothing. */
static const char *value_text(
    struct walk *walk, const struct schema_field *field, const ProtobufCMessage *message, size_t i)
{
    bool is_text = field->descriptor->type == PROTOBUF_C_TYPE_STRING;
    const char *text = schema_value_format(field, schema_get(message, field, i), walk->arena);

    return is_text && text != NULL && text[0] == '\0' ? "\"\"" : text;
}

static const char *list_text(
    struct walk *walk, const struct schema_field *field, const ProtobufCMessage *message)
{
    size_t n = message != NULL ? schema_count(message, field) : 0;
    const char *text = "[";

    if (n == 0)
        return message != NULL ? "[]" : "";
    for (size_t i = 0; i < n && text != NULL && strlen(text) <= CONFIG_DIFF_VALUE_MAX; i++) {
        const char *item = schema_value_format(field, schema_get(message, field, i), walk->arena);

        if (item == NULL)
            return NULL;
        text = arena_printf(walk->arena, needs_quotes(item) ? "%s%s\"%.*s\"" : "%s%s%.*s", text,
            i > 0 ? ", " : "", CONFIG_DIFF_VALUE_MAX, item);
    }
    return text != NULL ? arena_printf(walk->arena, "%s]", text) : NULL;
}

static void add_texts(struct walk *walk, const char *old_text, const char *new_text)
{
    if (old_text != NULL)
        old_text = cut(walk, old_text);
    if (new_text != NULL)
        new_text = cut(walk, new_text);
    if (old_text == NULL || new_text == NULL) {
        walk->is_out_of_memory = true;
        return;
    }
    if (walk->is_secret) {
        old_text = old_text[0] != '\0' ? "***" : "";
        new_text = new_text[0] != '\0' ? "***" : "";
    }
    add(walk, old_text, new_text);
}

/* ---- comparing ---- */

/* One type's two values; NULL: absent. */
struct pair {
    const ProtobufCMessage *old_one;
    const ProtobufCMessage *new_one;
};

/* The schema of the configuration is not recursive (protoc-gen-crpc refuses that).
 * NOLINTBEGIN(misc-no-recursion) */
static void compare_messages(
    struct walk *walk, const struct crpc_message_info *info, struct pair pair);

static size_t count(const ProtobufCMessage *message, const struct schema_field *field)
{
    return message != NULL ? schema_count(message, field) : 0;
}

static const ProtobufCMessage *child(
    const ProtobufCMessage *message, const struct schema_field *field, size_t index)
{
    return index < count(message, field) ? schema_get(message, field, index).message : NULL;
}

/* Durations, which have one encoding. */
static bool are_equal_messages(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    uint8_t left[64];
    uint8_t right[64];
    size_t len = protobuf_c_message_get_packed_size(a);

    if (len != protobuf_c_message_get_packed_size(b) || len > sizeof left)
        return false;
    (void)protobuf_c_message_pack(a, left);
    (void)protobuf_c_message_pack(b, right);
    return memcmp(left, right, len) == 0;
}

static bool are_equal_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool are_equal(union schema_value a, union schema_value b, const struct schema_field *field)
{
    ProtobufCType type = field->descriptor->type;

    if (type == PROTOBUF_C_TYPE_STRING)
        return strcmp(a.text, b.text) == 0;
    if (type == PROTOBUF_C_TYPE_BYTES)
        return are_equal_bytes(a.bytes, b.bytes);
    if (type == PROTOBUF_C_TYPE_BOOL)
        return a.boolean == b.boolean;
    if (type == PROTOBUF_C_TYPE_MESSAGE)
        return are_equal_messages(a.message, b.message);
    return a.unsigned_number == b.unsigned_number;
}

static void compare_values(struct walk *walk, const struct schema_field *field, struct pair pair)
{
    bool has_old = count(pair.old_one, field) > 0;
    bool has_new = count(pair.new_one, field) > 0;

    if ((!has_old && !has_new) || (has_old && has_new &&
                                      are_equal(schema_get(pair.old_one, field, 0),
                                          schema_get(pair.new_one, field, 0), field)))
        return;
    add_texts(walk, has_old ? value_text(walk, field, pair.old_one, 0) : "",
        has_new ? value_text(walk, field, pair.new_one, 0) : "");
}

static void compare_lists(struct walk *walk, const struct schema_field *field, struct pair pair)
{
    size_t n = count(pair.old_one, field);
    bool is_same = n == count(pair.new_one, field);

    for (size_t i = 0; i < n && is_same; i++)
        is_same = are_equal(
            schema_get(pair.old_one, field, i), schema_get(pair.new_one, field, i), field);
    if (!is_same)
        add_texts(walk, list_text(walk, field, pair.old_one), list_text(walk, field, pair.new_one));
}

/* A message that is there or not, all of whose members are absent, differs as a whole. */
static void compare_children(struct walk *walk, const struct schema_field *field, struct pair pair)
{
    struct pair children = {child(pair.old_one, field, 0), child(pair.new_one, field, 0)};
    size_t found = walk->n_found;

    if (children.old_one == NULL && children.new_one == NULL)
        return;
    compare_messages(walk, field->info->message, children);
    if (walk->n_found == found && (children.old_one == NULL) != (children.new_one == NULL))
        add_texts(walk, children.old_one != NULL ? "{}" : "", children.new_one != NULL ? "{}" : "");
}

/* ---- maps ---- */

struct entries {
    const ProtobufCMessage **items;
    size_t n;
};

static const char *key_of(const ProtobufCMessage *entry)
{
    /* Every map of the schema has texts as keys, which protobuf-c keeps in the first field. */
    const struct schema_field key = {NULL, &entry->descriptor->fields[0]};

    return schema_get(entry, &key, 0).text;
}

static int by_key(const void *left, const void *right)
{
    const ProtobufCMessage *const *a = left;
    const ProtobufCMessage *const *b = right;

    return strcmp(key_of(*a), key_of(*b));
}

static struct entries sorted_entries(
    struct walk *walk, const struct schema_field *map, const ProtobufCMessage *message)
{
    struct entries entries = {.n = count(message, map)};

    entries.items = arena_calloc(walk->arena, entries.n + 1, sizeof(const ProtobufCMessage *));
    if (entries.items == NULL) {
        walk->is_out_of_memory = true;
        entries.n = 0;
        return entries;
    }
    for (size_t i = 0; i < entries.n; i++)
        entries.items[i] = schema_get(message, map, i).message;
    qsort(entries.items, entries.n, sizeof(const ProtobufCMessage *), by_key);
    return entries;
}

/* The next entry of either, or of both under one key. False: there is none. */
static bool next_entries(
    struct entries *old_ones, struct entries *new_ones, struct pair *out, const char **out_key)
{
    int order;

    if (old_ones->n == 0 && new_ones->n == 0)
        return false;
    if (old_ones->n == 0)
        order = 1;
    else
        order = new_ones->n == 0 ? -1 : strcmp(key_of(*old_ones->items), key_of(*new_ones->items));
    *out =
        (struct pair){order <= 0 ? *old_ones->items : NULL, order >= 0 ? *new_ones->items : NULL};
    *out_key = key_of(order <= 0 ? out->old_one : out->new_one);
    if (order <= 0) {
        old_ones->items++;
        old_ones->n--;
    }
    if (order >= 0) {
        new_ones->items++;
        new_ones->n--;
    }
    return true;
}

static void compare_maps(struct walk *walk, const struct schema_field *map, struct pair pair)
{
    struct schema_field value = schema_field_at(map->info->message, 1);
    struct entries old_ones = sorted_entries(walk, map, pair.old_one);
    struct entries new_ones = sorted_entries(walk, map, pair.new_one);
    struct pair entry;
    const char *key;

    while (next_entries(&old_ones, &new_ones, &entry, &key)) {
        size_t before = schema_path_push(&walk->path, key, strlen(key));

        if (schema_value_is_text(&value))
            compare_values(walk, &value, entry);
        else
            compare_children(walk, &value, entry);
        schema_path_pop(&walk->path, before);
    }
}

static void compare_field(struct walk *walk, const struct schema_field *field, struct pair pair)
{
    size_t before = schema_path_push(&walk->path, field->info->name, strlen(field->info->name));
    bool was_secret = walk->is_secret;

    walk->is_secret = was_secret || field->info->secret;
    if (field->info->is_map)
        compare_maps(walk, field, pair);
    else if (schema_field_is_repeated(field))
        compare_lists(walk, field, pair);
    else if (schema_value_is_text(field))
        compare_values(walk, field, pair);
    else
        compare_children(walk, field, pair);
    walk->is_secret = was_secret;
    schema_path_pop(&walk->path, before);
}

static void compare_messages(
    struct walk *walk, const struct crpc_message_info *info, struct pair pair)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);

        compare_field(walk, &field, pair);
    }
}
/* NOLINTEND(misc-no-recursion) */

/* ---- services ---- */

static void compare_service(struct walk *walk, struct pair pair)
{
    const struct crpc_message_info *info = &flocks_service_config_info;

    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);

        (void)config_effect_of_key(field.info->name, &walk->effect);
        compare_field(walk, &field, pair);
    }
    walk->effect = CONFIG_EFFECT_NONE;
}

/* A whole service is shown by what it runs. */
static const char *whole_text(struct walk *walk, const ProtobufCMessage *service)
{
    struct schema_field command = schema_field_at(&flocks_service_config_info, 0);

    return service != NULL ? list_text(walk, &command, service) : "";
}

static struct config_service_diff compare_entry(
    struct walk *walk, const char *name, struct pair pair)
{
    struct config_service_diff diff = {.name = name};
    size_t before = schema_path_push(&walk->path, name, strlen(name));
    size_t first = walk->n;
    size_t found = walk->n_found;

    walk->service = name;
    walk->strongest = CONFIG_EFFECT_NONE;
    if (pair.old_one != NULL && pair.new_one != NULL) {
        compare_service(walk, pair);
        diff.presence = walk->n_found > found ? CONFIG_CHANGED : CONFIG_SAME;
        diff.effect = walk->strongest;
    } else {
        diff.presence = pair.new_one != NULL ? CONFIG_ADDED : CONFIG_REMOVED;
        add_texts(walk, whole_text(walk, pair.old_one), whole_text(walk, pair.new_one));
    }
    diff.n = walk->n - first;
    walk->service = "";
    schema_path_pop(&walk->path, before);
    return diff;
}

static void compare_services(struct walk *walk, struct pair pair, struct config_diff *out)
{
    struct schema_field map;
    bool has_map = schema_field_find(&flocks_config_info, "services", 8, false, &map);
    struct schema_field value = schema_field_at(map.info->message, 1);
    struct entries old_ones = sorted_entries(walk, &map, pair.old_one);
    struct entries new_ones = sorted_entries(walk, &map, pair.new_one);
    size_t before = schema_path_push(&walk->path, "services", 8);
    struct pair entry;
    const char *key;

    (void)has_map;
    out->services = arena_calloc(walk->arena, old_ones.n + new_ones.n + 1, sizeof *out->services);
    while (out->services != NULL && next_entries(&old_ones, &new_ones, &entry, &key))
        out->services[out->n_services++] = compare_entry(walk, key,
            (struct pair){child(entry.old_one, &value, 0), child(entry.new_one, &value, 0)});
    walk->is_out_of_memory = walk->is_out_of_memory || out->services == NULL;
    schema_path_pop(&walk->path, before);
}

/* The list of differences stands still now. */
static void share_out(struct config_diff *diff)
{
    const struct config_difference *next = diff->items;

    for (size_t i = 0; i < diff->n_services; i++) {
        diff->services[i].items = next;
        next += diff->services[i].n;
    }
}

int config_diff_make(const flocks_config *old_config, const flocks_config *new_config,
    struct arena *arena, struct config_diff *out)
{
    struct walk walk = {.arena = arena, .service = ""};
    struct pair pair = {&old_config->base, &new_config->base};

    *out = (struct config_diff){.n = 0};
    compare_services(&walk, pair, out);
    for (size_t i = 0; i < flocks_config_info.n_fields; i++) {
        struct schema_field field = schema_field_at(&flocks_config_info, i);

        if (strcmp(field.info->name, "services") != 0)
            compare_field(&walk, &field, pair);
    }
    if (walk.is_out_of_memory)
        return -STATUS_RESOURCE_EXHAUSTED;
    out->items = walk.items;
    out->n = walk.n;
    out->n_dropped = walk.n_found - walk.n;
    share_out(out);
    return 0;
}

int config_diff_service(const char *name, const flocks_service_config *old_config,
    const flocks_service_config *new_config, struct arena *arena, struct config_service_diff *out)
{
    struct walk walk = {.arena = arena};

    (void)schema_path_push(&walk.path, "services", 8);
    *out = compare_entry(&walk, name, (struct pair){&old_config->base, &new_config->base});
    if (walk.is_out_of_memory)
        return -STATUS_RESOURCE_EXHAUSTED;
    out->items = walk.items;
    return 0;
}
