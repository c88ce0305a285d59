/* Every value of a configuration changed one by one, by descriptor: exactly that is found, with the
 * effect of its key. */
#include <stdio.h>
#include <stdlib.h>

#include "flocks/v1/config.info.h"

#include "check.h"
#include "common/config/diff.h"
#include "common/schema/schema_path.h"
#include "common/schema/schema_value.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, LEAVES_MAX = 4096, ROUNDS = 300 };

/* ---- a configuration in which everything is set ---- */

/* NOLINTBEGIN(misc-no-recursion): the schema is not recursive. */
static void fill(const struct crpc_message_info *info, ProtobufCMessage *message,
    struct arena *arena, uint32_t check);

static union schema_value make_value(
    const struct schema_field *field, struct arena *arena, uint32_t check)
{
    union schema_value value = {.unsigned_number = 3};

    if (field->descriptor->type == PROTOBUF_C_TYPE_STRING)
        value.text = "text";
    else if (field->descriptor->type == PROTOBUF_C_TYPE_BOOL)
        value.boolean = true;
    else if (schema_field_is_message(field)) {
        Google__Protobuf__Duration *duration;
        ProtobufCMessage *child;

        if (schema_value_is_text(field)) {
            duration = arena_alloc(arena, sizeof *duration);
            assert_non_null(duration);
            *duration = (Google__Protobuf__Duration)GOOGLE__PROTOBUF__DURATION__INIT;
            duration->seconds = 3;
            value.message = &duration->base;
            return value;
        }
        child = schema_message_new(field->info->message, arena);
        assert_non_null(child);
        fill(field->info->message, child, arena, check);
        value.message = child;
    }
    return value;
}

/* Of a oneof the member number `check` is set, the others are not. */
static bool is_left_out(
    const struct crpc_message_info *info, const struct schema_field *field, uint32_t check)
{
    bool is_oneof = (field->descriptor->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;

    (void)info;
    return is_oneof && field->descriptor->id != check;
}

static void fill(const struct crpc_message_info *info, ProtobufCMessage *message,
    struct arena *arena, uint32_t check)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);

        if (is_left_out(info, &field, check))
            continue;
        if (!schema_field_is_repeated(&field)) {
            schema_set(message, &field, make_value(&field, arena, check));
            continue;
        }
        assert_true(schema_resize(message, &field, 2, arena));
        for (size_t j = 0; j < 2; j++) {
            union schema_value value = make_value(&field, arena, check);

            if (field.info->is_map) {
                struct schema_field key = schema_field_at(field.info->message, 0);
                union schema_value name = {.text = j == 0 ? "one" : "two"};

                schema_set(schema_message_writable(value.message), &key, name);
            }
            schema_set_at(message, &field, j, value);
        }
    }
}

static flocks_config *make_config(struct arena *arena, uint32_t check)
{
    ProtobufCMessage *config = schema_message_new(&flocks_config_info, arena);

    assert_non_null(config);
    fill(&flocks_config_info, config, arena, check);
    return (flocks_config *)config;
}

/* ---- its values ---- */

struct leaf {
    ProtobufCMessage *message;
    struct schema_field field;
    char path[SCHEMA_PATH_MAX];
    bool is_secret;
};

struct leaves {
    struct leaf *items;
    size_t n;
    struct schema_path path;
    bool is_secret;
};

static void collect(
    struct leaves *leaves, const struct crpc_message_info *info, const ProtobufCMessage *message);

static void collect_one(
    struct leaves *leaves, const ProtobufCMessage *message, const struct schema_field *field)
{
    struct leaf *leaf = &leaves->items[leaves->n++];

    assert_true(leaves->n < LEAVES_MAX);
    leaf->message = schema_message_writable(message);
    leaf->field = *field;
    leaf->is_secret = leaves->is_secret;
    (void)snprintf(leaf->path, sizeof leaf->path, "%s", leaves->path.text);
}

static void collect_map(
    struct leaves *leaves, const struct schema_field *map, const ProtobufCMessage *message)
{
    struct schema_field key = schema_field_at(map->info->message, 0);
    struct schema_field value = schema_field_at(map->info->message, 1);

    for (size_t i = 0; i < schema_count(message, map); i++) {
        const ProtobufCMessage *entry = schema_get(message, map, i).message;
        const char *name = schema_get(entry, &key, 0).text;
        size_t before = schema_path_push(&leaves->path, name, strlen(name));

        if (schema_value_is_text(&value))
            collect_one(leaves, entry, &value);
        else
            collect(leaves, value.info->message, schema_get(entry, &value, 0).message);
        schema_path_pop(&leaves->path, before);
    }
}

