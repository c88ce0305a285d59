#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "load.h"

/* What the schema says of `services`: the keeper's slots less the one of flocksd's own log. */
enum { SERVICES_MAX = 2047 };

static int set_up(void **state)
{
    static struct loader loader;
    loader_init(&loader);
    *state = &loader;
    return 0;
}

static int tear_down(void **state)
{
    loader_deinit(*state);
    return 0;
}

static const flocks_service_config *service(struct loader *loader, const char *name)
{
    const flocks_service_config *found = config_find_service(loader->config.message, name);
    assert_non_null(found);
    return found;
}

static const flocks_config_origin *origin(struct loader *loader, const char *path)
{
    for (size_t i = 0; i < loader->config.n_origins; i++) {
        if (strcmp(loader->config.origins[i]->path, path) == 0)
            return loader->config.origins[i];
    }
    return NULL;
}

static void test_config_is_complete_sorted_and_expanded(void **state)
{
    struct loader *loader = *state;
    loader_use_fixture(loader, "good/demo.yaml");
    loader_load_good(loader);
    const flocks_config *message = loader->config.message;
    assert_int_equal(message->n_services, 3);
    assert_string_equal(message->services[0]->key, "backend");
    assert_string_equal(message->services[2]->key, "webui");
    const flocks_service_config *backend = service(loader, "backend");
    assert_string_equal(backend->command[1], "0.0.0.0:8000");
    assert_string_equal(backend->command[2], "/the/root");
    assert_string_equal(backend->command[3], "${x}");
    assert_int_equal(backend->restart->policy, FLOCKS_RESTART_POLICY_ALWAYS);
    assert_int_equal(backend->restart->give_up_after, 10);
    assert_int_equal(backend->probes->ready->success_threshold, 1);
    assert_int_equal(backend->stop->grace->seconds, 10);
    assert_int_equal(message->daemon->port, 48765);
    const flocks_service_config *webui = service(loader, "webui");
    assert_string_equal(webui->command[2], "exec serve --port $PORT");
    assert_string_equal(webui->environment[0]->value, "http://127.0.0.1:8000");
    assert_string_equal(webui->host, "127.0.0.1");
    assert_false(service(loader, "ticker")->start);
}

static void test_config_paths_are_absolute(void **state)
{
    struct loader *loader = *state;
    loader_use_fixture(loader, "good/demo.yaml");
    loader_load_good(loader);
    assert_string_equal(service(loader, "backend")->directory, FIXTURES "/good");
    assert_string_equal(service(loader, "webui")->directory, FIXTURES "/good/..");
    assert_string_equal(service(loader, "webui")->environment_files[0], FIXTURES "/good/.env?");
}

static void test_config_layers_in_order_and_origins_told(void **state)
{
    struct loader *loader = *state;
    static const char *const environment[] = {"PATH=/usr/bin:/bin",
        "FLOCKS_SERVER_PORT=", "FLOCKS_BACKEND_PORT=8100", "FLOCKS_WEBUI_PORT=5200",
        "FLOCKS_CONTROL_PORT=4000", NULL};
    struct config_setting running[] = {{"services.backend.port", "8300", "running daemon"},
        {"services.backend.host", "127.0.0.9", "running daemon"},
        {"services.gone.port", "1", "running daemon"}};
    struct config_setting command_line[] = {
        config_option_setting(config_option_find("--webui-port"), "5300")};
    loader->request.environment = environment;
    loader->request.running = running;
    loader->request.n_running = 3;
    loader->request.command_line = command_line;
    loader->request.n_command_line = 1;
    loader_use_fixture(loader, "good/demo.yaml");
    loader_load_good(loader);
    assert_int_equal(service(loader, "backend")->port, 8100);
    assert_string_equal(service(loader, "backend")->host, "127.0.0.9");
    assert_int_equal(service(loader, "webui")->port, 5300);
    assert_int_equal(loader->config.message->daemon->port, 4000);
    assert_string_equal(service(loader, "backend")->command[1], "127.0.0.9:8100");

    const flocks_config_origin *port = origin(loader, "services.backend.port");
    assert_int_equal(port->layer, FLOCKS_CONFIG_LAYER_ENVIRONMENT);
    assert_string_equal(port->source, "FLOCKS_BACKEND_PORT");
    assert_int_equal(port->line, 0);
    assert_int_equal(origin(loader, "services.backend.host")->layer, FLOCKS_CONFIG_LAYER_RUNNING);
    assert_string_equal(origin(loader, "services.webui.port")->source, "--webui-port");
    const flocks_config_origin *size = origin(loader, "services.backend.logs.max_size");
    assert_int_equal(size->layer, FLOCKS_CONFIG_LAYER_FILE);
    assert_int_equal(size->line, 16);
    assert_int_equal(size->column, 22);
    assert_null(origin(loader, "services.backend.restart.policy"));
    assert_null(origin(loader, "services.backend.logs"));
}

