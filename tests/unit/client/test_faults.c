/* The n-th allocation of the library fails, for every n, blocking and driven: each call ends
 * honestly, nothing leaks, no descriptor stays. */
#include <dirent.h>
#include <poll.h>
#include <stdlib.h>

#include "flocks/calls.h"

#include "common/base/clock.h"
#include "daemon_double.h"
#include "unit.h"

/* Linked with --wrap. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

/* Allocations left until one fails; negative: none does. */
static int left_until_failure = -1;
static bool has_failed;

static bool fails_now(void)
{
    if (left_until_failure < 0 || left_until_failure-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

/* There is one, it says something, and it does not blame the request. */
static void check_failure(const struct flocks_error *error)
{
    assert_true(has_failed);
    assert_non_null(error);
    assert_true(error->message[0] != '\0');
    assert_true(error->code == RPC_RESOURCE_EXHAUSTED || error->code == RPC_UNAVAILABLE ||
                error->code == RPC_DEADLINE_EXCEEDED || error->code == RPC_INTERNAL);
}

static const struct rpc_pair NOTE = {.key = "note", .value = "one"};
static const struct rpc_options OPTIONS = {.timeout_ms = 5000, .metadata = &NOTE, .n_metadata = 1};

static struct flocks_client *new_client(void)
{
    const struct flocks_client_options options = {.socket = double_path()};
    struct flocks_error *error = NULL;
    struct flocks_client *client = flocks_client_new(&options, &error);
    if (client == NULL)
        check_failure(error);
    flocks_error_free(error);
    return client;
}

/* ---- blocking ---- */

static void ask(struct flocks_client *client)
{
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    const flocks_get_status_response *status = NULL;
    struct flocks_error *error = NULL;
    if (flocks_client_get_status(client, &OPTIONS, &request, &status, &error) == RPC_DONE)
        rpc_message_free(&status->base);
    else
        check_failure(error);
    flocks_error_free(error);
}

static void fail_to_stop(struct flocks_client *client)
{
    flocks_stop_services_request request = FLOCKS_STOP_SERVICES_REQUEST_INIT;
    const char *services[1] = {"web"};
    request.services = services;
    request.n_services = 1;
    const flocks_stop_services_response *response = NULL;
    struct flocks_error *error = NULL;
    assert_int_equal(
        flocks_client_stop_services(client, &OPTIONS, &request, &response, &error), RPC_ERROR);
    if (error->code != RPC_NOT_FOUND)
        check_failure(error);
    flocks_error_free(error);
}

static void listen_to(struct flocks_client *client)
{
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    struct flocks_error *error = NULL;
    struct flocks_stream *stream = flocks_client_watch_events(client, &OPTIONS, &request, &error);
    const flocks_watch_events_response *event = NULL;
    enum rpc_result result = stream == NULL ? RPC_ERROR : RPC_DONE;
    unsigned n = 0;
    while (result == RPC_DONE) {
        result = flocks_client_watch_events_next(stream, &event, &error);
        if (result != RPC_DONE)
            break;
        assert_int_equal(strtoul(event->token, NULL, 10), ++n);
        rpc_message_free(&event->base);
    }
    if (result == RPC_ERROR)
        check_failure(error);
    flocks_error_free(error);
    flocks_stream_close(stream);
}

static void talk_blocking(void)
{
    struct flocks_client *client = new_client();
    if (client == NULL)
        return;
    ask(client);
    fail_to_stop(client);
    listen_to(client);
    flocks_client_free(client);
}

/* ---- driven ---- */

static int n_due;
static unsigned n_seen;

static void on_status(
    void *data, const struct flocks_error *error, const flocks_get_status_response *response)
{
    (void)data;
    assert_true((error == NULL) != (response == NULL));
    if (error != NULL)
        check_failure(error);
    n_due--;
}

static enum rpc_take on_event(
    void *data, struct flocks_stream *stream, const flocks_watch_events_response *event)
{
    (void)data;
    (void)stream;
    assert_int_equal(strtoul(event->token, NULL, 10), ++n_seen);
    return RPC_TAKE_DONE;
}

static void on_end(void *data, struct flocks_stream *stream, const struct flocks_error *error)
{
    (void)data;
    (void)stream;
    if (error != NULL)
        check_failure(error);
    n_due--;
}

static void drive(struct flocks_client *client)
{
    static const struct flocks_client_watch_events_hooks HOOKS = {
        .message = on_event, .ended = on_end};
    flocks_get_status_request status = FLOCKS_GET_STATUS_REQUEST_INIT;
    flocks_watch_events_request events = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    struct flocks_error *error = NULL;
    n_seen = 0;
    n_due = 2;
    if (flocks_client_get_status_begin(client, &OPTIONS, &status, on_status, NULL, &error) ==
        NULL) {
        check_failure(error);
        flocks_error_free(error);
        error = NULL;
        n_due--;
    }
    struct flocks_stream *stream =
        flocks_client_watch_events_watch(client, &OPTIONS, &events, &HOOKS, NULL, &error);
    if (stream == NULL) {
        check_failure(error);
        n_due--;
    }
    flocks_error_free(error);
    int64_t until_at = clock_monotonic_ms() + 20000;
    while (n_due > 0) {
        struct pollfd ready = {.fd = flocks_client_fd(client), .events = POLLIN};
        assert_true(poll(&ready, 1, (int)(until_at - clock_monotonic_ms())) > 0);
        flocks_client_process(client);
    }
    flocks_stream_close(stream);
}

static void talk_driven(void)
{
    struct flocks_client *client = new_client();
    if (client == NULL)
        return;
    struct flocks_error *error = NULL;
    if (flocks_client_drive(client, &error) == RPC_DONE)
        drive(client);
    else
        check_failure(error);
    flocks_error_free(error);
    flocks_client_free(client);
}

/* ---- failures ---- */

static void fail_each(void (*talk)(void))
{
    double_make_place();
    double_listen();
    double_run(&(struct daemon_script){.last = 3});
    int n_before = count_descriptors();
    int n = 0;
    do {
        has_failed = false;
        left_until_failure = n++;
        talk();
        left_until_failure = -1;
        assert_int_equal(count_descriptors(), n_before);
    } while (has_failed);
    assert_true(n > 20);
    double_remove_place();
}

static void test_every_failing_allocation_of_blocking_calls_ends_honestly(void **state)
{
    (void)state;
    fail_each(talk_blocking);
}

static void test_every_failing_allocation_of_driven_calls_ends_honestly(void **state)
{
    (void)state;
    fail_each(talk_driven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_of_blocking_calls_ends_honestly),
        cmocka_unit_test(test_every_failing_allocation_of_driven_calls_ends_honestly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
