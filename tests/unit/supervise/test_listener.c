/* Real sockets and processes: whose listener would answer. A generation is a child that inherits
 * sockets which the test then closes; what the test keeps is foreign. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "common/base/clock.h"
#include "ports.h"
#include "server/supervise/listener.h"
#include "server/supervise/tcp_listener.h"

enum {
    ANY_PORT = 0,
    NOBODY = 65534,
    PATIENCE_MS = 20000,
    LOOKS_MAX = 1000,
    STRANGERS = SOCKET_SEARCH_MAX + 8
};

static struct listener_finder *finder;
static struct listener_cache cache;

/* `state`: how it is looked, an enum listener_means. */
static int set_up(void **state)
{
    const enum listener_means *means = *state;

    children_begin();
    memset(&cache, 0, sizeof cache);
    return listener_finder_new(*means, &finder, NULL) != 0 ||
           listener_finder_means(finder) != *means;
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    listener_finder_free(finder);
    return 0;
}

/* --- Sockets
 * --------------------------------------------------------------------------------------- */

enum socket_options { PLAIN = 0, REUSE_PORT = 1, V6_ONLY = 2, DUAL_STACK = 4, NOT_LISTENING = 8 };

static int open_listener(const char *host, uint16_t *port, unsigned options)
{
    union endpoint_address address;
    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(*port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, host, &address.v6.sin6_addr), 1);
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(*port);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int on = 1;
    int v6_only = (options & V6_ONLY) != 0;
    if ((options & REUSE_PORT) != 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    if ((options & (V6_ONLY | DUAL_STACK)) != 0)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only), 0);
    assert_int_equal(bind(fd, &address.any, endpoint_address_length(&address)), 0);
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, &address.any, &length), 0);
    *port = endpoint_address_port(&address);
    if ((options & NOT_LISTENING) == 0)
        assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* The socket belongs to a new generation alone. */
static struct process_identity give_away(int fd)
{
    pid_t pid = children_run(children_wait, NULL);
    close(fd);
    return children_identity(pid);
}

/* Scans and searches have their turns; the supervisor asks again, and so does this. */
static int ask(const struct endpoint *endpoint, const struct process_identity *identity,
    struct listener_cache *known, struct listener_observation *out)
{
    int64_t give_up_at = clock_monotonic_ms() + PATIENCE_MS;
    int result;

    for (;;) {
        result = listener_lookup(finder, endpoint, identity, known, out, NULL);
        bool is_final = result != LISTENER_POSTPONED && !(result == 0 && out->is_search_pending);
        if (is_final || clock_monotonic_ms() >= give_up_at)
            return result;
        (void)listener_finder_turn(finder);
        (void)usleep(1000);
    }
}

/* What was read of /proc/net serves for a moment: here every look is a new one. */
static void forget_table(void)
{
    if (listener_finder_means(finder) != LISTENER_BY_PROC_NET)
        return;
    listener_finder_free(finder);
    assert_int_equal(listener_finder_new(LISTENER_BY_PROC_NET, &finder, NULL), 0);
}

static struct listener_observation look(
    const char *host, uint16_t port, const struct process_identity *identity)
{
    struct endpoint endpoint;
    struct listener_observation observation;
    assert_int_equal(endpoint_resolve(host, port, &endpoint, NULL), 0);
    forget_table();
    assert_int_equal(ask(&endpoint, identity, &cache, &observation), 0);
    return observation;
}

/* --- None and ours
 * ----------------------------------------------------------------------------------- */

static void test_listener_closed_port_is_none(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    assert_int_equal(look("127.0.0.1", port, NULL).answer, LISTENER_NONE);
}

static void test_listener_bound_only_is_none(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fd = open_listener("127.0.0.1", &port, NOT_LISTENING);
    assert_int_equal(look("127.0.0.1", port, NULL).answer, LISTENER_NONE);
    close(fd);
}

static void test_listener_of_leader_is_ours(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    struct process_identity identity = give_away(fd);
    struct listener_observation seen = look("127.0.0.1", port, &identity);
    assert_int_equal(seen.answer, LISTENER_OURS);
    assert_int_equal(seen.owner, identity.leader.pid);
}

