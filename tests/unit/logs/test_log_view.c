/* Places in a log, and what is read behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/logs/log_seek.h"
#include "log_directory.h"

struct fixture {
    struct log_directory directory;
    struct log_place place;
    struct log_view view;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    log_directory_open(&fixture->directory);
    fixture->place = LOG_PLACE_FIRST;
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

static int look(struct fixture *fixture)
{
    return log_view_read(&fixture->view, fixture->directory.log, &fixture->place, NULL);
}

static void assert_sees(struct fixture *fixture, const char *text)
{
    assert_int_equal(look(fixture), 0);
    assert_int_equal(fixture->view.len, strlen(text));
    assert_memory_equal(fixture->view.bytes, text, strlen(text));
}

static void take(struct fixture *fixture, size_t n)
{
    fixture->place = log_view_place(&fixture->view, &fixture->place, n);
}

static void test_log_view_reaches_over_all_files(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 2, "one\ntw");
    log_directory_append(&fixture->directory, 1, "o\n");
    log_directory_append(&fixture->directory, 0, "three\n");
    assert_sees(fixture, "one\ntwo\nthree\n");
    assert_true(fixture->view.is_end);
    assert_true(fixture->view.written_at_ns > 0);
    /* Every place in it leads to what is behind it. */
    for (size_t n = 0; n <= strlen("one\ntwo\nthree\n"); n++) {
        struct log_place before = fixture->place;

        take(fixture, n);
        assert_sees(fixture, &"one\ntwo\nthree\n"[n]);
        fixture->place = before;
        assert_sees(fixture, "one\ntwo\nthree\n");
    }
}

static void test_log_view_place_survives_rotations(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 0, "1\n2\n");
    assert_sees(fixture, "1\n2\n");
    take(fixture, 2);
    log_directory_rotate(&fixture->directory, 9);
    assert_sees(fixture, "2\n");
    assert_true(fixture->view.is_end);
    log_directory_append(&fixture->directory, 0, "3\n");
    log_directory_rotate(&fixture->directory, 9);
    assert_sees(fixture, "2\n3\n");
    log_directory_append(&fixture->directory, 0, "4\n");
    assert_sees(fixture, "2\n3\n4\n");
}

/* A rotation that was killed halfway. */
static void test_log_view_crosses_one_gap(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 3, "1\n");
    log_directory_append(&fixture->directory, 1, "2\n");
    log_directory_append(&fixture->directory, 0, "3\n");
    assert_sees(fixture, "1\n2\n3\n");
    take(fixture, 2);
    log_directory_rename(&fixture->directory, 1, 2);
    assert_sees(fixture, "2\n3\n");
    take(fixture, 2);
    log_directory_rename(&fixture->directory, 0, 1);
    assert_sees(fixture, "3\n");
}

static void test_log_view_first_place_waits_for_a_file(void **state)
{
    struct fixture *fixture = *state;

    assert_sees(fixture, "");
    assert_true(fixture->view.is_end);
    take(fixture, 0);
    log_directory_append(&fixture->directory, 0, "1\n");
    assert_sees(fixture, "1\n");
}

static void test_log_view_shorter_file_is_truncated(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 0, "1\n2\n");
    assert_sees(fixture, "1\n2\n");
    take(fixture, 4);
    log_directory_truncate(&fixture->directory, 0, 0);
    assert_int_equal(look(fixture), LOG_VIEW_TRUNCATED);
    log_directory_append(&fixture->directory, 0, "3\n");
    fixture->place = fixture->view.restart;
    assert_sees(fixture, "3\n");
}

static void test_log_view_file_cut_and_grown_past_the_place_is_truncated(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 0, "1\n2\n");
    assert_sees(fixture, "1\n2\n");
    take(fixture, 4);
    log_directory_truncate(&fixture->directory, 0, 0);
    log_directory_append(&fixture->directory, 0, "another text, and longer\n");
    assert_int_equal(look(fixture), LOG_VIEW_TRUNCATED);
}

