#include <string.h>

#include "client/cli/config_view.h"
#include "temporary.h"
#include "unit.h"

/* One service with a list, a map and a duration; `retained` origins of the table below. */
struct sample {
    flocks_config config;
    size_t n_origins;
    bool with_origins;
};

static const char *command[] = {"run", "a b", "x:y"};

static void print_sample(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    static const struct {
        const char *path;
        enum flocks_config_layer layer;
        const char *source;
        uint32_t line;
    } rows[] = {
        {"services.web.port", FLOCKS_CONFIG_LAYER_ENVIRONMENT, "FLOCKS_WEBUI_PORT", 0},
        {"services.web.command", FLOCKS_CONFIG_LAYER_FILE, "/r/flocks.yaml", 3},
        {"services.web-2.port", FLOCKS_CONFIG_LAYER_DEFAULT, "", 0},
        {"services.web.environment.KEY", FLOCKS_CONFIG_LAYER_FILE, "/r/flocks.yaml", 4},
        {"services.web.stop.grace", FLOCKS_CONFIG_LAYER_DEFAULT, "", 0},
    };
    flocks_config_origin origins[ARRAY_LENGTH(rows)];
    flocks_config_origin *list[ARRAY_LENGTH(rows)];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        origins[i] = (flocks_config_origin)FLOCKS_CONFIG_ORIGIN_INIT;
        origins[i].path = rows[i].path;
        origins[i].layer = rows[i].layer;
        origins[i].source = rows[i].source;
        origins[i].line = rows[i].line;
        list[i] = &origins[i];
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const struct config_view view = {.message = &sample->config,
        .origins = list,
        .n_origins = sample->n_origins,
        .with_origins = sample->with_origins};
    assert_int_equal(config_view_print(&view, &arena, stream, NULL), 0);
    arena_deinit(&arena);
}

static const char *shown(size_t n_origins, bool with_origins)
{
    Google__Protobuf__Duration grace = GOOGLE__PROTOBUF__DURATION__INIT;
    flocks_stop_config stop = FLOCKS_STOP_CONFIG_INIT;
    Flocks__V1__ServiceConfig__EnvironmentEntry pair =
        FLOCKS__V1__SERVICE_CONFIG__ENVIRONMENT_ENTRY__INIT;
    Flocks__V1__ServiceConfig__EnvironmentEntry *pairs[] = {&pair};
    flocks_service_config service = FLOCKS_SERVICE_CONFIG_INIT;
    Flocks__V1__Config__ServicesEntry entry = FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT;
    Flocks__V1__Config__ServicesEntry *entries[] = {&entry};
    grace.seconds = 1;
    grace.nanos = 500000000;
    stop.grace = &grace;
    pair.key = "KEY";
    pair.value = "***";
    service.n_command = ARRAY_LENGTH(command);
    service.command = command;
    service.environment = pairs;
    service.n_environment = 1;
    service.port = 5173;
    service.stop = &stop;
    entry.key = "web";
    entry.value = &service;
    struct sample sample = {
        .config = FLOCKS_CONFIG_INIT, .n_origins = n_origins, .with_origins = with_origins};
    sample.config.services = entries;
    sample.config.n_services = 1;
    return temporary_printed(print_sample, &sample);
}

static void test_config_view_values_with_origins(void **state)
{
    (void)state;
    assert_string_equal(shown(5, true),
        "services:\n"
        "  web:\n"
        "    command: [run, \"a b\", \"x:y\"]            # file /r/flocks.yaml:3\n"
        "    environment:\n"
        "      KEY: \"***\"                            # file /r/flocks.yaml:4\n"
        "    port: 5173                              # environment FLOCKS_WEBUI_PORT\n"
        "    stop:\n"
        "      grace: 1500ms                         # default\n");
}

static void test_config_view_values_without_origin_are_not_shown(void **state)
{
    (void)state;
    assert_string_equal(shown(1, false), "services:\n"
                                         "  web:\n"
                                         "    port: 5173\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_view_values_with_origins),
        cmocka_unit_test(test_config_view_values_without_origin_are_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
