#include <stdio.h>
#include <string.h>

#include "client/cli/method_name.h"
#include "daemon.catalog.h"
#include "unit.h"

static const struct rpc_method cats[] = {{.service = "zoo.v1.CatService", .name = "Feed"},
    {.service = "zoo.v1.CatService", .name = "Stroke"}};
static const struct rpc_method dogs[] = {{.service = "zoo.v1.DogService", .name = "Feed"}};
static const struct rpc_method birds[] = {{.service = "air.v1.CatService", .name = "Sing"}};
static const struct crpc_service_info services[] = {
    {.full_name = "zoo.v1.CatService", .n_methods = 2, .methods = cats},
    {.full_name = "zoo.v1.DogService", .n_methods = 1, .methods = dogs},
    {.full_name = "air.v1.CatService", .n_methods = 1, .methods = birds},
};
static const struct crpc_catalog zoo = {.n_services = 3, .services = services};

static void test_method_name_finds_short_and_long_names(void **state)
{
    static const struct {
        const char *name;
        const struct rpc_method *method;
    } cases[] = {
        {"Stroke", &cats[1]},
        {"Sing", &birds[0]},
        {"CatService.Stroke", &cats[1]},
        {"CatService/Sing", &birds[0]},
        {"DogService/Feed", &dogs[0]},
        {"v1.DogService.Feed", &dogs[0]},
        {"zoo.v1.CatService.Feed", &cats[0]},
        {"zoo.v1.CatService/Feed", &cats[0]},
        {"/zoo.v1.CatService/Feed", &cats[0]},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rpc_method *found = NULL;
        struct error error = ERROR_INIT;
        if (method_name_find(&zoo, cases[i].name, &found, &error) != 0)
            fail_msg("%s: %s", cases[i].name, error.text);
        assert_ptr_equal(found, cases[i].method);
    }
}

static void test_method_name_says_what_may_have_been_meant(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        const char *hint;
    } cases[] = {
        {"Feed", "\"Feed\" is a method of zoo.v1.CatService and of zoo.v1.DogService",
            "say which: zoo.v1.CatService/Feed"},
        {"stroke", "there is no method \"stroke\"", "did you mean Stroke?"},
        {"Strkoe", "there is no method \"Strkoe\"", "did you mean Stroke?"},
        {"Fly", "there is no method \"Fly\"", "`flocks describe` lists them"},
        {"DogService/Stroke", "there is no method \"Stroke\"", "`flocks describe` lists them"},
        {"DogService/Fed", "there is no method \"Fed\"", "did you mean Feed?"},
        {"DogServce/Feed", "there is no service \"DogServce\"", "did you mean DogService?"},
        /* A part of a name is none. */
        {"ogService/Feed", "there is no service \"ogService\"", "did you mean DogService?"},
        {"cow.Feed", "there is no service \"cow\"", "`flocks describe` lists them"},
        {"", "there is no method \"\"", "`flocks describe` lists them"},
        {"/", "there is no method \"\"", "`flocks describe` lists them"},
        {".", "there is no method \"\"", "`flocks describe` lists them"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rpc_method *found = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(
            method_name_find(&zoo, cases[i].name, &found, &error), -STATUS_INVALID_ARGUMENT);
        assert_string_equal(error.text, cases[i].text);
        assert_string_equal(error.hint, cases[i].hint);
        assert_null(found);
    }
}

/* All that `flocks call` may be asked for, and that it can do: one request each. */
static void test_method_name_finds_every_method_of_the_api(void **state)
{
    (void)state;
    assert_true(daemon_catalog.n_services >= 2);
    for (size_t i = 0; i < daemon_catalog.n_services; i++) {
        const struct crpc_service_info *service = &daemon_catalog.services[i];
        for (size_t k = 0; k < service->n_methods; k++) {
            const struct rpc_method *method = &service->methods[k];
            const struct rpc_method *found = NULL;
            char name[256];
            (void)snprintf(name, sizeof(name), "%s/%s", service->full_name, method->name);
            assert_int_equal(method_name_find(&daemon_catalog, name, &found, NULL), 0);
            assert_ptr_equal(found, method);
            assert_int_equal(method_name_find(&daemon_catalog, method->name, &found, NULL), 0);
            assert_ptr_equal(found, method);
            assert_true(method->kind == RPC_UNARY || method->kind == RPC_SERVER_STREAM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method_name_finds_short_and_long_names),
        cmocka_unit_test(test_method_name_says_what_may_have_been_meant),
        cmocka_unit_test(test_method_name_finds_every_method_of_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