static void collect(
    struct leaves *leaves, const struct crpc_message_info *info, const ProtobufCMessage *message)
{
    for (size_t i = 0; i < info->n_fields; i++) {
        struct schema_field field = schema_field_at(info, i);
        size_t before;
        bool was_secret = leaves->is_secret;

        if (schema_count(message, &field) == 0)
            continue;
        before = schema_path_push(&leaves->path, field.info->name, strlen(field.info->name));
        leaves->is_secret = was_secret || field.info->secret;
        if (field.info->is_map)
            collect_map(leaves, &field, message);
        else if (schema_field_is_repeated(&field) || schema_value_is_text(&field))
            collect_one(leaves, message, &field);
        else
            collect(leaves, field.info->message, schema_get(message, &field, 0).message);
        leaves->is_secret = was_secret;
        schema_path_pop(&leaves->path, before);
    }
}
/* NOLINTEND(misc-no-recursion) */

static void change(struct leaf *leaf, struct arena *arena)
{
    union schema_value value = schema_get(leaf->message, &leaf->field, 0);
    ProtobufCType type = leaf->field.descriptor->type;

    if (type == PROTOBUF_C_TYPE_STRING) {
        value.text = "another";
    } else if (type == PROTOBUF_C_TYPE_BOOL) {
        value.boolean = !value.boolean;
    } else if (type == PROTOBUF_C_TYPE_MESSAGE) {
        Google__Protobuf__Duration *duration = arena_alloc(arena, sizeof *duration);

        assert_non_null(duration);
        *duration = *(const Google__Protobuf__Duration *)(const void *)value.message;
        duration->nanos += 1000000;
        value.message = &duration->base;
    } else {
        value.unsigned_number = 2;
    }
    if (schema_field_is_repeated(&leaf->field))
        schema_set_at(leaf->message, &leaf->field, 0, value);
    else
        schema_set(leaf->message, &leaf->field, value);
}

struct world {
    struct arena arena;
    flocks_config *old_config;
    flocks_config *new_config;
    struct leaves leaves; /* of the new one */
};

static void make_world(struct world *world, uint32_t check)
{
    arena_init(&world->arena, ARENA_BYTES);
    world->old_config = make_config(&world->arena, check);
    world->new_config = make_config(&world->arena, check);
    world->leaves = (struct leaves){.items = calloc(LEAVES_MAX, sizeof(struct leaf))};
    assert_non_null(world->leaves.items);
    collect(&world->leaves, &flocks_config_info, &world->new_config->base);
}

static void end_world(struct world *world)
{
    free(world->leaves.items);
    arena_deinit(&world->arena);
}

static struct config_diff diff_of(struct world *world)
{
    struct config_diff diff;

    assert_int_equal(
        config_diff_make(world->old_config, world->new_config, &world->arena, &diff), 0);
    assert_int_equal(diff.n_dropped, 0);
    return diff;
}

/* "limits" of "services.one.limits.nice"; "" elsewhere. */
static void key_of(const char *path, char *out, size_t out_size)
{
    const char *at = strncmp(path, "services.", 9) == 0 ? strchr(path + 9, '.') : NULL;

    (void)snprintf(out, out_size, "%s", at != NULL ? at + 1 : "");
    out[strcspn(out, ".")] = '\0';
}

static enum config_effect effect_of(const char *path)
{
    enum config_effect effect = CONFIG_EFFECT_NONE;
    char key[64];

    key_of(path, key, sizeof key);
    if (key[0] != '\0')
        assert_true(config_effect_of_key(key, &effect));
    return effect;
}

/* ---- tests ---- */

static void test_effects_know_every_key_of_a_service(void **state)
{
    enum config_effect effect;

    (void)state;
    for (size_t i = 0; i < flocks_service_config_info.n_fields; i++) {
        struct schema_field field = schema_field_at(&flocks_service_config_info, i);

        if (!config_effect_of_key(field.info->name, &effect))
            fail_msg("diff.c does not say whether %s needs a restart", field.info->name);
    }
    assert_false(config_effect_of_key("nonsense", &effect));
    assert_int_equal(effect, CONFIG_EFFECT_RESTART);
}

static void test_diff_of_equal_configurations_is_empty(void **state)
{
    struct world world;
    struct config_diff diff;

    (void)state;
    make_world(&world, 1);
    diff = diff_of(&world);
    assert_int_equal(diff.n, 0);
    assert_int_equal(diff.n_services, 2);
    assert_int_equal(diff.services[0].presence, CONFIG_SAME);
    end_world(&world);
}

