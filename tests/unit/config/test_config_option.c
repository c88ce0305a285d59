#include "check.h"
#include "common/config/option.h"

static void test_option_is_found_with_and_without_dashes(void **state)
{
    (void)state;
    const struct config_option *option = config_option_find("--server-port");
    assert_non_null(option);
    assert_ptr_equal(option, config_option_find("server-port"));
    assert_string_equal(option->path, "services.backend.port");
    assert_null(config_option_find("port"));
}

static void test_option_setting_names_the_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        struct config_setting setting = config_option_setting(&config_options[i], "v");
        assert_string_equal(setting.source + 2, config_options[i].option);
        assert_string_equal(setting.path, config_options[i].path);
    }
}

static void test_running_setting_is_cut_at_the_first_equals(void **state)
{
    (void)state;
    char text[] = "services.webui.environment.A=b=c";
    struct config_setting setting;
    assert_int_equal(config_running_setting(text, &setting, NULL), 0);
    assert_string_equal(setting.path, "services.webui.environment.A");
    assert_string_equal(setting.value, "b=c");
    char wrong[] = "services.webui.port";
    struct error error = ERROR_INIT;
    assert_int_equal(config_running_setting(wrong, &setting, &error), -STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.text, "'services.webui.port' is no PATH=VALUE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option_is_found_with_and_without_dashes),
        cmocka_unit_test(test_option_setting_names_the_option),
        cmocka_unit_test(test_running_setting_is_cut_at_the_first_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
