/* The flocks client: what is repeated, until when, and how errors read. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "flocks/v1/supervisor.client.h"
#include "flocks/v1/supervisor.methods.h"

#include "client/lib/client.h"
#include "common/base/clock.h"
#include "peer.h"
#include "unit.h"

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char directory[] = "/tmp/flocks-test-XXXXXX";
static struct flocks_client *client;
static pid_t peer;
static int n_asked;
static bool is_running_answer;

static bool is_running(void *data)
{
    (void)data;
    n_asked++;
    return is_running_answer;
}

static void serve(int n_dropped)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    peer = peer_accept(listener, n_dropped);
}

static void use(int64_t timeout_ms)
{
    const struct flocks_client_options options = {.socket = address.sun_path,
        .deadline_at = clock_monotonic_ms() + timeout_ms,
        .is_running = is_running};
    client = flocks_client_new(&options);
    assert_non_null(client);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(directory + sizeof directory - 7, "XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    strcpy(address.sun_path, directory);
    strcat(address.sun_path, "/s");
    peer = 0;
    n_asked = 0;
    is_running_answer = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flocks_client_free(client);
    client = NULL;
    if (peer > 0)
        peer_end(peer);
    (void)unlink(address.sun_path);
    return rmdir(directory);
}

static int ask(
    enum flocks_supervisor_method method, const ProtobufCMessage *request, struct error *error)
{
    const ProtobufCMessage *response = NULL;
    int result =
        flocks_client_call(client, &flocks_supervisor_methods[method], request, &response, error);
    assert_int_equal(response != NULL, result == 0);
    rpc_message_free(response);
    return result;
}

static int get_status(struct error *error)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    return ask(FLOCKS_SUPERVISOR_GET_STATUS, &request.base, error);
}

static void test_idempotent_call_is_repeated_until_somebody_answers(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    serve(3);
    use(10000);
    assert_int_equal(get_status(&error), 0);
    assert_int_equal(n_asked, 3);
    assert_int_equal(get_status(&error), 0);
    assert_int_equal(n_asked, 3);
}

static void test_nobody_and_a_free_lock_is_not_running(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    is_running_answer = false;
    use(10000);
    assert_int_equal(get_status(&error), FLOCKS_CLIENT_NOT_RUNNING);
    assert_int_equal(error.code, STATUS_OK);
}

static void test_nobody_and_a_held_lock_meets_the_deadline(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    use(100);
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(get_status(&error), -STATUS_DEADLINE_EXCEEDED);
    assert_true(clock_monotonic_ms() - began_at < 5000);
    assert_non_null(strstr(error.text, "No such file or directory"));
    assert_true(n_asked >= 2);
    assert_int_equal(get_status(NULL), -STATUS_DEADLINE_EXCEEDED);
}

static void test_call_with_effects_is_repeated_only_with_a_request_id(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    serve(1);
    use(10000);
    flocks_restart_services_request request = FLOCKS_RESTART_SERVICES_REQUEST_INIT;
    assert_int_equal(
        ask(FLOCKS_SUPERVISOR_RESTART_SERVICES, &request.base, &error), -STATUS_UNAVAILABLE);
    assert_int_equal(n_asked, 0);
    peer_end(peer);
    (void)unlink(address.sun_path);
    serve(1);
    request.request_id = "r1";
    assert_int_equal(
        ask(FLOCKS_SUPERVISOR_RESTART_SERVICES, &request.base, &error), -STATUS_UNIMPLEMENTED);
    assert_true(n_asked >= 1);
}

static void test_error_reads_as_the_server_gave_it(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    serve(0);
    use(10000);
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    assert_int_equal(
        ask(FLOCKS_SUPERVISOR_STOP_SERVICES, &request.base, &error), -STATUS_NOT_FOUND);
    assert_string_equal(error.text, "there is no service web");
    assert_string_equal(error.subject, "web");
    assert_string_equal(error.hint, "see flocks status");
    assert_int_equal(error.reason, FLOCKS__V1__ERROR_REASON__ERROR_REASON_UNKNOWN_SERVICE);
    assert_string_equal(flocks_client_error_detail(client)->service, "web");
    assert_int_equal(get_status(&error), 0);
    assert_null(flocks_client_error_detail(client));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_idempotent_call_is_repeated_until_somebody_answers),
        TEST(test_nobody_and_a_free_lock_is_not_running),
        TEST(test_nobody_and_a_held_lock_meets_the_deadline),
        TEST(test_call_with_effects_is_repeated_only_with_a_request_id),
        TEST(test_error_reads_as_the_server_gave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