static void check_single(struct world *world, const struct leaf *leaf)
{
    struct config_diff diff = diff_of(world);
    const struct config_difference *found = diff.items;
    bool is_of_service = strncmp(leaf->path, "services.", 9) == 0;

    if (diff.n != 1)
        fail_msg("%s: %zu differences", leaf->path, diff.n);
    assert_string_equal(found->path, leaf->path);
    assert_int_equal(found->effect, effect_of(leaf->path));
    assert_string_equal(found->service, !is_of_service ? "" : leaf->path[9] == 'o' ? "one" : "two");
    assert_true(found->old_value[0] != '\0' && found->new_value[0] != '\0');
    if (leaf->is_secret) {
        assert_string_equal(found->old_value, "***");
        assert_string_equal(found->new_value, "***");
    } else {
        assert_string_not_equal(found->old_value, found->new_value);
    }
    for (size_t i = 0; i < diff.n_services; i++) {
        bool is_it = strcmp(diff.services[i].name, found->service) == 0;

        assert_int_equal(diff.services[i].presence, is_it ? CONFIG_CHANGED : CONFIG_SAME);
        assert_int_equal(diff.services[i].effect, is_it ? found->effect : CONFIG_EFFECT_NONE);
        assert_int_equal(diff.services[i].n, is_it ? 1 : 0);
    }
}

static void test_diff_finds_each_value_changed_alone(void **state)
{
    (void)state;
    for (uint32_t check = 1; check <= 3; check++) {
        struct world world;

        make_world(&world, check);
        assert_true(world.leaves.n > 100);
        for (size_t i = 0; i < world.leaves.n; i++) {
            struct leaf *leaf = &world.leaves.items[i];
            union schema_value before = schema_get(leaf->message, &leaf->field, 0);

            change(leaf, &world.arena);
            check_single(&world, leaf);
            if (schema_field_is_repeated(&leaf->field))
                schema_set_at(leaf->message, &leaf->field, 0, before);
            else
                schema_set(leaf->message, &leaf->field, before);
        }
        end_world(&world);
    }
}

static bool has_path(const struct config_diff *diff, const char *path)
{
    for (size_t i = 0; i < diff->n; i++) {
        if (strcmp(diff->items[i].path, path) == 0)
            return true;
    }
    return false;
}

static void test_diff_finds_exactly_what_was_changed_at_random(void **state)
{
    uint32_t seed = 4;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct world world;
        struct config_diff diff;
        size_t n = 0;

        make_world(&world, 1 + (uint32_t)round % 3);
        for (size_t i = 0; i < world.leaves.n; i++) {
            seed = seed * 1664525U + 1013904223U;
            world.leaves.items[i].is_secret = (seed >> 16) % 8 == 0;
            n += world.leaves.items[i].is_secret;
            if (world.leaves.items[i].is_secret)
                change(&world.leaves.items[i], &world.arena);
        }
        diff = diff_of(&world);
        assert_int_equal(diff.n, n);
        for (size_t i = 0; i < world.leaves.n; i++)
            assert_int_equal(
                has_path(&diff, world.leaves.items[i].path), world.leaves.items[i].is_secret);
        end_world(&world);
    }
}

static void test_diff_shows_a_service_that_came_or_went_as_a_whole(void **state)
{
    struct world world;
    struct config_diff diff;

    (void)state;
    make_world(&world, 1);
    world.old_config->n_services = 1;
    diff = diff_of(&world);
    assert_int_equal(diff.n, 1);
    assert_string_equal(diff.items[0].path, "services.two");
    assert_string_equal(diff.items[0].old_value, "");
    assert_string_equal(diff.items[0].new_value, "[text, text]");
    assert_int_equal(diff.services[1].presence, CONFIG_ADDED);
    world.old_config->n_services = 2;
    world.new_config->n_services = 1;
    diff = diff_of(&world);
    assert_string_equal(diff.items[0].old_value, "[text, text]");
    assert_string_equal(diff.items[0].new_value, "");
    assert_int_equal(diff.services[1].presence, CONFIG_REMOVED);
    end_world(&world);
}

static void test_diff_of_a_message_without_values_shows_that_it_is_there(void **state)
{
    flocks_probes probes = FLOCKS_PROBES_INIT;
    struct world world;
    struct config_diff diff;

    (void)state;
    make_world(&world, 1);
    world.old_config->services[0]->value->probes = NULL;
    world.new_config->services[0]->value->probes = &probes;
    diff = diff_of(&world);
    assert_int_equal(diff.n, 1);
    assert_string_equal(diff.items[0].path, "services.one.probes");
    assert_string_equal(diff.items[0].old_value, "");
    assert_string_equal(diff.items[0].new_value, "{}");
    end_world(&world);
}

