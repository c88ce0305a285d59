#include "check.h"
#include "load.h"

static int set_up(void **state)
{
    static struct loader loader;
    loader_init(&loader);
    loader_use_fixture(&loader, "good/demo.yaml");
    loader_load_good(&loader);
    *state = &loader;
    return 0;
}

static int tear_down(void **state)
{
    loader_deinit(*state);
    return 0;
}

static const flocks_config_origin *find(
    flocks_config_origin *const *origins, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(origins[i]->path, path) == 0)
            return origins[i];
    }
    return NULL;
}

static void test_all_origins_cover_defaults_too(void **state)
{
    struct loader *loader = *state;
    size_t n;
    flocks_config_origin **all = config_all_origins(loader->config.message, loader->config.origins,
        loader->config.n_origins, &loader->arena, &n);
    assert_non_null(all);
    assert_true(n > loader->config.n_origins);
    assert_int_equal(
        find(all, n, "services.backend.restart.policy")->layer, FLOCKS_CONFIG_LAYER_DEFAULT);
    assert_int_equal(find(all, n, "services.backend.port")->layer, FLOCKS_CONFIG_LAYER_FILE);
    assert_int_equal(
        find(all, n, "services.webui.environment.TOKEN")->layer, FLOCKS_CONFIG_LAYER_FILE);
    assert_int_equal(find(all, n, "services.webui.command")->layer, FLOCKS_CONFIG_LAYER_FILE);
    assert_int_equal(find(all, n, "services.ticker.after")->layer, FLOCKS_CONFIG_LAYER_DEFAULT);
    assert_int_equal(find(all, n, "daemon.tcp")->layer, FLOCKS_CONFIG_LAYER_DEFAULT);
    assert_null(find(all, n, "services.ticker.probes"));
    for (size_t i = 0; i < loader->config.n_origins; i++)
        assert_non_null(find(all, n, loader->config.origins[i]->path));
}

static void test_masked_copy_hides_values_and_keeps_the_rest(void **state)
{
    struct loader *loader = *state;
    flocks_config *masked = config_masked(loader->config.message, &loader->arena);
    assert_non_null(masked);
    const flocks_service_config *webui = config_find_service(masked, "webui");
    assert_string_equal(webui->environment[1]->key, "TOKEN");
    assert_string_equal(webui->environment[1]->value, "***");
    assert_string_equal(webui->command[0], "/bin/sh");
    const flocks_service_config *backend = config_find_service(masked, "backend");
    assert_string_equal(backend->probes->ready->http->headers[0]->value, "***");
    assert_string_equal(backend->probes->ready->http->expect[0]->value, "healthy");
    const flocks_service_config *original = config_find_service(loader->config.message, "webui");
    assert_string_equal(original->environment[1]->value, "hunter2");
}

static void test_digest_changes_with_values_not_with_order(void **state)
{
    struct loader *loader = *state;
    char digest[CONFIG_DIGEST_SIZE];
    assert_int_equal(config_digest(loader->config.message, digest), 0);
    assert_string_equal(digest, loader->config.digest);
    assert_int_equal(strlen(digest), 64);

    struct loader swapped;
    loader_init(&swapped);
    loader_use_text(&swapped, "services:\n"
                              "  b: {command: [/bin/sleep, '1'], environment: {Y: 1, X: 2}}\n"
                              "  a: {command: [/bin/sleep, '1']}\n");
    loader_load_good(&swapped);
    flocks_config message = *swapped.config.message;
    flocks_config_services_entry *reversed[] = {message.services[1], message.services[0]};
    message.services = reversed;
    assert_int_equal(config_digest(&message, digest), 0);
    assert_string_equal(digest, swapped.config.digest);
    message.services[0]->value->port = 1;
    assert_int_equal(config_digest(&message, digest), 0);
    assert_string_not_equal(digest, swapped.config.digest);
    loader_deinit(&swapped);
}

static void test_value_text_reads_as_written(void **state)
{
    struct loader *loader = *state;
    const flocks_config *message = loader->config.message;
    struct arena *arena = &loader->arena;
    assert_string_equal(config_value_text(message, "services.backend.port", arena), "8000");
    assert_string_equal(
        config_value_text(message, "services.backend.logs.max_size", arena), "1MiB");
    assert_string_equal(
        config_value_text(message, "services.backend.probes.ready.period", arena), "500ms");
    assert_string_equal(
        config_value_text(message, "services.webui.environment.TOKEN", arena), "hunter2");
    assert_null(config_value_text(message, "services.backend", arena));
    assert_null(config_value_text(message, "services.backend.command", arena));
    assert_null(config_value_text(message, "services.nobody.port", arena));
    assert_null(config_value_text(message, "services.backend.port.x", arena));
    assert_null(config_value_text(message, "", arena));
}

static void test_running_settings_keep_what_the_file_does_not_say(void **state)
{
    struct loader *loader = *state;
    struct config_setting command_line[] = {
        config_option_setting(config_option_find("webui-port"), "5300")};
    loader->request.command_line = command_line;
    loader->request.n_command_line = 1;
    loader_load_good(loader);
    size_t n;
    const char **settings = config_running_settings(loader->config.message, loader->config.origins,
        loader->config.n_origins, &loader->arena, &n);
    assert_non_null(settings);
    assert_int_equal(n, 1);
    assert_string_equal(settings[0], "services.webui.port=5300");
}

static void test_names_of_services(void **state)
{
    (void)state;
    assert_true(config_name_is_valid("a"));
    assert_true(config_name_is_valid("web-2"));
    assert_false(config_name_is_valid(""));
    assert_false(config_name_is_valid("2web"));
    assert_false(config_name_is_valid("Web"));
    assert_false(config_name_is_valid("daemon"));
    assert_false(config_name_is_valid("../x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_origins_cover_defaults_too),
        TEST(test_masked_copy_hides_values_and_keeps_the_rest),
        TEST(test_digest_changes_with_values_not_with_order),
        TEST(test_value_text_reads_as_written),
        TEST(test_running_settings_keep_what_the_file_does_not_say),
        cmocka_unit_test(test_names_of_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
