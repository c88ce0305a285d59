/* Each tests/fixtures/config/mistakes/NAME.yaml against NAME.txt, what a person is told. With
 * FLOCKS_TEST_UPDATE=1 the texts are written anew: read them before they are committed. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "common/base/fd.h"
#include "load.h"

static void check_fixture(const char *stem)
{
    char name[100];
    char expected_path[PATH_MAX];
    (void)snprintf(name, sizeof(name), "mistakes/%s.yaml", stem);
    (void)snprintf(expected_path, sizeof(expected_path), "%s/mistakes/%s.txt", FIXTURES, stem);
    struct loader loader;
    loader_init(&loader);
    loader_use_fixture(&loader, name);
    assert_int_equal(loader_load(&loader), CONFIG_MISTAKEN);
    char *printed = loader_print_mistakes(&loader);
    char *expected = NULL;
    size_t len;
    if (getenv("FLOCKS_TEST_UPDATE") != NULL)
        assert_int_equal(fd_replace_file(expected_path, printed, strlen(printed), 0644, NULL), 0);
    assert_int_equal(fd_read_file(expected_path, 100000, &expected, &len, NULL), 0);
    assert_string_equal(printed, expected);
    free(expected);
    free(printed);
    loader_deinit(&loader);
}

static void test_config_mistakes_are_told_with_place_and_remedy(void **state)
{
    (void)state;
    static const char *const stems[] = {"brackets", "empty", "expansion", "missing", "names",
        "no_services", "not_built", "notify", "order", "ports", "probes", "ranges", "tabs",
        "unknown_key", "wrong_types"};
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++)
        check_fixture(stems[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_mistakes_are_told_with_place_and_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
