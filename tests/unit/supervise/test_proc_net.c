/* The tables of /proc/net as text, and a directory of them. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "server/supervise/proc_net.h"

enum { PORT = 8080, MANY = 1000, CAPACITY = 8 };

#define HEADER                                                                                     \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "  \
    "inode                                                     \n"
#define TAIL " 1 0000000000000000 100 0 0 10 0\n"
/* 8080 is 0x1F90; addresses stand in the order of a little-endian machine's memory. */
#define LOOPBACK "0100007F"
#define ANY "00000000"
#define LOOPBACK6 "00000000000000000000000001000000"
#define MAPPED "0000000000000000FFFF00000100007F"
#define ANY6 "00000000000000000000000000000000"
#define LINE(address, state, inode)                                                                \
    "   0: " address ":1F90 00000000:0000 " state " 00000000:00000000 00:00000000 00000000  1000"  \
    "        0 " inode TAIL

static char directory[] = "/tmp/flocks-proc-net-XXXXXX";

static void write_table(const char *name, const char *text)
{
    char path[sizeof directory + 16];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(HEADER, file) >= 0 && fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_table(const char *name)
{
    char path[sizeof directory + 16];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)unlink(path);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static int remove_tables(void **state)
{
    (void)state;
    remove_table("tcp");
    remove_table("tcp6");
    return 0;
}

static union endpoint_address address_of(const char *host)
{
    struct endpoint endpoint;

    assert_int_equal(endpoint_resolve(host, PORT, &endpoint, NULL), 0);
    return endpoint.addresses[0];
}

/* Inode of the first socket that would answer, 0: none; *out_n: how many might. */
static uint64_t find(const char *host, size_t *out_n)
{
    struct tcp_listener found[CAPACITY] = {{.inode = 0}};
    const union endpoint_address address = address_of(host);
    struct proc_net *table = NULL;
    int result;

    assert_int_equal(proc_net_new(directory, &table, NULL), 0);
    result = proc_net_find(table, &address, clock_monotonic_ms(), found, CAPACITY, out_n, NULL);
    proc_net_free(table);
    assert_int_equal(result, *out_n == 0 ? TCP_LISTENER_NONE : 0);
    return found[0].inode;
}

/* ---- lines ---- */

static void test_proc_net_line_of_a_listener_is_read(void **state)
{
    struct tcp_listener listener;

    (void)state;
    assert_true(proc_net_parse(LINE(LOOPBACK, "0A", "4711"), AF_INET, &listener));
    assert_int_equal(listener.inode, 4711);
    assert_int_equal(listener.uid, 1000);
    assert_int_equal(ntohl(listener.bound.v4.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(endpoint_address_port(&listener.bound), PORT);
    assert_true(proc_net_parse(LINE(LOOPBACK6, "0A", "4712"), AF_INET6, &listener));
    assert_true(IN6_IS_ADDR_LOOPBACK(&listener.bound.v6.sin6_addr));
    assert_int_equal(endpoint_address_port(&listener.bound), PORT);
}

static void test_proc_net_other_lines_are_not(void **state)
{
    static const char *const lines[] = {"", " ", HEADER, LINE(LOOPBACK, "01", "4711"),
        LINE(LOOPBACK, "0A", "0"), "   0: 0100007F:1F90", "   0: 0100007F", "   0: 010000",
        "0:", "   0: zzzzzzzz:1F90 00000000:0000 0A 0:0 0:0 0 1000 0 4711",
        "   0: 0100007F:zzzz 00000000:0000 0A 0:0 0:0 0 1000 0 4711",
        "   0: 0100007F:11F90 00000000:0000 0A 0:0 0:0 0 1000 0 4711"};
    struct tcp_listener listener;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_false(proc_net_parse(lines[i], AF_INET, &listener));
        assert_false(proc_net_parse(lines[i], AF_INET6, &listener));
    }
}

/* ---- which one would answer ---- */

static void test_proc_net_more_specific_address_answers(void **state)
{
    size_t n = 0;

    (void)state;
    write_table("tcp", LINE(ANY, "0A", "1") LINE(LOOPBACK, "0A", "2"));
    write_table("tcp6", LINE(ANY6, "0A", "3"));
    assert_int_equal(find("127.0.0.1", &n), 2);
    assert_int_equal(n, 1);
    assert_int_equal(find("127.0.0.2", &n), 1);
    assert_int_equal(find("::1", &n), 3);
}

static void test_proc_net_ipv6_sockets_answer_for_ipv4(void **state)
{
    size_t n = 0;

    (void)state;
    write_table("tcp", "");
    write_table("tcp6", LINE(ANY6, "0A", "3"));
    assert_int_equal(find("127.0.0.1", &n), 3);
    write_table("tcp6", LINE(ANY6, "0A", "3") LINE(MAPPED, "0A", "4"));
    assert_int_equal(find("127.0.0.1", &n), 4);
    write_table("tcp6", LINE(LOOPBACK6, "0A", "5"));
    assert_int_equal(find("127.0.0.1", &n), 0);
}

static void test_proc_net_group_is_whole(void **state)
{
    size_t n = 0;

    (void)state;
    write_table("tcp", LINE(LOOPBACK, "0A", "1") LINE(LOOPBACK, "0A", "2") LINE(ANY, "0A", "3"));
    assert_int_equal(find("127.0.0.1", &n), 1);
    assert_int_equal(n, 2);
}

static void test_proc_net_reading_ends_at_the_first_connection(void **state)
{
    size_t n = 0;

    (void)state;
    write_table("tcp", LINE(LOOPBACK, "01", "1") LINE(LOOPBACK, "0A", "2"));
    assert_int_equal(find("127.0.0.1", &n), 0);
}

static void test_proc_net_long_table_is_read_to_its_end(void **state)
{
    char *text = calloc(MANY + 1, sizeof LINE(ANY, "0A", "7"));
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < MANY; i++)
        memcpy(text + strlen(text), LINE("0200007F", "0A", "7"), sizeof LINE(ANY, "0A", "7"));
    memcpy(text + strlen(text), LINE(LOOPBACK, "0A", "8"), sizeof LINE(ANY, "0A", "8"));
    write_table("tcp", text);
    assert_int_equal(find("127.0.0.1", &n), 8);
    assert_int_equal(find("127.0.0.2", &n), 7);
    assert_int_equal(n, MANY);
    free(text);
}

/* ---- readings ---- */

static void test_proc_net_one_reading_serves_for_a_moment(void **state)
{
    const union endpoint_address address = address_of("127.0.0.1");
    struct tcp_listener found[CAPACITY];
    struct proc_net *table = NULL;
    size_t n = 0;

    (void)state;
    write_table("tcp", "");
    assert_int_equal(proc_net_new(directory, &table, NULL), 0);
    assert_int_equal(
        proc_net_find(table, &address, 1000, found, CAPACITY, &n, NULL), TCP_LISTENER_NONE);
    write_table("tcp", LINE(LOOPBACK, "0A", "1"));
    assert_int_equal(
        proc_net_find(table, &address, 1000 + PROC_NET_FRESH_MS - 1, found, CAPACITY, &n, NULL),
        TCP_LISTENER_NONE);
    assert_int_equal(
        proc_net_find(table, &address, 1000 + PROC_NET_FRESH_MS, found, CAPACITY, &n, NULL), 0);
    assert_int_equal(found[0].inode, 1);
    assert_int_equal(proc_net_list_port(table, AF_INET, PORT, 2000, found, CAPACITY, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(
        proc_net_list_port(table, AF_INET, PORT + 1, 2000, found, CAPACITY, &n, NULL), 0);
    assert_int_equal(n, 0);
    proc_net_free(table);
}

static void test_proc_net_unreadable_table_is_said(void **state)
{
    const union endpoint_address address = address_of("127.0.0.1");
    struct tcp_listener found[CAPACITY];
    struct proc_net *table = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(proc_net_new("/nonexistent", &table, NULL), -STATUS_UNAVAILABLE);
    write_table("tcp", LINE(LOOPBACK, "0A", "1"));
    assert_int_equal(proc_net_new(directory, &table, NULL), 0);
    remove_table("tcp");
    assert_true(proc_net_find(table, &address, 1000, found, CAPACITY, &n, NULL) < 0);
    /* Not taken for an empty one a moment later, either. */
    assert_true(proc_net_find(table, &address, 1000, found, CAPACITY, &n, NULL) < 0);
    proc_net_free(table);
}

#define TABLE_TEST(name) cmocka_unit_test_teardown(name, remove_tables)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(test_proc_net_line_of_a_listener_is_read),
        TABLE_TEST(test_proc_net_other_lines_are_not),
        TABLE_TEST(test_proc_net_more_specific_address_answers),
        TABLE_TEST(test_proc_net_ipv6_sockets_answer_for_ipv4),
        TABLE_TEST(test_proc_net_group_is_whole),
        TABLE_TEST(test_proc_net_reading_ends_at_the_first_connection),
        TABLE_TEST(test_proc_net_long_table_is_read_to_its_end),
        TABLE_TEST(test_proc_net_one_reading_serves_for_a_moment),
        TABLE_TEST(test_proc_net_unreadable_table_is_said),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
