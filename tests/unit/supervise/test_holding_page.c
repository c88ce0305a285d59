/* The page on real ports; its clients live in this process and never wait without a bound. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "common/base/clock.h"
#include "patience.h"
#include "ports.h"
#include "server/supervise/holding_page.h"

enum { ANSWER_SIZE = 16 * 1024 };

#define REQUEST "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

static uv_loop_t loop;

static int set_up(void **state)
{
    (void)state;
    children_begin();
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;

    (void)state;
    children_end();
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0 && clock_monotonic_ms() < deadline)
        (void)poll(NULL, 0, 1);
    /* Fails when a page or a connection left a handle behind. */
    return uv_loop_close(&loop);
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* As a service that knows nothing of SO_REUSEADDR; -1: refused. */
static int serve(uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0)
        return fd;
    assert_int_equal(errno, EADDRINUSE);
    (void)close(fd);
    return -1;
}

static struct holding_page *open_page(const char *host, uint16_t *port)
{
    struct holding_page *page = NULL;
    struct error error = ERROR_INIT;

    for (int i = 0; i < 50 && page == NULL; i++) {
        int result;

        *port = ports_choose();
        result = holding_page_open(&loop, host, *port, &page, &error);
        if (result < 0)
            fail_msg("%s", error.text);
    }
    assert_non_null(page);
    return page;
}

static int connect_to(const char *host, uint16_t port)
{
    struct endpoint endpoint;
    int fd;

    assert_int_equal(endpoint_resolve(host, port, &endpoint, NULL), 0);
    fd = socket(endpoint.addresses[0].any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, &endpoint.addresses[0].any, endpoint_address_length(&endpoint.addresses[0])),
        0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What recv answers, when there is something: the loop runs meanwhile. */
static ssize_t hear(int fd, char *bytes, size_t size)
{
    int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (clock_monotonic_ms() < deadline) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        if (poll(&readable, 1, 1) == 1)
            return recv(fd, bytes, size, 0);
    }
    fail_msg("nothing is heard");
    return -1;
}

/* A whole answer by its length. */
static void hear_answer(int fd, char out[ANSWER_SIZE])
{
    size_t len = 0;
    const char *body = NULL;

    while (body == NULL || strlen(body) < strtoul(strstr(out, "Content-Length: ") + 16, NULL, 10)) {
        ssize_t got = hear(fd, out + len, ANSWER_SIZE - 1 - len);

        if (got <= 0)
            fail_msg("the answer is cut after %zu bytes", len);
        len += (size_t)got;
        out[len] = '\0';
        body = strstr(out, "\r\n\r\n");
        body = body != NULL ? body + 4 : NULL;
    }
}

static void expect_page(int fd)
{
    char answer[ANSWER_SIZE] = "";

    say(fd, REQUEST);
    hear_answer(fd, answer);
    assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
}

/* It is closed by a reset, or cleanly (0). */
static int expect_end(int fd)
{
    char bytes[ANSWER_SIZE];
    ssize_t got = hear(fd, bytes, sizeof bytes);

    return got < 0 ? errno : (int)got;
}

static void run_until_connections(struct holding_page *page, size_t wanted)
{
    RUN_UNTIL(&loop, holding_page_connections(page) == wanted);
}

/* ---- giving the port back ---- */

/* What the tests below look for can be seen: who closes first keeps the port. */
static void test_port_is_kept_by_a_server_that_closes_first(void **state)
{
    uint16_t port = ports_choose();
    int listener = serve(port);
    int client = connect_to("127.0.0.1", port);
    int accepted = accept(listener, NULL, NULL);
    char byte;

    (void)state;
    (void)close(listener);
    (void)close(accepted);
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    (void)close(client);
    assert_int_equal(serve(port), -1);
}

enum { CLIENTS = 12 };

/* In every state that a client can be in. */
static void bring_clients(struct holding_page *page, uint16_t port, int clients[CLIENTS])
{
    char answer[ANSWER_SIZE] = "";

    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = -1;
    for (size_t i = 0; i < 3; i++)
        clients[i] = connect_to("127.0.0.1", port); /* says nothing */
    for (size_t i = 3; i < 6; i++) {
        clients[i] = connect_to("127.0.0.1", port);
        say(clients[i], "GET / HTTP/1.1\r\nHo");
    }
    run_until_connections(page, 6);
    for (size_t i = 6; i < 8; i++) {
        clients[i] = connect_to("127.0.0.1", port);
        expect_page(clients[i]); /* keeps the connection */
    }
    clients[8] = connect_to("127.0.0.1", port);
    expect_page(clients[8]);
    (void)close(clients[8]); /* its FIN is not read yet */
    clients[9] = connect_to("127.0.0.1", port);
    say(clients[9], REQUEST);
    assert_int_equal(shutdown(clients[9], SHUT_WR), 0);
    hear_answer(clients[9], answer);
    clients[8] = -1;
    for (size_t i = 10; i < CLIENTS; i++) {
        clients[i] = connect_to("127.0.0.1", port); /* nobody has accepted it */
        say(clients[i], REQUEST);
    }
}

