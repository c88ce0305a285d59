/* Probes against real sockets on loopback; the server is a child that answers once. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "server/supervise/probe.h"

enum { PATIENCE_MS = 10000 };

static uv_loop_t loop;

/* What `done` said. */
struct outcome {
    int calls;
    struct probe_result result;
    /* Closed from within `done` if not NULL. */
    struct probe **closes;
};

static int set_up(void **state)
{
    (void)state;
    children_begin();
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    /* Fails when a probe left a handle behind. */
    return uv_loop_close(&loop);
}

static void on_done(void *context, const struct probe_result *result)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->result = *result;
    if (outcome->closes != NULL)
        probe_close(outcome->closes);
}

/* --- The server
 * ------------------------------------------------------------------------------------- */

struct server {
    int fd;
    struct probe_request request;
    /* NULL: accepts and never answers. */
    const char *answer;
};

static int serve_once(void *context)
{
    const struct server *server = context;
    char bytes[4096] = "";
    size_t len = 0;
    int fd = accept(server->fd, NULL, NULL);
    while (fd >= 0 && strstr(bytes, "\r\n\r\n") == NULL) {
        ssize_t got = read(fd, bytes + len, sizeof bytes - 1 - len);
        if (got <= 0)
            return 1;
        len += (size_t)got;
    }
    if (server->answer == NULL)
        return children_wait(NULL);
    ssize_t sent = write(fd, server->answer, strlen(server->answer));
    return sent == (ssize_t)strlen(server->answer) ? 0 : 2;
}

static void serve(struct server *server, const char *host, const struct probe_http *http)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_resolve(host, 1, &endpoint, NULL), 0);
    union endpoint_address *address = &endpoint.addresses[0];
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = 0;
    else
        address->v4.sin_port = 0;
    socklen_t length = endpoint_address_length(address);
    server->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, &address->any, length), 0);
    assert_int_equal(getsockname(server->fd, &address->any, &length), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    server->request =
        (struct probe_request){.address = *address, .http = http, .timeout_ms = PATIENCE_MS};
    (void)children_run(serve_once, server);
}

static struct probe_result run(const struct probe_request *request)
{
    struct outcome outcome = {.calls = 0};
    struct probe *probe = NULL;
    assert_int_equal(probe_start(&loop, request, on_done, &outcome, &probe, NULL), 0);
    assert_int_equal(outcome.calls, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.calls, 1);
    probe_close(&probe);
    assert_null(probe);
    probe_close(&probe);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.calls, 1);
    return outcome.result;
}

static const struct probe_pair healthy[] = {{"status", "healthy"}};
static const struct probe_http health = {
    .path = "/api/health", .expect = healthy, .expect_count = 1};
static const struct probe_http plain = {.path = "/"};

/* --- Tests
 * ------------------------------------------------------------------------------------------- */

static void test_probe_http_healthy_passes(void **state)
{
    (void)state;
    const char *hosts[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        struct server server = {
            .answer = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"healthy\"}"};
        serve(&server, hosts[i], &health);
        struct probe_result result = run(&server.request);
        assert_string_equal(result.message, "answered 200");
        assert_true(result.passed);
        assert_int_equal(result.status, 200);
        close(server.fd);
    }
}

