#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/log_reader.h"
#include "temporary.h"
#include "unit.h"

struct fixture {
    struct temporary directory;
    struct log_reader *reader;
    char text[4096];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    temporary_open(&fixture->directory);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    log_reader_free(fixture->reader);
    temporary_close(&fixture->directory);
    free(fixture);
    return 0;
}

static void append(struct fixture *fixture, const char *name, const char *text)
{
    temporary_append(&fixture->directory, name, text);
}

static void open_reader(struct fixture *fixture, size_t tail_lines)
{
    struct error error = ERROR_INIT;
    assert_int_equal(log_reader_new(temporary_path(&fixture->directory, "a.log"), tail_lines,
                         &fixture->reader, &error),
        0);
}

/* All there is now, as one text; the last result is in *out_result. */
static const char *read_until(struct fixture *fixture, int *out_result)
{
    size_t used = 0;
    for (;;) {
        const char *bytes = NULL;
        size_t len = 0;
        struct error error = ERROR_INIT;
        *out_result = log_reader_next(fixture->reader, &bytes, &len, &error);
        if (*out_result != 0)
            break;
        assert_true(used + len < sizeof(fixture->text));
        memcpy(fixture->text + used, bytes, len);
        used += len;
    }
    fixture->text[used] = '\0';
    return fixture->text;
}

static void assert_reads(struct fixture *fixture, const char *expected)
{
    int result = 0;
    assert_string_equal(read_until(fixture, &result), expected);
    assert_int_equal(result, LOG_READER_IDLE);
}

static int64_t birth_of_new_file(struct fixture *fixture)
{
    struct statx born;
    append(fixture, "tick", "");
    assert_int_equal(
        statx(AT_FDCWD, temporary_path(&fixture->directory, "tick"), 0, STATX_BTIME, &born), 0);
    assert_int_equal(unlink(temporary_path(&fixture->directory, "tick")), 0);
    return born.stx_btime.tv_sec * INT64_C(1000000000) + born.stx_btime.tv_nsec;
}

/* Files are told apart by their birth, and the file system's clock ticks slowly. */
static void let_clock_tick(struct fixture *fixture)
{
    int64_t before = birth_of_new_file(fixture);
    while (birth_of_new_file(fixture) == before)
        continue;
}

/* As capture does: a.log becomes a.log.1, older ones move up. */
static void rotate(struct fixture *fixture)
{
    for (int i = 8; i > 0; i--) {
        char from[32];
        char to[32];
        (void)snprintf(from, sizeof(from), "a.log.%d", i);
        (void)snprintf(to, sizeof(to), "a.log.%d", i + 1);
        if (access(temporary_path(&fixture->directory, from), F_OK) == 0)
            temporary_rename(&fixture->directory, from, to);
    }
    temporary_rename(&fixture->directory, "a.log", "a.log.1");
}

static void test_log_reader_tail_of_one_file(void **state)
{
    static const struct {
        const char *text;
        size_t lines;
        const char *expected;
    } rows[] = {{"1\n2\n3\n", 2, "2\n3\n"}, {"1\n2\n3", 2, "2\n3"}, {"1\n2\n", 9, "1\n2\n"},
        {"1\n2\n", 0, ""}, {"", 5, ""}, {"\n\n\n", 2, "\n\n"}, {"1\n", 1, "1\n"}, {"1", 1, "1"}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        append(fixture, "a.log", rows[i].text);
        open_reader(fixture, rows[i].lines);
        assert_reads(fixture, rows[i].expected);
        log_reader_free(fixture->reader);
        fixture->reader = NULL;
        unlink(temporary_path(&fixture->directory, "a.log"));
    }
}

static void test_log_reader_tail_reaches_into_rotated_files(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log.2", "1\n2\n");
    append(fixture, "a.log.1", "3\n4\nfi");
    append(fixture, "a.log", "ve\n6\n");
    open_reader(fixture, 4);
    assert_reads(fixture, "3\n4\nfive\n6\n");
    log_reader_free(fixture->reader);
    open_reader(fixture, 5);
    assert_reads(fixture, "2\n3\n4\nfive\n6\n");
    log_reader_free(fixture->reader);
    open_reader(fixture, 100);
    assert_reads(fixture, "1\n2\n3\n4\nfive\n6\n");
}