/* good/demo.yaml under settings that are wrong. */
static void load_with_mistakes(struct loader *loader, const char *const *environment,
    const struct config_setting *command_line, size_t n_command_line)
{
    loader->request.environment = environment;
    loader->request.command_line = command_line;
    loader->request.n_command_line = n_command_line;
    loader_use_fixture(loader, "good/demo.yaml");
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
}

static void test_config_wrong_settings_name_their_source(void **state)
{
    struct loader *loader = *state;
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "FLOCKS_SERVER_PORT=abc", NULL};
    struct config_setting command_line[] = {{"services.nobody.port", "1", "--server-port"},
        {"services.webui.prot", "1", "--running"}, {"services.webui.command", "x", "--running"}};
    load_with_mistakes(loader, environment, command_line, 3);
    assert_int_equal(loader->mistakes.n, 4);
    const struct mistake *items = loader->mistakes.items;
    assert_string_equal(items[0].file, "FLOCKS_SERVER_PORT");
    assert_string_equal(items[0].message, "must be a whole number from 0 to 65535, not 'abc'");
    assert_string_equal(items[1].file, "--server-port");
    assert_string_equal(items[1].message, "the configuration has no such service");
    assert_string_equal(items[2].message, "there is no such key");
    assert_string_equal(items[3].message, "is not a single value");
}

static void test_config_port_of_a_setting_is_a_port(void **state)
{
    struct loader *loader = *state;
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "FLOCKS_WEBUI_PORT=0", NULL};
    struct config_setting command_line[] = {{"services.backend.port", "0", "--server-port"}};
    load_with_mistakes(loader, environment, command_line, 1);
    assert_int_equal(loader->mistakes.n, 2);
    const struct mistake *items = loader->mistakes.items;
    assert_string_equal(items[0].file, "FLOCKS_WEBUI_PORT");
    assert_string_equal(items[1].file, "--server-port");
    assert_string_equal(items[1].message, "must be a port from 1 to 65535, not '0'");
}

static void test_config_variables_for_absent_services_are_passed_over(void **state)
{
    struct loader *loader = *state;
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "FLOCKS_SERVER_PORT=1", NULL};
    loader->request.environment = environment;
    loader_use_text(loader, "services: {only: {command: [/bin/sleep, '1']}}");
    loader_load_good(loader);
}

static void test_config_without_a_file_runs_the_builtin_services(void **state)
{
    struct loader *loader = *state;
    static const char *const environment[] = {
        "PATH=/usr/bin:/bin", "FLOCKS_REPO_ROOT=/the/product", NULL};
    loader->request.environment = environment;
    loader->request.file_is_named = false;
    loader->request.skip_host_checks = true;
    loader_use_fixture(loader, "good/absent.yaml");
    loader_load_good(loader);
    assert_null(loader->config.file);
    assert_int_equal(loader->config.n_origins, 0);
    const flocks_service_config *backend = service(loader, "backend");
    assert_int_equal(backend->port, 8000);
    assert_string_equal(backend->host, "127.0.0.1");
    assert_string_equal(backend->directory, "/the/product");
    assert_string_equal(backend->command[0], "python3");
    assert_string_equal(backend->probes->ready->http->path, "/api/health");
    const flocks_service_config *webui = service(loader, "webui");
    assert_int_equal(webui->port, 5173);
    assert_string_equal(webui->directory, "/the/product/webui");
    assert_string_equal(webui->prepare->command[2], "build");
    assert_string_equal(webui->environment[0]->value, "http://127.0.0.1:8000");
    assert_string_equal(webui->after[0], "backend");
}

