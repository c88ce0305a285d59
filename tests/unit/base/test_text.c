#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "unit.h"

/* ---- UTF-8 ---- */

static void test_utf8_accepts_and_refuses_as_rfc_3629(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t valid;
    } CASES[] = {
        {"a", 1},
        {"\xC3\xA4", 2},
        {"\xE2\x82\xAC", 3},
        {"\xF0\x9F\x90\x91", 4},
        {"\xEF\xBF\xBF", 3},
        {"\xF4\x8F\xBF\xBF", 4},
        {"\xED\x9F\xBF", 3},
        {"\xEE\x80\x80", 3},
        /* overlong, surrogate, too large, lone continuation, cut short */
        {"\xC0\x80", 0},
        {"\xC1\xBF", 0},
        {"\xE0\x9F\xBF", 0},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xED\xA0\x80", 0},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\x80", 0},
        {"\xE2\x82", 0},
        {"\xC3", 0},
        {"\xFF", 0},
        {"\xC3(", 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        size_t len = strlen(CASES[i].bytes);
        const uint8_t *bytes = (const uint8_t *)CASES[i].bytes;
        assert_int_equal(utf8_character_length(bytes, len), CASES[i].valid);
        assert_int_equal(utf8_is_valid(bytes, len), CASES[i].valid > 0);
    }
    assert_true(utf8_is_valid(NULL, 0));
    assert_int_equal(utf8_character_length(NULL, 0), 0);
}

static void test_utf8_cut_keeps_characters_whole(void **state)
{
    (void)state;
    assert_int_equal(utf8_cut("abc", 3, 5), 3);
    assert_int_equal(utf8_cut("abc", 3, 2), 2);
    assert_int_equal(utf8_cut("a\xE2\x82\xAC", 4, 3), 1);
    assert_int_equal(utf8_cut("\xF0\x9F\x90\x91", 4, 3), 0);
    assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

/* ---- clock ---- */

static void test_clock_add_saturates(void **state)
{
    (void)state;
    assert_int_equal(clock_add_ms(1, 2), 3);
    assert_int_equal(clock_add_ms(CLOCK_NEVER, -5), CLOCK_NEVER);
    assert_int_equal(clock_add_ms(5, CLOCK_NEVER), CLOCK_NEVER);
    assert_int_equal(clock_add_ms(INT64_MAX - 5, 6), CLOCK_NEVER);
    assert_true(clock_monotonic_ms() <= clock_monotonic_ns() / 1000000 + 1);
}

/* ---- log ---- */

static int pipe_fds[2];

static int open_pipe(void **state)
{
    (void)state;
    if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    log_open(pipe_fds[1], "test", LOG_LEVEL_INFO);
    return 0;
}

static int close_pipe(void **state)
{
    (void)state;
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    log_open(STDERR_FILENO, "test", LOG_LEVEL_INFO);
    return 0;
}

static size_t take(char *text, size_t capacity)
{
    ssize_t n = read(pipe_fds[0], text, capacity - 1);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

static void test_log_line_has_time_level_program_and_escaped_pairs(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX + 1];
    errno = EPERM;
    log_warn("peer said", "name=%s n=%d", "a\nb\"\\\xFF\xC3\xA4\x7F", 5);
    assert_int_equal(errno, EPERM);
    size_t len = take(line, sizeof line);
    assert_true(len > 30);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    assert_string_equal(
        line + 24, " WARN test: peer said name=a\\x0ab\\x22\\x5c\\xff\xC3\xA4\\x7f n=5\n");
}

/* U+009B begins commands of a terminal just as ESC [ does; U+00A0 is a space. */
static void test_log_controls_beyond_ascii_are_escaped(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX + 1];
    log_info("peer said", "x=%s",
        "a\xC2\x9B"
        "31m\xC2\x80\xC2\xA0z");
    assert_true(take(line, sizeof line) > 24);
    assert_string_equal(line + 24, " INFO test: peer said x=a\\xc2\\x9b31m\\xc2\\x80\xC2\xA0z\n");
}

static void test_log_date_is_the_calendars(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX + 1];
    char expected[32];
    log_info("x", "");
    assert_true(take(line, sizeof line) > 0);
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M", &parts);
    /* The minute may have turned in between. */
    if (strncmp(line, expected, 16) != 0) {
        now -= 60;
        gmtime_r(&now, &parts);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M", &parts);
        assert_memory_equal(line, expected, 16);
    }
}

static void test_log_below_the_level_is_silent(void **state)
{
    (void)state;
    char line[64];
    log_debug("quiet", "x=%d", 1);
    assert_int_equal(take(line, sizeof line), 0);
}

static void test_log_long_line_is_cut_below_pipe_buf(void **state)
{
    (void)state;
    char line[2 * LOG_LINE_MAX];
    char text[6000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("long", "x=%s", text);
    size_t len = take(line, sizeof line);
    assert_true(len <= LOG_LINE_MAX && len > LOG_LINE_MAX - 16);
    assert_int_equal(line[len - 1], '\n');
}

static void test_log_lost_lines_are_told_with_the_next(void **state)
{
    (void)state;
    char fill[4096];
    memset(fill, 'x', sizeof fill);
    while (write(pipe_fds[1], fill, sizeof fill) > 0)
        continue;
    uint64_t before = log_lines_lost();
    log_info("lost", "");
    log_info("lost", "");
    assert_int_equal(log_lines_lost(), before + 2);
    while (read(pipe_fds[0], fill, sizeof fill) > 0)
        continue;
    char line[LOG_LINE_MAX + 1];
    log_info("back", "");
    assert_true(take(line, sizeof line) > 0);
    assert_non_null(strstr(line, "back lines_lost=2"));
    log_info("again", "");
    assert_true(take(line, sizeof line) > 0);
    assert_null(strstr(line, "lines_lost"));
}

static void test_log_level_from_text(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_INFO;
    assert_int_equal(log_level_from_text("Warn", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_true(log_level_from_text("loud", &level) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_accepts_and_refuses_as_rfc_3629),
        cmocka_unit_test(test_utf8_cut_keeps_characters_whole),
        cmocka_unit_test(test_clock_add_saturates),
        cmocka_unit_test_setup_teardown(
            test_log_line_has_time_level_program_and_escaped_pairs, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(
            test_log_controls_beyond_ascii_are_escaped, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_log_date_is_the_calendars, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(test_log_below_the_level_is_silent, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(
            test_log_long_line_is_cut_below_pipe_buf, open_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(
            test_log_lost_lines_are_told_with_the_next, open_pipe, close_pipe),
        cmocka_unit_test(test_log_level_from_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