static void close_clients(int clients[CLIENTS])
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i] >= 0)
            (void)close(clients[i]);
    }
}

static void test_port_is_free_at_once_whatever_its_clients_do(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int clients[CLIENTS];
    int service;

    (void)state;
    bring_clients(page, port, clients);
    holding_page_close(&page);
    assert_null(page);
    service = serve(port);
    assert_true(service >= 0);
    (void)close(service);
    close_clients(clients);
    /* Nor is anything left over when they have gone, too. */
    service = serve(port);
    assert_true(service >= 0);
    (void)close(service);
}

struct killed_page {
    uint16_t port;
    int ready_fd;
};

static int run_page(void *context)
{
    const struct killed_page *killed = context;
    struct holding_page *page = NULL;
    uv_loop_t own;

    if (uv_loop_init(&own) != 0 ||
        holding_page_open(&own, "127.0.0.1", killed->port, &page, NULL) != 0 ||
        write(killed->ready_fd, "r", 1) != 1)
        return 1;
    return uv_run(&own, UV_RUN_DEFAULT);
}

static void test_port_is_free_at_once_when_the_process_is_killed(void **state)
{
    struct killed_page killed = {.port = ports_choose()};
    int ready[2];
    int clients[4];
    char byte;
    pid_t child;
    int service;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    killed.ready_fd = ready[1];
    child = children_run(run_page, &killed);
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        clients[i] = connect_to("127.0.0.1", killed.port);
    say(clients[1], "GET / HT");
    expect_page(clients[2]);
    expect_page(clients[3]);
    (void)close(clients[3]);
    children_kill(child);
    service = serve(killed.port);
    assert_true(service >= 0);
    (void)close(service);
    for (size_t i = 0; i < 3; i++)
        (void)close(clients[i]);
}

/* ---- clients ---- */

/* One that says that it asks nothing more and reads to the end is told the end, not an error. */
static void test_half_closed_client_reads_to_the_end(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int client = connect_to("127.0.0.1", port);
    char answer[ANSWER_SIZE] = "";

    (void)state;
    say(client, REQUEST);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    hear_answer(client, answer);
    assert_int_equal(expect_end(client), 0);
    run_until_connections(page, 0);
    (void)close(client);
    holding_page_close(&page);
}

static void test_client_that_does_not_close_is_reset_in_time(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int client = connect_to("127.0.0.1", port);
    int64_t since = clock_monotonic_ms();

    (void)state;
    expect_page(client);
    assert_int_equal(expect_end(client), ECONNRESET);
    assert_true(clock_monotonic_ms() - since >= HOLDING_LINGER_MS / 2);
    (void)close(client);
    holding_page_close(&page);
}

static void test_upload_is_thrown_away_within_its_bound(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int client = connect_to("127.0.0.1", port);
    char answer[ANSWER_SIZE] = "";
    char bytes[4096] = "";
    size_t total = 0;
    ssize_t sent = 0;

    (void)state;
    say(client, "POST /api HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n");
    while (total < HOLDING_DRAIN_MAX / 2) {
        sent = send(client, bytes, sizeof bytes, MSG_NOSIGNAL);
        assert_int_equal(sent, sizeof bytes);
        total += sizeof bytes;
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    hear_answer(client, answer);
    assert_non_null(strstr(answer, "\"error\":\"UPDATING\""));
    /* Whoever goes on without end is reset, long before its 100 MB. */
    while (sent > 0 && total < (size_t)HOLDING_DRAIN_MAX * 100) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        sent = send(client, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        total += sent > 0 ? sizeof bytes : 0;
        if (sent < 0 && errno == EAGAIN)
            sent = 1;
    }
    assert_true(sent < 0 && (errno == ECONNRESET || errno == EPIPE));
    (void)close(client);
    holding_page_close(&page);
}

static void test_idle_clients_keep_nobody_out(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int idle[HOLDING_CONNECTIONS_MAX];
    int client;

    (void)state;
    for (size_t i = 0; i < HOLDING_CONNECTIONS_MAX; i++)
        idle[i] = connect_to("127.0.0.1", port);
    run_until_connections(page, HOLDING_CONNECTIONS_MAX);
    client = connect_to("127.0.0.1", port);
    expect_page(client);
    assert_int_equal(holding_page_connections(page), HOLDING_CONNECTIONS_MAX);
    assert_int_equal(expect_end(idle[0]), ECONNRESET);
    /* One that has its answer goes before one that may still ask. */
    say(idle[1], REQUEST);
    (void)close(idle[0]);
    idle[0] = connect_to("127.0.0.1", port);
    expect_page(idle[0]);
    assert_int_equal(expect_end(client), ECONNRESET);
    for (size_t i = 0; i < HOLDING_CONNECTIONS_MAX; i++)
        (void)close(idle[i]);
    (void)close(client);
    holding_page_close(&page);
}

/* More than are accepted between two ticks, one after the other. */
static void test_many_clients_are_all_answered(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);

    (void)state;
    for (size_t i = 0; i < HOLDING_ACCEPTS_MAX + 50; i++) {
        int client = connect_to("127.0.0.1", port);

        expect_page(client);
        (void)close(client);
    }
    run_until_connections(page, 0);
    holding_page_close(&page);
}