struct drop_context {
    int fd;
    int ready; /* told by the one that keeps it */
};

static int fork_and_drop(void *context)
{
    const struct drop_context *drop = context;
    if (fork() != 0)
        close(drop->fd);
    else if (setsid() < 0 || write(drop->ready, "", 1) != 1)
        return 1;
    return children_wait(NULL);
}

static void test_listener_of_setsid_child_is_ours(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    struct drop_context drop = {.fd = open_listener("127.0.0.1", &port, PLAIN), .ready = ready[1]};
    struct process_identity identity = children_identity(children_run(fork_and_drop, &drop));
    close(drop.fd);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    struct listener_observation seen = look("127.0.0.1", port, &identity);
    assert_int_equal(seen.answer, LISTENER_OURS);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_dead_generation_is_none(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    struct process_identity identity = give_away(fd);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    children_kill(identity.leader.pid);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_NONE);
}

static void test_listener_shut_down_is_none(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    pid_t pid = children_run(children_wait, NULL);
    struct process_identity identity = children_identity(pid);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_NONE);
    close(fd);
}

/* --- Foreign
 * --------------------------------------------------------------------------------------- */

static void test_listener_of_stranger_is_named(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    char text[512];
    struct process_identity identity = children_identity(children_run(children_wait, NULL));
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    struct listener_observation seen = look("127.0.0.1", port, &identity);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    assert_true(seen.holder.visible);
    assert_int_equal(seen.holder.pid, getpid());
    assert_int_equal(seen.holder.uid, getuid());
    assert_non_null(strstr(seen.holder.executable, "test_listener"));
    listener_describe(&seen, text, sizeof text);
    assert_non_null(strstr(text, "is held by pid"));
    assert_int_equal(look("127.0.0.1", port, NULL).answer, LISTENER_FOREIGN);
    close(fd);
}

static void test_listener_of_old_generation_is_foreign(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    struct process_identity old = give_away(fd);
    struct process_identity fresh = children_identity(children_run(children_wait, NULL));
    assert_int_equal(look("127.0.0.1", port, &old).answer, LISTENER_OURS);
    struct listener_observation seen = look("127.0.0.1", port, &fresh);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    assert_int_equal(seen.holder.pid, old.leader.pid);
}

static void test_listener_foreign_then_ours_is_seen_at_once(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int foreign = open_listener("127.0.0.1", &port, REUSE_PORT);
    assert_int_equal(look("127.0.0.1", port, NULL).answer, LISTENER_FOREIGN);
    int ours = open_listener("127.0.0.1", &port, REUSE_PORT);
    pid_t pid = children_run(children_wait, NULL);
    struct process_identity identity = children_identity(pid);
    close(ours);
    close(foreign);
    /* The child inherited both. */
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_two_addresses_are_told_apart(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int ours = open_listener("::1", &port, V6_ONLY);
    struct process_identity identity = give_away(ours);
    int foreign = open_listener("127.0.0.1", &port, PLAIN);
    assert_int_equal(look("::1", port, &identity).answer, LISTENER_OURS);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_FOREIGN);
    assert_int_equal(look("localhost", port, &identity).answer, LISTENER_FOREIGN);
    close(foreign);
    struct listener_observation seen = look("localhost", port, &identity);
    assert_int_equal(seen.answer, LISTENER_OURS);
    assert_int_equal(seen.address.any.sa_family, AF_INET6);
}

/* --- Groups and families
 * ------------------------------------------------------------------------------ */

