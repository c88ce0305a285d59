/* Real ports, tried. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/port_trial.h"

enum { BACKLOG = 8 };

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int open_bound(uint16_t *port, int option)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (option != 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static struct endpoint resolve(const char *host, uint16_t port)
{
    struct endpoint endpoint;

    assert_int_equal(endpoint_resolve(host, port, &endpoint, NULL), 0);
    return endpoint;
}

static enum port_trial try_bind(const char *host, uint16_t port, bool shares)
{
    const struct endpoint endpoint = resolve(host, port);

    return port_trial_bind(&endpoint, shares);
}

static void test_port_trial_listener_takes_the_port(void **state)
{
    uint16_t port = 0;
    int fd = open_bound(&port, SO_REUSEADDR);
    struct endpoint endpoint = resolve("127.0.0.1", port);

    (void)state;
    assert_int_equal(listen(fd, BACKLOG), 0);
    assert_int_equal(try_bind("127.0.0.1", port, false), PORT_TRIAL_TAKEN);
    assert_int_equal(try_bind("0.0.0.0", port, false), PORT_TRIAL_TAKEN);
    assert_int_equal(try_bind("localhost", port, false), PORT_TRIAL_TAKEN);
    assert_int_equal(try_bind("127.0.0.2", port, false), PORT_TRIAL_FREE);
    assert_int_equal(port_trial_connect(&endpoint.addresses[0]), PORT_TRIAL_TAKEN);
    close(fd);
    assert_int_equal(try_bind("127.0.0.1", port, false), PORT_TRIAL_FREE);
    assert_int_equal(port_trial_connect(&endpoint.addresses[0]), PORT_TRIAL_FREE);
}

/* What an exact lookup of listeners does not see. */
static void test_port_trial_bound_socket_takes_the_port(void **state)
{
    uint16_t port = 0;
    int fd = open_bound(&port, 0);

    (void)state;
    assert_int_equal(try_bind("127.0.0.1", port, true), PORT_TRIAL_TAKEN);
    close(fd);
    fd = open_bound(&port, SO_REUSEPORT);
    assert_int_equal(try_bind("127.0.0.1", port, false), PORT_TRIAL_TAKEN);
    assert_int_equal(try_bind("127.0.0.1", port, true), PORT_TRIAL_FREE);
    close(fd);
}

/* flocks-behaviour 6D: a plain bind false-alarms on the TIME_WAIT that a restart leaves. */
static void test_port_trial_time_wait_of_the_last_run_is_free(void **state)
{
    uint16_t port = 0;
    int listener = open_bound(&port, SO_REUSEADDR);
    struct sockaddr_in address = loopback(port);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int server;

    (void)state;
    assert_int_equal(listen(listener, BACKLOG), 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(server >= 0);
    /* Who closes first waits. */
    close(server);
    close(client);
    close(listener);
    assert_int_equal(try_bind("127.0.0.1", port, true), PORT_TRIAL_FREE);
    assert_int_equal(try_bind("127.0.0.1", port, false), PORT_TRIAL_FREE);
}

static void test_port_trial_address_of_others_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(try_bind("192.0.2.1", 1, true), PORT_TRIAL_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_port_trial_listener_takes_the_port),
        cmocka_unit_test(test_port_trial_bound_socket_takes_the_port),
        cmocka_unit_test(test_port_trial_time_wait_of_the_last_run_is_free),
        cmocka_unit_test(test_port_trial_address_of_others_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
