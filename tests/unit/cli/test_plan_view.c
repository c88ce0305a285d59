#include <string.h>

#include "client/cli/plan_view.h"
#include "common/base/attributes.h"
#include "temporary.h"
#include "unit.h"

enum { N_CHANGES = 3, N_IMPACTS = 4 };

/* A plan with one of each. */
struct sample {
    flocks_plan_config_response plan;
    flocks_config_change changes[N_CHANGES];
    flocks_config_change *change_list[N_CHANGES];
    flocks_service_impact impacts[N_IMPACTS];
    flocks_service_impact *impact_list[N_IMPACTS];
    const char *because[4];
};

static void make_sample(struct sample *out)
{
    static const char *const values[N_CHANGES][3] = {
        {"services.backend.port", "8000", "8001"},
        {"services.new.command", "", "[sleep, \"\033\"]"},
        {"services.old.port", "9", ""},
    };
    static const struct {
        const char *service;
        int impact;
    } impacts[N_IMPACTS] = {{"backend", FLOCKS_CONFIG_IMPACT_RESTART},
        {"idle", FLOCKS_CONFIG_IMPACT_NONE}, {"new", FLOCKS_CONFIG_IMPACT_START},
        {"old", FLOCKS_CONFIG_IMPACT_STOP}};
    *out = (struct sample){.plan = FLOCKS_PLAN_CONFIG_RESPONSE_INIT,
        .because = {"services.backend.port", "services.backend.host", "a", "b"}};
    for (size_t i = 0; i < N_CHANGES; i++) {
        out->changes[i] = (flocks_config_change)FLOCKS_CONFIG_CHANGE_INIT;
        out->changes[i].path = values[i][0];
        out->changes[i].old_value = values[i][1];
        out->changes[i].new_value = values[i][2];
        out->change_list[i] = &out->changes[i];
    }
    for (size_t i = 0; i < N_IMPACTS; i++) {
        out->impacts[i] = (flocks_service_impact)FLOCKS_SERVICE_IMPACT_INIT;
        out->impacts[i].service = impacts[i].service;
        out->impacts[i].impact = (Flocks__V1__ConfigImpact)impacts[i].impact;
        out->impact_list[i] = &out->impacts[i];
    }
    out->impacts[0].because = out->because;
    out->impacts[0].n_because = 2;
    out->plan.plan = "1a2b";
    out->plan.n_changes = N_CHANGES;
    out->plan.changes = out->change_list;
    out->plan.n_impacts = N_IMPACTS;
    out->plan.impacts = out->impact_list;
}

static void print_sample(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    plan_view_print(&sample->plan, false, stream);
}

static void test_plan_view_whole_text(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    assert_false(plan_view_is_empty(&sample.plan));
    assert_string_equal(temporary_printed(print_sample, &sample),
        "changes\n"
        "  ~ services.backend.port: 8000 -> 8001\n"
        "  + services.new.command: [sleep, \"\\x1b\"]\n"
        "  - services.old.port: 9\n"
        "\n"
        "what applying it does\n"
        "  backend  restart  because of services.backend.port, services.backend.host\n"
        "  new      start\n"
        "  old      stop\n"
        "  1 other untouched\n"
        "\n"
        "plan 1a2b\n");
}

static void test_plan_view_many_reasons_are_counted(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.impacts[0].n_because = 4;
    assert_non_null(strstr(temporary_printed(print_sample, &sample),
        "because of services.backend.port, services.backend.host, a and 1 more\n"));
}

static void test_plan_view_nothing_to_do(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.plan.n_changes = 0;
    sample.plan.n_impacts = 2;
    assert_false(plan_view_is_empty(&sample.plan));
    sample.impacts[0].impact = FLOCKS_CONFIG_IMPACT_NONE;
    assert_true(plan_view_is_empty(&sample.plan));
    assert_string_equal(
        temporary_printed(print_sample, &sample), "nothing differs from what runs\n");
}

static void test_plan_view_a_change_that_touches_nobody(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    sample.plan.n_changes = 1;
    sample.plan.n_impacts = 1;
    sample.impacts[0].impact = FLOCKS_CONFIG_IMPACT_NONE;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "changes\n"
        "  ~ services.backend.port: 8000 -> 8001\n"
        "\n"
        "what applying it does\n"
        "  no service is touched\n"
        "\n"
        "plan 1a2b\n");
}

static void test_plan_view_an_impact_of_a_newer_server_is_a_number(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample);
    memcpy(&sample.impacts[2].impact, &(int){17}, sizeof(int));
    assert_non_null(strstr(temporary_printed(print_sample, &sample), "\n  new      IMPACT(17)\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_view_whole_text),
        cmocka_unit_test(test_plan_view_many_reasons_are_counted),
        cmocka_unit_test(test_plan_view_nothing_to_do),
        cmocka_unit_test(test_plan_view_a_change_that_touches_nobody),
        cmocka_unit_test(test_plan_view_an_impact_of_a_newer_server_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
