/* Items of one log, and what was lost between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "log_directory.h"
#include "server/output/log_source.h"

struct fixture {
    struct log_directory directory;
    struct log_counts counts;
    struct log_output output;
    struct log_source source;
    struct log_view scratch;
    struct log_item item;
};

static struct log_counts read_counts(const void *data)
{
    const struct fixture *fixture = data;

    return fixture->counts;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    log_directory_open(&fixture->directory);
    fixture->counts = (struct log_counts){.written = 1000, .id = 7};
    fixture->output =
        (struct log_output){.path = fixture->directory.log, .counts = read_counts, .data = fixture};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    log_directory_close(&fixture->directory);
    free(fixture);
    return 0;
}

/* As capture does. */
static void write_log(struct fixture *fixture, const char *text)
{
    log_directory_append(&fixture->directory, 0, text);
    fixture->counts.written += strlen(text);
}

static void begin(struct fixture *fixture, enum log_source_start start, uint64_t amount,
    const struct log_mark *mark, bool follows)
{
    int result =
        log_source_begin(&fixture->source, &fixture->output, start, amount, mark, follows, NULL);

    while (result == LOG_SOURCE_BUSY)
        result = log_source_search(&fixture->source, &fixture->output, &fixture->scratch, NULL);
    assert_int_equal(result, 0);
}

static int next(struct fixture *fixture)
{
    int result;

    do
        result = log_source_next(
            &fixture->source, &fixture->output, &fixture->scratch, &fixture->item, NULL);
    while (result == LOG_SOURCE_BUSY);
    return result;
}

static void assert_gives(struct fixture *fixture, const char *text, uint64_t bytes_lost)
{
    assert_int_equal(next(fixture), 0);
    assert_int_equal(fixture->item.len, strlen(text));
    assert_memory_equal(fixture->item.bytes, text, strlen(text));
    assert_int_equal(fixture->item.bytes_lost, bytes_lost);
}

static void test_log_source_tail_ends_where_the_log_ended(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, "1\n2\n3\n");
    begin(fixture, LOG_SOURCE_TAIL, 2, NULL, false);
    write_log(fixture, "4\n");
    assert_gives(fixture, "2\n3\n", 0);
    assert_int_equal(fixture->item.at_ns, 0);
    assert_int_equal(next(fixture), LOG_SOURCE_OVER);
}

static void test_log_source_time_is_known_at_the_end_of_the_log(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, "1\n2\n");
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, false);
    assert_gives(fixture, "1\n2\n", 0);
    assert_true(fixture->item.at_ns > 0);
}

static void test_log_source_of_nothing_is_over_or_idle(void **state)
{
    static const enum log_source_start starts[] = {
        LOG_SOURCE_TAIL, LOG_SOURCE_BYTES, LOG_SOURCE_ALL};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        begin(fixture, starts[i], 5, NULL, false);
        assert_int_equal(next(fixture), LOG_SOURCE_OVER);
        begin(fixture, starts[i], 5, NULL, true);
        assert_int_equal(next(fixture), LOG_SOURCE_IDLE);
    }
    write_log(fixture, "1\n");
    assert_gives(fixture, "1\n", 0);
    assert_int_equal(next(fixture), LOG_SOURCE_IDLE);
}

static void test_log_source_follower_gets_whole_lines(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, LOG_SOURCE_TAIL, 0, NULL, true);
    write_log(fixture, "1\n2");
    assert_gives(fixture, "1\n", 0);
    assert_int_equal(fixture->item.at_ns, 0);
    assert_int_equal(next(fixture), LOG_SOURCE_IDLE);
    log_directory_rotate(&fixture->directory, 3);
    assert_int_equal(next(fixture), LOG_SOURCE_IDLE);
    write_log(fixture, "2\n3\n");
    assert_gives(fixture, "22\n3\n", 0);
    assert_int_equal(next(fixture), LOG_SOURCE_IDLE);
}

static void test_log_source_line_longer_than_an_item_comes_in_pieces(void **state)
{
    static char line[LOG_VIEW_BYTES + 3];
    struct fixture *fixture = *state;

    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    write_log(fixture, "short\n");
    write_log(fixture, line);
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, true);
    assert_gives(fixture, "short\n", 0);
    assert_int_equal(next(fixture), 0);
    assert_int_equal(fixture->item.len, LOG_VIEW_BYTES);
    assert_gives(fixture, "x\n", 0);
}

static void test_log_source_mark_goes_on_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark;

    write_log(fixture, "1\n");
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, true);
    assert_gives(fixture, "1\n", 0);
    mark = fixture->source.mark;
    write_log(fixture, "2\n");
    log_directory_rotate(&fixture->directory, 3);
    write_log(fixture, "3\n");
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, false);
    assert_gives(fixture, "2\n3\n", 0);
    assert_int_equal(next(fixture), LOG_SOURCE_OVER);
}

