#include <string.h>

#include "client/cli/log_merge.h"
#include "unit.h"

/* Adds `text` in pieces of `piece` bytes and flushes; asserts what comes out. */
static void assert_gives(
    enum log_format format, const char *text, size_t piece, const char *expected)
{
    struct log_lines lines;
    struct buffer out;
    log_lines_init(&lines, "web", format);
    buffer_init(&out, 1 << 20);
    for (size_t at = 0; at < strlen(text); at += piece) {
        size_t len = strlen(text) - at < piece ? strlen(text) - at : piece;
        assert_int_equal(log_lines_add(&lines, text + at, len, &out), 0);
    }
    assert_int_equal(log_lines_flush(&lines, &out), 0);
    assert_int_equal(buffer_length(&out), strlen(expected));
    assert_memory_equal(buffer_data(&out), expected, strlen(expected));
    log_lines_deinit(&lines);
    buffer_deinit(&out);
}

static void test_log_merge_verbatim_changes_nothing(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 8; piece++)
        assert_gives(LOG_FORMAT_VERBATIM, "a\r\n\x1b[1mb\n\xff", piece, "a\r\n\x1b[1mb\n\xff");
}

static void test_log_merge_prefix_before_each_line_however_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 12; piece++)
        assert_gives(LOG_FORMAT_PREFIXED, "one\n\ntwo\nend", piece,
            "[web] one\n[web] \n[web] two\n[web] end\n");
}

static void test_log_merge_json_is_one_response_a_line(void **state)
{
    (void)state;
    assert_gives(LOG_FORMAT_JSON, "hi\n", 2,
        "{\"service\":\"web\",\"data\":\"aGkK\",\"token\":\"\",\"bytes_lost\":\"0\","
        "\"generation\":0}\n");
}

static void test_log_merge_endless_line_is_given_in_pieces(void **state)
{
    static char text[LOG_MERGE_LINE_MAX * 3];
    struct log_lines lines;
    struct buffer out;
    (void)state;
    memset(text, 'x', sizeof(text));
    log_lines_init(&lines, "web", LOG_FORMAT_PREFIXED);
    buffer_init(&out, 1 << 20);
    for (size_t at = 0; at < sizeof(text); at += 1024)
        assert_int_equal(log_lines_add(&lines, text + at, 1024, &out), 0);
    assert_int_equal(buffer_length(&out), 2 * (LOG_MERGE_LINE_MAX + strlen("[web] \n")));
    log_lines_deinit(&lines);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_merge_verbatim_changes_nothing),
        cmocka_unit_test(test_log_merge_prefix_before_each_line_however_cut),
        cmocka_unit_test(test_log_merge_json_is_one_response_a_line),
        cmocka_unit_test(test_log_merge_endless_line_is_given_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
