#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/token.h"
#include "unit.h"

static const char DIGITS[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static char root[] = "/tmp/flocks-test-XXXXXX";
static char path[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/control.token", root);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void check_refused(enum status_code code, const char *why)
{
    struct token token;
    struct error error = ERROR_INIT;
    assert_int_equal(token_read(path, &token, &error), -(int)code);
    if (strstr(error.text, why) == NULL)
        fail_msg("'%s' does not say '%s'", error.text, why);
}

static void test_missing_one_is_made_private_and_stays(void **state)
{
    (void)state;
    struct token made;
    struct token again;
    struct stat status;
    struct error error = ERROR_INIT;
    check_refused(STATUS_NOT_FOUND, "control.token");
    (void)umask(0);
    assert_int_equal(token_read_or_make(path, &made, &error), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(strlen(made.digits), TOKEN_DIGITS);
    assert_int_equal(strspn(made.digits, "0123456789abcdef"), TOKEN_DIGITS);
    assert_int_equal(token_read_or_make(path, &again, &error), 0);
    assert_string_equal(made.digits, again.digits);
    /* Nothing else is left beside it. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(mkdir(root, 0700), 0);
    assert_int_equal(token_read_or_make(path, &again, &error), 0);
    assert_string_not_equal(made.digits, again.digits);
}

static void test_empty_one_is_made_anew(void **state)
{
    (void)state;
    struct token token;
    struct error error = ERROR_INIT;
    write_file("", 0600);
    assert_int_equal(token_read_or_make(path, &token, &error), 0);
    assert_true(token_matches(&token, token.digits, TOKEN_DIGITS));
}

static void test_one_that_others_may_touch_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601, 0666, 0644};
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char mode[8];
        write_file(DIGITS, modes[i]);
        (void)snprintf(mode, sizeof mode, "%04o", (unsigned)modes[i]);
        check_refused(STATUS_FAILED_PRECONDITION, mode);
    }
    struct token token;
    struct error error = ERROR_INIT;
    assert_int_equal(token_read_or_make(path, &token, &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.hint, "chmod 600"));
}

static void test_what_is_no_token_is_refused(void **state)
{
    char text[80];
    (void)state;
    (void)snprintf(text, sizeof text, "%.63s", DIGITS);
    write_file(text, 0600);
    check_refused(STATUS_FAILED_PRECONDITION, "length");
    (void)snprintf(text, sizeof text, "%s0", DIGITS);
    write_file(text, 0600);
    check_refused(STATUS_FAILED_PRECONDITION, "length");
    (void)snprintf(text, sizeof text, "%s\n\n", DIGITS);
    write_file(text, 0600);
    check_refused(STATUS_FAILED_PRECONDITION, "length");
    (void)snprintf(text, sizeof text, "%.63sG", DIGITS);
    write_file(text, 0600);
    check_refused(STATUS_FAILED_PRECONDITION, "hexadecimal");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_refused(STATUS_FAILED_PRECONDITION, "regular");
}

static void test_newline_at_the_end_is_no_part_of_it(void **state)
{
    (void)state;
    struct token token;
    struct error error = ERROR_INIT;
    char text[80];
    (void)snprintf(text, sizeof text, "%s\n", DIGITS);
    write_file(text, 0600);
    assert_int_equal(token_read(path, &token, &error), 0);
    assert_string_equal(token.digits, DIGITS);
}

static void test_only_the_whole_token_matches(void **state)
{
    (void)state;
    struct token token;
    char text[TOKEN_DIGITS + 1];
    memcpy(token.digits, DIGITS, sizeof DIGITS);
    assert_true(token_matches(&token, DIGITS, TOKEN_DIGITS));
    assert_false(token_matches(&token, DIGITS, TOKEN_DIGITS - 1));
    assert_false(token_matches(&token, "", 0));
    for (size_t i = 0; i < TOKEN_DIGITS; i++) {
        memcpy(text, DIGITS, sizeof text);
        text[i] ^= 1;
        assert_false(token_matches(&token, text, TOKEN_DIGITS));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_missing_one_is_made_private_and_stays),
        TEST(test_empty_one_is_made_anew),
        TEST(test_one_that_others_may_touch_is_refused),
        TEST(test_what_is_no_token_is_refused),
        TEST(test_newline_at_the_end_is_no_part_of_it),
        TEST(test_only_the_whole_token_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