static void test_log_reader_tail_longer_than_a_chunk(void **state)
{
    struct fixture *fixture = *state;
    static char line[LOG_READER_CHUNK];
    memset(line, 'x', sizeof(line) - 2);
    line[sizeof(line) - 2] = '\n';
    append(fixture, "a.log", "first\n");
    append(fixture, "a.log", line);
    append(fixture, "a.log", line);
    open_reader(fixture, 3);
    const char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(log_reader_next(fixture->reader, &bytes, &len, NULL), 0);
    assert_memory_equal(bytes, "first\nxxx", 9);
}

static void test_log_reader_missing_file_appears_later(void **state)
{
    struct fixture *fixture = *state;
    open_reader(fixture, 10);
    assert_reads(fixture, "");
    append(fixture, "a.log", "hello\n");
    assert_reads(fixture, "hello\n");
}

static void test_log_reader_follows_one_rotation(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log", "1\n");
    open_reader(fixture, 10);
    assert_reads(fixture, "1\n");
    append(fixture, "a.log", "2\n");
    rotate(fixture);
    append(fixture, "a.log", "3\n");
    assert_reads(fixture, "2\n3\n");
}

static void test_log_reader_follows_several_rotations_at_once(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log", "1\n");
    open_reader(fixture, 10);
    assert_reads(fixture, "1\n");
    for (int i = 2; i < 6; i++) {
        char line[16];
        (void)snprintf(line, sizeof(line), "%d\n", i);
        append(fixture, "a.log", line);
        rotate(fixture);
    }
    append(fixture, "a.log", "6\n");
    assert_reads(fixture, "2\n3\n4\n5\n6\n");
}

static void test_log_reader_renamed_without_successor_still_reads_on(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log", "1\n");
    open_reader(fixture, 10);
    rotate(fixture);
    assert_reads(fixture, "1\n");
    append(fixture, "a.log.1", "2\n");
    assert_reads(fixture, "2\n");
    append(fixture, "a.log", "3\n");
    assert_reads(fixture, "3\n");
}

static void test_log_reader_rotated_away_begins_with_the_oldest_left(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log", "1\n");
    open_reader(fixture, 10);
    assert_reads(fixture, "1\n");
    rotate(fixture);
    append(fixture, "a.log", "2\n");
    rotate(fixture);
    append(fixture, "a.log", "3\n");
    unlink(temporary_path(&fixture->directory, "a.log.2"));
    int result = 0;
    assert_string_equal(read_until(fixture, &result), "");
    assert_int_equal(result, LOG_READER_LOST);
    assert_reads(fixture, "2\n3\n");
}

static void test_log_reader_unlinked_goes_on_with_the_new_file_only(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, "a.log.1", "old\n");
    let_clock_tick(fixture);
    append(fixture, "a.log", "1\n");
    open_reader(fixture, 1);
    assert_reads(fixture, "1\n");
    unlink(temporary_path(&fixture->directory, "a.log"));
    assert_reads(fixture, "");
    append(fixture, "a.log", "2\n");
    int result = 0;
    assert_string_equal(read_until(fixture, &result), "");
    assert_int_equal(result, LOG_READER_LOST);
    assert_reads(fixture, "2\n");
}

static void test_log_reader_truncation_is_told_and_survived(void **state)
{
    struct fixture *fixture = *state;
    int result = 0;
    append(fixture, "a.log", "1\n2\n");
    open_reader(fixture, 10);
    assert_reads(fixture, "1\n2\n");
    assert_int_equal(truncate(temporary_path(&fixture->directory, "a.log"), 0), 0);
    append(fixture, "a.log", "3\n");
    assert_string_equal(read_until(fixture, &result), "");
    assert_int_equal(result, LOG_READER_TRUNCATED);
    assert_reads(fixture, "3\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_log_reader_tail_of_one_file),
        TEST(test_log_reader_tail_reaches_into_rotated_files),
        TEST(test_log_reader_tail_longer_than_a_chunk),
        TEST(test_log_reader_missing_file_appears_later),
        TEST(test_log_reader_follows_one_rotation),
        TEST(test_log_reader_follows_several_rotations_at_once),
        TEST(test_log_reader_renamed_without_successor_still_reads_on),
        TEST(test_log_reader_rotated_away_begins_with_the_oldest_left),
        TEST(test_log_reader_unlinked_goes_on_with_the_new_file_only),
        TEST(test_log_reader_truncation_is_told_and_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
