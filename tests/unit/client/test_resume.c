/* Requests that can be made again behind what they brought. */
#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/supervisor.names.h"

#include "client/lib/resume.h"
#include "unit.h"

static void test_resume_sets_after_where_the_request_has_it(void **state)
{
    (void)state;
    struct resume resume;
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    assert_true(resume_init(
        &resume, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_WATCH_EVENTS], &request.base));
    assert_true(resume_is_possible(&resume));
    flocks_watch_events_response event = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    event.token = "7-1";
    resume_note(&resume, &event.base);
    event.token = "7-2";
    resume_note(&resume, &event.base);
    assert_true(resume_is_possible(&resume));
    const flocks_watch_events_request *again =
        (const flocks_watch_events_request *)resume_request(&resume);
    assert_string_equal(again->after, "7-2");
    assert_string_equal(again->services[0], "web");
    resume_deinit(&resume);
}

static void test_resume_replaces_the_other_start_of_a_oneof(void **state)
{
    (void)state;
    struct resume resume;
    flocks_read_logs_request request = FLOCKS_READ_LOGS_REQUEST_INIT;
    Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    since.seconds = 5;
    request.start_case = FLOCKS__V1__READ_LOGS_REQUEST__START_SINCE;
    request.since = &since;
    assert_true(resume_init(
        &resume, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_READ_LOGS], &request.base));
    flocks_read_logs_response log = FLOCKS_READ_LOGS_RESPONSE_INIT;
    log.token = "web:9";
    resume_note(&resume, &log.base);
    const flocks_read_logs_request *again =
        (const flocks_read_logs_request *)resume_request(&resume);
    assert_int_equal(again->start_case, FLOCKS__V1__READ_LOGS_REQUEST__START_AFTER);
    assert_string_equal(again->after, "web:9");
    resume_deinit(&resume);
}

static void test_resume_without_a_token_is_possible_until_something_was_seen(void **state)
{
    (void)state;
    struct resume resume;
    flocks_watch_operation_request request = FLOCKS_WATCH_OPERATION_REQUEST_INIT;
    assert_true(resume_init(
        &resume, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_WATCH_OPERATION], &request.base));
    assert_true(resume_is_possible(&resume));
    flocks_watch_operation_response response = FLOCKS_WATCH_OPERATION_RESPONSE_INIT;
    resume_note(&resume, &response.base);
    assert_false(resume_is_possible(&resume));
    resume_deinit(&resume);
}

static void test_resume_behind_a_message_without_its_token_is_impossible(void **state)
{
    (void)state;
    struct resume resume;
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    assert_true(resume_init(
        &resume, &flocks_supervisor_methods[FLOCKS_SUPERVISOR_WATCH_EVENTS], &request.base));
    flocks_watch_events_response event = FLOCKS_WATCH_EVENTS_RESPONSE_INIT;
    event.token = "1";
    resume_note(&resume, &event.base);
    event.token = "";
    resume_note(&resume, &event.base);
    assert_false(resume_is_possible(&resume));
    resume_deinit(&resume);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_sets_after_where_the_request_has_it),
        cmocka_unit_test(test_resume_replaces_the_other_start_of_a_oneof),
        cmocka_unit_test(test_resume_without_a_token_is_possible_until_something_was_seen),
        cmocka_unit_test(test_resume_behind_a_message_without_its_token_is_impossible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
