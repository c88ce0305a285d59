/* The blocking client through generated stubs, over real sockets. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flocks/v1/supervisor.client.h"

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "peer.h"
#include "unit.h"

static struct rpc_client *client;
static struct rpc_error *error;
static pid_t peer;
/* Kept open where nobody serves. */
static int silent_fd = -1;

static void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static int set_up(void **state)
{
    (void)state;
    int fds[2];
    open_pair(fds);
    peer = peer_serve(fds[1]);
    client = rpc_client_take_fd(fds[0], &error);
    return client == NULL ? -1 : 0;
}

static int set_up_silent(void **state)
{
    (void)state;
    int fds[2];
    open_pair(fds);
    peer = 0;
    silent_fd = fds[1];
    client = rpc_client_take_fd(fds[0], &error);
    return client == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpc_client_close(client);
    rpc_error_free(error);
    error = NULL;
    if (peer > 0)
        peer_end(peer);
    if (silent_fd >= 0)
        (void)close(silent_fd);
    silent_fd = -1;
    return 0;
}

static enum rpc_result get_status(const char *service, size_t *out_len)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const char *services[1] = {service};
    request.services = services;
    request.n_services = service != NULL;
    const flocks_get_status_response *response = NULL;
    enum rpc_result result =
        flocks_supervisor_get_status(client, NULL, &request, &response, &error);
    if (result == RPC_DONE) {
        *out_len = strlen(response->event_token);
        rpc_message_free(&response->base);
    }
    return result;
}

static void test_typed_call_is_answered(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        size_t len = 0;
        assert_int_equal(get_status(NULL, &len), RPC_DONE);
        assert_int_equal(len, 5);
    }
}

static void test_error_comes_with_its_detail(void **state)
{
    (void)state;
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    const flocks_stop_services_response *response = NULL;
    assert_int_equal(
        flocks_supervisor_stop_services(client, NULL, &request, &response, &error), RPC_ERROR);
    assert_null(response);
    assert_int_equal(error->code, RPC_NOT_FOUND);
    assert_true(error->from_server);
    assert_int_equal(error->system_error, 0);
    assert_string_equal(error->message, "there is no service web");
    assert_int_equal(error->n_details, 1);
    assert_string_equal(error->details[0].type_name, "flocks.v1.ErrorDetail");
    flocks_error_detail *detail = flocks__v1__error_detail__unpack(
        NULL, error->details[0].value_len, error->details[0].value);
    assert_string_equal(detail->service, "web");
    flocks__v1__error_detail__free_unpacked(detail, NULL);
}

static void test_large_messages_pass_both_ways(void **state)
{
    (void)state;
    size_t len = 0;
    assert_int_equal(get_status("#4000000", &len), RPC_DONE);
    assert_int_equal(len, 4000000);
    char *large = calloc(1, 4000001);
    memset(large, 'y', 4000000);
    assert_int_equal(get_status(large, &len), RPC_DONE);
    free(large);
    char *too_large = calloc(1, RPC_MESSAGE_BYTES_MAX + 1);
    memset(too_large, 'y', RPC_MESSAGE_BYTES_MAX);
    assert_int_equal(get_status(too_large, &len), RPC_ERROR);
    free(too_large);
    assert_int_equal(error->code, RPC_RESOURCE_EXHAUSTED);
    assert_false(error->from_server);
    assert_int_equal(get_status(NULL, &len), RPC_DONE);
}

static enum rpc_result wait_operation(int64_t timeout_ms)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const flocks_get_operation_response *response = NULL;
    const struct rpc_options options = {.timeout_ms = timeout_ms};
    return flocks_supervisor_get_operation(client, &options, &request, &response, &error);
}

static void test_servers_deadline_arrives_before_ours_and_the_connection_lives(void **state)
{
    (void)state;
    assert_int_equal(wait_operation(400), RPC_ERROR);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_true(error->from_server);
    size_t len = 0;
    assert_int_equal(get_status(NULL, &len), RPC_DONE);
}

static void test_silent_server_meets_our_deadline(void **state)
{
    (void)state;
    int64_t began_at = clock_monotonic_ms();
    assert_int_equal(wait_operation(60), RPC_ERROR);
    int64_t took_ms = clock_monotonic_ms() - began_at;
    assert_true(took_ms >= 60 && took_ms < 5000);
    assert_int_equal(error->code, RPC_DEADLINE_EXCEEDED);
    assert_false(error->from_server);
}

static void test_server_that_dies_is_unavailable(void **state)
{
    (void)state;
    flocks_shutdown_request request = FLOCKS_SHUTDOWN_REQUEST_INIT;
    const flocks_shutdown_response *response = NULL;
    assert_int_equal(
        flocks_supervisor_shutdown(client, NULL, &request, &response, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
    assert_false(error->from_server);
    rpc_error_free(error);
    size_t len = 0;
    assert_int_equal(get_status(NULL, &len), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAVAILABLE);
}

static void test_garbage_from_a_server_is_an_internal_error(void **state)
{
    (void)state;
    /* A good frame around a message that is none. */
    static const uint8_t answer[] = {0, 0, 0, 3, 0, 0, 0, 1, 2, 0, 0x12, 1, 0xFF};
    assert_int_equal(send(silent_fd, answer, sizeof answer, 0), sizeof answer);
    size_t len = 0;
    assert_int_equal(get_status(NULL, &len), RPC_ERROR);
    assert_int_equal(error->code, RPC_INTERNAL);
    rpc_error_free(error);
    static const uint8_t broken[] = "HTTP/1.1 400 Bad Request";
    assert_int_equal(send(silent_fd, broken, sizeof broken, 0), sizeof broken);
    assert_int_equal(get_status(NULL, &len), RPC_ERROR);
    assert_int_equal(error->code, RPC_INTERNAL);
}

static void test_connecting_to_nobody_is_unavailable(void **state)
{
    (void)state;
    struct rpc_error *refused = NULL;
    assert_null(rpc_client_connect("/tmp/flocks-no-such-socket", 100, &refused));
    assert_int_equal(refused->code, RPC_UNAVAILABLE);
    assert_int_equal(refused->system_error, ENOENT);
    rpc_error_free(refused);
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_null(rpc_client_connect(path, 100, &refused));
    assert_int_equal(refused->code, RPC_INVALID_ARGUMENT);
    rpc_error_free(refused);
    assert_null(rpc_client_connect(path, 100, NULL));
    /* Not the abstract name of no bytes. */
    assert_null(rpc_client_connect("", 100, &refused));
    assert_int_equal(refused->code, RPC_INVALID_ARGUMENT);
    rpc_error_free(refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_typed_call_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_comes_with_its_detail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_messages_pass_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_servers_deadline_arrives_before_ours_and_the_connection_lives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_silent_server_meets_our_deadline, set_up_silent, tear_down),
        cmocka_unit_test_setup_teardown(test_server_that_dies_is_unavailable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_garbage_from_a_server_is_an_internal_error, set_up_silent, tear_down),
        cmocka_unit_test(test_connecting_to_nobody_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
