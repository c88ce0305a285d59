#include <errno.h>

#include "common/base/error.h"
#include "common/base/utf8.h"
#include "unit.h"

static void test_set_replaces_everything_and_returns_the_code(void **state)
{
    (void)state;
    struct error error = {.reason = 7, .system_error = 2, .subject = "x", .hint = "y"};
    assert_int_equal(error_set(&error, STATUS_NOT_FOUND, "no %s", "such"), -STATUS_NOT_FOUND);
    assert_string_equal(error.text, "no such");
    assert_int_equal(error.code, STATUS_NOT_FOUND);
    assert_int_equal(error.reason, 0);
    assert_int_equal(error.system_error, 0);
    assert_string_equal(error.subject, "");
    assert_string_equal(error.hint, "");
}

static void test_null_error_still_gives_the_result(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, STATUS_INTERNAL, "x"), -STATUS_INTERNAL);
    assert_int_equal(error_set_errno(NULL, ENOENT, "x"), -STATUS_NOT_FOUND);
    assert_int_equal(error_add_context(NULL, -3, "x"), -3);
    error_set_hint(NULL, "x");
}

static void test_errno_is_named_and_preserved(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    errno = EAGAIN;
    assert_int_equal(error_set_errno(&error, ENOENT, "opening %s", "/x"), -STATUS_NOT_FOUND);
    assert_int_equal(errno, EAGAIN);
    assert_string_equal(error.text, "opening /x: No such file or directory (ENOENT)");
    assert_int_equal(error.system_error, ENOENT);
    assert_string_equal(error_errno_name(99999), "EUNKNOWN");
}

static void test_context_goes_before_and_keeps_the_rest(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    int result = error_set_errno(&error, EACCES, "opening b");
    error_set_hint(&error, "chmod it");
    assert_int_equal(error_add_context(&error, result, "starting %s", "a"), result);
    assert_string_equal(error.text, "starting a: opening b: Permission denied (EACCES)");
    assert_string_equal(error.hint, "chmod it");
    assert_int_equal(error_add_context(&error, 1, "positive"), 1);
    assert_string_equal(error.text, "starting a: opening b: Permission denied (EACCES)");
}

static void test_own_text_as_argument_is_safe(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    (void)error_set(&error, STATUS_INTERNAL, "inner");
    (void)error_set(&error, STATUS_ABORTED, "outer (%s)", error.text);
    assert_string_equal(error.text, "outer (inner)");
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[3000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA4", 2);
    text[sizeof text - 2] = '\0';
    struct error error = ERROR_INIT;
    for (int shift = 0; shift < 2; shift++) {
        (void)error_set(&error, STATUS_INTERNAL, "%s%s", shift == 0 ? "" : "x", text);
        size_t len = strlen(error.text);
        assert_true(len >= ERROR_TEXT_MAX - 3 && len < ERROR_TEXT_MAX);
        assert_string_equal(error.text + len - 3, "...");
        assert_true(utf8_is_valid((const uint8_t *)error.text, len));
    }
    error_set_hint(&error, "%s", text);
    assert_true(strlen(error.hint) < ERROR_HINT_MAX);
    (void)error_add_context(&error, -1, "%s", text);
    assert_true(utf8_is_valid((const uint8_t *)error.text, strlen(error.text)));
}

static void test_status_names_and_errno_codes(void **state)
{
    (void)state;
    assert_string_equal(status_code_name(STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(status_code_name(17), "UNKNOWN");
    assert_string_equal(status_code_name(-1), "UNKNOWN");
    assert_int_equal(STATUS_CODE_COUNT, 17);
    assert_int_equal(status_from_errno(0), STATUS_OK);
    assert_int_equal(status_from_errno(EMFILE), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(status_from_errno(EPERM), STATUS_PERMISSION_DENIED);
    assert_int_equal(status_from_errno(ECONNREFUSED), STATUS_UNAVAILABLE);
    assert_int_equal(status_from_errno(EIO), STATUS_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_replaces_everything_and_returns_the_code),
        cmocka_unit_test(test_null_error_still_gives_the_result),
        cmocka_unit_test(test_errno_is_named_and_preserved),
        cmocka_unit_test(test_context_goes_before_and_keeps_the_rest),
        cmocka_unit_test(test_own_text_as_argument_is_safe),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_status_names_and_errno_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
