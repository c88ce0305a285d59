/* The command line of flocksd, as the keeper gives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "server/daemon/options.h"

enum { ARGUMENTS_MAX = 16, TEXT_SIZE = 64 };

/* argv in memory that may be changed, from texts that may not. */
struct line {
    char texts[ARGUMENTS_MAX][TEXT_SIZE];
    char *argv[ARGUMENTS_MAX + 1];
};

static int parse(
    struct line *line, const char *const *texts, struct options *out, struct error *error)
{
    size_t n = 0;

    for (; texts[n]; n++) {
        assert_true(n < ARGUMENTS_MAX && strlen(texts[n]) < TEXT_SIZE);
        memcpy(line->texts[n], texts[n], strlen(texts[n]) + 1);
        line->argv[n] = line->texts[n];
    }
    line->argv[n] = NULL;
    return options_parse(line->argv, out, error);
}

static void test_options_of_the_keeper_and_settings_are_taken(void **state)
{
    const char *texts[] = {"flocksd", "--root", "/r", "--keeper-fd=3", "--server-port", "8123",
        "--running=services.webui.port=9", "--skip-webui-build", "--no-services", NULL};
    struct options options;
    struct line line;

    (void)state;
    assert_int_equal(parse(&line, texts, &options, NULL), 0);
    assert_string_equal(options.root, "/r");
    assert_int_equal(options.keeper_fd, 3);
    assert_true(options.skip_webui_build);
    assert_true(options.starts_nothing);
    assert_int_equal(options.n_settings, 1);
    assert_string_equal(options.settings[0].path, "services.backend.port");
    assert_string_equal(options.settings[0].value, "8123");
    assert_int_equal(options.n_running, 1);
    assert_string_equal(options.running[0].path, "services.webui.port");
    assert_string_equal(options.running[0].value, "9");
}

static void test_wrong_lines_are_refused(void **state)
{
    const char *lines[][4] = {
        {"flocksd", NULL},
        {"flocksd", "--keeper-fd", NULL},
        {"flocksd", "--keeper-fd=two", NULL},
        {"flocksd", "--keeper-fd=1", NULL},
        {"flocksd", "--keeper-fd=3", "--colour=red", NULL},
        {"flocksd", "--keeper-fd=3", "start", NULL},
        {"flocksd", "--keeper-fd=3", "--running=nothing", NULL},
        {"flocksd", "--keeper-fd=3", "--log-level=loud", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct error error = ERROR_INIT;
        struct options options;
        struct line line;

        assert_int_equal(parse(&line, lines[i], &options, &error), -STATUS_INVALID_ARGUMENT);
        assert_true(error.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_of_the_keeper_and_settings_are_taken),
        cmocka_unit_test(test_wrong_lines_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