static void test_config_builtin_mistakes_say_what_to_do(void **state)
{
    struct loader *loader = *state;
    loader->request.file_is_named = false;
    loader_use_fixture(loader, "good/absent.yaml");
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    const struct mistake *first = &loader->mistakes.items[0];
    assert_string_equal(first->file, "built-in configuration");
    assert_int_equal(first->line, 0);
    assert_string_equal(first->path, "services.backend.directory");
    assert_string_equal(first->message, "directory '/the/root' does not exist");
    assert_string_equal(first->hint,
        "set FLOCKS_REPO_ROOT to the product's directory, or write " FIXTURES "/good/absent.yaml");
}

/* A directory `current` made by hand would be in the way of the link that the first upgrade makes.
 */
static void test_config_release_that_is_not_installed_is_installed_by_update(void **state)
{
    struct loader *loader = *state;
    loader_use_text(loader, "services:\n"
                            "  backend: {command: [/bin/true], directory: current/backend}\n"
                            "  webui: {command: [/bin/true], directory: currents/webui}\n");
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    assert_string_equal(loader->mistakes.items[0].path, "services.backend.directory");
    assert_non_null(strstr(loader->mistakes.items[0].hint, "`flocks update` installs"));
    assert_non_null(strstr(loader->mistakes.items[1].hint, "mkdir -p"));
}

static void test_config_builtin_prefers_the_product_s_own_programs(void **state)
{
    struct loader *loader = *state;
    char directory[] = "/tmp/flocks-builtin-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char path[PATH_MAX];
    static const char *const made[] = {".venv", ".venv/bin", "node", "node/bin"};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, made[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    char link_path[PATH_MAX];
    (void)snprintf(link_path, sizeof(link_path), "%s/.venv/bin/python", directory);
    assert_int_equal(symlink("/bin/sh", link_path), 0);
    char root[PATH_MAX];
    char node[PATH_MAX];
    (void)snprintf(root, sizeof(root), "FLOCKS_REPO_ROOT=%s", directory);
    (void)snprintf(node, sizeof(node), "FLOCKS_NODE_HOME=%s/node", directory);
    const char *environment[] = {"PATH=/usr/bin:/bin", root, node, NULL};
    loader->request.environment = environment;
    loader->request.file_is_named = false;
    loader->request.skip_host_checks = true;
    loader_use_fixture(loader, "good/absent.yaml");
    loader_load_good(loader);
    assert_string_equal(service(loader, "backend")->command[0], link_path);
    const flocks_service_config *webui = service(loader, "webui");
    assert_string_equal(webui->environment[1]->key, "PATH");
    (void)snprintf(path, sizeof(path), "%s/node/bin:/usr/bin:/bin", directory);
    assert_string_equal(webui->environment[1]->value, path);
    (void)unlink(link_path);
    for (size_t i = 4; i-- > 0;) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, made[i]);
        (void)rmdir(path);
    }
    (void)rmdir(directory);
}

static void test_config_named_file_must_exist(void **state)
{
    struct loader *loader = *state;
    loader_use_fixture(loader, "good/absent.yaml");
    assert_int_equal(loader_load(loader), -STATUS_NOT_FOUND);
    assert_non_null(strstr(loader->error.text, "absent.yaml"));
}

static void test_config_too_large_a_file_is_a_mistake(void **state)
{
    struct loader *loader = *state;
    size_t len = 300000;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, '#', len);
    text[len] = '\0';
    loader_use_text(loader, text);
    free(text);
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    assert_non_null(strstr(loader->mistakes.items[0].message, "is larger than 262144 bytes"));
}

/* 2,047 services load; the next is one too many. */
static void test_config_many_services(void **state)
{
    struct loader *loader = *state;
    char *text = malloc(200000);
    assert_non_null(text);
    size_t len = (size_t)sprintf(text, "services:\n");
    for (int i = 0; i < SERVICES_MAX; i++)
        len += (size_t)sprintf(text + len, "  s%d: {command: [/bin/sleep, \"1\"]}\n", i);
    loader_use_text(loader, text);
    loader_load_good(loader);
    assert_int_equal(loader->config.message->n_services, SERVICES_MAX);
    loader_deinit(loader);
    loader_init(loader);
    (void)sprintf(text + len, "  more: {command: [/bin/sleep, \"1\"]}\n");
    loader_use_text(loader, text);
    free(text);
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    assert_string_equal(
        loader->mistakes.items[0].message, "has 2048 entries; at most 2047 are allowed");
}