static void test_notice_is_said_from_then_on(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    int client = connect_to("127.0.0.1", port);
    char answer[ANSWER_SIZE] = "";

    (void)state;
    holding_page_say(page, HOLDING_STUCK);
    say(client, "GET /api HTTP/1.1\r\n\r\n");
    hear_answer(client, answer);
    assert_non_null(strstr(answer, "\"error\":\"UPDATE_STUCK\""));
    (void)close(client);
    holding_page_close(&page);
}

/* ---- places ---- */

static bool is_answered_at(const char *host, uint16_t port)
{
    struct endpoint endpoint;
    int fd;
    bool is_connected;

    assert_int_equal(endpoint_resolve(host, port, &endpoint, NULL), 0);
    fd = socket(endpoint.addresses[0].any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    is_connected = connect(fd, &endpoint.addresses[0].any,
                       endpoint_address_length(&endpoint.addresses[0])) == 0;
    if (is_connected)
        expect_page(fd);
    (void)close(fd);
    return is_connected;
}

static void test_page_answers_where_the_service_would(void **state)
{
    static const struct {
        const char *host;
        const char *address;
        bool v4;
        bool v4_other; /* 127.0.0.2 */
        bool v6;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true, false, false},
        {"127.0.0.2", "127.0.0.2", false, true, false},
        {"::1", "[::1]", false, false, true},
        {"[::1]", "[::1]", false, false, true},
        {"localhost", "127.0.0.1", true, false, true},
        {"0.0.0.0", "127.0.0.1", true, true, false},
        {"::", "[::1]", true, true, true},
        {"*", "127.0.0.1", true, true, true},
        {"", "127.0.0.1", true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint16_t port = 0;
        struct holding_page *page = open_page(cases[i].host, &port);
        char text[ENDPOINT_TEXT_MAX];
        char expected[ENDPOINT_TEXT_MAX];

        endpoint_address_text(holding_page_address(page), text);
        (void)snprintf(expected, sizeof expected, "%s:%u", cases[i].address, (unsigned)port);
        assert_string_equal(text, expected);
        if (is_answered_at("127.0.0.1", port) != cases[i].v4 ||
            is_answered_at("127.0.0.2", port) != cases[i].v4_other ||
            is_answered_at("::1", port) != cases[i].v6)
            fail_msg("\"%s\" is answered elsewhere", cases[i].host);
        holding_page_close(&page);
    }
}

static void test_page_waits_for_a_port_in_use(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "0.0.0.0", "::", "*"};
    uint16_t port = ports_choose();
    int holder = serve(port);
    struct holding_page *page = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        assert_int_equal(holding_page_open(&loop, hosts[i], port, &page, NULL), HOLDING_PAGE_BUSY);
        assert_null(page);
    }
    (void)close(holder);
    assert_int_equal(holding_page_open(&loop, "localhost", port, &page, NULL), 0);
    holding_page_close(&page);
}

/* Another page is somebody, too. */
static void test_port_is_not_shared(void **state)
{
    uint16_t port = 0;
    struct holding_page *page = open_page("127.0.0.1", &port);
    struct holding_page *second = NULL;

    (void)state;
    assert_int_equal(holding_page_open(&loop, "127.0.0.1", port, &second, NULL), HOLDING_PAGE_BUSY);
    assert_int_equal(serve(port), -1);
    holding_page_close(&page);
}

static void test_page_needs_an_address_of_this_machine(void **state)
{
    struct holding_page *page = NULL;
    struct error error = ERROR_INIT;

    (void)state;
    assert_true(holding_page_open(&loop, "192.0.2.1", ports_choose(), &page, &error) < 0);
    assert_non_null(strstr(error.text, "192.0.2.1"));
    assert_true(holding_page_open(&loop, "example.org", ports_choose(), &page, &error) < 0);
    assert_null(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_port_is_kept_by_a_server_that_closes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_port_is_free_at_once_whatever_its_clients_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_port_is_free_at_once_when_the_process_is_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_half_closed_client_reads_to_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_client_that_does_not_close_is_reset_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_upload_is_thrown_away_within_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_idle_clients_keep_nobody_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_clients_are_all_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_notice_is_said_from_then_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_page_answers_where_the_service_would, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_page_waits_for_a_port_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_port_is_not_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_page_needs_an_address_of_this_machine, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