static struct log_mark mark_behind_first_line(struct fixture *fixture)
{
    write_log(fixture, "1\n");
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, true);
    assert_gives(fixture, "1\n", 0);
    return fixture->source.mark;
}

static void lose_all_but_two_files(struct fixture *fixture)
{
    for (int i = 0; i < 5; i++) {
        log_directory_rotate(&fixture->directory, 1);
        write_log(fixture, "lost?\n");
    }
}

static void test_log_source_counts_what_was_rotated_away(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    write_log(fixture, "never read\n");
    lose_all_but_two_files(fixture);
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, false);
    assert_gives(fixture, "lost?\nlost?\n", strlen("never read\n") + 3 * strlen("lost?\n"));
    assert_int_equal(next(fixture), LOG_SOURCE_OVER);
}

/* A batch is in the file before it is counted. */
static void test_log_source_counts_what_is_being_written_when_it_is_counted(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    lose_all_but_two_files(fixture);
    fixture->counts.written -= strlen("lost?\n");
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, true);
    assert_gives(fixture, "lost?\nlost?\n", 2 * strlen("lost?\n"));
    fixture->counts.written += strlen("lost?\n");
    write_log(fixture, "2\n");
    assert_gives(fixture, "2\n", strlen("lost?\n"));
    /* Neither is a beginning in such a moment a loss. */
    lose_all_but_two_files(fixture);
    fixture->counts.written -= strlen("lost?\n");
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, true);
    fixture->counts.written += strlen("lost?\n");
    assert_gives(fixture, "lost?\nlost?\n", 0);
}

static void test_log_source_loss_that_nobody_counted_is_one_byte(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    lose_all_but_two_files(fixture);
    fixture->counts.id = 8; /* another keeper */
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, true);
    assert_gives(fixture, "lost?\nlost?\n", 1);
    mark = fixture->source.mark;
    /* From here on it counts again. */
    lose_all_but_two_files(fixture);
    assert_gives(fixture, "lost?\nlost?\n", 3 * strlen("lost?\n"));
}

static void test_log_source_file_deleted_after_it_was_read_is_no_loss(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    log_directory_unlink(&fixture->directory, 0);
    write_log(fixture, "2\n");
    assert_gives(fixture, "2\n", 0);
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, true);
    assert_gives(fixture, "2\n", 0);
}

static void test_log_source_truncation_loses_what_was_not_read(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    write_log(fixture, "never read\n");
    log_directory_truncate(&fixture->directory, 0, 0);
    write_log(fixture, "2\n");
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, false);
    assert_gives(fixture, "2\n", strlen("never read\n"));
    assert_int_equal(next(fixture), LOG_SOURCE_OVER);
}

static void test_log_source_tells_what_the_disk_refused(void **state)
{
    struct fixture *fixture = *state;
    struct log_mark mark = mark_behind_first_line(fixture);

    fixture->counts.lost += 5;
    write_log(fixture, "2\n");
    assert_gives(fixture, "2\n", 5);
    write_log(fixture, "3\n");
    assert_gives(fixture, "3\n", 0);
    begin(fixture, LOG_SOURCE_MARK, 0, &mark, false);
    assert_gives(fixture, "2\n3\n", 5);
    begin(fixture, LOG_SOURCE_ALL, 0, NULL, false);
    assert_gives(fixture, "1\n2\n3\n", 0);
}

static void test_log_source_bytes_begin_with_what_a_new_service_wrote(void **state)
{
    struct fixture *fixture = *state;

    write_log(fixture, "of long ago\n");
    write_log(fixture, "new\n");
    begin(fixture, LOG_SOURCE_BYTES, strlen("new\n"), NULL, true);
    assert_gives(fixture, "new\n", 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_log_source_tail_ends_where_the_log_ended),
        TEST(test_log_source_time_is_known_at_the_end_of_the_log),
        TEST(test_log_source_of_nothing_is_over_or_idle),
        TEST(test_log_source_follower_gets_whole_lines),
        TEST(test_log_source_line_longer_than_an_item_comes_in_pieces),
        TEST(test_log_source_mark_goes_on_behind_it),
        TEST(test_log_source_counts_what_was_rotated_away),
        TEST(test_log_source_counts_what_is_being_written_when_it_is_counted),
        TEST(test_log_source_loss_that_nobody_counted_is_one_byte),
        TEST(test_log_source_file_deleted_after_it_was_read_is_no_loss),
        TEST(test_log_source_truncation_loses_what_was_not_read),
        TEST(test_log_source_tells_what_the_disk_refused),
        TEST(test_log_source_bytes_begin_with_what_a_new_service_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