static void test_listener_dual_stack_answers_for_ipv4(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int fd = open_listener("::", &port, DUAL_STACK);
    struct process_identity identity = give_away(fd);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    assert_int_equal(look("::", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_v6_only_does_not_answer_for_ipv4(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int fd = open_listener("::", &port, V6_ONLY);
    struct process_identity identity = give_away(fd);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_NONE);
    assert_int_equal(look("::1", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_wildcard_is_reached_by_loopback(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int fd = open_listener("0.0.0.0", &port, PLAIN);
    struct process_identity identity = give_away(fd);
    assert_int_equal(look("0.0.0.0", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_group_with_a_stranger_is_foreign(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int ours = open_listener("127.0.0.1", &port, REUSE_PORT);
    struct process_identity identity = give_away(ours);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    int foreign = open_listener("127.0.0.1", &port, REUSE_PORT);
    struct listener_observation seen = look("127.0.0.1", port, &identity);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    assert_int_equal(seen.holder.pid, getpid());
    close(foreign);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
}

/* A connection to localhost may try either address first. */
static void test_listener_localhost_needs_both_addresses(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int ours = open_listener("127.0.0.1", &port, PLAIN);
    struct process_identity identity = give_away(ours);
    assert_int_equal(look("localhost", port, &identity).answer, LISTENER_OURS);
    int foreign = open_listener("::1", &port, V6_ONLY);
    struct listener_observation seen = look("localhost", port, &identity);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    assert_int_equal(seen.holder.pid, getpid());
    assert_int_equal(seen.address.any.sa_family, AF_INET6);
    close(foreign);
    assert_int_equal(look("localhost", port, &identity).answer, LISTENER_OURS);
}

static void test_listener_more_specific_stranger_is_foreign(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int ours = open_listener("0.0.0.0", &port, REUSE_PORT);
    struct process_identity identity = give_away(ours);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    int foreign = open_listener("127.0.0.1", &port, REUSE_PORT);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_FOREIGN);
    close(foreign);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
}

/* Not reached by loopback, but by whoever uses that address. */
static void test_listener_wildcard_host_has_every_address(void **state)
{
    (void)state;
    uint16_t port = ports_choose();
    int ours = open_listener("0.0.0.0", &port, REUSE_PORT);
    struct process_identity identity = give_away(ours);
    int foreign = open_listener("127.0.0.2", &port, REUSE_PORT);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_OURS);
    struct listener_observation seen = look("0.0.0.0", port, &identity);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    assert_int_equal(ntohl(seen.address.v4.sin_addr.s_addr), 0x7f000002);
    close(foreign);
}

static void test_listener_larger_group_is_unverifiable(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int fds[TCP_LISTENERS_MAX + 1];
    for (size_t i = 0; i <= TCP_LISTENERS_MAX; i++)
        fds[i] = open_listener("127.0.0.1", &port, REUSE_PORT);
    struct process_identity identity = children_identity(children_run(children_wait, NULL));
    for (size_t i = 0; i <= TCP_LISTENERS_MAX; i++)
        close(fds[i]);
    assert_int_equal(look("127.0.0.1", port, &identity).answer, LISTENER_UNVERIFIABLE);
}

/* --- Cost
 * ------------------------------------------------------------------------------------------- */

/* Many services that ask at once share the scans, and a share of the time: sooner or later one has
 * to wait for its turn. */
static void test_listener_scans_have_their_turns(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    struct endpoint endpoint;
    struct listener_cache waiting;
    struct listener_cache other = {.foreign_at = 0};
    struct listener_observation seen;
    struct process_identity holder = children_identity(getpid());
    struct process_identity identity = children_identity(children_run(children_wait, NULL));
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    int result = 0;
    assert_int_equal(endpoint_resolve("127.0.0.1", port, &endpoint, NULL), 0);
    for (int i = 0; i < LOOKS_MAX && result == 0; i++) {
        memset(&waiting, 0, sizeof waiting);
        result = listener_lookup(finder, &endpoint, &identity, &waiting, &seen, NULL);
    }
    assert_int_equal(result, LISTENER_POSTPONED);
    /* What needs no scan is answered all the same. */
    assert_int_equal(listener_lookup(finder, &endpoint, &holder, &other, &seen, NULL), 0);
    assert_int_equal(seen.answer, LISTENER_OURS);
    assert_int_equal(ask(&endpoint, &identity, &waiting, &seen), 0);
    assert_int_equal(seen.answer, LISTENER_FOREIGN);
    close(fd);
}

/* More strangers than one search is for: each keeps its name once it has one. */
static void test_listener_names_of_many_strangers_stay(void **state)
{
    (void)state;
    struct stranger {
        int fd;
        struct endpoint endpoint;
        struct listener_cache cache;
    } *strangers = calloc(STRANGERS, sizeof *strangers);
    struct listener_observation seen;
    assert_non_null(strangers);
    for (size_t i = 0; i < STRANGERS; i++) {
        uint16_t port = ANY_PORT;
        strangers[i].fd = open_listener("127.0.0.1", &port, PLAIN);
        assert_int_equal(endpoint_resolve("127.0.0.1", port, &strangers[i].endpoint, NULL), 0);
    }
    for (size_t i = 0; i < STRANGERS; i++)
        assert_int_equal(ask(&strangers[i].endpoint, NULL, &strangers[i].cache, &seen), 0);
    for (size_t i = 0; i < STRANGERS; i++) {
        assert_int_equal(
            listener_lookup(finder, &strangers[i].endpoint, NULL, &strangers[i].cache, &seen, NULL),
            0);
        assert_int_equal(seen.holder.pid, getpid());
        close(strangers[i].fd);
    }
    free(strangers);
}

/* --- Hidden
 * ----------------------------------------------------------------------------------------- */

static int drop_user(void)
{
    return geteuid() != 0 ? 0 : setresuid(NOBODY, NOBODY, NOBODY);
}

static int hide_and_wait(void *context)
{
    const int *ready = context;
    if (drop_user() != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 || write(*ready, "", 1) != 1)
        return 1;
    return children_wait(NULL);
}

struct look_context {
    struct process_identity identity;
    uint16_t port;
};

static int look_as_nobody(void *context)
{
    const struct look_context *look_context = context;
    if (drop_user() != 0)
        return 100;
    return (int)look("127.0.0.1", look_context->port, &look_context->identity).answer;
}

static void test_listener_of_hidden_process_is_unverifiable(void **state)
{
    (void)state;
    uint16_t port = ANY_PORT;
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    int fd = open_listener("127.0.0.1", &port, PLAIN);
    pid_t pid = children_run(hide_and_wait, &ready[1]);
    close(fd);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    struct look_context context = {.identity = children_identity(pid), .port = port};
    assert_int_equal(children_reap(children_run(look_as_nobody, &context)), LISTENER_UNVERIFIABLE);
}

/* Every test by both means; by netlink only, what /proc/net does not say, and what is the same
 * beside it, where /proc/net takes long to read. */
#define BY_NETLINK(name)                                                                           \
    {                                                                                              \
#name " by netlink", name, set_up, tear_down, &(enum listener_means)                       \
        {                                                                                          \
            LISTENER_BY_NETLINK                                                                    \
        }                                                                                          \
    }
#define BY_PROC_NET(name)                                                                          \
    {                                                                                              \
#name " by /proc/net", name, set_up, tear_down, &(enum listener_means)                     \
        {                                                                                          \
            LISTENER_BY_PROC_NET                                                                   \
        }                                                                                          \
    }
#define BY_BOTH(name) BY_NETLINK(name), BY_PROC_NET(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BY_BOTH(test_listener_closed_port_is_none),
        BY_BOTH(test_listener_bound_only_is_none),
        BY_BOTH(test_listener_of_leader_is_ours),
        BY_BOTH(test_listener_of_setsid_child_is_ours),
        BY_BOTH(test_listener_dead_generation_is_none),
        BY_BOTH(test_listener_shut_down_is_none),
        BY_BOTH(test_listener_of_stranger_is_named),
        BY_BOTH(test_listener_of_old_generation_is_foreign),
        BY_BOTH(test_listener_foreign_then_ours_is_seen_at_once),
        BY_BOTH(test_listener_two_addresses_are_told_apart),
        BY_BOTH(test_listener_dual_stack_answers_for_ipv4),
        BY_NETLINK(test_listener_v6_only_does_not_answer_for_ipv4),
        BY_BOTH(test_listener_wildcard_is_reached_by_loopback),
        BY_BOTH(test_listener_group_with_a_stranger_is_foreign),
        BY_BOTH(test_listener_localhost_needs_both_addresses),
        BY_BOTH(test_listener_more_specific_stranger_is_foreign),
        BY_BOTH(test_listener_wildcard_host_has_every_address),
        BY_BOTH(test_listener_larger_group_is_unverifiable),
        BY_NETLINK(test_listener_scans_have_their_turns),
        BY_NETLINK(test_listener_names_of_many_strangers_stay),
        BY_BOTH(test_listener_of_hidden_process_is_unverifiable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
