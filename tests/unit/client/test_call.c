/* Blocking calls: what is repeated, until when, and how errors read. */
#include <stdlib.h>

#include "flocks/calls.h"
#include "flocks/v1/supervisor.methods.h"
#include "flocks/v1/upgrade.methods.h"

#include "common/base/clock.h"
#include "daemon_double.h"
#include "unit.h"

static struct flocks_client *client;
static struct flocks_error *error;
static int n_asked;
static bool is_running_answer;

static bool is_running(void *data)
{
    (void)data;
    n_asked++;
    return is_running_answer;
}

static int set_up(void **state)
{
    (void)state;
    double_make_place();
    n_asked = 0;
    is_running_answer = true;
    const struct flocks_client_options options = {
        .socket = double_path(), .is_running = is_running};
    client = flocks_client_new(&options, &error);
    return client == NULL ? -1 : 0;
}

static void forget_error(void)
{
    flocks_error_free(error);
    error = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    forget_error();
    flocks_client_free(client);
    double_remove_place();
    return 0;
}

static void run(int n_dropped)
{
    double_listen();
    double_run(&(struct daemon_script){.n_dropped = n_dropped});
}

static enum rpc_result get_status(int64_t timeout_ms)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    const flocks_get_status_response *response = NULL;
    enum rpc_result result =
        flocks_client_get_status(client, &options, &request, &response, &error);
    assert_int_equal(response != NULL, result == RPC_DONE);
    assert_int_equal(error != NULL, result != RPC_DONE);
    if (response != NULL) {
        assert_string_equal(response->event_token, "token");
        rpc_message_free(&response->base);
    }
    return result;
}

static enum rpc_result restart(const char *request_id)
{
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    request.request_id = request_id;
    const flocks_restart_services_response *response = NULL;
    enum rpc_result result =
        flocks_client_restart_services(client, NULL, &request, &response, &error);
    assert_null(response);
    return result;
}

static void test_idempotent_call_is_repeated_until_somebody_answers(void **state)
{
    (void)state;
    run(3);
    assert_int_equal(get_status(10000), RPC_DONE);
    assert_int_equal(n_asked, 3);
    assert_int_equal(get_status(10000), RPC_DONE);
    assert_int_equal(n_asked, 3);
}

static void test_nobody_and_a_free_lock_is_not_running(void **state)
{
    (void)state;
    is_running_answer = false;
    assert_int_equal(get_status(10000), RPC_ERROR);
    assert_true(error->is_not_running);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
}

static void test_nobody_and_a_held_lock_meets_the_deadline(void **state)
{
    (void)state;
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(get_status(1000), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_true(clock_monotonic_ms() - began_at < 5000);
    assert_non_null(strstr(error->message, "No such file or directory"));
    assert_true(n_asked >= 2);
}

static void test_call_with_effects_is_repeated_only_with_a_request_id(void **state)
{
    (void)state;
    run(1);
    assert_int_equal(restart(""), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    assert_false(error->is_not_running);
    assert_int_equal(n_asked, 0);
    forget_error();
    double_kill();
    double_stop_listening();
    run(1);
    assert_int_equal(restart("r1"), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNIMPLEMENTED);
    assert_true(n_asked >= 1);
}

static void test_call_with_effects_survives_a_daemon_that_was_replaced_before_it(void **state)
{
    (void)state;
    run(0);
    assert_int_equal(get_status(10000), RPC_DONE);
    double_kill();
    double_run(&(struct daemon_script){.n_dropped = 0});
    assert_int_equal(restart(""), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNIMPLEMENTED);
}

static void test_deadline_of_a_silent_daemon_is_kept(void **state)
{
    (void)state;
    run(0);
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const struct rpc_options options = {.timeout_ms = 200};
    const flocks_get_operation_response *response = NULL;
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(
        flocks_client_get_operation(client, &options, &request, &response, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_true(clock_monotonic_ms() - began_at < 5000);
}

static void test_error_reads_as_the_daemon_gave_it(void **state)
{
    (void)state;
    run(0);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    const flocks_stop_services_response *response = NULL;
    assert_int_equal(
        flocks_client_stop_services(client, NULL, &request, &response, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_NOT_FOUND);
    assert_true(error->is_from_daemon);
    assert_string_equal(error->message, "there is no service web");
    assert_string_equal(error->detail->service, "web");
    assert_string_equal(error->detail->hint, "see flocks status");
    assert_int_equal(error->detail->reason, FLOCKS__V1__ERROR_REASON__ERROR_REASON_UNKNOWN_SERVICE);
}

static void test_driven_functions_are_refused(void **state)
{
    (void)state;
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    assert_null(flocks_client_get_status_begin(client, NULL, &request, NULL, NULL, &error));
    assert_int_equal(error->code, RPC_FAILED_PRECONDITION);
    flocks_client_process(client);
}

static void test_place_comes_from_the_root(void **state)
{
    (void)state;
    const struct flocks_client_options options = {.root = "/nowhere/at/all"};
    struct flocks_client *other = flocks_client_new(&options, &error);
    assert_non_null(other);
    assert_string_equal(flocks_client_socket(other), "/nowhere/at/all/run/flocksd.sock");
    flocks_client_free(other);
}

/* The table of the typed calls has every method of the schema, under its own name. */
static void test_every_method_has_its_typed_call(void **state)
{
    (void)state;
    size_t n_unary = 0;
    size_t n_streams = 0;
#define COUNT_UNARY(name, table, index)                                                            \
    n_unary++;                                                                                     \
    assert_int_equal((table)[index].kind, RPC_UNARY);
#define COUNT_STREAM(name, table, index)                                                           \
    n_streams++;                                                                                   \
    assert_int_equal((table)[index].kind, RPC_SERVER_STREAM);
    FLOCKS_UNARY_CALLS(COUNT_UNARY)
    FLOCKS_STREAM_CALLS(COUNT_STREAM)
    assert_int_equal(
        n_unary + n_streams, (size_t)FLOCKS_SUPERVISOR_METHOD_COUNT + FLOCKS_UPGRADE_METHOD_COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_idempotent_call_is_repeated_until_somebody_answers),
        TEST(test_nobody_and_a_free_lock_is_not_running),
        TEST(test_nobody_and_a_held_lock_meets_the_deadline),
        TEST(test_call_with_effects_is_repeated_only_with_a_request_id),
        TEST(test_call_with_effects_survives_a_daemon_that_was_replaced_before_it),
        TEST(test_deadline_of_a_silent_daemon_is_kept),
        TEST(test_error_reads_as_the_daemon_gave_it),
        TEST(test_driven_functions_are_refused),
        TEST(test_place_comes_from_the_root),
        TEST(test_every_method_has_its_typed_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