static void test_diff_tells_an_empty_text_from_none(void **state)
{
    struct world world;
    struct config_diff diff;

    (void)state;
    make_world(&world, 1);
    world.new_config->services[0]->value->directory = "";
    diff = diff_of(&world);
    assert_string_equal(diff.items[0].new_value, "\"\"");
    world.new_config->services[0]->value->directory = "text";
    world.new_config->services[0]->value->command[1] = "two words";
    diff = diff_of(&world);
    assert_string_equal(diff.items[0].new_value, "[text, \"two words\"]");
    world.new_config->services[0]->value->n_command = 0;
    diff = diff_of(&world);
    assert_string_equal(diff.items[0].new_value, "[]");
    end_world(&world);
}

static void test_diff_does_not_mind_the_order_of_maps(void **state)
{
    struct world world;
    flocks_config_services_entry **entries;
    flocks_config_services_entry *first;

    (void)state;
    make_world(&world, 1);
    entries = world.new_config->services;
    first = entries[0];
    entries[0] = entries[1];
    entries[1] = first;
    assert_int_equal(diff_of(&world).n, 0);
    end_world(&world);
}

static void test_diff_cuts_long_values_at_a_character(void **state)
{
    char value[2000];
    struct world world;
    struct config_diff diff;

    (void)state;
    make_world(&world, 1);
    for (size_t i = 0; i + 2 < sizeof value; i += 2)
        memcpy(value + i, "\xC3\xA4", 2);
    value[1998] = '\0';
    world.new_config->services[0]->value->directory = value;
    diff = diff_of(&world);
    assert_int_equal(strlen(diff.items[0].new_value), CONFIG_DIFF_VALUE_MAX);
    assert_string_equal(diff.items[0].new_value + CONFIG_DIFF_VALUE_MAX - 5, "\xC3\xA4...");
    end_world(&world);
}

/* Process by process: the whole of the texts stays below what an answer may hold. */
static void test_diff_counts_what_is_too_much_to_show(void **state)
{
    enum { VARIABLES = 20000 };
    struct world world;
    struct config_diff diff;
    flocks_service_config_environment_entry **variables;

    (void)state;
    make_world(&world, 1);
    variables = calloc(VARIABLES, sizeof(flocks_service_config_environment_entry *));
    assert_non_null(variables);
    for (size_t i = 0; i < VARIABLES; i++) {
        variables[i] = arena_alloc(&world.arena, sizeof **variables);
        assert_non_null(variables[i]);
        *variables[i] =
            (flocks_service_config_environment_entry)FLOCKS_SERVICE_CONFIG_ENVIRONMENT_ENTRY_INIT;
        variables[i]->key = arena_printf(&world.arena, "V%zu", i);
        variables[i]->value = "x";
    }
    world.new_config->services[1]->value->environment = variables;
    world.new_config->services[1]->value->n_environment = VARIABLES;
    assert_int_equal(config_diff_make(world.old_config, world.new_config, &world.arena, &diff), 0);
    assert_int_equal(diff.n, CONFIG_DIFF_MAX);
    assert_int_equal(diff.n + diff.n_dropped, VARIABLES + 2);
    assert_int_equal(diff.services[1].effect, CONFIG_EFFECT_RESTART);
    free(variables);
    end_world(&world);
}

static void test_diff_without_memory_says_so(void **state)
{
    struct world world;

    (void)state;
    make_world(&world, 1);
    change(&world.leaves.items[0], &world.arena);
    for (size_t cap = 0;; cap += 64) {
        struct arena small;
        struct config_diff diff;
        int result;

        arena_init(&small, cap);
        result = config_diff_make(world.old_config, world.new_config, &small, &diff);
        arena_deinit(&small);
        if (result == 0)
            break;
        assert_int_equal(result, -STATUS_RESOURCE_EXHAUSTED);
        assert_true(cap < ARENA_BYTES);
    }
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_effects_know_every_key_of_a_service),
        cmocka_unit_test(test_diff_of_equal_configurations_is_empty),
        cmocka_unit_test(test_diff_finds_each_value_changed_alone),
        cmocka_unit_test(test_diff_finds_exactly_what_was_changed_at_random),
        cmocka_unit_test(test_diff_shows_a_service_that_came_or_went_as_a_whole),
        cmocka_unit_test(test_diff_of_a_message_without_values_shows_that_it_is_there),
        cmocka_unit_test(test_diff_tells_an_empty_text_from_none),
        cmocka_unit_test(test_diff_does_not_mind_the_order_of_maps),
        cmocka_unit_test(test_diff_cuts_long_values_at_a_character),
        cmocka_unit_test(test_diff_counts_what_is_too_much_to_show),
        cmocka_unit_test(test_diff_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
