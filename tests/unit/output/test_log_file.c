/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/output/log_file.h"

static char directory[64];
static char path[128];
static int ends[2];
static struct log_file file;

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(directory, "/tmp/flocks-log-XXXXXX");
    if (mkdtemp(directory) == NULL || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return 1;
    (void)snprintf(path, sizeof path, "%s/x.log", directory);
    file = LOG_FILE_INIT;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    log_file_close(&file);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    /* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    return system(command);
}

static int append(const char *text, uint64_t max_size, uint32_t keep, struct log_file_outcome *out)
{
    size_t len = strlen(text);
    assert_int_equal(write(ends[1], text, len), len);
    struct log_file_target target = {.path = path, .max_size = max_size, .keep = keep};
    return log_file_append(&file, &target, ends[0], len, out);
}

static void assert_holds(const char *name, const char *text)
{
    char full[192];
    char bytes[256] = "";
    (void)snprintf(full, sizeof full, "%s%s", path, name);
    FILE *stream = fopen(full, "r");
    if (stream != NULL) {
        assert_true(fread(bytes, 1, sizeof bytes - 1, stream) <= sizeof bytes);
        assert_int_equal(fclose(stream), 0);
    }
    assert_string_equal(bytes, text);
}

static void test_log_file_appends_after_what_is_there(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    assert_int_equal(append("one", 0, 0, &outcome), 0);
    log_file_close(&file);
    assert_int_equal(append("two", 0, 0, &outcome), 0);
    assert_int_equal(outcome.written, 3);
    assert_holds("", "onetwo");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_log_file_rotates_at_its_size(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    for (int i = 1; i <= 5; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "text%d", i);
        assert_int_equal(append(text, 5, 2, &outcome), 0);
        assert_int_equal(outcome.rotations, i > 1);
    }
    assert_holds("", "text5");
    assert_holds(".1", "text4");
    assert_holds(".2", "text3");
    assert_holds(".3", "");
}

static void test_log_file_gap_in_the_numbers_is_filled_first(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    for (const char *text = "abcd"; *text != '\0'; text++)
        assert_int_equal(append((char[]){*text, '\0'}, 1, 4, &outcome), 0);
    char gap[192];
    (void)snprintf(gap, sizeof gap, "%s.1", path);
    assert_int_equal(unlink(gap), 0);
    assert_int_equal(append("e", 1, 4, &outcome), 0);
    assert_holds(".1", "d");
    assert_holds(".2", "b");
    assert_holds(".3", "a");
}

static void test_log_file_kept_none_begins_again(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    assert_int_equal(append("one", 1, 0, &outcome), 0);
    assert_int_equal(append("two", 1, 0, &outcome), 0);
    assert_holds("", "two");
    assert_holds(".1", "");
}

static void test_log_file_that_cannot_rotate_grows(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    char blocked[192];
    (void)snprintf(blocked, sizeof blocked, "%s.1", path);
    assert_int_equal(mkdir(blocked, 0700), 0);
    assert_int_equal(append("one", 1, 1, &outcome), 0);
    assert_int_equal(append("two", 1, 1, &outcome), 0);
    assert_int_equal(outcome.system_error, EISDIR);
    assert_holds("", "onetwo");
}

static void test_log_file_locked_by_another_is_busy(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    assert_int_equal(append("one", 0, 0, &outcome), 0);
    int other = open(path, O_WRONLY | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
    assert_int_equal(append("two", 0, 0, &outcome), LOG_FILE_BUSY);
    assert_holds("", "one");
    assert_int_equal(close(other), 0);
    struct log_file_target target = {.path = path};
    assert_int_equal(log_file_append(&file, &target, ends[0], 3, &outcome), 0);
    assert_holds("", "onetwo");
}

static void test_log_file_in_place_of_a_fifo_is_refused(void **state)
{
    (void)state;
    struct log_file_outcome outcome;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(append("one", 0, 0, &outcome), LOG_FILE_REFUSED);
    assert_int_equal(outcome.system_error, ENXIO);
}

static void test_log_file_over_the_size_limit_is_refused_with_what_fitted(void **state)
{
    (void)state;
    struct rlimit old;
    struct log_file_outcome outcome;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 4, .rlim_max = old.rlim_max};
    (void)sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = append("123456", 0, 0, &outcome);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(result, LOG_FILE_REFUSED);
    assert_int_equal(outcome.system_error, EFBIG);
    char text[16] = "";
    (void)snprintf(text, sizeof text, "%.*s", (int)outcome.written, "123456");
    assert_holds("", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_log_file_appends_after_what_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_file_rotates_at_its_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_log_file_gap_in_the_numbers_is_filled_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_file_kept_none_begins_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_file_that_cannot_rotate_grows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_file_locked_by_another_is_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_log_file_in_place_of_a_fifo_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_log_file_over_the_size_limit_is_refused_with_what_fitted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
