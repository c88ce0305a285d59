/* Tokens of logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/output/log_token.h"

static struct log_mark mark_of(uint64_t n)
{
    return (struct log_mark){.place = {.file = {.number = n, .born_at_ns = -(int64_t)n},
                                 .offset = n / 2,
                                 .check = (uint32_t)n},
        .count_id = n + 1,
        .written = 5 - (int64_t)(n / 3),
        .lost = n * 3};
}

static void write_token(size_t n_marks, uint64_t n, struct buffer *text)
{
    struct buffer bytes;
    char name[32];

    buffer_init(&bytes, LOG_TOKEN_TEXT_MAX);
    buffer_init(text, LOG_TOKEN_TEXT_MAX + 1);
    assert_int_equal(log_token_begin(&bytes), 0);
    for (size_t i = 0; i < n_marks; i++) {
        struct log_mark mark = mark_of(n + i);

        (void)snprintf(name, sizeof name, "service-%zu", i);
        assert_int_equal(log_token_add(&bytes, name, &mark), 0);
    }
    assert_int_equal(log_token_finish(&bytes, text), 0);
    buffer_deinit(&bytes);
}

static void assert_marks(size_t n_marks, uint64_t n)
{
    struct log_token *token = NULL;
    struct buffer text;
    char name[32];

    write_token(n_marks, n, &text);
    assert_int_equal(log_token_read((const char *)buffer_data(&text), &token, NULL), 0);
    for (size_t i = 0; i < n_marks; i++) {
        const struct log_mark expected = mark_of(n + i);
        const struct log_mark *mark;

        (void)snprintf(name, sizeof name, "service-%zu", i);
        mark = log_token_find(token, name);
        assert_non_null(mark);
        assert_true(log_file_id_is_same(mark->place.file, expected.place.file));
        assert_int_equal(mark->place.offset, expected.place.offset);
        assert_int_equal(mark->place.check, expected.place.check);
        assert_int_equal(mark->count_id, expected.count_id);
        assert_int_equal(mark->written, expected.written);
        assert_int_equal(mark->lost, expected.lost);
    }
    assert_null(log_token_find(token, "nosuch"));
    log_token_free(token);
    buffer_deinit(&text);
}

static void test_log_token_has_every_mark_again(void **state)
{
    (void)state;
    assert_marks(0, 0);
    assert_marks(1, 0);
    assert_marks(3, 1000000);
    assert_marks(5, UINT64_MAX / 4);
    /* Every service of an instance, each number of a length that happens. */
    assert_marks(LOG_TOKEN_MARKS_MAX, 1U << 28);
}

static void test_log_token_with_a_mark_too_many_is_none(void **state)
{
    struct log_token *token = NULL;
    struct buffer text;

    (void)state;
    write_token(LOG_TOKEN_MARKS_MAX + 1, 1, &text);
    assert_int_equal(
        log_token_read((const char *)buffer_data(&text), &token, NULL), -STATUS_INVALID_ARGUMENT);
    buffer_deinit(&text);
}

static void test_log_token_cut_anywhere_is_none(void **state)
{
    struct log_token *token = NULL;
    struct buffer text;
    char *characters;

    (void)state;
    write_token(1, 77, &text);
    characters = (char *)buffer_reserve(&text, 0) - buffer_length(&text);
    /* By whole groups of letters: without padding it is the same token. */
    for (size_t len = buffer_length(&text) - 5; len > 0; len -= 4) {
        characters[len] = '\0';
        assert_int_equal(log_token_read(characters, &token, NULL), -STATUS_INVALID_ARGUMENT);
    }
    buffer_deinit(&text);
}

static void test_log_token_of_strangers_is_none(void **state)
{
    static const char *const texts[] = {"", "0", "nonsense", "AQ==AQ==", "\xff", "Ag=="};
    struct error error = ERROR_INIT;
    struct log_token *token = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(log_token_read(texts[i], &token, &error), -STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.text, "after: not a token of a log");
}

static void test_log_token_of_an_offset_that_no_file_has_is_none(void **state)
{
    const struct log_mark mark = {.place = {.offset = UINT64_MAX}};
    struct log_token *token = NULL;
    struct buffer bytes;
    struct buffer text;

    (void)state;
    buffer_init(&bytes, LOG_TOKEN_TEXT_MAX);
    buffer_init(&text, LOG_TOKEN_TEXT_MAX);
    assert_int_equal(log_token_begin(&bytes), 0);
    assert_int_equal(log_token_add(&bytes, "backend", &mark), 0);
    assert_int_equal(log_token_finish(&bytes, &text), 0);
    assert_int_equal(
        log_token_read((const char *)buffer_data(&text), &token, NULL), -STATUS_INVALID_ARGUMENT);
    buffer_deinit(&text);
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_token_has_every_mark_again),
        cmocka_unit_test(test_log_token_with_a_mark_too_many_is_none),
        cmocka_unit_test(test_log_token_cut_anywhere_is_none),
        cmocka_unit_test(test_log_token_of_strangers_is_none),
        cmocka_unit_test(test_log_token_of_an_offset_that_no_file_has_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
