/* Where a client connects, and what it shows there. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the standard ones first. */
#include <cmocka.h>

#include "client/lib/reach.h"
#include "common/base/attributes.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char root[] = "/tmp/flocks-test-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    unsetenv("FLOCKS_SOCKET");
    unsetenv("FLOCKS_TOKEN_FILE");
    unsetenv("FLOCKS_ROOT");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

static void write_token(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void init(struct reach *reach, const char *socket)
{
    const struct flocks_client_options options = {.socket = socket, .root = root};
    struct flocks_error *error = NULL;
    if (reach_init(reach, &options, &error) != RPC_DONE)
        fail_msg("%s", error->message);
}

static void test_loopback_addresses_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family;
        uint32_t host;
        uint16_t port;
    } rows[] = {
        {"tcp:127.0.0.1:48765", AF_INET, INADDR_LOOPBACK, 48765},
        {"tcp:127.0.0.2:1", AF_INET, INADDR_LOOPBACK + 1, 1},
        {"tcp:localhost:65535", AF_INET, INADDR_LOOPBACK, 65535},
        {"tcp:LOCALHOST:80", AF_INET, INADDR_LOOPBACK, 80},
        {"tcp:[::1]:48765", AF_INET6, 0, 48765},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct reach reach;
        init(&reach, rows[i].text);
        assert_true(reach.is_tcp);
        assert_string_equal(reach.text, rows[i].text);
        assert_int_equal(reach.address.any.sa_family, rows[i].family);
        assert_int_equal(ntohs(reach.address.ipv4.sin_port), rows[i].port);
        if (rows[i].family == AF_INET)
            assert_int_equal(ntohl(reach.address.ipv4.sin_addr.s_addr), rows[i].host);
        else
            assert_memory_equal(
                &reach.address.ipv6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
        reach_deinit(&reach);
    }
}

static void test_other_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"tcp:", "tcp::", "tcp::80", "tcp:127.0.0.1",
        "tcp:127.0.0.1:", "tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:999999",
        "tcp:127.0.0.1:8x", "tcp:127.0.0.1:-1", "tcp:127.0.0.1: 80", "tcp:10.0.0.1:80",
        "tcp:0.0.0.0:80", "tcp:128.0.0.1:80", "tcp:[::2]:80", "tcp:::1:80", "tcp:[::1]80",
        "tcp:example.org:80", "tcp:127.1:80", "tcp:localhost.:80",
        "tcp:127.000000000000000000000000.0.1:80", "tcp://127.0.0.1:80"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct flocks_client_options options = {.socket = rows[i], .root = root};
        struct flocks_error *error = NULL;
        struct reach reach;
        if (reach_init(&reach, &options, &error) == RPC_DONE)
            fail_msg("'%s' is no loopback address", rows[i]);
        assert_int_equal(error->code, RPC_INVALID_ARGUMENT);
        assert_non_null(strstr(error->message, rows[i]));
        flocks_error_free(error);
    }
}

static void test_path_is_no_address_and_needs_no_token(void **state)
{
    (void)state;
    const struct token *token = NULL;
    struct reach reach;
    init(&reach, "/run/tcp:1");
    assert_false(reach.is_tcp);
    assert_int_equal(reach_token(&reach, &token, NULL), RPC_DONE);
    assert_null(token);
    reach_deinit(&reach);
}

static void test_environment_says_where_to_and_the_root_has_the_token(void **state)
{
    (void)state;
    const struct flocks_client_options options = {.root = root};
    const struct token *token = NULL;
    struct flocks_error *error = NULL;
    struct reach reach;
    char path[128];
    setenv("FLOCKS_SOCKET", "tcp:[::1]:7", 1);
    assert_int_equal(reach_init(&reach, &options, NULL), RPC_DONE);
    assert_string_equal(reach.text, "tcp:[::1]:7");
    assert_int_equal(reach_token(&reach, &token, &error), RPC_ERROR);
    assert_int_equal(error->code, RPC_UNAUTHENTICATED);
    assert_non_null(strstr(error->message, "/run/control.token"));
    assert_non_null(strstr(error->message, "FLOCKS_TOKEN_FILE"));
    flocks_error_free(error);
    (void)snprintf(path, sizeof path, "%s/run", root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/run/control.token", root);
    write_token(path, DIGITS "\n");
    assert_int_equal(reach_token(&reach, &token, NULL), RPC_DONE);
    assert_string_equal(token->digits, DIGITS);
    reach_deinit(&reach);
}

static void test_token_is_read_again_after_it_was_refused(void **state)
{
    (void)state;
    static const char other[] = DIGITS;
    const struct token *token = NULL;
    struct reach reach;
    char path[128];
    char text[sizeof other];
    (void)snprintf(path, sizeof path, "%s/token", root);
    setenv("FLOCKS_TOKEN_FILE", path, 1);
    write_token(path, DIGITS);
    init(&reach, "tcp:127.0.0.1:7");
    assert_int_equal(reach_token(&reach, &token, NULL), RPC_DONE);
    memcpy(text, other, sizeof other);
    text[0] = 'f';
    write_token(path, text);
    reach_note_code(&reach, RPC_UNAVAILABLE);
    assert_int_equal(reach_token(&reach, &token, NULL), RPC_DONE);
    assert_string_equal(token->digits, DIGITS);
    reach_note_code(&reach, RPC_UNAUTHENTICATED);
    assert_int_equal(reach_token(&reach, &token, NULL), RPC_DONE);
    assert_string_equal(token->digits, text);
    reach_deinit(&reach);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_loopback_addresses_are_taken),
        TEST(test_other_addresses_are_refused),
        TEST(test_path_is_no_address_and_needs_no_token),
        TEST(test_environment_says_where_to_and_the_root_has_the_token),
        TEST(test_token_is_read_again_after_it_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