static void test_log_view_rotated_away_goes_on_with_the_oldest_left(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 0, "1\n");
    assert_sees(fixture, "1\n");
    take(fixture, 1);
    for (int i = 2; i < 6; i++) {
        char text[16];

        log_directory_rotate(&fixture->directory, 2);
        (void)snprintf(text, sizeof text, "%d\n", i);
        log_directory_append(&fixture->directory, 0, text);
    }
    assert_int_equal(look(fixture), LOG_VIEW_LOST);
    fixture->place = fixture->view.restart;
    assert_sees(fixture, "3\n4\n5\n");
}

static void test_log_view_deleted_does_not_go_back(void **state)
{
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 1, "old\n");
    log_directory_let_clock_tick(&fixture->directory);
    log_directory_append(&fixture->directory, 0, "1\n");
    assert_sees(fixture, "old\n1\n");
    take(fixture, 6);
    log_directory_unlink(&fixture->directory, 0);
    assert_sees(fixture, "");
    assert_true(fixture->view.is_end);
    log_directory_append(&fixture->directory, 0, "2\n");
    assert_int_equal(look(fixture), LOG_VIEW_LOST);
    fixture->place = fixture->view.restart;
    assert_sees(fixture, "2\n");
}

static void test_log_view_is_bounded_and_its_end_is_not_the_log_s(void **state)
{
    static char text[LOG_VIEW_BYTES + 11];
    struct fixture *fixture = *state;

    memset(text, 'x', sizeof text - 1);
    log_directory_append(&fixture->directory, 0, text);
    assert_int_equal(look(fixture), 0);
    assert_int_equal(fixture->view.len, LOG_VIEW_BYTES);
    assert_false(fixture->view.is_end);
    take(fixture, LOG_VIEW_BYTES);
    assert_sees(fixture, "xxxxxxxxxx");
}

static void test_log_view_of_many_tiny_files_goes_on_behind_the_last(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 0;

    for (int i = 0; i < 2 * LOG_VIEW_PIECES_MAX + 1; i++)
        log_directory_append(&fixture->directory, i, "x\n");
    do {
        assert_int_equal(look(fixture), 0);
        take(fixture, fixture->view.len);
        len += fixture->view.len;
    } while (!fixture->view.is_end);
    assert_int_equal(len, 2 * (2 * LOG_VIEW_PIECES_MAX + 1));
}

static void test_log_place_distance_is_what_lies_behind(void **state)
{
    struct fixture *fixture = *state;
    uint64_t distance = 0;

    log_directory_append(&fixture->directory, 1, "123\n");
    log_directory_append(&fixture->directory, 0, "45\n");
    assert_sees(fixture, "123\n45\n");
    take(fixture, 1);
    assert_int_equal(log_place_distance(fixture->directory.log, &fixture->place, &distance), 0);
    assert_int_equal(distance, 6);
    log_directory_unlink(&fixture->directory, 1);
    assert_int_equal(
        log_place_distance(fixture->directory.log, &fixture->place, &distance), LOG_FILES_LOST);
}

static void test_log_seek_bytes_stands_before_so_many(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, ""}, {1, "\n"}, {3, "45\n"}, {5, "3\n45\n"}, {7, "123\n45\n"}, {1000, "123\n45\n"}};
    struct fixture *fixture = *state;

    log_directory_append(&fixture->directory, 1, "123\n");
    log_directory_append(&fixture->directory, 0, "45\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            log_seek_bytes(fixture->directory.log, rows[i].bytes, &fixture->place, NULL), 0);
        assert_sees(fixture, rows[i].text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_log_view_reaches_over_all_files),
        TEST(test_log_view_place_survives_rotations),
        TEST(test_log_view_crosses_one_gap),
        TEST(test_log_view_first_place_waits_for_a_file),
        TEST(test_log_view_shorter_file_is_truncated),
        TEST(test_log_view_file_cut_and_grown_past_the_place_is_truncated),
        TEST(test_log_view_rotated_away_goes_on_with_the_oldest_left),
        TEST(test_log_view_deleted_does_not_go_back),
        TEST(test_log_view_is_bounded_and_its_end_is_not_the_log_s),
        TEST(test_log_view_of_many_tiny_files_goes_on_behind_the_last),
        TEST(test_log_place_distance_is_what_lies_behind),
        TEST(test_log_seek_bytes_stands_before_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