static void test_probe_http_error_status_fails(void **state)
{
    (void)state;
    struct server server = {.answer = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"};
    serve(&server, "127.0.0.1", &plain);
    struct probe_result result = run(&server.request);
    assert_false(result.passed);
    assert_int_equal(result.status, 503);
    close(server.fd);
}

static void test_probe_http_silence_times_out(void **state)
{
    (void)state;
    struct server server = {.answer = NULL};
    serve(&server, "127.0.0.1", &plain);
    server.request.timeout_ms = 30;
    struct probe_result result = run(&server.request);
    assert_false(result.passed);
    assert_string_equal(result.message, "no whole answer within 30 ms");
    assert_true(result.duration_ms >= 29);
    close(server.fd);
}

static void test_probe_http_early_close_fails(void **state)
{
    (void)state;
    struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"};
    serve(&server, "127.0.0.1", &health);
    struct probe_result result = run(&server.request);
    assert_false(result.passed);
    assert_string_equal(result.message, "closed the connection before its answer was complete");
    close(server.fd);
}

static void test_probe_tcp_accepted_passes(void **state)
{
    (void)state;
    struct server server = {.answer = ""};
    serve(&server, "127.0.0.1", NULL);
    struct probe_result result = run(&server.request);
    assert_true(result.passed);
    assert_string_equal(result.message, "connected");
    close(server.fd);
}

static void test_probe_refused_connection_fails(void **state)
{
    (void)state;
    struct server server = {.answer = ""};
    serve(&server, "127.0.0.1", NULL);
    close(server.fd);
    children_end();
    struct probe_result result = run(&server.request);
    assert_false(result.passed);
    assert_string_equal(result.message, "connect: connection refused");
}

static void test_probe_unreachable_address_fails_from_the_loop(void **state)
{
    (void)state;
    struct endpoint endpoint;
    /* A multicast address: refused by the system call itself. */
    assert_int_equal(endpoint_resolve("224.0.0.1", 9, &endpoint, NULL), 0);
    struct probe_request request = {.address = endpoint.addresses[0], .timeout_ms = PATIENCE_MS};
    struct probe_result result = run(&request);
    assert_false(result.passed);
    assert_non_null(strstr(result.message, "connect: "));
}

static void test_probe_closed_early_says_nothing(void **state)
{
    (void)state;
    struct server server = {.answer = NULL};
    serve(&server, "127.0.0.1", &plain);
    struct outcome outcome = {.calls = 0};
    for (int turns = 0; turns < 4; turns++) {
        struct probe *probe = NULL;
        assert_int_equal(probe_start(&loop, &server.request, on_done, &outcome, &probe, NULL), 0);
        for (int turn = 0; turn < turns; turn++)
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        probe_close(&probe);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(outcome.calls, 0);
    close(server.fd);
}

static void test_probe_may_be_closed_in_its_callback(void **state)
{
    (void)state;
    struct server server = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    serve(&server, "127.0.0.1", &plain);
    struct probe *probe = NULL;
    struct outcome outcome = {.closes = &probe};
    assert_int_equal(probe_start(&loop, &server.request, on_done, &outcome, &probe, NULL), 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.calls, 1);
    assert_true(outcome.result.passed);
    assert_null(probe);
    close(server.fd);
}

static void test_probe_bad_request_is_refused(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct probe *probe = NULL;
    const struct probe_http bad = {.path = "no slash"};
    assert_int_equal(endpoint_resolve("127.0.0.1", 9, &endpoint, NULL), 0);
    struct probe_request request = {.address = endpoint.addresses[0], .timeout_ms = 0};
    assert_int_equal(
        probe_start(&loop, &request, on_done, NULL, &probe, NULL), -STATUS_INVALID_ARGUMENT);
    request.timeout_ms = PATIENCE_MS;
    request.http = &bad;
    assert_int_equal(
        probe_start(&loop, &request, on_done, NULL, &probe, NULL), -STATUS_INVALID_ARGUMENT);
    assert_null(probe);
}

/* A service must not be restarted because we were short of something. */
static void test_probe_without_descriptors_says_nothing(void **state)
{
    (void)state;
    struct server server = {.answer = "HTTP/1.1 200 OK\r\n\r\n"};
    serve(&server, "127.0.0.1", NULL);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct probe_result result = run(&server.request);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(result.passed);
    assert_true(result.is_void);
    (void)close(server.fd);
}

static void nap_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* The answer was there in time, but nobody was there to read it. */
static void test_probe_timeout_noticed_late_says_nothing(void **state)
{
    (void)state;
    enum { TIMEOUT_MS = 50 };
    const struct probe_http http = {.path = "/"};
    struct server server = {.answer = NULL};
    serve(&server, "127.0.0.1", &http);
    struct outcome outcome = {.calls = 0};
    struct probe *probe = NULL;
    server.request.timeout_ms = TIMEOUT_MS;
    assert_int_equal(probe_start(&loop, &server.request, on_done, &outcome, &probe, NULL), 0);
    nap_ms(TIMEOUT_MS + PROBE_LATE_MS + 10);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.calls, 1);
    assert_true(outcome.result.is_void);
    probe_close(&probe);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)close(server.fd);
}

#define PROBE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(test_probe_without_descriptors_says_nothing),
        PROBE_TEST(test_probe_timeout_noticed_late_says_nothing),
        PROBE_TEST(test_probe_http_healthy_passes),
        PROBE_TEST(test_probe_http_error_status_fails),
        PROBE_TEST(test_probe_http_silence_times_out),
        PROBE_TEST(test_probe_http_early_close_fails),
        PROBE_TEST(test_probe_tcp_accepted_passes),
        PROBE_TEST(test_probe_refused_connection_fails),
        PROBE_TEST(test_probe_unreachable_address_fails_from_the_loop),
        PROBE_TEST(test_probe_closed_early_says_nothing),
        PROBE_TEST(test_probe_may_be_closed_in_its_callback),
        PROBE_TEST(test_probe_bad_request_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
