/* Real sockets that come and go: which of them the kernel tells of. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "common/base/clock.h"
#include "server/supervise/endpoint.h"
#include "server/supervise/port_events.h"

enum {
    PATIENCE_MS = 5000,
    STORM_CONNECTIONS = 10000,
    STORM_MS = 2000,
    MANY_PORTS = 2 * PORT_EVENTS_FILTERED_MAX,
    GROUP = 3,
    SMALL_BUFFER = 2048,
    BURST = 200,
    ROUNDS = 100
};

static struct port_events *events;

static int set_up(void **state)
{
    (void)state;
    children_begin();
    return port_events_new(&events, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    port_events_free(events);
    return 0;
}

/* ---- sockets ---- */

enum socket_options { PLAIN = 0, REUSE_PORT = 1, V6_ONLY = 2, DUAL_STACK = 4, NOT_LISTENING = 8 };

static socklen_t fill_address(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    memset(out, 0, sizeof *out);
    assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

static uint16_t port_of(int fd)
{
    union endpoint_address address;
    socklen_t length = sizeof address;

    memset(&address, 0, sizeof address);
    assert_int_equal(getsockname(fd, &address.any, &length), 0);
    return endpoint_address_port(&address);
}

static int open_listener(const char *host, uint16_t *port, unsigned options)
{
    struct sockaddr_storage address;
    socklen_t length = fill_address(host, *port, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    int v6_only = (options & V6_ONLY) != 0;

    assert_true(fd >= 0);
    if ((options & REUSE_PORT) != 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    if ((options & (V6_ONLY | DUAL_STACK)) != 0)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, length), 0);
    if ((options & NOT_LISTENING) == 0)
        assert_int_equal(listen(fd, 128), 0);
    *port = port_of(fd);
    return fd;
}

static void watch(const uint16_t *ports, size_t n)
{
    assert_int_equal(port_events_watch(events, ports, n, NULL), 0);
}

/* The answer to port_events_next, waited for. */
static int wait_for_news(uint16_t *out_port)
{
    struct pollfd poll_fd = {.fd = port_events_fd(events), .events = POLLIN};
    int64_t give_up_at = clock_monotonic_ms() + PATIENCE_MS;
    int result = PORT_EVENTS_NONE;

    while (result == PORT_EVENTS_NONE && clock_monotonic_ms() < give_up_at) {
        (void)poll(&poll_fd, 1, PATIENCE_MS);
        result = port_events_next(events, out_port, NULL);
    }
    return result;
}

static void assert_told(uint16_t port)
{
    uint16_t told = 0;

    assert_int_equal(wait_for_news(&told), 0);
    assert_int_equal(told, port);
}

/* Messages keep their order, so that when `mark` is told everything before it would have been. */
static void assert_nothing_told_before(uint16_t mark)
{
    assert_told(mark);
}

static void close_marked(int *mark)
{
    close(*mark);
    *mark = -1;
}

/* ---- what is told ---- */

static void assert_close_is_told(const char *host, unsigned options)
{
    uint16_t port = 0;
    int fd = open_listener(host, &port, options);

    watch(&port, 1);
    close(fd);
    assert_told(port);
}

static void test_port_events_closed_listeners_are_told(void **state)
{
    (void)state;
    assert_close_is_told("127.0.0.1", PLAIN);
    assert_close_is_told("0.0.0.0", PLAIN);
    assert_close_is_told("::1", V6_ONLY);
    assert_close_is_told("::", V6_ONLY);
    assert_close_is_told("::", DUAL_STACK);
    /* The lookup that follows decides. */
    assert_close_is_told("127.0.0.1", NOT_LISTENING);
}

static void test_port_events_killed_holder_is_told(void **state)
{
    uint16_t port = 0;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    pid_t holder = children_run(children_wait, NULL);
    uint16_t none = 0;

    (void)state;
    watch(&port, 1);
    close(fd);
    /* The child has it, too. */
    assert_int_equal(port_events_next(events, &none, NULL), PORT_EVENTS_NONE);
    children_kill(holder);
    assert_told(port);
}

static void test_port_events_each_member_of_a_group_is_told(void **state)
{
    int fds[GROUP];
    uint16_t port = 0;

    (void)state;
    for (size_t i = 0; i < GROUP; i++)
        fds[i] = open_listener("127.0.0.1", &port, REUSE_PORT);
    watch(&port, 1);
    for (size_t i = 0; i < GROUP; i++) {
        close(fds[i]);
        assert_told(port);
    }
}

static void test_port_events_other_ports_are_not_told(void **state)
{
    uint16_t ports[2] = {0, 0};
    int other = open_listener("127.0.0.1", &ports[0], PLAIN);
    int mark = open_listener("127.0.0.1", &ports[1], PLAIN);

    (void)state;
    watch(&ports[1], 1);
    close(other);
    close_marked(&mark);
    assert_nothing_told_before(ports[1]);
}

static void test_port_events_watch_replaces_the_ports_before(void **state)
{
    uint16_t ports[2] = {0, 0};
    int before = open_listener("127.0.0.1", &ports[0], PLAIN);
    int after = open_listener("127.0.0.1", &ports[1], PLAIN);

    (void)state;
    watch(&ports[0], 1);
    watch(&ports[1], 1);
    close(before);
    close_marked(&after);
    assert_nothing_told_before(ports[1]);
    before = open_listener("127.0.0.1", &ports[0], PLAIN);
    after = open_listener("127.0.0.1", &ports[1], PLAIN);
    watch(ports, 2);
    close(before);
    assert_told(ports[0]);
    close_marked(&after);
    assert_told(ports[1]);
}

/* ---- many ports ---- */

/* `n` ports of which only `at` is a real one. */
static void assert_told_among(size_t n, size_t at)
{
    uint16_t ports[MANY_PORTS];
    uint16_t others[2] = {0, 0};
    int other = open_listener("127.0.0.1", &others[0], PLAIN);
    int fd = open_listener("127.0.0.1", &others[1], PLAIN);
    uint16_t next = 1;

    for (size_t i = 0; i < n; i++) {
        while (next == others[0] || next == others[1])
            next++;
        ports[i] = i == at ? others[1] : next++;
    }
    watch(ports, n);
    close(other);
    close_marked(&fd);
    assert_nothing_told_before(others[1]);
}

static void test_port_events_every_size_of_filter_tells_its_ports_only(void **state)
{
    static const size_t sizes[] = {1, 2, 127, 128, 129, 255, 256, 257, 512, 1000,
        PORT_EVENTS_FILTERED_MAX, PORT_EVENTS_FILTERED_MAX + 1, MANY_PORTS};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_told_among(sizes[i], 0);
        assert_told_among(sizes[i], sizes[i] - 1);
    }
}

