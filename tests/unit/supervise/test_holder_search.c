/* Real sockets in real processes, looked for among all of the machine's. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "children.h"
#include "common/base/clock.h"
#include "server/supervise/holder_search.h"

enum { PATIENCE_MS = 100 * 1000, MANY = 2 * SOCKET_SEARCH_MAX };

/* No socket has it: the kernel counts from 1. */
#define NO_SOCKET UINT64_MAX

static struct holder_search *search;

static int set_up(void **state)
{
    (void)state;
    children_begin();
    return holder_search_new(&search, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    children_end();
    holder_search_free(search);
    return 0;
}

static int open_socket(uint64_t *out_inode)
{
    struct stat status;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    *out_inode = status.st_ino;
    return fd;
}

/* As the supervisor does: turns until it is known. */
static enum holder_answer ask(uint64_t inode, struct socket_location *out)
{
    int64_t give_up_at = clock_monotonic_ms() + PATIENCE_MS;
    enum holder_answer answer = HOLDER_PENDING;

    while (answer == HOLDER_PENDING && clock_monotonic_ms() < give_up_at) {
        answer = holder_search_ask(search, inode, clock_monotonic_ms(), out);
        if (answer == HOLDER_PENDING)
            (void)holder_search_turn(search, clock_monotonic_ms());
    }
    return answer;
}

static void test_holder_search_finds_the_process(void **state)
{
    struct socket_location location;
    uint64_t inode = 0;
    int fd = open_socket(&inode);

    (void)state;
    assert_int_equal(ask(inode, &location), HOLDER_FOUND);
    assert_int_equal(location.process.pid, getpid());
    assert_int_equal(location.descriptor, fd);
    assert_false(holder_search_is_pending(search));
    close(fd);
}

static void test_holder_search_believes_no_holder_that_let_go(void **state)
{
    struct socket_location location;
    uint64_t inode = 0;
    int fd = open_socket(&inode);
    pid_t heir;

    (void)state;
    assert_int_equal(ask(inode, &location), HOLDER_FOUND);
    assert_int_equal(location.process.pid, getpid());
    heir = children_run(children_wait, NULL);
    close(fd);
    assert_int_equal(ask(inode, &location), HOLDER_FOUND);
    assert_int_equal(location.process.pid, heir);
    children_kill(heir);
    assert_int_equal(ask(inode, &location), HOLDER_UNSEEN);
}

static void test_holder_search_believes_an_unseen_one_for_a_while(void **state)
{
    struct socket_location location;
    int64_t now;

    (void)state;
    assert_int_equal(ask(NO_SOCKET, &location), HOLDER_UNSEEN);
    now = clock_monotonic_ms();
    assert_int_equal(holder_search_ask(search, NO_SOCKET, now, &location), HOLDER_UNSEEN);
    assert_false(holder_search_is_pending(search));
    /* Then it is looked for again. */
    (void)holder_search_ask(search, NO_SOCKET, now + HOLDER_SEARCH_BELIEF_MS, &location);
    assert_int_equal(ask(NO_SOCKET, &location), HOLDER_UNSEEN);
}

/* One pass is for all that were asked about; more than fit have to wait. */
static void test_holder_search_finds_many_at_once(void **state)
{
    struct socket_location location;
    uint64_t inodes[MANY];
    int fds[MANY];
    unsigned passes = 0;
    unsigned found = 0;
    int64_t give_up_at = clock_monotonic_ms() + PATIENCE_MS;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        fds[i] = open_socket(&inodes[i]);
    while (found < MANY && clock_monotonic_ms() < give_up_at) {
        enum holder_answer answer =
            holder_search_ask(search, inodes[found], clock_monotonic_ms(), &location);

        for (size_t i = found + 1; i < MANY; i++)
            (void)holder_search_ask(search, inodes[i], clock_monotonic_ms(), &location);
        if (answer == HOLDER_FOUND)
            found++;
        if (holder_search_turn(search, clock_monotonic_ms()))
            passes++;
    }
    assert_int_equal(found, MANY);
    assert_true(passes < MANY);
    for (size_t i = 0; i < MANY; i++)
        close(fds[i]);
}

static void test_holder_search_slices_have_pauses(void **state)
{
    struct socket_location location;
    int64_t now = clock_monotonic_ms();

    (void)state;
    (void)holder_search_ask(search, NO_SOCKET, now, &location);
    /* Done or not, the next question waits for its turn. */
    assert_int_equal(holder_search_ask(search, NO_SOCKET - 1, now, &location), HOLDER_PENDING);
    assert_false(holder_search_turn(search, now));
    assert_true(holder_search_is_pending(search));
}

#define SEARCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_holder_search_finds_the_process),
        SEARCH_TEST(test_holder_search_believes_no_holder_that_let_go),
        SEARCH_TEST(test_holder_search_believes_an_unseen_one_for_a_while),
        SEARCH_TEST(test_holder_search_finds_many_at_once),
        SEARCH_TEST(test_holder_search_slices_have_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
