#include <string.h>

#include "client/cli/progress_view.h"
#include "common/base/attributes.h"
#include "temporary.h"
#include "unit.h"

enum { NOW = 1700000000, N_MANY = 40 };

/* An operation on services, and what is known of them. */
struct sample {
    flocks_operation operation;
    flocks_service_outcome outcomes[N_MANY];
    flocks_service_outcome *outcome_list[N_MANY];
    char names[N_MANY][8];
    flocks_get_status_response status;
    flocks_service_status services[2];
    flocks_service_status *service_list[2];
    bool with_status;
};

static void make_sample(struct sample *out, size_t n)
{
    memset(out, 0, sizeof(*out));
    out->operation = (flocks_operation)FLOCKS_OPERATION_INIT;
    out->operation.kind = FLOCKS_OPERATION_KIND_RESTART;
    out->operation.state = FLOCKS_OPERATION_STATE_RUNNING;
    out->operation.step = "s0: STOPPING";
    out->operation.steps_total = (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(out->names[i], sizeof(out->names[i]), "s%u", (unsigned)i % 1000);
        out->outcomes[i] = (flocks_service_outcome)FLOCKS_SERVICE_OUTCOME_INIT;
        out->outcomes[i].service = out->names[i];
        out->outcomes[i].state = FLOCKS_OPERATION_STATE_RUNNING;
        out->outcome_list[i] = &out->outcomes[i];
    }
    out->operation.n_outcomes = n;
    out->operation.outcomes = out->outcome_list;
    out->status = (flocks_get_status_response)FLOCKS_GET_STATUS_RESPONSE_INIT;
    for (size_t i = 0; i < ARRAY_LENGTH(out->services); i++) {
        out->services[i] = (flocks_service_status)FLOCKS_SERVICE_STATUS_INIT;
        out->services[i].name = out->names[i];
        out->services[i].state = FLOCKS_SERVICE_STATE_STOPPING;
        out->service_list[i] = &out->services[i];
    }
    out->status.n_services = ARRAY_LENGTH(out->services);
    out->status.services = out->service_list;
    out->with_status = true;
}

static void print_sample(FILE *stream, const void *data)
{
    const struct sample *sample = data;
    const struct progress_view view = {.operation = &sample->operation,
        .status = sample->with_status ? &sample->status : NULL,
        .elapsed_ms = 3999,
        .now_s = NOW};
    progress_view_print(&view, stream);
}

static void test_progress_view_shows_what_each_service_does(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample, 2);
    sample.operation.steps_done = 1;
    sample.outcomes[0].state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    sample.services[0].state = FLOCKS_SERVICE_STATE_HEALTHY;
    sample.services[1].state = FLOCKS_SERVICE_STATE_WAITING;
    sample.services[1].last_error = "port 8000 is held by pid 12";
    assert_string_equal(temporary_printed(print_sample, &sample),
        "restart, 1 of 2, 3s\n"
        "  s0  HEALTHY\n"
        "  s1  WAITING    port 8000 is held by pid 12\n");
}

static void test_progress_view_without_events_tells_the_step(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample, 2);
    sample.with_status = false;
    sample.outcomes[1].state = FLOCKS_OPERATION_STATE_QUEUED;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "restart, 0 of 2, 3s: s0: STOPPING\n"
        "  s0  runs\n"
        "  s1  waits for its turn\n");
}

static void test_progress_view_a_failed_part_says_why_whatever_the_service_does(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample, 2);
    sample.outcomes[0].state = FLOCKS_OPERATION_STATE_FAILED;
    sample.outcomes[0].message = "exit code 3 \033";
    sample.outcomes[1].state = FLOCKS_OPERATION_STATE_FAILED;
    sample.outcomes[1].reason = FLOCKS_STATE_REASON_PORT_HELD;
    assert_string_equal(temporary_printed(print_sample, &sample),
        "restart, 0 of 2, 3s\n"
        "  s0  failed     exit code 3 \\x1b\n"
        "  s1  failed     its port is held by somebody else\n");
}

static void test_progress_view_of_many_shows_those_at_work(void **state)
{
    struct sample sample;
    (void)state;
    make_sample(&sample, N_MANY);
    for (size_t i = 2; i < 20; i++)
        sample.outcomes[i].state = FLOCKS_OPERATION_STATE_SUCCEEDED;
    const char *text = temporary_printed(print_sample, &sample);
    assert_non_null(strstr(text, "\n  s0   STOPPING\n"));
    assert_null(strstr(text, "\n  s2 "));
    assert_non_null(strstr(text, "\n  s20  runs\n"));
    assert_non_null(strstr(text, "\n  s33  runs\n  and 6 more\n"));
    assert_null(strstr(text, "\n  s34 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_view_shows_what_each_service_does),
        cmocka_unit_test(test_progress_view_without_events_tells_the_step),
        cmocka_unit_test(test_progress_view_a_failed_part_says_why_whatever_the_service_does),
        cmocka_unit_test(test_progress_view_of_many_shows_those_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