/* The ports of the filter are in numerical order: `at` of them come before `port`. Nobody listens
 * on the others, which are too low for the kernel to choose, and too high. */
static void watch_chunk(uint16_t port, size_t at)
{
    uint16_t ports[PORT_EVENTS_FILTERED_MAX];

    for (size_t i = 0; i < PORT_EVENTS_FILTERED_MAX; i++)
        ports[i] = (uint16_t)(i < at ? i + 1 : UINT16_MAX - i);
    ports[at] = port;
    watch(ports, PORT_EVENTS_FILTERED_MAX);
}

static void test_port_events_first_and_last_of_a_chunk_are_told(void **state)
{
    uint16_t port = 0;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    const size_t places[] = {0, 1, 126, 127, 128, 129, 255, 256, 1022, 1023};

    (void)state;
    for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
        watch_chunk(port, places[n]);
        close(fd);
        assert_told(port);
        fd = open_listener("127.0.0.1", &port, PLAIN);
    }
    close(fd);
}

/* ---- storms ---- */

/* One connection to the port, ended from both sides. */
static void connect_once(int listener, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t length = fill_address("127.0.0.1", port, &address);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int server;

    assert_true(client >= 0);
    /* Without TIME_WAIT: the port numbers of the machine are not used up. */
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, length), 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(server >= 0);
    close(client);
    close(server);
}

/* linux.md section 2: without the filter ENOBUFS and 80,000 wake-ups a second. */
static void test_port_events_storm_of_connections_is_no_false_alarm(void **state)
{
    uint16_t port = 0;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    int64_t give_up_at = clock_monotonic_ms() + STORM_MS;
    struct pollfd poll_fd = {.fd = port_events_fd(events), .events = POLLIN};

    (void)state;
    watch(&port, 1);
    for (int i = 0; i < STORM_CONNECTIONS && clock_monotonic_ms() < give_up_at; i++)
        connect_once(fd, port);
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    close_marked(&fd);
    assert_nothing_told_before(port);
    assert_int_equal(port_events_next(events, &port, NULL), PORT_EVENTS_NONE);
}

static void test_port_events_overrun_is_told_and_survived(void **state)
{
    const int small = SMALL_BUFFER;
    uint16_t port = 0;
    uint16_t told = 0;
    int result = PORT_EVENTS_NONE;

    (void)state;
    close(open_listener("127.0.0.1", &port, PLAIN));
    watch(&port, 1);
    assert_int_equal(
        setsockopt(port_events_fd(events), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    /* The kernel tells later, from a queue of its own: a burst may be read before it is whole. */
    for (int round = 0; round < ROUNDS && result != PORT_EVENTS_OVERRUN; round++) {
        for (int i = 0; i < BURST; i++)
            close(open_listener("127.0.0.1", &port, PLAIN));
        do
            result = port_events_next(events, &told, NULL);
        while (result == 0);
    }
    assert_int_equal(result, PORT_EVENTS_OVERRUN);
    /* What the kernel still has in its queue may overrun once more. */
    for (int round = 0; round < ROUNDS && result == PORT_EVENTS_OVERRUN; round++) {
        while (port_events_next(events, &told, NULL) != PORT_EVENTS_NONE)
            ;
        close(open_listener("127.0.0.1", &port, PLAIN));
        result = wait_for_news(&told);
    }
    assert_int_equal(result, 0);
    assert_int_equal(told, port);
}

#define EVENTS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVENTS_TEST(test_port_events_closed_listeners_are_told),
        EVENTS_TEST(test_port_events_killed_holder_is_told),
        EVENTS_TEST(test_port_events_each_member_of_a_group_is_told),
        EVENTS_TEST(test_port_events_other_ports_are_not_told),
        EVENTS_TEST(test_port_events_watch_replaces_the_ports_before),
        EVENTS_TEST(test_port_events_every_size_of_filter_tells_its_ports_only),
        EVENTS_TEST(test_port_events_first_and_last_of_a_chunk_are_told),
        EVENTS_TEST(test_port_events_storm_of_connections_is_no_false_alarm),
        EVENTS_TEST(test_port_events_overrun_is_told_and_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