/* Whatever allocation is the first to fail: an honest answer, and nothing leaked. */
static void test_config_every_small_arena_is_told(void **state)
{
    (void)state;
    int result = -STATUS_RESOURCE_EXHAUSTED;
    for (size_t cap = 0; result != CONFIG_OK; cap += 64) {
        struct loader loader;
        loader_init(&loader);
        arena_init(&loader.arena, cap);
        loader_use_fixture(&loader, "good/demo.yaml");
        result = loader_load(&loader);
        assert_true(result == CONFIG_OK || result == -STATUS_RESOURCE_EXHAUSTED);
        assert_true(cap < 1 << 20);
        loader_deinit(&loader);
    }
}

static void test_config_text_stands_in_for_the_file(void **state)
{
    static const char text[] = "services: {a: {command: [/bin/true], directory: sub}}\n";
    static const char wrong[] = "services: {a: {comand: [x]}}\n";
    struct loader *loader = *state;
    loader->request.file = "/etc/flocks.yaml";
    loader->request.skip_host_checks = true;
    loader->request.text = text;
    loader->request.text_len = strlen(text);
    loader_load_good(loader);
    assert_string_equal(service(loader, "a")->directory, "/etc/sub");
    assert_string_equal(origin(loader, "services.a.command")->source, "/etc/flocks.yaml");
    loader->request.text = wrong;
    loader->request.text_len = strlen(wrong);
    loader->request.text_name = "new.yaml";
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    assert_string_equal(loader->mistakes.items[0].file, "new.yaml");
}

static void test_config_running_daemon_s_command_line_survives_its_service(void **state)
{
    static const char text[] = "services: {a: {command: [/bin/true]}}\n";
    struct config_setting command_line[] = {
        {"services.backend.port", "81", "--server-port"}, {"services.a.port", "82", "--some-port"}};
    struct loader *loader = *state;
    loader->request.text = text;
    loader->request.text_len = strlen(text);
    loader->request.skip_host_checks = true;
    loader->request.command_line = command_line;
    loader->request.n_command_line = 2;
    assert_int_equal(loader_load(loader), CONFIG_MISTAKEN);
    loader->request.is_running = true;
    loader_load_good(loader);
    assert_int_equal(service(loader, "a")->port, 82);
}

/* What flocksd plans is read beside its loop. */
static void *load_often(void *data)
{
    char *digest = data;
    for (int i = 0; i < 20; i++) {
        struct loader loader;
        loader_init(&loader);
        loader_use_fixture(&loader, "good/demo.yaml");
        if (loader_load(&loader) == CONFIG_OK)
            memcpy(digest, loader.config.digest, CONFIG_DIGEST_SIZE);
        loader_deinit(&loader);
    }
    return NULL;
}

static void test_config_loads_on_several_threads_at_once(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    char digests[THREADS][CONFIG_DIGEST_SIZE] = {{0}};
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_often, digests[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(strlen(digests[0]), CONFIG_DIGEST_SIZE - 1);
    for (size_t i = 1; i < THREADS; i++)
        assert_string_equal(digests[i], digests[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config_is_complete_sorted_and_expanded),
        TEST(test_config_paths_are_absolute),
        TEST(test_config_layers_in_order_and_origins_told),
        TEST(test_config_wrong_settings_name_their_source),
        TEST(test_config_port_of_a_setting_is_a_port),
        TEST(test_config_variables_for_absent_services_are_passed_over),
        TEST(test_config_without_a_file_runs_the_builtin_services),
        TEST(test_config_builtin_mistakes_say_what_to_do),
        TEST(test_config_builtin_prefers_the_product_s_own_programs),
        TEST(test_config_named_file_must_exist),
        TEST(test_config_too_large_a_file_is_a_mistake),
        TEST(test_config_many_services),
        cmocka_unit_test(test_config_every_small_arena_is_told),
        TEST(test_config_release_that_is_not_installed_is_installed_by_update),
        TEST(test_config_text_stands_in_for_the_file),
        TEST(test_config_running_daemon_s_command_line_survives_its_service),
        cmocka_unit_test(test_config_loads_on_several_threads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
